"""Memory that runs out: at each tile of a picture, in each step of a file, and under the system's own limits."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

import restore_cli.batch.run
from restore_cli.cli import main
from restore_cli.inference.engine import restore_image
from restore_cli.options import Precision
from restore_cli.tasks import TASKS
from tests.inference.test_memory import FailsAt, Notes, image, restorer_of
from tests.pictures import values, write
from tests.torture.batches import check_results, judged
from tests.torture.counts import Counts
from tests.torture.process import Ran, call

__all__ = ["memory"]

# Of a picture: channels and alpha; of a run: scale and options.
CASES: tuple[tuple[dict[str, Any], int, dict[str, Any]], ...] = (
    ({}, 1, {}),
    ({"alpha": True}, 2, {}),
    ({"channels": 1}, 4, {}),
    ({"alpha": True}, 1, {"wne": True}),
    ({}, 2, {"tta": True}),
    ({}, 1, {"precision": Precision.BF16}),
)
STEPS = ("read_image", "restore_image", "write_image")
FILES = 6
MEGABYTES = (2, 5, 10, 20, 40, 80, 160, 320)
LIMITED_SECONDS = 60


def memory(folder: Path, model: Path, full: bool) -> Counts:
    """Every tile of every case, every step of every file, and the real thing."""
    counts = Counts()
    for index, case in enumerate(CASES if full else CASES[:2]):
        counts.add(at_each_tile(index, *case))
    tiles = counts.given
    for index in range(FILES):
        write(folder / f"in/{index}.png", values(300, 300, seed=index))
    for step in STEPS:
        counts.add(_of_run(folder, call(folder, _scarce, folder / "in", model, step)))
    # What a limit of the system does depends on the machine's allocator, too: nothing for the default suite.
    for megabytes in MEGABYTES if full else ():
        ran = call(folder, _limited, folder / "in", model, megabytes, seconds=LIMITED_SECONDS)
        counts.add(_of_run(folder, ran))
    counts.remark = f"{tiles} tiles at which memory ran out"
    return counts


def at_each_tile(index: int, kind: dict[str, Any], scale: int, options: dict[str, Any]) -> Counts:
    """A picture as often as its network is called, each time with memory running out at another call."""
    options = {"tile_px": 24, "overlap_px": 4, **options}
    picture, task, counts = image(**kind), TASKS["sr" if scale > 1 else "denoise"], Counts()
    whole = FailsAt(scale)
    expected = restore_image(picture, restorer_of(whole, **options), task)
    tolerance = 2e-6 if "precision" not in options else 0.02
    for failing in range(whole.seen):
        notes = Notes()
        counts.given += 1
        found = restore_image(picture, restorer_of(FailsAt(scale, {failing}), notes, **options), task)
        if not np.allclose(found.pixels, expected.pixels, atol=tolerance):
            counts.fault("wrong", f"case {index}: another picture when memory runs out at call {failing}")
        elif len(notes.notes) != 1 or "Not enough memory" not in notes.notes[0]:
            counts.fault("", f"case {index}, call {failing}: {notes.notes}")
        else:
            counts.restored += 1
    return counts


def _of_run(folder: Path, ran: Ran) -> Counts:
    counts, records = judged(ran, folder)
    check_results(counts, records, folder)
    return counts


def _restore(given: Path, model: Path, output: str) -> None:
    sys.argv = ["restore", "denoise", "-q", "--json", "--overwrite", "-n", str(model), "-o", output, str(given)]
    main()


def _scarce(given: Path, model: Path, step: str) -> None:
    """In a process of its own: every second time that `step` is taken, there is no memory."""
    real, turns = getattr(restore_cli.batch.run, step), _turns()

    def scarce(*arguments: Any, **options: Any) -> Any:
        if next(turns):
            raise MemoryError
        return real(*arguments, **options)

    setattr(restore_cli.batch.run, step, scarce)
    _restore(given, model, f"out-{step}")


def _turns() -> Iterator[bool]:
    while True:
        yield True
        yield False


def _limited(given: Path, model: Path, megabytes: int) -> None:
    """In a process of its own, which may take so many megabytes more than it has."""
    torch.rand(1, 8, 64, 64)
    limit = psutil.Process().memory_info().data + megabytes * 10**6
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    _restore(given, model, f"out-{megabytes}")
