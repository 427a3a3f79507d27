"""The record of a run on one picture, for the file it makes; and back from such a record to the run."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from restore_cli import __version__
from restore_cli.batch.settings import NOT_IN_THE_FILE, Settings
from restore_cli.inference.hardware import device_name
from restore_cli.inference.restorer import Heard
from restore_cli.io.digest import sha256_of
from restore_cli.io.formats import format_for
from restore_cli.io.paths import Source
from restore_cli.io.provenance import NamedFile, Provenance, now, room_for
from restore_cli.options import Precision

if TYPE_CHECKING:
    from restore_cli.batch.plan import Job
    from restore_cli.batch.work import Work

__all__ = ["COMPANIONS", "environment_of", "formats_without_room", "record_of", "tile_side"]

# Pictures beside the input that decide the result: option, and where the settings name the file.
COMPANIONS = {"mask": "finish", "second_view": "hints"}
TILE_SIDE = "tile_px"


def record_of(
    source: Source,
    input_sha256: str,
    work: Work,
    settings: Settings,
    *,
    is_grey: bool = False,
    heard: Heard | None = None,
) -> Provenance:
    """What is written into a result, or beside it.

    Where an earlier run is repeated, with the same files, its time is kept, and the names that files had then, so that
    the same file comes out.

    Args:
        source: the input.
        input_sha256: of its content.
        work: what was done.
        settings: that it was opened from.
        is_grey: whether the picture has one channel, so that a model for grey pictures took it.
        heard: what happened while it was restored.

    Raises:
        OSError: a mask or second view that cannot be read any more.
    """
    grey = work.grey_restorer if is_grey else None
    restorer = grey or work.restorer
    heard = heard or Heard()
    device = torch.device("cpu") if heard.on_cpu else restorer.device
    # Of a run that is repeated, its tiles are taken from the beginning.
    tile_px = heard.tile_px or (work.repeats and tile_side(work.repeats))
    made_by: dict[str, Any] = {
        "version": __version__,
        "device": str(device),
        "precision": (Precision.FP32 if heard.on_cpu else restorer.precision).value,
        "environment": environment_of(device) | ({TILE_SIDE: str(tile_px)} if tile_px else {}),
    }
    if work.repeats is not None:
        return replace(work.repeats, **made_by)
    names = [restorer.model.name] if grey or not settings.models else list(settings.models)
    digests = (work.grey_model_sha256 if grey else work.model_sha256).split(" + ")
    stated = copy.deepcopy(settings.as_json())
    # Of the models the record names those that took this picture, grey or not.
    for name in (*NOT_IN_THE_FILE, "grey_model"):
        stated.pop(name, None)
    del stated["run"]["device"]  # what was asked for; where it ran is said above, and the same however it was asked for
    companions = {}
    for option, part in COMPANIONS.items():
        path = getattr(getattr(settings, part), option)
        stated[part][option] = None if path is None else Path(path).name
        if path is not None:
            companions[option] = NamedFile(Path(path).name, sha256_of(path))
    # A file by its name alone: what tells it apart is its content.
    stated["models"] = [Path(name).name if Path(name).is_file() else name for name in settings.models]
    return Provenance(
        task=work.task.name,
        models=tuple(
            NamedFile(Path(name).name if Path(name).is_file() else name, digest)
            for name, digest in zip(names, digests, strict=True)
        ),
        input=NamedFile(source.path.name, input_sha256),
        settings=stated,
        created=now(),
        companions=companions,
        frame=source.frame,
        notes=tuple(heard.notes),
        **made_by,
    )


def tile_side(step: Provenance) -> int | None:
    """Side in pixels of the tiles that memory sufficed for in that run; None where it sufficed for those planned."""
    stated = step.environment.get(TILE_SIDE, "")
    return int(stated) if stated.isdecimal() and int(stated) > 0 else None


def environment_of(device: torch.device) -> dict[str, str]:
    """What the last bit of a result may depend on, beside the options."""
    return {
        "torch": torch.__version__,
        "processor": device_name(device),
        "threads": str(torch.get_num_threads()),
    }


def formats_without_room(jobs: Sequence[Job], settings: Settings) -> list[str]:
    """Names of the formats whose results will not say how they were made, though nobody asked for that."""
    if settings.sidecar or settings.encoding.strip or not settings.provenance:
        return []
    names = {format_for(suffix).name for suffix in {job.target.suffix for job in jobs}}
    return sorted(name for name in names if room_for(name) == 0)
