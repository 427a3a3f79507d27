"""A batch's diary: one JSON object a line, each on its way to the disk as soon as it is known."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from restore_cli.errors import OutputError

__all__ = ["Log"]


class Log:
    """Lines of JSON added to a file. A context manager.

    Args:
        path: made, with its folders, if it is not there; otherwise added to.

    Raises:
        OutputError: it cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("a", encoding="ascii")
        except OSError as error:
            raise OutputError(f"--log {path}: {error.strerror or error}.", "Name another file.") from error

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
        """`event` with its facts and the time (UTC); raises OutputError where the disk is full or the like."""
        moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": moment, "event": event, **facts}, default=str)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except OSError as error:
            raise OutputError(f"--log {self.path}: {error.strerror or error}.", "Make room.") from error
