"""The SHA-256 of a file, where the models look for it."""

from __future__ import annotations

from restore_cli.io.digest import sha256_of

__all__ = ["sha256_of"]
