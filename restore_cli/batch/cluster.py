"""A batch on the machines of a Ray cluster: an actor for each accelerator, or share of the cores, does job after job.

What decides is in this process, the driver: which job goes where (`Dispatch`, as on one machine), what is done again
when an actor is lost, and when it is over. An actor opens the models once. The manifest is written by one process, the
keeper, on the driver's machine: a file on shared storage cannot be appended to by several machines.

Ray never repeats a call by itself here: a job that may have been done is looked up before it is done again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from restore_cli.batch.actors import Actor, Common
from restore_cli.batch.dispatch import IN_HAND, MOST_LOSSES, Dispatch
from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.keeper import CALLS, Keeper
from restore_cli.batch.places import Places, PlacesManifest
from restore_cli.batch.plan import Job
from restore_cli.batch.work import Outcome, Work
from restore_cli.errors import DeviceError, RestoreError, UsageError
from restore_cli.io.atomic import remove_leftovers

__all__ = ["run_on_cluster"]

POLL_SECONDS = 0.5  # between looks at whether Ctrl-C was pressed
# What a process elsewhere must have as it is here.
HANDED_ON = ("SOURCE_DATE_EPOCH", "PYTHONPATH", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT")
HANDED_ON_PREFIX = "RESTORE_"


def run_on_cluster(
    jobs: Sequence[Job],
    work: Work,
    on_start: Callable[[Job], None] = lambda job: None,
    *,
    address: str | None = None,
    device: str = "auto",
    interrupts: Interrupts | None = None,
    note: Callable[[str], None] = lambda message: None,
) -> Iterator[Outcome]:
    """Restore each job's picture and yield what became of it, in the order in which they are done.

    The package, in this version, is installed on every machine. Pictures, and models given as files, are on storage
    that all of them share under the same paths; or pictures are behind URLs.

    Args:
        jobs: of the batch.
        work: as `Settings.open` made it, with the batch's manifest, which is a `PlacesManifest` where pictures or
            results are behind URLs. The actors open it for themselves.
        on_start: hears of each job when an actor gets it.
        address: of the cluster; None takes RAY_ADDRESS's, that of a cluster which runs on this machine, or else
            starts one here.
        device: 'cuda' for one actor an accelerator, 'cpu' for one on as many cores as torch has threads here, 'auto'
            for the first if the cluster has any.
        interrupts: once one is noted, the actors drop the pictures in their networks, what is restored is written and
            yielded, and there is no more.
        note: is told what is noted while pictures are restored.

    Raises:
        UsageError: Ray is not installed.
        DeviceError: there is no such cluster, or nothing to run on; actors end again and again before they are ready.
        RestoreError: the models could not be opened there, or are not those of this machine.
    """
    ray = _imported()
    interrupts = interrupts or Interrupts()
    assert work.settings is not None and work.manifest is not None
    with _connected(ray, address), contextlib.ExitStack() as stack:
        slots, options, device = _slots(ray, device)
        slots = slots[: len(jobs)]
        settings = replace(work.settings, run=replace(work.settings.run, device=device))
        folder = work.manifest.path.parent.absolute()
        keeper = ray.remote(Keeper).options(max_concurrency=CALLS, **_here(ray)).remote(folder)
        stack.callback(ray.kill, keeper)
        common = Common(
            settings=settings,
            digest=work.settings.digest(work),
            folder=folder,
            places=work.manifest.places if isinstance(work.manifest, PlacesManifest) else Places(),
            directory=os.getcwd(),
            threads=torch.get_num_threads(),
            sharers=max(slots.count(each) for each in slots),
        )
        shared = ray.put((common, work.manifest.records()))
        actor_class = ray.remote(Actor).options(max_concurrency=IN_HAND + 2, max_restarts=0, **options)
        team = _Team(ray, lambda name: actor_class.remote(name, shared, keeper), keeper, len(slots))
        stack.callback(team.clear_away)
        stack.callback(team.kill)
        yield from team.do(jobs, work, on_start, interrupts, note)


@dataclass(eq=False)
class _Member:
    """An actor, as the driver sees it; `failures` of its predecessors were lost before they were ready."""

    name: str
    handle: Any
    failures: int = 0
    is_ready: bool = False


class _Team:
    """The actors, and the calls that they have not answered yet."""

    def __init__(self, ray: Any, start: Callable[[str], Any], keeper: Any, size: int) -> None:  # noqa: ANN401
        self._ray, self._start, self._keeper, self._size = ray, start, keeper, size
        self._started = 0
        self._shaken: set[Path] = set()  # folders in which a lost actor may have left half a file
        self._members: list[_Member] = []
        self._calls: dict[Any, tuple[_Member, Job | None]] = {}

    def do(
        self,
        jobs: Sequence[Job],
        work: Work,
        on_start: Callable[[Job], None],
        interrupts: Interrupts,
        note: Callable[[str], None],
    ) -> Iterator[Outcome]:
        """The outcomes of all jobs, as they come."""
        ray, dispatch = self._ray, Dispatch(jobs, self._size)
        for _ in range(self._size):
            self._join()
        stopping: list[Any] = []
        while not (dispatch.is_over or (stopping and not any(job for _, job in self._calls.values()))):
            for member in self._members if not stopping else ():
                while member.is_ready and (job := dispatch.take(member)) is not None:
                    on_start(job)
                    self._calls[member.handle.restore.remote(job)] = (member, job)
            if interrupts.requested and not stopping:
                stopping = [member.handle.stop.remote() for member in self._members if member.is_ready]
                if not stopping:
                    return
            for call in self._answered():
                if call not in self._calls:  # of an actor that has been lost meanwhile
                    continue
                member, job = self._calls.pop(call)
                try:
                    answer = ray.get(call)
                except ray.exceptions.RayTaskError as error:
                    if job is None:
                        raise
                    answer = Outcome(job, "failed", f"{job.source.path}: internal error.", trace=str(error)), []
                except ray.exceptions.RayError as error:
                    yield from self._lose(member, dispatch, type(error).__name__, work, note, replaced=not stopping)
                    continue
                if job is None:
                    self._welcome(member, answer, note)
                    continue
                outcome, notes = answer
                for text in notes:
                    note(text)
                if outcome is not None:  # else it was dropped
                    dispatch.returned(member, job)
                    yield outcome

    def kill(self) -> None:
        """The end of all of them, at once."""
        for member in self._members:
            self._ray.kill(member.handle)

    def clear_away(self) -> None:
        """What lost actors left half written; not before the end, as some file systems do not tell who still writes."""
        for folder in self._shaken:
            remove_leftovers(folder)

    def _join(self, failures: int = 0) -> None:
        self._started += 1
        name = f"worker {self._started}"
        member = _Member(name, self._start(name), failures)
        self._members.append(member)
        self._calls[member.handle.open.remote()] = (member, None)

    def _welcome(self, member: _Member, error: RestoreError | None, note: Callable[[str], None]) -> None:
        """It has opened the models, or cannot: then the others go on without it, as long as there are any."""
        if error is None:
            member.is_ready = True
            return
        self._members.remove(member)
        self._ray.kill(member.handle)
        if not self._members:
            raise error
        note(f"A machine of the cluster takes no part: {error}")

    def _answered(self) -> list[Any]:
        """Calls that have ended, after a while at most."""
        first, rest = self._ray.wait(list(self._calls), num_returns=1, timeout=POLL_SECONDS)
        if not first or not rest:
            return list(first)
        more, _ = self._ray.wait(rest, num_returns=len(rest), timeout=0)
        return [*first, *more]

    def _lose(
        self,
        member: _Member,
        dispatch: Dispatch,
        reason: str,
        work: Work,
        note: Callable[[str], None],
        *,
        replaced: bool,
    ) -> Iterator[Outcome]:
        ray = self._ray
        self._members.remove(member)
        self._calls = {call: value for call, value in self._calls.items() if value[0] is not member}
        ray.kill(member.handle)
        # Should it be alive, cut off from here only, it shall write no more.
        ray.get(self._keeper.retire.remote(member.name))
        failures = 0 if member.is_ready else member.failures + 1
        if failures >= MOST_LOSSES:
            raise DeviceError(f"Workers of the cluster end before they are ready ({reason}).", "Look at Ray's logs.")
        note(f"A worker of the cluster was lost ({reason}); another one goes on.")
        self._shaken |= {job.target.parent for job in dispatch.holds(member)}
        yield from dispatch.lost(member, f"it was lost ({reason})", work)
        if replaced:
            self._join(failures)


def _imported() -> Any:  # noqa: ANN401 - a module without types
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to its makers
    try:
        import ray
    except ImportError as error:
        raise UsageError("--cluster needs Ray.", "pip install 'restore-cli[cluster]'") from error
    return ray


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:  # noqa: ANN401
    """Ray is in use inside; a connection that is there already stays."""
    if ray.is_initialized():
        yield
        return
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise DeviceError(
            f"--cluster ray{f':{address}' if address else ''}: {reason[0] if reason else type(error).__name__}",
            "Start one by `ray start --head`, and the command on one of its machines.",
        ) from error
    # What Ray has to say of its machines it would print among the data.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, terminated)  # Ray has taken it, and would exit
            yield
        finally:
            ray.shutdown()


def _slots(ray: Any, device: str) -> tuple[list[str], dict[str, Any], str]:  # noqa: ANN401
    """The machine of each actor that there is room for, what an actor asks Ray for, and the device it runs on."""
    machines = {each["NodeID"]: each["Resources"] for each in ray.nodes() if each["Alive"]}
    common = {"scheduling_strategy": "SPREAD", "runtime_env": {"env_vars": _environment()}}
    accelerators = [name for name, has in machines.items() for _ in range(int(has.get("GPU", 0)))]
    if device == "cuda" or (device == "auto" and accelerators):
        if not accelerators:
            raise DeviceError("--device cuda: no machine of the cluster has one.", "Use --device cpu.")
        return accelerators, {**common, "num_gpus": 1, "num_cpus": 1}, "cuda"
    most = max(int(has.get("CPU", 0)) for has in machines.values())
    cores = max(1, min(torch.get_num_threads(), most))
    places = [name for name, has in machines.items() for _ in range(int(has.get("CPU", 0)) // cores)]
    if not places:
        raise DeviceError("No machine of the cluster has a core to offer.", "See `ray status`.")
    return places, {**common, "num_cpus": cores}, "cpu"


def _here(ray: Any) -> dict[str, Any]:  # noqa: ANN401
    """What keeps an actor on this machine."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    affinity = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return {"num_cpus": 0, "scheduling_strategy": affinity, "runtime_env": {"env_vars": _environment()}}


def _environment() -> dict[str, str]:
    """Not tokens: what Ray is told, it writes down."""
    return {name: value for name, value in os.environ.items() if name in HANDED_ON or name.startswith(HANDED_ON_PREFIX)}
