"""Command lines and functions in processes of their own, each a fork of one server that imported everything once."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from tests.batch.killed import PRELOADED
from tests.inference.large_picture import Peak, anonymous_bytes

__all__ = ["Ran", "call", "restore"]

ENDLESS_SECONDS = 600
MOST_BYTES = 4 * 10**9


@dataclass(frozen=True)
class Ran:
    """How a process ended.

    Attributes:
        code: its exit code; negative for the signal that ended it.
        stdout, stderr: what it wrote, Python and the libraries below it alike.
        grown_bytes: by how much more memory that is its alone was resident at most than at its beginning.
        result: of the function, if it returned.
    """

    code: int
    stdout: bytes
    stderr: str
    grown_bytes: int = 0
    result: Any = None

    @property
    def crashed(self) -> bool:
        """Whether it ended by a signal, without a result, or in a trace."""
        return self.code < 0 or "Traceback (most recent call last)" in self.stderr


def restore(folder: Path, *command: object, limits: Mapping[int, int] | None = None, stdin: bytes = b"") -> Ran:
    """`restore COMMAND` in `folder`, under `limits` (numbers of the module `resource`) as far as there are any."""
    return call(folder, _main, tuple(os.fspath(each) if isinstance(each, Path) else str(each) for each in command),
                dict(limits or {}), stdin=stdin)  # fmt: skip


def call(folder: Path, function: Callable[..., Any], *arguments: Any, stdin: bytes = b"") -> Ran:
    """`function(*arguments)`, of a module and with arguments that can be pickled, in `folder`."""
    context = get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED, "tests.torture.fuzz"])
    receiver, sender = context.Pipe(duplex=False)
    streams = Path(folder, ".streams")
    streams.mkdir(exist_ok=True)
    (streams / "0").write_bytes(stdin)
    process = context.Process(target=_child, args=(folder, streams, function, arguments, sender))
    process.start()
    sender.close()
    grown_bytes, result = 0, None
    try:
        if receiver.poll(ENDLESS_SECONDS):
            grown_bytes, result = receiver.recv()
    except EOFError:
        pass
    process.join(60)
    if process.exitcode is None:
        process.kill()
        process.join()
    assert process.exitcode is not None
    stdout, stderr = (streams / "1").read_bytes(), (streams / "2").read_text(errors="replace")
    return Ran(process.exitcode, stdout, stderr, grown_bytes, result)


def _child(
    folder: Path, streams: Path, function: Callable[..., Any], arguments: tuple[Any, ...], sender: Connection
) -> None:
    for number in range(3):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC if number else os.O_RDONLY
        os.dup2(os.open(streams / str(number), flags), number)
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
