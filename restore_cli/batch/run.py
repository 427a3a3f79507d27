"""Many files, one after another: a bad one never stops or hides the rest."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restore_cli.batch.plan import Job
from restore_cli.errors import OutputError, RestoreError
from restore_cli.evaluation.pairs import References
from restore_cli.evaluation.protocol import Protocol, Scores
from restore_cli.inference.engine import restore_image
from restore_cli.inference.restorer import Restorer
from restore_cli.io.formats import check_output_limits
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import Existing, FinishOptions, Hints
from restore_cli.tasks import Task

__all__ = ["Outcome", "Work", "run_jobs"]


@dataclass(frozen=True)
class Work:
    """What is done to every file alike."""

    task: Task
    restorer: Restorer
    hints: Hints
    finish: FinishOptions
    existing: Existing = Existing.FAIL
    references: References | None = None
    protocol: Protocol | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        status: 'done', 'skipped' or 'failed'.
        message, hint: of a failure.
        size: (width, height) of the result.
        seconds: from opening the input to the finished file.
        scores: against the reference, when there is one.
        trace: of a failure that is our bug.
    """

    job: Job
    status: str
    message: str = ""
    hint: str = ""
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    scores: Scores | None = None
    trace: str = ""

    def as_record(self) -> dict[str, Any]:
        """For JSON; what does not apply is left out."""
        width, height = self.size or (None, None)
        record = {
            "input": str(self.job.source.path),
            "output": str(self.job.target),
            "status": self.status,
            "message": self.message,
            "hint": self.hint,
            "width": width,
            "height": height,
            "seconds": round(self.seconds, 3),
            "psnr": self.scores and self.scores.psnr,
            "ssim": self.scores and self.scores.ssim,
        }
        return {name: value for name, value in record.items() if value not in (None, "")}


def run_jobs(
    jobs: Sequence[Job], work: Work, on_start: Callable[[Job], None] = lambda job: None
) -> Iterator[Outcome]:
    """Restore each job's picture and yield what became of it, in order; `on_start` hears of each before."""
    for job in jobs:
        on_start(job)
        started = time.perf_counter()
        try:
            if job.target.exists() and work.existing is Existing.SKIP:
                yield Outcome(job, "skipped")
                continue
            size, scores = _restore_file(job, work)
        except RestoreError as error:
            yield Outcome(job, "failed", error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - a bug in one picture must not cost the others
            message = f"{job.source.path}: internal error ({type(error).__name__}: {error})."
            hint = "Please report it with the trace below."
            yield Outcome(job, "failed", message, hint, trace=traceback.format_exc())
        else:
            yield Outcome(job, "done", size=size, seconds=time.perf_counter() - started, scores=scores)


def _restore_file(job: Job, work: Work) -> tuple[tuple[int, int], Scores | None]:
    source, target = job.source.path, job.target
    if target.exists() and work.existing is Existing.FAIL:
        raise OutputError(f"{target} exists.", "Add --overwrite or --skip-existing, or choose another --output.")
    # What can be refused is refused before the work.
    height, width = read_size(source)
    scale = work.restorer.scale
    check_output_limits(target, height * scale, width * scale)
    reference = work.references.find(source) if work.references else None
    try:
        image = read_image(source)
        restored = restore_image(image, work.restorer, work.task, work.hints, work.finish)
        write_image(restored, target, overwrite=work.existing is Existing.OVERWRITE)
    except MemoryError as error:
        raise RestoreError(
            f"{source}: not enough memory for a picture of {width}x{height}.", "Close other programs or cut it up."
        ) from error
    except RestoreError as error:
        # Deeper code knows what went wrong, but not always with which file.
        if str(source) in error.message or str(target) in error.message:
            raise
        error.message = f"{source}: {error.message}"
        raise
    scores = _score(target, reference, work) if reference is not None else None
    return (restored.width, restored.height), scores


def _score(target: Path, reference: Path, work: Work) -> Scores | None:
    """Of the file as written, so that the figure holds for what the user has."""
    if work.protocol is None:
        return None
    written, clean = read_image(target), read_image(reference)
    try:
        return work.protocol.score(written.pixels, clean.pixels, work.restorer.scale)
    except RestoreError as error:
        raise type(error)(f"{reference}: {error.message}", error.hint) from error
