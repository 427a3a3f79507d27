"""From the record in a picture back to the run that made it, with every file that took part found and verified."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from restore_cli import __version__
from restore_cli.batch.plan import Job
from restore_cli.batch.record import COMPANIONS, environment_of, tile_side
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Work
from restore_cli.errors import CheckpointError, InputError, RecipeError, RestoreError
from restore_cli.inference.device import choose_device
from restore_cli.inference.restorer import Observer
from restore_cli.io.digest import sha256_of
from restore_cli.io.image import Image
from restore_cli.io.paths import Source
from restore_cli.io.provenance import NamedFile, Provenance
from restore_cli.io.read import read_image, shown_name
from restore_cli.models.build import MODEL_SUFFIXES
from restore_cli.models.hub import Progress
from restore_cli.options import Existing

__all__ = ["Comparison", "compare", "differences", "find_named", "reopen", "repetition"]


def repetition(step: Provenance, source: Path, target: Path) -> Job:
    """The job of the recorded run, from where its input is now to another result."""
    return Job(Source(source, Path(step.input.name), step.frame), target)


def find_named(wanted: NamedFile, places: Sequence[Path], what: str, hint: str) -> Path:
    """The file of that name and content, in the first of `places` that has it.

    Args:
        wanted: its name and sha256.
        places: files to take if they are the one, whatever their names; folders to look into.
        what: it is, for the message: 'input'.
        hint: what to do if it is nowhere.

    Raises:
        InputError: it is nowhere, or what is there by that name has another content.
    """
    changed = None
    for path in _candidates(wanted.name, places):
        try:
            if sha256_of(path) == wanted.sha256:
                return path
        except OSError as error:
            raise InputError(f"{shown_name(path)} cannot be read: {error.strerror or error}.") from error
        changed = changed or path
    if changed is not None:
        raise InputError(
            f"{shown_name(changed)} is not the {what} of that run: its sha256 is not {wanted.sha256}.", hint
        )
    raise InputError(f"The {what} {shown_name(Path(wanted.name))} was not found.", hint)


def _candidates(name: str, places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            beside = place / name
            if beside.is_file():
                yield beside
        elif place.is_file():
            yield place


def reopen(
    step: Provenance,
    places: Sequence[Path],
    models: Sequence[str] = (),
    *,
    existing: Existing = Existing.FAIL,
    sidecar: bool = False,
    offline: bool = False,
    observer: Observer | None = None,
    progress: Progress | None = None,
) -> Work:
    """The recorded run made ready once more, on as many threads, and in tiles as small, as it had.

    Args:
        step: its record.
        places: folders where masks, second views and models may be.
        models: to take in the place of those recorded, in their order: where their files are now.
        existing: what to do with a result that is there.
        sidecar: write the record beside the result, too.
        offline: never ask the network for a model.
        observer: is told what happens while the picture is restored.
        progress: makes the bar of a download.

    Raises:
        RecipeError: the record's settings are not of this version.
        InputError: a picture that took part is gone, or is another.
        CheckpointError: a model is not the one it was.
        RestoreError: as `Settings.open`.
    """
    settings = replace(
        _settings_of(step, places),
        # By name even where the task chose: what it would choose today depends on what is installed.
        models=tuple(models) or tuple(_found_model(model.name, places) for model in step.models),
        grey_model="",
        existing=existing,
        sidecar=sidecar,
        offline=offline,
    )
    threads = step.environment.get("threads", "")
    if threads.isdecimal() and 0 < int(threads) <= (os.cpu_count() or 1):
        torch.set_num_threads(int(threads))  # some kernels share out their sums by it
    work = replace(settings.open(observer, progress), repeats=step)
    _check_models(step, work)
    if (tile_px := tile_side(step)) is not None:
        work.restorer.cut_into(tile_px)
    return work


def _settings_of(step: Provenance, places: Sequence[Path]) -> Settings:
    stated: dict[str, Any] = {**step.settings}
    if isinstance(run := stated.get("run", {}), dict) and _is_here(step.device):
        stated["run"] = {**run, "device": step.device, "precision": step.precision}
    for option, part in COMPANIONS.items():
        path = None
        if (companion := step.companions.get(option)) is not None:
            hint = "Put it into the folder of the input."
            path = str(find_named(companion, places, option.replace("_", "-"), hint))
        # The record's own word is a name without folder, and a file without sha256 none that took part.
        if isinstance(options := stated.get(part, {}), dict):  # else `from_json` refuses it
            stated[part] = {**options, option: path}
    try:
        return Settings.from_json(stated)
    except RestoreError as error:
        hint = f"It was written by restore {step.version}, this is {__version__}."
        raise RecipeError(f"The record cannot be followed: {error.message}", hint) from error


def _is_here(device: str) -> bool:
    try:
        choose_device(device)
    except RestoreError:
        return False
    return True


def _found_model(name: str, places: Sequence[Path]) -> str:
    """`name` where it is no file's; else the file, if a place has it."""
    if not name.lower().endswith(MODEL_SUFFIXES) or name.startswith("hf:"):
        return name
    return next((str(place / name) for place in places if (place / name).is_file()), name)


def _check_models(step: Provenance, work: Work) -> None:
    """Raises CheckpointError where a model is not what it was; the sha256 of a file is its identity, not its name."""
    here = {*work.model_sha256.split(" + "), work.grey_model_sha256}
    for model in step.models:
        if model.sha256 not in here:
            raise CheckpointError(
                f"{model.name} is not the model of that run, whose sha256 was {model.sha256}.",
                f"Name that one with -n, or install restore-cli=={step.version}.",
            )


def differences(step: Provenance, work: Work) -> list[str]:
    """What is not as it was, and may decide the last bit: '... was 2.14, is 2.15'."""
    then = {"restore": step.version, "device": step.device, "precision": step.precision, **step.environment}
    now = {
        "restore": __version__,
        "device": str(work.restorer.device),
        "precision": work.restorer.precision.value,
        **environment_of(work.restorer.device),
    }
    return [f"{name} was {then[name]}, is {value}" for name, value in now.items() if then.get(name, value) != value]


@dataclass(frozen=True)
class Comparison:
    """Of two files: whether they are the same to the byte, whether their pixels are, and in words."""

    same: bool
    same_pixels: bool
    verdict: str


def compare(first: Path, second: Path) -> Comparison:
    """How alike two pictures are; raises InputError where one cannot be read."""
    if sha256_of(first) == sha256_of(second):
        return Comparison(True, True, "same")
    one, two = (_planes(read_image(path)) for path in (first, second))
    if one.shape != two.shape:
        sizes = " and ".join("{1}x{0}x{2}".format(*planes.shape) for planes in (one, two))
        return Comparison(False, False, f"differs: {sizes} samples")
    differing = int(np.count_nonzero(one != two))
    if not differing:
        return Comparison(False, True, "same pixels, other metadata")
    most = float(np.abs(one - two).max()) * 255
    return Comparison(False, False, f"differs in {differing} of {one.size} samples, by at most {most:.2g} of 255")


def _planes(image: Image) -> NDArray[np.float32]:
    """(H, W, C), alpha last."""
    return image.pixels if image.alpha is None else np.concatenate([image.pixels, image.alpha[..., None]], axis=2)
