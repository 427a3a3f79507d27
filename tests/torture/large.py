"""400 megapixels in a TIFF: restored with less than 4 GB of memory that is the process's alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.inference.test_memory import measured
from tests.torture.counts import Counts

__all__ = ["large"]

SIDE_PX = 20_000
MOST_BYTES = 4_000_000_000


def large(folder: Path) -> Counts:
    """Minutes, and some 15 GB in `folder`."""
    counts = Counts(given=1)
    try:
        found = measured(folder, SIDE_PX)
    except subprocess.CalledProcessError as error:
        counts.fault("tracebacks", f"exit code {error.returncode}: {error.stderr[-300:]}")
        return counts
    if found["peak_bytes"] >= MOST_BYTES:
        counts.fault("", f"{found['peak_bytes'] / 1e9:.2f} GB of memory")
    if found["black_rows"] or abs(found["after"] - found["before"]) > 1e-3:
        counts.fault("wrong", f"not the picture that was given: {found}")
    counts.restored = int(not counts.wrong)
    counts.remark = f"{found['megapixels']:.0f} megapixels in {found['peak_bytes'] / 1e9:.2f} GB of anonymous memory"
    return counts
