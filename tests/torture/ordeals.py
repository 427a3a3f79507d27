"""The ordeals by name, but for the one that takes minutes and gigabytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.torture.bombs import bombs
from tests.torture.counts import Counts
from tests.torture.disk import disk
from tests.torture.fuzz import fuzzed
from tests.torture.hostile import hostile
from tests.torture.kills import kills
from tests.torture.memory import memory
from tests.torture.model import make_model
from tests.torture.names import names
from tests.torture.soak import soak

__all__ = ["ORDEALS", "face"]

ORDEALS: dict[str, Callable[[Path, Path, bool], Counts]] = {
    "hostile": hostile,
    "fuzz": fuzzed,
    "bombs": bombs,
    "names": names,
    "disk": disk,
    "memory": memory,
    "kills": kills,
    "soak": soak,
}


def face(name: str, folder: Path, *, full: bool) -> Counts:
    """What ordeal `name` counts, in a folder of its own below `folder`."""
    place = folder / name
    place.mkdir(parents=True)
    return ORDEALS[name](place, make_model(folder / f"{name}.safetensors"), full)
