"""How a batch scales over many workers: a small simulation of the way `--devices` and `--cluster` share out the jobs.

python examples/scaling.py [docs/scaling.md]

Time is simulated; who does what next, and what becomes of the jobs of a lost worker, is decided by the program's own
`restore_cli.batch.dispatch.Dispatch`. The table goes to standard output, or into the page.
"""

from __future__ import annotations

import heapq
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from restore_cli.batch.dispatch import Dispatch
from restore_cli.batch.plan import Job
from restore_cli.batch.work import Work
from restore_cli.evaluation.marked import write_part
from restore_cli.io.paths import Source
from restore_cli.options import FinishOptions, Hints
from restore_cli.tasks import TASKS

START, END = "<!-- simulated: written by examples/scaling.py -->", "<!-- end of simulated -->"
NO_MODELS = Work(TASKS["denoise"], None, Hints(), FinishOptions())  # type: ignore[arg-type] # nothing is restored


@dataclass(frozen=True)
class Setting:
    """A batch and a cluster. Times in seconds, sizes in bytes.

    Attributes:
        workers: accelerators, each with an actor.
        pictures: in the batch.
        network: mean time of a picture in the network; the times are log-normal.
        spread: standard deviation of those, as a share of the mean.
        read, written: a picture's file and its result's.
        link: bytes a second of one worker; also what it decodes and encodes in a second, roughly.
        storage: bytes a second of the shared storage, all workers together.
        driver: of the driver's time that a picture takes: a call, its answer, its line on the screen.
        line: that the keeper takes to get a line of the manifest onto the disk; a picture has two.
        start: from asking for an actor to its first picture: a process, torch, the model.
        losses_an_hour: of one worker.
    """

    workers: int
    pictures: int = 10_000
    network: float = 2.0
    spread: float = 0.5
    read: float = 12e6
    written: float = 24e6
    link: float = 250e6
    storage: float = 5e9
    driver: float = 1e-3
    line: float = 2.2e-3
    start: float = 30.0
    losses_an_hour: float = 0.0


@dataclass
class Outcome:
    """What came of a simulated batch."""

    seconds: float
    done: int
    begun: int
    lost_workers: int


def predicted_seconds(setting: Setting) -> float:
    """The arithmetic of the page: the slowest of four rates, the start, and the last picture."""
    lost = setting.losses_an_hour / 3600 * (setting.start + setting.network)
    per_second = min(
        setting.workers / setting.network / (1 + lost),
        setting.storage / (setting.read + setting.written),
        1 / setting.driver,
        1 / (2 * setting.line),
    )
    alone = (setting.read + setting.written) / setting.link + 2 * setting.line + setting.driver
    return setting.start + setting.pictures / per_second + alone + setting.network


