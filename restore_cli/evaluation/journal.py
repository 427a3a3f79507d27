"""What an evaluation has found so far, as lines of JSON, so that an interrupted one can go on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from restore_cli.errors import OutputError

__all__ = ["JOURNAL_NAME", "Journal", "key_of"]

JOURNAL_NAME = "journal.jsonl"


def key_of(**facts: Any) -> str:  # noqa: ANN401 - anything JSON can hold
    """One name for everything that decides a result: equal facts, equal key."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


class Journal:
    """Records by key, each on the disk before the next is begun. A context manager.

    A line that a crash cut short, or that is no record, counts for nothing and is cut off.

    Args:
        folder: that keeps an evaluation's results; made if it is not there.
        resume: go on with the journal in it.
        overwrite: begin it anew.

    Raises:
        OutputError: the folder holds a journal and neither was said, or something that is not ours, or cannot
            be written to.
    """

    def __init__(self, folder: Path, *, resume: bool = False, overwrite: bool = False) -> None:
        self.path = folder / JOURNAL_NAME
        self._records: dict[str, dict[str, Any]] = {}
        try:
            if self.path.exists():
                if self.path.stat().st_size and not (resume or overwrite):
                    raise OutputError(
                        f"{folder} holds an earlier evaluation.", "Add --resume or --overwrite, or choose another -o."
                    )
            elif folder.exists() and any(folder.iterdir()):
                raise OutputError(f"{folder} holds other files.", "Choose a new or empty folder.")
            folder.mkdir(parents=True, exist_ok=True)
            whole = self._read() if resume and self.path.exists() else 0
            self._stream = self.path.open("r+b" if whole else "wb")
            self._stream.truncate(whole)
            self._stream.seek(whole)
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}.", "Choose another -o.") from error

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def __len__(self) -> int:
        return len(self._records)

    def find(self, key: str) -> dict[str, Any] | None:
        """The record under `key`, if there is one."""
        return self._records.get(key)

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Keep `record`, for good once this returns; raises OutputError where the disk is full or the like."""
        self._records[key] = dict(record)
        try:
            self._stream.write(json.dumps({"key": key, **record}).encode() + b"\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise OutputError(f"{self.path}: {error.strerror or error}.", "Make room and add --resume.") from error

    def _read(self) -> int:
        """Read what is there; the number of bytes up to the last whole line."""
        whole = 0
        with self.path.open("rb") as stream:
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                with suppress(ValueError, KeyError, TypeError, AttributeError):
                    record = json.loads(line)
                    self._records[record.pop("key")] = record
                whole += len(line)
        return whole
