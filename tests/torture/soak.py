"""A long batch, and memory that stays where it was."""

from __future__ import annotations

from pathlib import Path

from tests.batch.soak import memory_over
from tests.torture.batches import same_picture
from tests.torture.counts import Counts
from tests.torture.process import call

__all__ = ["soak"]

FILES_SHORT, FILES_FULL = 60, 2000
GROWN_BYTES = 8_000_000
"""4 kB a file: less than the smallest picture's samples, so that not one of them is kept."""


def soak(folder: Path, model: Path, full: bool) -> Counts:
    """2,000 files one after another; sampled ten times, after the caches of the first tenth."""
    files = FILES_FULL if full else FILES_SHORT
    ran = call(folder, memory_over, folder, model, files)
    same = [same_picture(folder / "in.png", result) for result in (folder / "out").glob("*.png")]
    counts = Counts(given=files, restored=same.count(True))
    if len(same) != files or not all(same):
        counts.fault("wrong", f"{len(same)} results, {same.count(True)} of them as they should be")
    if ran.result is None:
        counts.fault("tracebacks", f"exit code {ran.code}: {ran.stderr[-300:]}")
        return counts
    growth = max(ran.result[1:]) - ran.result[0]
    if growth > GROWN_BYTES:
        counts.fault("", f"memory grew by {growth / 1e6:.1f} MB: {[round(each / 1e6) for each in ran.result]}")
    low, high = min(ran.result) / 1e6, max(ran.result) / 1e6
    counts.remark = f"memory between {low:.0f} and {high:.0f} MB in {len(ran.result)} samples"
    return counts
