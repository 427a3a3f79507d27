"""Command lines and functions in processes of their own, each a fork of one server that imported everything once."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from tests.batch.killed import PRELOADED
from tests.inference.large_picture import Peak, anonymous_bytes

__all__ = ["Ran", "call", "restore"]

ENDLESS_SECONDS = 120
"""What takes longer will never end."""

MOST_BYTES = 4 * 10**9
"""More than this it is not given."""


@dataclass(frozen=True)
class Ran:
    """How a process ended.

    Attributes:
        code: its exit code; negative for the signal that ended it.
        stdout, stderr: what it wrote, Python and the libraries below it alike.
        grown_bytes: by how much more memory that is its alone was resident at most than at its beginning.
        result: of the function, if it returned.
        endless: whether it had to be killed because it came to no end.
    """

    code: int
    stdout: bytes
    stderr: str
    grown_bytes: int = 0
    result: Any = None
    endless: bool = False

    @property
    def crashed(self) -> bool:
        """Whether it ended by a signal, ours for one that came to no end included, or in a trace."""
        return self.code < 0 or "Traceback (most recent call last)" in self.stderr


def restore(folder: Path, *command: object, limits: Mapping[int, int] | None = None) -> Ran:
    """`restore COMMAND` in `folder`, under `limits` (numbers of the module `resource`) as far as there are any."""
    words = tuple(os.fspath(each) if isinstance(each, Path) else str(each) for each in command)
    return call(folder, _main, words, dict(limits or {}))


def call(folder: Path, function: Callable[..., Any], *arguments: Any, seconds: float = ENDLESS_SECONDS) -> Ran:
    """`function(*arguments)`, which can be pickled, in `folder`; killed where it takes more than `seconds`."""
    context = get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, "tests.torture.fuzz"])
    receiver, sender = context.Pipe(duplex=False)
    streams = Path(folder, ".streams")
    streams.mkdir(exist_ok=True)
    for number in range(3):
        (streams / str(number)).write_bytes(b"")
    process = context.Process(target=_child, args=(folder, streams, function, arguments, sender))
    process.start()
    sender.close()
    grown_bytes, result, end = 0, None, time.monotonic() + seconds
    with suppress(EOFError):  # it was killed
        if receiver.poll(seconds):
            grown_bytes, result = receiver.recv()
    process.join(max(0.0, end - time.monotonic()))  # its threads may be what does not end
    endless = process.is_alive()
    if endless:
        process.kill()
        process.join()
    assert process.exitcode is not None
    stdout, stderr = (streams / "1").read_bytes(), (streams / "2").read_text(errors="replace")
    return Ran(process.exitcode, stdout, stderr, grown_bytes, result, endless)


def _child(
    folder: Path, streams: Path, function: Callable[..., Any], arguments: tuple[Any, ...], sender: Connection
) -> None:
    for number in range(3):
        os.dup2(os.open(streams / str(number), os.O_WRONLY if number else os.O_RDONLY), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the process lives
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    os.chdir(folder)
    result, peak, began = None, Peak(), anonymous_bytes()
    # So that a bomb that goes off is an error here, and not the end of whatever else the machine is doing.
    resource.setrlimit(resource.RLIMIT_DATA, (psutil.Process().memory_info().data + MOST_BYTES,) * 2)
    try:
        with peak:
            result = function(*arguments)
    finally:
        sender.send((peak.bytes - began, result))


def _main(command: tuple[str, ...], limits: dict[int, int]) -> None:
    from restore_cli.cli import main

    for number, limit in limits.items():
        resource.setrlimit(number, (limit, limit))
    sys.argv = ["restore", *command]
    main()
