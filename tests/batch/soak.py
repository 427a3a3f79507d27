"""Memory over a long batch: what must not grow."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path

import psutil

from restore_cli.batch.manifest import Manifest
from restore_cli.batch.pipeline import run_jobs
from restore_cli.batch.plan import Job
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Work
from restore_cli.io.paths import Source
from restore_cli.options import RunOptions
from tests.pictures import values, write

__all__ = ["memory_over"]


def memory_over(folder: Path, model: Path, files: int, samples: int = 10, side: int = 64) -> list[int]:
    """Resident bytes of this process at `samples` moments, evenly spread over a batch of so many files."""
    source = write(folder / "in.png", values(side, side))
    jobs = [Job(Source(source, Path("in.png")), folder / f"out/{index}.png") for index in range(files)]
    settings = Settings("denoise", (str(model),), run=RunOptions(device="cpu"))
    work: Work = settings.open()
    process, sampled = psutil.Process(), []
    with Manifest(folder / "out", settings.digest(work)) as manifest:
        for number, outcome in enumerate(run_jobs(jobs, replace(work, manifest=manifest)), start=1):
            assert outcome.status == "done", outcome.message
            if number % (files // samples) == 0:
                gc.collect()
                sampled.append(process.memory_info().rss)
    return sampled
