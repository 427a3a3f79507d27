"""Files at ordinary web addresses, such as the release of an author's repository: how they arrive intact.

What has arrived of a file stays aside and is gone on with next time; the file itself appears whole, in a folder
named after its sha256, so that a name can never stand for two contents. No token is ever sent here: these
places are public.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from restore_cli.errors import DownloadError, UsageError
from restore_cli.io.digest import sha256_of
from restore_cli.models.home import CACHE_VARIABLE, file_store
from restore_cli.models.hub import Progress, fault_of
from restore_cli.models.store import stored_path

if TYPE_CHECKING:
    import httpx2

__all__ = ["WebFile", "fetch_web"]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
ATTEMPTS = 3
BLOCK_BYTES = 1 << 20
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True)
class WebFile:
    """One file at one address.

    Attributes:
        address: https; plain http only on this machine.
        name: of the file, without a folder.
        sha256: of the content, in hexadecimal; None accepts any.
        size_bytes: of the content; None accepts any.

    Raises:
        UsageError: no such address.
    """

    address: str
    name: str
    sha256: str | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no public address."""
        try:
            parts = urlsplit(self.address)
            public = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
            well_formed = public and parts.hostname and "@" not in parts.netloc
        except ValueError:
            well_formed = False
        if not well_formed or re.search(r"[\x00-\x20\x7f]", self.address):
            raise UsageError(f"{self.address!r} is not the web address of a file.", "Accepted: https://host/path.")


def fetch_web(file: WebFile, *, progress: Progress | None = None) -> Path:
    """Download `file` and return where it is kept. Two processes at once: one downloads, the other waits.

    Raises:
        DownloadError: it cannot be had, or is not what is pinned. In the second case nothing of it is kept.
    """
    try:
        with _incoming(file) as part:
            if file.sha256 and (kept := stored_path(file.sha256, file.name)).is_file():
                return kept  # the other process's
            _download(file, part, progress)
            if fault := fault_of(part, file.sha256, file.size_bytes):
                _forget(part)
                raise DownloadError(
                    f"{file.address} was refused: {fault}.",
                    "The file was changed at its source or on the way: do not use it.",
                )
            kept = stored_path(file.sha256 or sha256_of(part), file.name)
            kept.parent.mkdir(parents=True, exist_ok=True)
            part.replace(kept)
            _forget(part)
            return kept
    except OSError as error:
        raise DownloadError(
            f"{file.address} could not be downloaded: {file_store()} failed: {error.strerror or error}.",
            f"Set {CACHE_VARIABLE} to a folder you can write to, on a disk with enough room.",
        ) from error


@contextlib.contextmanager
def _incoming(file: WebFile) -> Iterator[Path]:
    """Where the content is gathered; no other process gathers there meanwhile."""
    from filelock import FileLock

    folder = file_store() / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{hashlib.sha256(file.address.encode()).hexdigest()}.part"
    with FileLock(part.with_suffix(".held")):
        yield part


def _download(file: WebFile, part: Path, progress: Progress | None) -> None:
    import httpx2

    with httpx2.Client(follow_redirects=True, timeout=PATIENCE_SECONDS) as client:
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                if _receive(client, file, part, progress):
                    return
            except httpx2.HTTPStatusError as error:
                raise _failed(file, f"the server answered HTTP {error.response.status_code}") from error
            except (httpx2.ConnectError, httpx2.ProxyError, httpx2.UnsupportedProtocol) as error:
                raise _failed(file, f"{urlsplit(file.address).hostname} does not answer") from error
            except httpx2.HTTPError as error:
                if not attempts_left:
                    raise _failed(file, "the connection broke off") from error
    raise _failed(file, "not all of it arrived")


def _receive(client: httpx2.Client, file: WebFile, part: Path, progress: Progress | None) -> bool:
    """Go on with `part`, or start over; returns whether all of it is there."""
    start, validator = _begun(file, part)
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {})
    with client.stream("GET", file.address, headers=headers) as response:
        if response.status_code == 416:  # there is no more than we have, which is not the file then
            _forget(part)
            return False
        response.raise_for_status()
        if file.address.startswith("https:") and response.url.scheme != "https":
            raise _failed(file, "it leads to an address without encryption")
        goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        )
        if not goes_on:
            start = 0
            _note_validator(part, response.headers.get("ETag", ""))
        announced = response.headers.get("Content-Length", "")
        total = start + int(announced) if announced.isdecimal() else file.size_bytes
        bar = progress(file.name, total) if progress else None
        try:
            if bar is not None and start:
                bar.update(start)
            with part.open("ab" if goes_on else "wb") as stream:
                for block in response.iter_raw(BLOCK_BYTES):
                    stream.write(block)
                    if bar is not None:
                        bar.update(len(block))
                    if file.size_bytes and stream.tell() > file.size_bytes:
                        return True  # too much: it is not the file, and the check says so
        finally:
            if bar is not None:
                bar.close()
    return total is None or part.stat().st_size >= total


def _begun(file: WebFile, part: Path) -> tuple[int, str]:
    """How much of the file is there, and what must still be true of it on the server.

    Without either that or a sha256 to check the whole by, the parts of two files could be joined: start over.
    """
    try:
        size, note = part.stat().st_size, part.with_suffix(".etag")
        validator = note.read_text(encoding="utf-8") if note.is_file() else ""
    except OSError:
        return 0, ""
    return (size, validator) if validator or file.sha256 else (0, "")


def _note_validator(part: Path, etag: str) -> None:
    note = part.with_suffix(".etag")
    if re.fullmatch(r'"[!-~]*"', etag):  # a weak one promises too little
        note.write_text(etag, encoding="utf-8")
    else:
        note.unlink(missing_ok=True)


def _forget(part: Path) -> None:
    for path in (part, part.with_suffix(".etag")):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _failed(file: WebFile, what: str) -> DownloadError:
    return DownloadError(
        f"{file.address} could not be downloaded: {what}.",
        "Run the same command again: it goes on where it stopped. Check the connection and HTTPS_PROXY.",
    )
