"""Who of several workers does what next, and what becomes of the jobs of one that is lost.

A worker holds a few jobs at a time, so that it reads the next picture and writes the last one while its network
works; it gets another only when it has returned one. That is all the back-pressure there is: whoever is faster
takes more, and nothing queues up behind whoever is slow. Towards the end hands get smaller, so that no worker sits on
jobs that others could do.

Any of the jobs that a lost worker held may be what killed it. So each of them goes alone the next time: one that takes
its worker with it again and again is given up, and has cost no other picture.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress

from restore_cli.batch.manifest import Standing
from restore_cli.batch.plan import Job
from restore_cli.batch.work import Outcome, Work
from restore_cli.errors import RestoreError
from restore_cli.io.provenance import sidecar_path
from restore_cli.io.read import read_size

__all__ = ["IN_HAND", "MOST_LOSSES", "Dispatch", "Feed"]

IN_HAND = 4
"""Jobs that a worker holds: one in the network, one being written, the next ones being read."""

MOST_LOSSES = 3
"""Workers that a job may cost before it is given up."""


class Dispatch:
    """The jobs of a batch, while several workers do them.

    Args:
        jobs: in the order in which they are begun.
        workers: how many there are, roughly: hands get smaller when less than a full one is left for each.
    """

    def __init__(self, jobs: Iterable[Job], workers: int) -> None:
        self._waiting = deque(jobs)
        self._suspects: deque[Job] = deque()
        self._workers = max(1, workers)
        self._hands: dict[Hashable, list[Job]] = {}
        self._losses: dict[Job, int] = {}

    @property
    def is_over(self) -> bool:
        """Whether every job has been returned or given up."""
        return not (self._waiting or self._suspects or any(self._hands.values()))

    def take(self, worker: Hashable) -> Job | None:
        """The next job for `worker`, which holds it from now on; None if there is none for it at present."""
        hand = self._hands.setdefault(worker, [])
        if self._suspects and not hand:
            hand.append(self._suspects.popleft())
            return hand[0]
        is_alone = any(job in self._losses for job in hand)
        share = max(1, min(IN_HAND, len(self._waiting) // self._workers))
        if is_alone or not self._waiting or len(hand) >= share:
            return None
        hand.append(self._waiting.popleft())
        return hand[-1]

    def returned(self, worker: Hashable, job: Job) -> None:
        """`worker` has done with `job`, one way or another."""
        self._hands[worker].remove(job)
        self._losses.pop(job, None)

    def holds(self, worker: Hashable) -> list[Job]:
        """What `worker` has in hand."""
        return list(self._hands.get(worker, ()))

    def lost(self, worker: Hashable, reason: str, work: Work) -> Iterator[Outcome]:
        """`worker` is gone, and writes no more: its jobs wait again, but for those of which there is an outcome.

        Args:
            worker: which.
            reason: why, for the message of a job that is given up.
            work: with the manifest that tells what the worker had finished all the same.
        """
        for job in self._hands.pop(worker, ()):
            finished = _left_behind(job, work)
            self._losses[job] = self._losses.get(job, 0) + 1
            if finished is None and self._losses[job] < MOST_LOSSES:
                self._suspects.append(job)
                continue
            del self._losses[job]
            yield finished or Outcome(
                job,
                "failed",
                f"{job.source.path}: {MOST_LOSSES} workers were lost over it, the last one because {reason}.",
                "Restore it alone, with a smaller --tile if memory may be short.",
            )


def _left_behind(job: Job, work: Work) -> Outcome | None:
    """The outcome of a job whose result was finished before its worker was lost; half a one is cleared away."""
    target, manifest = job.target, work.manifest
    if manifest is None:
        return None
    with suppress(OSError, RestoreError):
        standing = manifest.standing_now(target)
        lacks_sidecar = work.settings is not None and work.settings.sidecar and not sidecar_path(target).exists()
        if standing is Standing.FINISHED and not lacks_sidecar:
            return _outcome_of(job)
        if standing in (Standing.FINISHED, Standing.BROKEN):
            manifest.remove(target)
    return None


def _outcome_of(job: Job) -> Outcome:
    size, written_bytes = None, 0
    with suppress(RestoreError, OSError):
        height, width = read_size(job.target)
        size, written_bytes = (width, height), job.target.stat().st_size
    return Outcome(job, "done", size=size, bytes=written_bytes)


class Feed:
    """Jobs on their way into `run_jobs`, put there by another thread."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._closed = False

    def put(self, job: Job) -> None:
        """One more."""
        self._jobs.put(job)

    def close(self) -> None:
        """There will be no more."""
        self._jobs.put(None)

    def more(self, idle: bool) -> list[Job]:
        """What has come since; if `idle`, at least one job unless this is the end."""
        jobs: list[Job] = []
        with suppress(queue.Empty):
            while not self._closed:
                job = self._jobs.get(block=idle and not jobs)
                if job is None:
                    self._closed = True
                else:
                    jobs.append(job)
        return jobs
