"""A batch on several devices: a process for each, which opens the models once and does one job after another.

A process that is lost (killed for want of memory, or crashed in a driver) is replaced, and what it had in hand is done
by others. None outlives the batch: a process that hears nothing any more from the one that started it ends by itself.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from restore_cli.batch.dispatch import MOST_LOSSES, Dispatch, Feed
from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.manifest import Manifest
from restore_cli.batch.pipeline import pixels_ahead, run_jobs
from restore_cli.batch.plan import Job
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Outcome, Work
from restore_cli.errors import DeviceError, RestoreError
from restore_cli.io.atomic import remove_leftovers

__all__ = ["run_on_devices"]


CONTEXT = get_context("spawn")  # CUDA does not survive a fork


class _Word(Enum):
    """What is said between processes, beside jobs, outcomes, notes and errors."""

    READY = "the models are open"
    END = "there are no more jobs"
    STOP = "drop what is in the network, and finish"


def run_on_devices(
    jobs: Sequence[Job],
    work: Work,
    on_start: Callable[[Job], None] = lambda job: None,
    *,
    devices: Sequence[str],
    resume: bool = False,
    interrupts: Interrupts | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> Iterator[Outcome]:
    """Restore each job's picture and yield what became of it, in the order in which they are done.

    Args:
        jobs: of the batch.
        work: as `Settings.open` made it, with the batch's manifest. The processes open it for themselves.
        on_start: hears of each job when a process gets it.
        devices: a process for each; a name may come several times.
        resume: what `work.manifest` was told.
        interrupts: once one is noted, the processes drop the pictures in their networks, what is restored is written
            and yielded, and there is no more.
        note: is told what is noted while pictures are restored.

    Raises:
        DeviceError: the processes of a device end again and again before they have opened the models.
        RestoreError: the models could not be opened there.
    """
    assert work.settings is not None  # `Settings.open` made it
    interrupts = interrupts or Interrupts()
    dispatch = Dispatch(jobs, len(devices))
    manifest = None if work.manifest is None else (work.manifest.path.parent, work.settings.digest(work), resume)
    common = (manifest, len(devices), torch.get_num_threads())

    def start(device: str, failures: int = 0) -> _Worker:
        assert work.settings is not None
        settings = replace(work.settings, run=replace(work.settings.run, device=device))
        return _Worker.start(device, (settings, *common), failures)

    def clear_away(worker: _Worker) -> None:
        for folder in {job.target.parent for job in dispatch.holds(worker)}:
            remove_leftovers(folder)

    team: list[_Worker] = []
    try:
        team += [start(device) for device in devices]
        while not dispatch.is_over and not interrupts.requested:
            for worker in team:
                while worker.is_ready and (job := dispatch.take(worker)) is not None:
                    on_start(job)
                    worker.tell(job)
            try:
                with interrupts.harmless():
                    wait([worker.connection for worker in team])
            except KeyboardInterrupt:
                if not interrupts.requested:  # somebody else's
                    raise
                break
            for worker in list(team):
                for said in worker.heard():
                    if isinstance(said, Outcome):
                        dispatch.returned(worker, said.job)
                        yield said
                    else:
                        worker.note_state(said, note)
                if worker.is_gone:
                    reason = worker.end()
                    if not worker.is_ready and worker.failures + 1 >= MOST_LOSSES:
                        raise DeviceError(f"{worker.device}: its process cannot open the models: {reason}.")
                    note(f"{worker.device}: its process was lost: {reason}; another one goes on.")
                    clear_away(worker)
                    yield from dispatch.lost(worker, reason, work)
                    team.remove(worker)
                    team.append(start(worker.device, 0 if worker.is_ready else worker.failures + 1))
        for worker in team:
            worker.tell(_Word.STOP if interrupts.requested else _Word.END)
        while team:
            for worker in [each for each in team if each.connection in wait([each.connection for each in team])]:
                yield from (said for said in worker.heard() if isinstance(said, Outcome))
                if worker.is_gone:
                    worker.end()
                    team.remove(worker)
    finally:
        for worker in team:
            worker.process.kill()
        for worker in team:
            worker.end()
            clear_away(worker)


@dataclass(eq=False)
class _Worker:
    """A process, as seen by the one that started it.

    Attributes:
        failures: how many before it on this device did not get as far as opening the models.
        is_ready: whether it has.
        is_gone: whether it has said its last word.
    """

    device: str
    process: BaseProcess
    connection: Connection
    failures: int = 0
    is_ready: bool = False
    is_gone: bool = False

    @classmethod
    def start(cls, device: str, arguments: tuple[Any, ...], failures: int) -> _Worker:
        ours, theirs = CONTEXT.Pipe()
        # Ctrl-C on a terminal reaches every process of the batch. This one alone decides what follows.
        with _deaf_children():
            process = CONTEXT.Process(target=_serve, args=(theirs, *arguments), name=device, daemon=True)
            process.start()
        theirs.close()
        return cls(device, process, ours, failures)

    def tell(self, message: Job | _Word) -> None:
        with contextlib.suppress(OSError):  # it is gone, which the next word from it will show
            self.connection.send(message)

    def heard(self) -> Iterator[Any]:
        """What it has said since."""
        try:
            while not self.is_gone and self.connection.poll():
                yield self.connection.recv()
        except (EOFError, OSError):
            self.is_gone = True

    def note_state(self, said: str | RestoreError | _Word, note: Callable[[str], None]) -> None:
        """Anything but an outcome."""
        if isinstance(said, RestoreError):
            raise said
        if isinstance(said, str):
            note(said)
        else:
            self.is_ready = True

    def end(self) -> str:
        """Wait for its end, and say in words how it came about."""
        self.process.join()
        self.connection.close()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"it ended with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"it was ended by {name}" + (", perhaps for want of memory" if -code == signal.SIGKILL else "")


@contextlib.contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that are started inside never hear of Ctrl-C. This one hears of it when the block ends."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # else it is started inside, and unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the process ---


def _serve(
    connection: Connection,
    settings: Settings,
    manifest: tuple[Path, str, bool] | None,
    sharers: int,
    threads: int,
) -> None:
    """Do the jobs that come, and say what becomes of each."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # as in the process that started this one
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        feed, voice = Feed(), _Voice(connection)
        threading.Thread(target=_listen, args=(connection, feed, interrupts), daemon=True).start()
        try:
            with interrupts.harmless():
                torch.set_num_threads(threads)
                work = settings.open(voice)
                if manifest is not None:
                    folder, digest, resume = manifest
                    opened = Manifest(folder, digest, resume=resume)
                    work = replace(work, manifest=stack.enter_context(opened))
            voice.say(_Word.READY)
            ahead_px = pixels_ahead(sharers)
            for outcome in run_jobs((), work, interrupts=interrupts, ahead_px=ahead_px, more=feed.more):
                voice.say(outcome)
        except RestoreError as error:
            voice.say(error)
        except (KeyboardInterrupt, BrokenPipeError):  # told to stop, or nobody is there any more
            return


def _listen(connection: Connection, feed: Feed, interrupts: Interrupts) -> None:
    """Hand on what comes, until nothing can come any more, which is a reason to stop at once."""
    with contextlib.suppress(EOFError, OSError):
        while (message := connection.recv()) is not _Word.STOP:
            if message is _Word.END:
                feed.close()
            else:
                feed.put(message)
    if not interrupts.requested:
        _thread.interrupt_main(signal.SIGTERM)
    feed.close()


class _Voice:
    """Says things to the process that started this one, from any thread. Also the observer of the restorers."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def say(self, what: Outcome | RestoreError | _Word | str) -> None:
        with self._lock:
            self._connection.send(what)

    def tiles(self, done: int, total: int) -> None:
        """Nobody is shown them."""

    def note(self, message: str) -> None:
        self.say(message)
