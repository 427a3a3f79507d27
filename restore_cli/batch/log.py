"""A batch's diary: one JSON object a line, each on its way to the disk as soon as it is known."""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from restore_cli.errors import OutputError

__all__ = ["Log"]


class Log:
    """Lines of JSON added to a file. A context manager.

    A line that cannot be written, on a full disk say, costs that line and not the batch: `failure` says so.

    Args:
        path: made, with its folders, if it is not there; otherwise added to.

    Attributes:
        failure: why lines are missing, if any are.

    Raises:
        OutputError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: OutputError | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab", buffering=0)  # nothing is left to write when it is closed
        except OSError as error:
            raise OutputError(f"--log {path}: {error.strerror or error}.", "Name another file.") from error
        self._is_cut = False  # the last line, in the middle

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def note(self, message: str) -> None:
        """Something that was noted about the run or one of its pictures."""
        self.add("note", message=message)

    def add(self, event: str, **facts: Any) -> None:  # noqa: ANN401 - what JSON can hold
        """`event` with its facts and the time (UTC)."""
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": moment, "event": event, **facts}, default=str).encode() + b"\n"
        line = b"\n" * self._is_cut + line
        try:
            written = self._stream.write(line)
            self._is_cut = 0 < written < len(line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.failure = OutputError(f"--log {self.path}: {error.strerror or error}.", "Lines of it are missing.")
