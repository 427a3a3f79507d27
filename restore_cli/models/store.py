"""Weights that no hub cache holds: those of web addresses, and those carried over from another machine.

Each lies in a folder named after its sha256, so that one name can never stand for two contents.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from restore_cli.errors import DownloadError
from restore_cli.io.atomic import replacing
from restore_cli.io.digest import BLOCK_BYTES
from restore_cli.models.home import file_store

__all__ = ["copy_checked", "stored_path"]


def stored_path(sha256: str, name: str) -> Path:
    """Where the file of that content and name is kept, whether or not it is there."""
    return file_store() / "files" / sha256.lower() / name


def copy_checked(source: Path, target: Path, sha256: str) -> None:
    """Copy `source` to `target`, which appears whole and with that content, or not at all.

    Raises:
        DownloadError: it is something else.
        OSError: what the system said.
    """
    digest = hashlib.sha256()
    with source.open("rb") as file, replacing(target, overwrite=True) as copy:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            copy.write(block)
        if digest.hexdigest() != sha256.lower():
            raise DownloadError(
                f"{source} was refused: its sha256 is {digest.hexdigest()}, expected {sha256.lower()}.",
                "Copy it again from where it came; if it is refused again, do not use it.",
            )
