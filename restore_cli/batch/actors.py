"""What of a batch happens on the machines of a cluster: jobs come by calls, results go to shared storage or URLs."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from restore_cli.batch.dispatch import Feed
from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.manifest import MANIFEST_NAME, Standing
from restore_cli.batch.pipeline import pixels_ahead, run_jobs
from restore_cli.batch.places import Places, PlacesManifest, staged
from restore_cli.batch.plan import Job
from restore_cli.batch.run import attempt
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Outcome, Work
from restore_cli.errors import CheckpointError, OutputError, RestoreError
from restore_cli.options import Existing

__all__ = ["Actor", "Common", "DistantManifest"]


@dataclass(frozen=True)
class Common:
    """What every actor is told.

    Attributes:
        digest: of the driver's settings, which each actor's own must be equal to.
        folder: of the manifest.
        directory: that relative paths start from.
        threads: of the network; results depend on it, in the last bit.
        sharers: actors on one machine.
    """

    settings: Settings
    digest: str
    folder: Path
    places: Places
    directory: str
    threads: int
    sharers: int


class Actor:
    """Opens the models once, and restores what it is given. Several calls are under way at a time."""

    def __init__(self, name: str, shared: tuple[Common, dict[str, dict[str, Any]]], keeper: Any) -> None:  # noqa: ANN401
        self._name, self._keeper = name, keeper
        self._common, self._records = shared
        self._feed, self._interrupts = Feed(), Interrupts()
        self._ends: dict[Job, Future[Outcome | None]] = {}
        self._notes: list[str] = []
        self._work: Work | None = None
        self._is_over = False

    def open(self) -> RestoreError | None:
        """Make ready; or why that is impossible."""
        common = self._common
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        with contextlib.suppress(OSError):
            os.chdir(common.directory)
        try:
            work = common.settings.open(self)
            if common.settings.digest(work) != common.digest:
                return CheckpointError(
                    f"{platform.node()} has another version of this program, or of the models or masks.",
                    "Install the same everywhere.",
                )
        except RestoreError as error:
            return type(error)(f"{platform.node()}: {error.message}", error.hint)
        self._manifest = DistantManifest(self._name, common, self._records, self._keeper)
        self._work = replace(work, manifest=self._manifest)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return None

    def restore(self, job: Job) -> tuple[Outcome | None, list[str]]:
        """What became of it, None if it was dropped; and what has been noted since."""
        assert self._work is not None
        outcome = attempt(job, self._restore, job)
        notes, self._notes = self._notes, []
        return outcome, notes

    def stop(self) -> None:
        """Drop what is in the network, and return when what is restored has been written."""
        self._interrupts.requested = True
        self._feed.close()
        self._thread.join()

    def tiles(self, done: int, total: int) -> None:
        """An observer's: the moment to drop a picture."""
        if self._interrupts.requested:
            raise KeyboardInterrupt

    def note(self, message: str) -> None:
        """An observer's."""
        self._notes.append(message)

    def _restore(self, job: Job) -> Outcome | None:
        places = self._common.places
        with staged(job, places) as local, self._manifest.standing_in(local, job):
            assert self._work is not None
            if local.target != job.target and self._work.existing is Existing.SKIP and places.exists(job.target):
                return Outcome(job, "skipped", f"{places.url_of(job.target)} exists")
            self._ends[local] = end = Future[Outcome | None]()
            self._feed.put(local)
            if self._is_over:  # or else the loop sees to it
                self._end(local, None)
            outcome = end.result()
            if outcome is None:
                return None
            message = outcome.message
            for ours, theirs in ((local.source.path, job.source.path), (local.target, job.target)):
                message = message.replace(str(ours), places.url_of(theirs) or str(theirs))
            return replace(outcome, job=job, message=message)

    def _run(self) -> None:
        """The loop that does the jobs, in a thread of its own."""
        assert self._work is not None
        torch.set_num_threads(self._common.threads)
        ahead_px = pixels_ahead(self._common.sharers)
        try:
            for outcome in run_jobs(
                (), self._work, interrupts=self._interrupts, ahead_px=ahead_px, more=self._feed.more
            ):
                self._end(outcome.job, outcome)
        finally:
            self._is_over = True
            for job in list(self._ends):
                self._end(job, None)

    def _end(self, job: Job, outcome: Outcome | None) -> None:
        end = self._ends.pop(job, None)
        if end is not None:
            end.set_result(outcome)


class DistantManifest(PlacesManifest):
    """The manifest as an actor sees it: what it held when the batch began, and the keeper to write to.

    A result that goes to a URL is made in a file of this machine. It is delivered before it is said to be finished.
    """

    def __init__(self, worker: str, common: Common, records: dict[str, dict[str, Any]], keeper: Any) -> None:  # noqa: ANN401
        # Not the base class's: no file is opened.
        self.path = common.folder / MANIFEST_NAME
        self.places = common.places
        self._folder, self._digest, self._records = common.folder, common.digest, dict(records)
        self._worker, self._keeper = worker, keeper
        self._existing = common.settings.existing
        self._originals: dict[Path, Job] = {}

    @contextlib.contextmanager
    def standing_in(self, local: Job, job: Job) -> Iterator[None]:
        """Inside, `local` is spoken of as `job`."""
        self._originals[local.target] = job
        try:
            yield
        finally:
            del self._originals[local.target]

    def standing(self, target: Path, input_sha256: str | None = None) -> Standing:
        """Of the job's own target, not of the file made in its place; raises OutputError if it is in the way."""
        original = self._originals[target].target
        standing = super().standing(original, input_sha256)
        if standing is Standing.FOREIGN and original != target and self._existing is Existing.FAIL:
            hint = "Add --overwrite, --skip-existing, --resume to go on, or choose another --output."
            raise OutputError(f"{self.places.url_of(original)} exists.", hint)
        return standing

    def begin(self, job: Job, input_sha256: str, standing: Standing) -> None:
        """As in the base class."""
        super().begin(self._originals[job.target], input_sha256, standing)

    def finish(self, job: Job, input_sha256: str, written_bytes: int) -> None:
        """The same, once the result has been delivered; raises OutputError where that fails."""
        original = self._originals[job.target]
        if original.target != job.target:
            self.places.deliver(job.target, original.target)
        super().finish(original, input_sha256, written_bytes)

    def give_up(self, job: Job, input_sha256: str) -> None:
        """As in the base class."""
        super().give_up(self._originals[job.target], input_sha256)

    def append(self, line: bytes) -> None:
        """By way of the keeper, which waits for the disk."""
        import ray

        error = ray.get(self._keeper.append.remote(self._worker, line))
        if error is not None:
            raise error
