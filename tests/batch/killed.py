"""Batches that are killed at random moments and taken up again: what must hold however often that happens.

A moment is a call of a Python or C function, of any thread, counted from the first file on. So they fall anywhere,
between a write and its sync as likely as into the network, and the same seed finds much the same ones again.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from PIL import Image

from tests.pictures import values, write

__all__ = ["Kills", "kill_and_resume"]

# Imported once, by a server that every run is a fork of.
PRELOADED = [
    "restore_cli.cli",
    "restore_cli.batch.pipeline",
    "restore_cli.batch.settings",
    "restore_cli.batch.forecast",
    "tests.batch.killed",
    "spandrel",
]


ENDLESS_SECONDS = 120


@dataclass
class Kills:
    """What was counted."""

    killed: int = 0
    lost: int = 0  # results that were there and are not, or never came
    wrong: int = 0  # results with other pixels than those of an undisturbed run
    repeated: int = 0  # results that were there and were made again
    broken: int = 0  # files of a result's name that cannot be read, looked at after every kill
    tracebacks: int = 0
    left_over: int = 0  # temporary files in the end


def kill_and_resume(folder: Path, model: Path, moments: int, seed: int, files: int = 12) -> Kills:
    """Kill a batch at `moments` random moments, resume it each time, and let it end when they are used up.

    Args:
        folder: empty; pictures and results go there.
        model: of a tiny network.
        moments: how often; a batch that comes to its end before its moment is followed by another.
        seed: of the moments.
        files: in a batch.
    """
    chance, counts = random.Random(seed), Kills()
    for index in range(files):
        write(folder / f"in/{index % 3}/{index}.png", values(40, 40, seed=index))
    code, calls, _ = _run(folder, model, "whole")
    assert code == 0 and calls
    reference = _pixels(folder / "whole")
    assert len(reference) == files
    batch = 0
    while counts.killed < moments:
        target, code, made = folder / f"out{batch}", -signal.SIGKILL, {}
        batch += 1
        while code == -signal.SIGKILL:
            moment = chance.randrange(calls) if counts.killed < moments else None
            code, _, said = _run(folder, model, target.name, moment)
            counts.killed += code == -signal.SIGKILL
            counts.tracebacks += "Traceback" in said
            now = _identities(target)
            counts.repeated += sum(now.get(name, identity) != identity for name, identity in made.items())
            counts.lost += len(made.keys() - now.keys())
            counts.broken += sum(not _readable(target / name) for name in now)
            made = now
        assert code == 0, said
        results = _pixels(target)
        counts.lost += len(reference.keys() - results.keys())
        counts.wrong += sum(results[name] != reference[name] for name in results)
        counts.left_over += len(list(target.rglob("*.part")))
    return counts


def _run(folder: Path, model: Path, target: str, kill_at: int | None = None) -> tuple[int, int, str]:
    """Exit code, number of calls, and what was said."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    command = ["denoise", "in", "-r", "-n", str(model), "-o", target, "--resume", "--device", "cpu"]
    process = context.Process(target=_child, args=(folder, command, kill_at, sender))
    process.start()
    sender.close()
    process.join(ENDLESS_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
        raise AssertionError(f"no end after {ENDLESS_SECONDS} s: {(folder / 'said').read_text()[-300:]}")
    assert process.exitcode is not None
    calls = receiver.recv() if process.exitcode == 0 else 0
    return process.exitcode, calls, (folder / "said").read_text()


def _child(folder: Path, command: list[str], kill_at: int | None, sender: Connection) -> None:
    os.chdir(folder)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1), os.dup2(said, 2)
    sys.stdout = sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    from restore_cli.cli import main, restore

    calls, real = 0, restore.run_and_report

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if kill_at is not None and calls >= kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def counted(*arguments: Any) -> int:
        threading.setprofile(count), sys.setprofile(count)
        try:
            return real(*arguments)
        finally:
            sys.setprofile(None), threading.setprofile(None)
            sender.send(calls)

    restore.run_and_report = counted
    sys.argv = ["restore", *command]
    main()


def _identities(folder: Path) -> dict[str, tuple[int, int]]:
    """Of every result; a file that was made again is another one."""
    found = {}
    for path in folder.rglob("*.png"):
        status = path.stat()
        found[path.relative_to(folder).as_posix()] = (status.st_ino, status.st_mtime_ns)
    return found


def _pixels(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): Image.open(path).tobytes() for path in folder.rglob("*.png")}


def _readable(path: Path) -> bool:
    try:
        Image.open(path).load()
    except (OSError, SyntaxError):
        return False
    return True