class Server:
    """Does one thing after another: the storage, the driver, the keeper."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def until(self, now: float, seconds: float) -> float:
        """When it has done what is asked of it now."""
        self._free_at = max(now, self._free_at) + seconds
        return self._free_at


class Batch:
    """One run. What happens is a queue of moments, each with what is to be done then."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self.setting, self.chance = setting, random.Random(seed)
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.storage, self.driver, self.keeper = Server(), Server(), Server()
        names = (Path(str(index)) for index in range(setting.pictures))
        self.dispatch = Dispatch((Job(Source(name, name), name) for name in names), setting.workers)
        self.networks: dict[object, Server] = {}
        self.seconds, self.done, self.begun, self.lost_workers, self.ended = 0.0, 0, 0, 0, 0
        self._count = 0

    def run(self) -> Outcome:
        for _ in range(self.setting.workers):
            self.hire(0.0)
        while self.ended < self.setting.pictures:
            now, _, happen = heapq.heappop(self.events)
            happen(now)
        return Outcome(self.seconds, self.done, self.begun, self.lost_workers)

    def at(self, moment: float, happen: Callable[[float], None]) -> None:
        self._count += 1
        heapq.heappush(self.events, (moment, self._count, happen))

    def hire(self, now: float) -> None:
        worker = object()
        ready = now + self.setting.start

        def begin(now: float) -> None:
            self.networks[worker] = Server()
            self.give(worker, now)

        self.at(ready, begin)
        if self.setting.losses_an_hour:
            self.at(
                ready + self.chance.expovariate(self.setting.losses_an_hour / 3600), lambda now: self.lose(worker, now)
            )

    def give(self, worker: object, now: float) -> None:
        """As many jobs as the worker may hold."""
        while (job := self.dispatch.take(worker)) is not None:
            self.begun += 1
            self.read(worker, job, self.driver.until(now, self.setting.driver / 2))

    def read(self, worker: object, job: Job, now: float) -> None:
        setting = self.setting
        ready = max(self.storage.until(now, setting.read / setting.storage), now + setting.read / setting.link)
        self.at(ready, lambda now: self.restore(worker, job, now))

    def restore(self, worker: object, job: Job, now: float) -> None:
        if worker not in self.networks:  # lost meanwhile
            return
        width = math.sqrt(math.log(1 + self.setting.spread**2))
        seconds = self.setting.network * math.exp(self.chance.gauss(-(width**2) / 2, width))
        self.at(self.networks[worker].until(now, seconds), lambda now: self.write(worker, job, now))

    def write(self, worker: object, job: Job, now: float) -> None:
        if worker not in self.networks:
            return
        setting = self.setting
        begun = self.keeper.until(now, setting.line)
        ready = max(
            self.storage.until(begun, setting.written / setting.storage), begun + setting.written / setting.link
        )
        self.at(ready, lambda now: self.say(worker, job, now))

    def say(self, worker: object, job: Job, now: float) -> None:
        if worker not in self.networks:
            return
        told = self.driver.until(self.keeper.until(now, self.setting.line), self.setting.driver / 2)

        def returned(now: float) -> None:
            if worker in self.networks:
                self.dispatch.returned(worker, job)
                self.done += 1
                self.end(now)
                self.give(worker, now)

        self.at(told, returned)

    def lose(self, worker: object, now: float) -> None:
        self.lost_workers += 1
        del self.networks[worker]
        for _ in self.dispatch.lost(worker, "", NO_MODELS):  # given up, having cost several workers
            self.end(now)
        self.hire(now)

    def end(self, now: float) -> None:
        self.ended += 1
        self.seconds = now


SETTINGS = (
    *(Setting(workers) for workers in (1, 8, 32, 128)),
    *(Setting(workers, network=0.2) for workers in (8, 32, 128)),
    *(Setting(workers, network=0.2, storage=50e9) for workers in (32, 128)),
    *(Setting(workers, losses_an_hour=losses) for workers in (8, 128) for losses in (1.0, 10.0)),
)


def simulate(setting: Setting, seed: int = 0) -> Outcome:
    """The same seed, the same batch."""
    return Batch(setting, seed).run()


def table() -> str:
    """All settings, as a table of Markdown."""
    rows = [
        "| workers | s a picture | storage, GB/s | losses an hour | predicted, s | simulated, s | pictures a second "
        "| of the ideal | workers lost | jobs begun again |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for setting in SETTINGS:
        outcome = simulate(setting)
        ideal = setting.pictures * setting.network / setting.workers
        cells = (
            setting.workers,
            f"{setting.network:g}",
            f"{setting.storage / 1e9:g}",
            f"{setting.losses_an_hour:g}",
            f"{predicted_seconds(setting):.0f}",
            f"{outcome.seconds:.0f}",
            f"{setting.pictures / outcome.seconds:.1f}",
            f"{ideal / outcome.seconds:.0%}",
            outcome.lost_workers,
            outcome.begun - setting.pictures,
        )
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    made = table()
    if len(sys.argv) > 1:
        write_part(Path(sys.argv[1]), START, END, made)
    else:
        print(made)
