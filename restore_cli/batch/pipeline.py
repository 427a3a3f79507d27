"""Many files: while the network works on one, the next are being read and the last ones written.

The network runs in the calling thread, one picture at a time and in the order of the jobs, so that results do not
depend on how fast a disk is. Reading and writing have threads of their own. What is held in memory is bounded by
its pixels, not by its files: a thousand icons may wait where one panorama may not.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from threading import Barrier

from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.plan import Job
from restore_cli.batch.run import Loaded, attempt, load, restore, save
from restore_cli.batch.work import Outcome, Work
from restore_cli.errors import RestoreError
from restore_cli.inference.memory import available_memory
from restore_cli.io.read import read_size

__all__ = ["AHEAD_PX", "pixels_ahead", "run_jobs", "waiting_bytes"]

AHEAD_PX = 150_000_000
"""Pixels, of input and result, in hand at once: three pictures of 24 megapixels. Fewer where memory is short."""

BYTES_A_PIXEL = 16  # three floats, and what encoders make of them
SHARE_OF_MEMORY = 4  # one in so many of the bytes that are free
MOST_FILES = 32
THREADS = 8  # at most, for reading and for writing; the network has its own


@dataclass(frozen=True)
class _InHand:
    """A job somewhere between reading and writing, and what its present step will return."""

    job: Job
    pixels: int
    result: Future[Loaded | Outcome]


def run_jobs(
    jobs: Sequence[Job],
    work: Work,
    on_start: Callable[[Job], None] = lambda job: None,
    *,
    interrupts: Interrupts | None = None,
    ahead_px: int | None = None,
    more: Callable[[bool], Iterable[Job]] = lambda idle: (),
) -> Iterator[Outcome]:
    """Restore each job's picture and yield what became of it, in order.

    Args:
        jobs: in the order wanted.
        work: what is done to each.
        on_start: hears of each job before its picture goes through the network.
        interrupts: once one is noted, the picture in the network is dropped, what is restored is written and
            yielded, and there is no more.
        ahead_px: how many pixels of inputs and results are in hand at once, unless a single picture has more;
            None goes by `pixels_ahead`.
        more: is asked for further jobs before each picture. Where it is told that there is nothing else to do it
            may take its time, and having none then is the end.
    """
    if ahead_px is None:
        ahead_px = pixels_ahead()
    interrupts = interrupts or Interrupts()
    waiting = deque(jobs)
    loading: deque[_InHand] = deque()
    saving: deque[_InHand] = deque()
    threads = min(THREADS, _cores())
    with ThreadPoolExecutor(threads, "load") as loaders, ThreadPoolExecutor(threads, "save") as savers:
        for pool in (loaders, savers):
            _start_all(pool, threads)

        def read_ahead() -> None:
            held = sum(each.pixels for each in chain(loading, saving))
            while waiting and len(loading) + len(saving) < MOST_FILES:
                pixels = _pixels(waiting[0], work)
                if held and held + pixels > ahead_px:
                    break
                held += pixels
                job = waiting.popleft()
                loading.append(_InHand(job, pixels, loaders.submit(attempt, job, load, job, work)))

        def through_the_network(picture: _InHand) -> None:
            job, loaded = picture.job, picture.result.result()
            on_start(job)
            if isinstance(loaded, Loaded):
                try:
                    with interrupts.harmless():
                        restored = attempt(job, restore, loaded, work)
                except KeyboardInterrupt:
                    return
                if isinstance(restored, Loaded):
                    saving.append(_InHand(job, picture.pixels, savers.submit(attempt, job, save, restored, work)))
                    return
                loaded = restored
            done: Future[Loaded | Outcome] = Future()
            done.set_result(loaded)
            saving.append(_InHand(job, 0, done))

        try:
            while not interrupts.requested:
                waiting.extend(more(not (waiting or loading or saving)))
                if not (waiting or loading or saving):
                    break
                read_ahead()
                if loading:
                    through_the_network(loading.popleft())
                while saving and (saving[0].result.done() or not loading):
                    yield _outcome(saving.popleft())
                    if not loading:
                        break  # there may be room for more
            for picture in saving:
                yield _outcome(picture)
        finally:
            for picture in loading:
                picture.result.cancel()


def _start_all(pool: ThreadPoolExecutor, threads: int) -> None:
    """Every thread of a pool, while there is memory: `Thread.start` waits for ever for one that finds none to begin."""
    gate = Barrier(threads)  # none is idle before all are there, so that each task gets a thread of its own
    try:
        tasks = [pool.submit(gate.wait) for _ in range(threads)]
    except BaseException:
        gate.abort()  # else those that did start wait for the rest
        raise
    for task in tasks:
        task.result()


def pixels_ahead(sharers: int = 1) -> int:
    """Pixels in hand at once in each of so many processes that share this machine's memory."""
    return min(AHEAD_PX, available_memory() // SHARE_OF_MEMORY // BYTES_A_PIXEL) // sharers


def waiting_bytes(pixels: Sequence[int]) -> int:
    """What the other pictures of a batch take at most while the largest is in the network.

    Args:
        pixels: of each picture and its result.
    """
    largest, *others = sorted(pixels, reverse=True)
    room = max(0, pixels_ahead() - largest)
    return min(sum(others[: MOST_FILES - 1]), room) * BYTES_A_PIXEL


def _outcome(picture: _InHand) -> Outcome:
    outcome = picture.result.result()
    assert isinstance(outcome, Outcome)  # `save` has no other answer
    return outcome


def _pixels(job: Job, work: Work) -> int:
    """Of the picture and its result; none for one that will fail."""
    try:
        height, width = read_size(job.source.path, job.source.index)
    except RestoreError:
        return 0
    return height * width * (1 + work.restorer.scale**2)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
