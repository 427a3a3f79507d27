"""What a batch has begun and what it has finished, on the disk, so that another run can take over after any end.

One line of JSON before a result is written and one after it, each appended in one piece and synced. A line says
for which result, from which input (by the sha256 of its content) and with which settings (by their digest): a
result counts as finished only for the same three. A run that is killed leaves at most a few results between their
two lines. As results appear whole or not at all, such a one is either not there or finished; that it can be read
to its end is checked none the less, and anything else is done again.

Several runs may write into one manifest: lines are appended, and the later one counts.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any

from restore_cli.batch.plan import Job
from restore_cli.errors import OutputError, RestoreError
from restore_cli.io.read import read_image

__all__ = ["MANIFEST_NAME", "Manifest", "Standing", "common_folder"]

MANIFEST_NAME = ".restore-manifest.jsonl"
# What each kind of record must say, beside its result.
FACTS = {"input_sha256", "settings"}
NEEDED = {"begun": FACTS | {"ours"}, "done": FACTS | {"bytes"}, "failed": FACTS}


class Standing(str, Enum):
    """What is known of a result before it is made."""

    NEW = "new"  # nothing there
    FINISHED = "finished"  # made before, from this input with these settings
    BROKEN = "broken"  # left behind by an earlier run, not whole
    FOREIGN = "foreign"  # there, and not by this manifest, or by other settings, or changed since


def common_folder(targets: Sequence[Path]) -> Path:
    """The innermost folder below which all results go."""
    return Path(os.path.commonpath([os.path.dirname(os.path.abspath(target)) for target in targets]))


class Manifest:
    """The manifest of a folder of results, as it was when this run began. A context manager, for several threads.

    Args:
        folder: below which the results go; made if it is not there.
        settings_digest: of `Settings.digest`.
        resume: believe what earlier runs wrote; otherwise it is only added to.
        dry: it will only be asked; nothing is created.

    Raises:
        OutputError: it cannot be written there.
    """

    def __init__(self, folder: Path, settings_digest: str, *, resume: bool = False, dry: bool = False) -> None:
        self.path = folder / MANIFEST_NAME
        self._folder = Path(os.path.abspath(folder))
        self._digest = settings_digest
        self._lock = threading.Lock()
        self._records: dict[str, dict[str, Any]] = {}
        self._descriptor: int | None = None
        self._seen = 0  # bytes of the file that need not be read again
        self._recent: set[str] = set()  # results that other processes have told of since
        try:
            if resume and self.path.exists():
                with self.path.open("rb") as stream:
                    self._records = _parsed(stream)
            if dry:
                return
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._descriptor = os.open(self.path, flags, 0o666)
            _end_last_line(self.path, self._descriptor)
            self._seen = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise OutputError(
                f"{self.path}: {error.strerror or error}.", "Choose a folder with --output that can be written to."
            ) from error

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def standing(self, target: Path, input_sha256: str | None = None) -> Standing:
        """What there is of the result `target` of the input with this content; None takes it as unchanged."""
        if not self._exists(target):
            return Standing.NEW
        record = self._records.get(self._name(target))
        if record is None or record["status"] == "failed" or (record["status"] == "begun" and not record["ours"]):
            return Standing.FOREIGN  # in the last case it may be the file from before
        wanted = record["settings"] == self._digest and input_sha256 in (None, record["input_sha256"])
        if record["status"] == "done" and wanted and self._size(target) == record["bytes"]:
            return Standing.FINISHED
        # Cut off by whatever copied it, for one that was finished; hardly possible for one that was begun.
        if not self._is_whole(target):
            return Standing.BROKEN
        return Standing.FINISHED if wanted and record["status"] == "begun" else Standing.FOREIGN

    def records(self) -> dict[str, dict[str, Any]]:
        """What earlier runs wrote, by result, as far as it is believed."""
        return dict(self._records)

    def standing_now(self, target: Path) -> Standing:
        """What there is of the result `target`, going by what other processes have added since this run began alone.

        Raises:
            OSError: it cannot be read again.
        """
        with self.path.open("rb") as stream:
            stream.seek(self._seen)
            content = stream.read()
        content = content[: content.rfind(b"\n") + 1]  # what is being written now is not all of a line
        self._seen += len(content)
        added = _parsed(content.splitlines())
        self._records |= added
        self._recent |= added.keys()
        if self._name(target) in self._recent:
            return self.standing(target)
        return Standing.FOREIGN if self._exists(target) else Standing.NEW

    def begin(self, job: Job, input_sha256: str, standing: Standing) -> None:
        """The result of `job` is about to be written; raises OutputError where the disk is full or the like."""
        ours = standing is Standing.BROKEN or not self._exists(job.target)
        self._append(job, input_sha256, status="begun", ours=ours)

    def finish(self, job: Job, input_sha256: str, written_bytes: int) -> None:
        """It is written, as a file of so many bytes; raises OutputError where the disk is full or the like."""
        self._append(job, input_sha256, status="done", bytes=written_bytes)

    def give_up(self, job: Job, input_sha256: str) -> None:
        """It could not be written; what is there now, or will be, is not ours."""
        with suppress(OutputError):  # the disk is full, as likely as not
            self._append(job, input_sha256, status="failed")

    def _append(self, job: Job, input_sha256: str, **state: Any) -> None:  # noqa: ANN401 - what JSON can hold
        name = self._name(job.target)
        record = {"input": str(job.source.path), "input_sha256": input_sha256, "settings": self._digest, **state}
        try:
            self.append(json.dumps({"output": name, **record}).encode() + b"\n")
        except OutputError as error:
            raise OutputError(f"{job.source.path}: {error.message}", error.hint) from error

    def append(self, line: bytes) -> None:
        """A whole line, on the disk when this returns; raises OutputError where that is full or the like."""
        assert self._descriptor is not None  # not dry
        with self._lock:
            try:
                if os.write(self._descriptor, line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(self._descriptor)
            except OSError as error:
                raise OutputError(f"{self.path}: {error.strerror or error}.", "Make room and add --resume.") from error

    def remove(self, target: Path) -> None:
        """A result that is not whole goes; raises OSError if it will not."""
        target.unlink()

    def _exists(self, target: Path) -> bool:
        return os.path.lexists(target)

    def _size(self, target: Path) -> int | None:
        try:
            return target.stat().st_size
        except OSError:
            return None

    def _is_whole(self, target: Path) -> bool:
        try:
            read_image(target)
        except RestoreError:
            return False
        return True

    def _name(self, target: Path) -> str:
        """Relative to the folder where possible, so that the folder may be moved."""
        full = Path(os.path.abspath(target))
        return full.relative_to(self._folder).as_posix() if full.is_relative_to(self._folder) else str(full)


def _end_last_line(path: Path, descriptor: int) -> None:
    """What a crash cut short counts for nothing, and must not run into the next line."""
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) and stream.seek(-1, os.SEEK_END) and stream.read() != b"\n":
            os.write(descriptor, b"\n")


def _parsed(lines: Iterable[bytes]) -> dict[str, dict[str, Any]]:
    records: dict[str, dict[str, Any]] = {}
    for line in lines:
        # A line that is no record, or not all of one, is none of ours.
        with suppress(ValueError, KeyError, TypeError):
            record = json.loads(line)
            name = record.pop("output")
            if NEEDED[record["status"]] <= record.keys():
                records[name] = record
    return records
