"""Pictures that are behind a URL: `s3://bucket/in`, `sftp://host/scans`, anything fsspec knows.

Decoders seek and writers rename, so a picture is fetched into a folder of the machine that restores it and its result
brought back from there. Everything else in the package goes by paths; a URL has a stand-in among them
(`s3:/bucket/in`), which no file has.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from restore_cli.batch.manifest import Manifest
from restore_cli.batch.plan import Job
from restore_cli.errors import InputError, OutputError, RestoreError, UsageError
from restore_cli.io.formats import READABLE_SUFFIXES
from restore_cli.io.paths import Source
from restore_cli.io.read import read_image

__all__ = ["Places", "PlacesManifest", "is_url", "staged"]

URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.+)", re.IGNORECASE)
# Stores in which an object is there whole or not at all, and a rename is a copy.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "oci", "r2"})


def is_url(text: str) -> bool:
    """Whether this names something behind a URL."""
    return URL.fullmatch(text) is not None


@dataclass(frozen=True)
class Places:
    """The URLs of a batch: those of its inputs' folders, and that of its output.

    Attributes:
        roots: each with its stand-in, below which lie those of what is below it.
    """

    roots: tuple[tuple[Path, str], ...] = ()

    def url_of(self, path: Path) -> str | None:
        """What `path` stands for; None if it is a file of this machine or of shared storage."""
        for root, url in self.roots:
            if path == root:
                return url
            if root in path.parents:
                return f"{url.rstrip('/')}/{path.relative_to(root).as_posix()}"
        return None

    def adding(self, url: str) -> tuple[Places, Path]:
        """With one more, and its stand-in."""
        url = url.rstrip("/")
        root = Path(url.replace("://", ":/", 1))
        return replace(self, roots=(*self.roots, (root, url))), root

    def sources(self, url: str, *, recursive: bool) -> tuple[Places, list[Source]]:
        """Every picture at `url`: a picture, a folder, or a pattern.

        Args:
            url: as typed.
            recursive: also look into a folder's subfolders.

        Raises:
            InputError: no pictures are there, or no such place.
            UsageError: the protocol needs a package that is not installed.
        """
        system, path = _opened(url)
        with _explained(url, InputError):
            magic = re.search(r"[*?\[]", path)
            if magic:
                found = [each for each in system.glob(path) if _is_picture(each)]
                cut = path.rindex("/", 0, magic.start())
                base, url = path[:cut], url[: len(url) - (len(path) - cut)]
            elif system.isdir(path):
                base, depth = path, None if recursive else 1
                found = [each for each in system.find(path, maxdepth=depth) if _is_picture(each[len(base) :])]
            else:
                found = [path] if system.exists(path) else []
                base, url = path.rpartition("/")[0], url.rpartition("/")[0]
        if not found:
            hint = "Check it." if recursive else "Check it, or pass --recursive to look into subfolders."
            raise InputError(f"{url}: no pictures there.", hint)
        places, root = self.adding(url)
        names = sorted(each[len(base) :].lstrip("/") for each in found)
        return places, [Source(root / name, Path(name)) for name in names]

    def exists(self, path: Path) -> bool:
        """Whether there is a file at the URL that `path` stands for."""
        system, inner = _opened(self._url(path))
        system.invalidate_cache()
        with _explained(self._url(path), OutputError):
            return bool(system.exists(inner))

    def size(self, path: Path) -> int | None:
        """In bytes, of the file there; None if there is none."""
        system, inner = _opened(self._url(path))
        with _explained(self._url(path), OutputError):
            return int(system.size(inner)) if system.exists(inner) else None

    def remove(self, path: Path) -> None:
        """The file there goes."""
        system, inner = _opened(self._url(path))
        with _explained(self._url(path), OutputError):
            system.rm_file(inner)

    def fetch(self, path: Path, to: Path) -> None:
        """A copy of the file there; raises InputError where it cannot be had."""
        system, inner = _opened(self._url(path))
        with _explained(self._url(path), InputError):
            system.get_file(inner, str(to))

    def deliver(self, result: Path, path: Path) -> None:
        """A copy of `result` there, whole or not at all; raises OutputError where it cannot be put."""
        url = self._url(path)
        system, inner = _opened(url)
        parent = inner.rpartition("/")[0]
        with _explained(url, OutputError):
            if (URL.fullmatch(url) or [""])[1].lower() in OBJECT_STORES:
                system.put_file(str(result), inner)
                return
            system.makedirs(parent, exist_ok=True)
            aside = f"{parent}/.restore-{secrets.token_hex(8)}.part"
            try:
                system.put_file(str(result), aside)
                system.mv(aside, inner)
            except BaseException:
                if system.exists(aside):
                    system.rm_file(aside)
                raise

    def _url(self, path: Path) -> str:
        url = self.url_of(path)
        assert url is not None  # asked before
        return url


@contextmanager
def staged(job: Job, places: Places) -> Iterator[Job]:
    """The same job with files of this machine in the place of URLs, gone when the block ends; nothing is delivered.

    Raises:
        InputError: the picture cannot be fetched.
    """
    has_source, has_target = (places.url_of(path) is not None for path in (job.source.path, job.target))
    if not (has_source or has_target):
        yield job
        return
    with tempfile.TemporaryDirectory(prefix="restore-") as folder:
        source, target = job.source, job.target
        if has_source:
            path = Path(folder, "in", source.path.name)
            path.parent.mkdir()
            places.fetch(source.path, path)
            source = replace(source, path=path)
        if has_target:
            target = Path(folder, "out", target.name)
        yield Job(source, target)


class PlacesManifest(Manifest):
    """A manifest of results that are behind URLs. The file itself is on the machine that began the batch.

    Args:
        *arguments: of `Manifest`.
        places: tells which results are.
        **options: of `Manifest`.
    """

    def __init__(self, *arguments: Any, places: Places, **options: Any) -> None:  # noqa: ANN401 - theirs
        self.places = places
        super().__init__(*arguments, **options)

    def remove(self, target: Path) -> None:
        """A result that is not whole goes; raises OSError or RestoreError if it will not."""
        if self.places.url_of(target) is None:
            super().remove(target)
        else:
            self.places.remove(target)

    def _exists(self, target: Path) -> bool:
        return super()._exists(target) if self.places.url_of(target) is None else self.places.exists(target)

    def _size(self, target: Path) -> int | None:
        return super()._size(target) if self.places.url_of(target) is None else self.places.size(target)

    def _is_whole(self, target: Path) -> bool:
        if self.places.url_of(target) is None:
            return super()._is_whole(target)
        with tempfile.TemporaryDirectory(prefix="restore-") as folder:
            try:
                self.places.fetch(target, Path(folder, target.name))
                read_image(Path(folder, target.name))
            except RestoreError:
                return False
        return True

    def _name(self, target: Path) -> str:
        return self.places.url_of(target) or super()._name(target)


def _is_picture(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not any(part.startswith(".") for part in parts) and os.path.splitext(path)[1].lower() in READABLE_SUFFIXES


def _opened(url: str) -> tuple[Any, str]:
    """The file system behind a URL, and the path there."""
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(url)
    except ImportError as error:
        raise UsageError(
            f"{url}: {error}.", "pip install 'restore-cli[cluster]', and what the protocol needs."
        ) from error
    except (ValueError, OSError) as error:
        raise InputError(f"{url}: {error}.", "Check the URL.") from error
    return system, path.rstrip("/")


@contextmanager
def _explained(url: str, kind: type[RestoreError]) -> Iterator[None]:
    """Whatever goes wrong inside, as an error that names the URL."""
    try:
        yield
    except RestoreError:
        raise
    except Exception as error:  # every protocol has its own
        raise kind(f"{url}: {error or type(error).__name__}.", "Check the URL and your access to it.") from error
