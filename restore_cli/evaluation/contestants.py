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
from restore_cli.inference.levels import Models
from restore_cli.inference.restorer import Observer
from restore_cli.io.image import Image
from restore_cli.models.build import locate
from restore_cli.models.card import Card
from restore_cli.models.hub import Progress
from restore_cli.models.levels import family_members
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
    hints: Hints | None = None,
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
        hints: what is known of pictures of the first condition: tells which checkpoint of a family is opened first.
        offline, progress: of a download.
        observer: is told of tiles and fallbacks.

    Raises:
        RestoreError: no such model, a wrong scale or device, damaged weights.
    """
    names = (name,) if grey is None else (name, grey)
    facts: dict[str, Any] = {"hints": hints, "offline": offline, "progress": progress}
    models = [Models((each,), task, options, observer, scale=scale, **facts) for each in names]

    def told(each: Models, condition: Condition) -> Hints:
        # A network that finds the level by itself is not told, and need not say that it does not listen.
        levels: dict[str, Any] = {needed.name: getattr(condition, needed.name) for needed in each.conditioning}
        return Hints(**levels, cfa=Cfa(condition.cfa))

    def restore(image: Image, condition: Condition) -> Image:
        each = models[-1] if image.is_grey else models[0]
        settled = each.settle(image, told(each, condition))
        return restore_image(image, settled.restorer, task, settled.hints)

    def check(condition: Condition) -> None:
        for each in models:
            hints = told(each, condition)
            each.restorer.check(hints, estimated=bool(each.lacking(hints)))

    restorers = [each.restorer for each in models]
    return Contestant(
        name=" / ".join(names),
        summary="; grey pictures: ".join(map(_summary, models)),
        restore=restore,
        identity={
            "weights": [each.sha256 for each in models],
            "options": asdict(options) | {"device": restorers[0].device.type, "precision": restorers[0].precision},
            "version": __version__,
        },
        scale=restorers[0].scale,
        cards=tuple(card for each in names for card in _cards(each)),
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


def _summary(models: Models) -> str:
    restorer = models.restorer
    (name,) = models.names
    levels = ", ".join(f"{card.level:g}" for card in family_members(name))
    which = f"{name}, the nearest of {levels}" if levels else restorer.model.name
    wrapped = "".join(f", {word}" for word, on in (("WNE", restorer.wne), ("TTA", restorer.tta)) if on)
    where = f"{restorer.device} in {restorer.precision.value}"
    needs = "".join(f", {each.option} estimated where it is not known" for each in models.conditioning)
    return f"{which}: {restorer.model.network.arch}, sha256 {models.sha256[:16]}, on {where}{wrapped}{needs}"


def _cards(name: str) -> tuple[Card, ...]:
    """Those that `name` stands for, with their figures; none for a bare file."""
    card = None if family_members(name) else locate(name).card
    return family_members(name) if card is None else (card,)
