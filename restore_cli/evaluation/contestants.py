"""What is evaluated: networks run as the product runs them, baselines, and pictures that are there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from restore_cli import __version__
from restore_cli.errors import InputError
from restore_cli.evaluation.baselines import BASELINES, baseline
from restore_cli.evaluation.conditions import Condition
from restore_cli.inference.engine import restore_image
from restore_cli.inference.restorer import Observer, Restorer
from restore_cli.io.image import Image
from restore_cli.models.build import build_model, locate
from restore_cli.models.card import Card
from restore_cli.models.digest import sha256_of
from restore_cli.models.download import fetch
from restore_cli.models.hub import Progress
from restore_cli.options import Cfa, Hints, RunOptions
from restore_cli.tasks import Task

__all__ = ["Contestant", "baseline_contestant", "network_contestant", "pictures_contestant"]


@dataclass(frozen=True)
class Contestant:
    """One column of an evaluation.

    Attributes:
        name: as the user wrote it.
        summary: one line for reports.
        restore: (degraded picture, its condition) -> the restored one.
        identity: whatever decides its results.
        scale: output pixels per input pixel.
        cards: with published figures; none for a bare file or a baseline.
        check: raises UsageError where it must be told something that a condition does not say.
    """

    name: str
    summary: str
    restore: Callable[[Image, Condition], Image]
    identity: dict[str, Any]
    scale: int = 1
    cards: tuple[Card, ...] = ()
    check: Callable[[Condition], None] = lambda condition: None


def network_contestant(
    name: str,
    task: Task,
    scale: int | None,
    options: RunOptions,
    *,
    grey: str | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    observer: Observer | None = None,
) -> Contestant:
    """A model with its weights, on the road that `restore TASK` takes: alpha, grey and colour, tiles, wrappers.

    Args:
        name: card id, checkpoint file or hub address.
        task: of the evaluation.
        scale: that the model must have; None takes its own.
        options: how it is run.
        grey: the model that grey pictures go through, if another.
        offline, progress: of a download.
        observer: is told of tiles and fallbacks.

    Raises:
        RestoreError: no such model, a wrong scale or device, damaged weights.
    """
    names = (name,) if grey is None else (name, grey)
    restorers, digests = [], []
    for each in names:
        model = build_model(each, offline=offline, progress=progress, task=task.name)
        task.check_scale(scale, model.network.scale, model.name)
        restorers.append(Restorer(model, options, observer))
        digests.append(_weights_sha256(each))

    def hints(restorer: Restorer, condition: Condition) -> Hints:
        # A network that finds the level by itself is not told, and need not say that it does not listen.
        told = condition.sigma_255 if restorer.model.network.conditioning == "sigma" else None
        return Hints(told, cfa=Cfa(condition.cfa))

    def restore(image: Image, condition: Condition) -> Image:
        restorer = restorers[-1] if image.is_grey else restorers[0]
        return restore_image(image, restorer, task, hints(restorer, condition))

    def check(condition: Condition) -> None:
        for restorer in restorers:
            restorer.check(hints(restorer, condition))

    summaries = [_summary(restorer, digest) for restorer, digest in zip(restorers, digests, strict=True)]
    return Contestant(
        name=" / ".join(names),
        summary="; grey pictures: ".join(summaries),
        restore=restore,
        identity={
            "weights": digests,
            "options": asdict(options) | {"device": restorers[0].device.type, "precision": restorers[0].precision},
            "version": __version__,
        },
        scale=restorers[0].scale,
        cards=tuple(restorer.model.card for restorer in restorers if restorer.model.card is not None),
        check=check,
    )


def baseline_contestant(name: str, task: Task, scale: int) -> Contestant:
    """One of `BASELINES`; raises UsageError where it is not for `task`."""
    baseline(name, task, scale)  # refuses now rather than at the first picture

    def restore(image: Image, condition: Condition) -> Image:
        if task.input == "mosaic" and not image.is_grey:
            raise InputError("the picture is in colour already; a mosaic has one channel.", "Pass the mosaic as grey.")
        return image.with_pixels(baseline(name, task, scale, condition.cfa)(image.pixels))

    identity = {"baseline": name, "scale": scale, "version": __version__}
    return Contestant(name, BASELINES[name].summary, restore, identity, scale)


def pictures_contestant(folder: Path) -> Contestant:
    """Pictures that somebody restored before: nothing is run."""
    return Contestant(str(folder), "pictures as they are", lambda image, condition: image, {"pictures": str(folder)})


def _summary(restorer: Restorer, digest: str) -> str:
    network = restorer.model.network
    wrapped = "".join(f", {word}" for word, on in (("WNE", restorer.wne), ("TTA", restorer.tta)) if on)
    where = f"{restorer.device} in {restorer.precision.value}"
    return f"{restorer.model.name}: {network.arch}, sha256 {digest[:16]}, on {where}{wrapped}"


def _weights_sha256(name: str) -> str:
    """Of the file that `name`, just built, was read from."""
    location = locate(name)
    if location.card is not None and location.card.file.pinned:
        return location.card.file.sha256
    path = location.path
    if path is None and location.remote is not None:
        path = fetch(location.remote, offline=True)  # it is in the cache by now
    return sha256_of(path) if path is not None else ""
