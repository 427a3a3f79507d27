"""Several processes, one a device, that train one network together; through Hugging Face accelerate.

Each process takes its share of every batch, and the gradients are averaged before each step, so the
processes do what one process would do with the whole batch, and their weights stay equal.

Why not DistributedDataParallel: one reduction after the backward pass does not care whether the network
is compiled or leaves a weight unused, and a checkpoint has the same keys as ever. What is lost, sending
gradients while others are being computed, is a few milliseconds a step for networks of this size.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing.queues import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed, nn
from torch.multiprocessing.spawn import ProcessExitedException, spawn

from restore_cli import errors
from restore_cli.errors import DeviceError, RestoreError, UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Team", "check_processes", "run_team"]


class Team:
    """The processes that train together, as one of them sees it.

    Args:
        device: of a process that trains alone.
        accelerator: of one that does not.

    Attributes:
        device: where this process trains.
        index: of this process; 0 is the main one, which alone writes files.
        count: how many there are.
    """

    def __init__(self, device: torch.device | str, accelerator: Accelerator | None = None) -> None:
        self._accelerator = accelerator
        self.device = torch.device(device) if accelerator is None else accelerator.device
        self.index = 0 if accelerator is None else accelerator.process_index
        self.count = 1 if accelerator is None else accelerator.num_processes
        # Decisions travel apart from gradients: from CPU to CPU they never wait for a GPU.
        self._talk: Any = None if accelerator is None else distributed.new_group(backend="gloo")

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files."""
        return self.index == 0

    def wait(self) -> None:
        """Until all processes are here."""
        if self._talk is not None:
            distributed.barrier(group=self._talk)

    def agreed(self, value: float) -> float:
        """The main process's `value`, in all processes."""
        if self._talk is None:
            return value
        told = torch.tensor(value, dtype=torch.float64)
        distributed.broadcast(told, src=0, group=self._talk)
        return told.item()

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """The mean of each element over the processes."""
        if self._accelerator is None:
            return value
        mean: torch.Tensor = self._accelerator.reduce(value, "mean")
        return mean

    def average_gradients(self, network: nn.Module) -> None:
        """Replace the gradients of `network` by their mean over the processes."""
        if self._accelerator is None:
            return
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
        means = self.mean(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, mean in zip(gradients, means.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view(gradient.shape))


def check_processes(count: int, device: torch.device, batch: int) -> None:
    """Refuse what `run_team` could not do, before anything is started.

    Raises:
        UsageError: accelerate is missing, the batch cannot be divided, a launcher has started us, or a
            single device was named.
        DeviceError: fewer GPUs than processes.
    """
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise UsageError("Started several times by a launcher.", "Start `restore train --processes N` itself, once.")
    if count == 1:
        return
    if find_spec("accelerate") is None:
        raise UsageError(f"--processes {count} needs accelerate.", "pip install 'restore-cli[multi-gpu]'")
    if device.type not in ("cpu", "cuda") or device.index is not None:
        raise UsageError(f"--processes {count} on --device {device}.", "Use cpu, or cuda for one GPU a process.")
    if device.type == "cuda" and count > torch.cuda.device_count():
        raise DeviceError(f"--processes {count}: this machine has {torch.cuda.device_count()} GPUs.")
    if batch % count:
        raise UsageError(f"--processes {count} cannot share a batch of {batch}.", "Take a divisor of data.batch.")


def run_team(count: int, device: torch.device, work: Callable[..., Any]) -> None:
    """Do `work` in `count` new processes at once, and wait.

    Ctrl-C is passed on to them; what they raise is raised here.

    Args:
        count: of processes.
        device: 'cpu', or 'cuda' for one GPU each.
        work: called with `team=`; must be picklable.

    Raises:
        RestoreError: what one of the processes raised.
        KeyboardInterrupt: once they have stopped.
    """
    logging.getLogger(spawn.__module__).setLevel(logging.ERROR)  # of processes it ends: we say why
    context = multiprocessing.get_context("spawn")
    reports = context.SimpleQueue()
    threads = max(1, torch.get_num_threads() // count)
    arguments = (count, _free_port(), str(device), threads, work, reports)
    started = spawn(_member, arguments, nprocs=count, join=False)
    interrupted = False
    try:
        while True:
            try:
                if started.join():
                    break
            except KeyboardInterrupt:
                for process in started.processes:
                    if process.is_alive():
                        # The second time they are not asked.
                        os.kill(process.pid, signal.SIGTERM if interrupted else signal.SIGINT)
                interrupted = True
    except ProcessExitedException as error:
        if reports.empty() and not interrupted:
            raise RestoreError(f"A training process ended: {error}.", "It may have run out of memory.") from error
    if interrupted:
        raise KeyboardInterrupt
    if not reports.empty():
        kind, message, hint = reports.get()
        raise getattr(errors, kind)(message, hint) if kind in errors.__all__ else KeyboardInterrupt


def _member(
    index: int,
    count: int,
    port: int,
    device: str,
    threads: int,
    work: Callable[..., Any],
    reports: SimpleQueue[tuple[str, str, str]],
) -> None:
    """The life of one process of a team."""
    from accelerate import Accelerator

    torch.set_num_threads(threads)
    here = {"RANK": index, "LOCAL_RANK": index, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in here.items()}, MASTER_ADDR="127.0.0.1")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # or accelerate would choose
    try:
        team = Team(device, Accelerator(cpu=device == "cpu"))
        work(team=team)
        # A connection closed early looks like a crash to the others; at this last meeting all work is done, and whoever
        # has left it first, with its connections, did not crash.
        with contextlib.suppress(RuntimeError):
            team.wait()
    except RestoreError as error:
        reports.put((type(error).__name__, error.message, error.hint))
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        reports.put((KeyboardInterrupt.__name__, "", ""))
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
