"""The one process of a cluster that writes the manifest. Without torch, so that it is there in a second."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

from restore_cli.batch.manifest import Manifest
from restore_cli.errors import OutputError

__all__ = ["CALLS", "Keeper"]

CALLS = 64
"""Calls of `Keeper.append` that wait for the disk together."""


class Keeper:
    """Appends what workers send. Called by several threads, it goes to the disk once for all that wait."""

    def __init__(self, folder: Path) -> None:
        self._manifest = Manifest(folder, "")
        self._retired: set[str] = set()
        self._waiting: list[tuple[bytes, Future[OutputError | None]]] = []
        self._hand, self._disk = threading.Lock(), threading.Lock()

    def append(self, worker: str, line: bytes) -> OutputError | None:
        """A line from this worker, on the disk when this returns; or why it is not."""
        written: Future[OutputError | None] = Future()
        with self._hand:
            if worker in self._retired:
                return OutputError("This worker was given up for lost: others do what it was to do.")
            self._waiting.append((line, written))
        self._write()
        return written.result()

    def retire(self, worker: str) -> None:
        """From now on no line of this worker is taken; those that were are on the disk when this returns."""
        with self._hand:
            self._retired.add(worker)
        self._write()

    def _write(self) -> None:
        with self._disk:
            with self._hand:
                lines, self._waiting = self._waiting, []
            error = None
            try:
                if lines:
                    self._manifest.append(b"".join(line for line, _ in lines))
            except OutputError as raised:
                error = raised
            for _, written in lines:
                written.set_result(error)
