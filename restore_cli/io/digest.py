"""The SHA-256 of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["sha256_of"]

BLOCK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """In hexadecimal; raises OSError if the file cannot be read."""
    digest = hashlib.sha256()  # hashlib.file_digest would do, from Python 3.11 on
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
