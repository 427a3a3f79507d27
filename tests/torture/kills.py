"""kill -9 at random moments, and on with --resume."""

from __future__ import annotations

from pathlib import Path

from tests.batch.killed import kill_and_resume
from tests.torture.counts import Counts
from tests.torture.model import make_model

__all__ = ["kills"]

MOMENTS_SHORT, MOMENTS_FULL, FILES = 2, 50, 12


def kills(folder: Path, model: Path, full: bool) -> Counts:
    """Batches killed 50 times in all; each ends with every result there, made once and right."""
    changing = make_model(folder / "changes.safetensors", changes=True)
    moments = MOMENTS_FULL if full else MOMENTS_SHORT
    try:
        found = kill_and_resume(folder, changing, moments, seed=1, files=FILES)
    except AssertionError as error:  # what it cannot go on after
        counts = Counts(given=1)
        counts.fault("tracebacks", str(error))
        return counts
    files = FILES * len(list(folder.glob("out*")))
    counts = Counts(given=files, restored=files - found.lost - found.wrong)
    for kind, number in (("lost", found.lost), ("wrong", found.wrong + found.broken), ("tracebacks", found.tracebacks)):
        for _ in range(number):
            counts.fault(kind, f"after kill -9: {found}")
    if found.repeated or found.left_over or found.killed < moments:
        counts.fault("", f"after kill -9: {found}")
    counts.remark = f"killed {found.killed} times"
    return counts
