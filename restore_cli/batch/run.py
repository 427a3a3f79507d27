"""Many files, one after another: a bad one never stops or hides the rest."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restore_cli.batch.plan import Job
from restore_cli.errors import OutputError, RestoreError
from restore_cli.evaluation.pairs import References
from restore_cli.evaluation.protocol import PROTOCOLS, Protocol, Scores
from restore_cli.inference.engine import check_mask_size, restore_image
from restore_cli.inference.restorer import Restorer
from restore_cli.io.formats import check_output_limits
from restore_cli.io.paths import check_target, is_same_file
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import Encoding, Existing, FinishOptions, Hints
from restore_cli.tasks import Task

__all__ = ["Outcome", "Work", "check_job", "is_skipped", "run_jobs"]


@dataclass(frozen=True)
class Work:
    """What is done to every file alike.

    Attributes:
        grey_restorer: takes the grey pictures, if they have a model of their own; of the same scale.
    """

    task: Task
    restorer: Restorer
    hints: Hints
    finish: FinishOptions
    existing: Existing = Existing.FAIL
    references: References | None = None
    grey_restorer: Restorer | None = None
    encoding: Encoding = field(default_factory=Encoding)

    @property
    def protocol(self) -> Protocol:
        """How results are scored."""
        return PROTOCOLS[self.task.name]


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
        record: dict[str, Any] = {
            "input": str(self.job.source.path),
            "output": str(self.job.target),
            "status": self.status,
        }
        if self.status == "failed":
            record |= {"message": self.message, "hint": self.hint}
        if self.size is not None:
            record |= {"width": self.size[0], "height": self.size[1], "seconds": round(self.seconds, 3)}
        if self.scores is not None:
            record |= self.scores.values
        return record


def run_jobs(jobs: Sequence[Job], work: Work, on_start: Callable[[Job], None] = lambda job: None) -> Iterator[Outcome]:
    """Restore each job's picture and yield what became of it, in order; `on_start` hears of each before."""
    for job in jobs:
        on_start(job)
        if is_skipped(job, work):
            yield Outcome(job, "skipped")
            continue
        try:
            outcome = _restore_file(job, work)
        except RestoreError as error:
            outcome = Outcome(job, "failed", error.message, error.hint)
        except Exception as error:
            # A bug that one picture brings out must not cost the others.
            message = f"{job.source.path}: internal error ({type(error).__name__}: {error})."
            hint = "Please report it with the trace below."
            outcome = Outcome(job, "failed", message, hint, trace=traceback.format_exc())
        yield outcome


def is_skipped(job: Job, work: Work) -> bool:
    """Whether the result is there already and the user wants it left alone."""
    return work.existing is Existing.SKIP and os.path.lexists(job.target)


def check_job(job: Job, work: Work) -> tuple[int, int]:
    """(height, width) of the input, after refusing whatever headers and folders show to be hopeless.

    Raises:
        InputError: the input, mask or reference cannot be read, or their sizes do not fit.
        OutputError: the result cannot be written, or would replace the mask or the reference.
    """
    source, target, scale = job.source.path, job.target, work.restorer.scale
    check_target(target, overwrite=work.existing is Existing.OVERWRITE)
    height, width = read_size(source)
    with _about(source):
        check_output_limits(target, height * scale, width * scale, encoding=work.encoding)
    reference, mask = _reference(job, work), work.finish.mask
    if mask is not None:
        check_mask_size(mask, read_size(mask), (height, width))
    if reference is not None:
        size = read_size(reference)
        with _about(reference):
            work.protocol.check_sizes((height * scale, width * scale), size, scale)
    for used in (mask, reference):
        if used is not None and is_same_file(used, target):
            raise OutputError(f"{source}: the result would replace {used}.", "Choose another --output.")
    return height, width


def _restore_file(job: Job, work: Work) -> Outcome:
    started = time.perf_counter()
    source, target = job.source.path, job.target
    height, width = check_job(job, work)
    try:
        image = read_image(source)
        reference = _reference(job, work)
        clean = None if reference is None else read_image(reference)
        with _about(source):
            check_output_limits(target, image.height, image.width, image.has_transparency)
            restorer = work.grey_restorer if work.grey_restorer and image.is_grey else work.restorer
            restored = restore_image(image, restorer, work.task, work.hints, work.finish)
        write_image(restored, target, overwrite=work.existing is Existing.OVERWRITE, encoding=work.encoding)
        seconds = time.perf_counter() - started
        scores = None
        if clean is not None:
            # The file as written, so that the figure holds for what the user has.
            written = read_image(target)
            scores = work.protocol.score(written.pixels, clean.pixels, work.restorer.scale)
    except MemoryError as error:
        raise RestoreError(
            f"{source}: not enough memory for a picture of {width}x{height}.", "Close other programs or cut it up."
        ) from error
    return Outcome(job, "done", size=(restored.width, restored.height), seconds=seconds, scores=scores)


def _reference(job: Job, work: Work) -> Path | None:
    return work.references.find(job.source.path, job.source.relative) if work.references else None


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    """Deeper code knows what went wrong, but not with which file."""
    try:
        yield
    except RestoreError as error:
        raise type(error)(f"{path}: {error.message}", error.hint) from error
