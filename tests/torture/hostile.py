"""Odd, broken and malicious files from the wild: every one restored or refused with one clear line."""

from __future__ import annotations

import os
from pathlib import Path

from tests.torture.batches import check_results, take_through
from tests.torture.counts import Counts

__all__ = ["CORPUS", "hostile"]

CORPUS = Path(os.environ.get("RESTORE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "hostile"


def hostile(folder: Path, model: Path, full: bool) -> Counts:
    """The corpus once (to PNG), in full also in the files' own formats, enlarged bits and all frames, and `show`n."""
    counts, records = take_through(folder, [CORPUS], "-r", "-n", model, "-o", "out", "-f", "png")
    known = check_results(counts, records, folder, all_known=False)
    remark = f"{known} of {counts.restored} results compared with another decoder's reading"
    for other in sorted(path for path in CORPUS.rglob("*") if path.suffix in (".README", ".LICENSE")):
        counts.add(take_through(folder, [other], "-n", model, "-o", "out")[0])
    if full:
        ways = {
            "own": ("denoise", ()),
            "deep": ("denoise", ("-f", "tif", "--bit-depth", "16", "--sidecar")),
            "frames": ("denoise", ("-f", "webp", "--frames", "all", "--strip")),
            "mosaic": ("demosaic", ("-f", "ppm")),
        }
        for name, (task, options) in ways.items():
            counts.add(take_through(folder, [CORPUS], "-r", "-n", model, "-o", name, *options, task=task)[0])
    counts.remark = remark
    return counts
