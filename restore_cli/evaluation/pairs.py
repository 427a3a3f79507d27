"""Which reference belongs to which picture: by name, never by position."""

from __future__ import annotations

import re
from pathlib import Path

from restore_cli.errors import InputError
from restore_cli.io.paths import find_pictures

__all__ = ["References"]

# Test sets name the degraded 'babyx4.png' and the clean 'baby.png'.
SCALE_SUFFIX = re.compile(r"[_-]?x\d+$", re.IGNORECASE)


class References:
    """Finds the clean picture of a degraded one.

    Args:
        path: the one reference, or a folder of them (subfolders included).

    Raises:
        InputError: no such file or folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            raise InputError(f"--reference {path}: no such file or folder.")
        self._by_stem: dict[str, list[Path]] = {}
        if path.is_dir():
            for picture in find_pictures(path, recursive=True):
                self._by_stem.setdefault(picture.stem, []).append(picture)

    def find(self, degraded: Path) -> Path:
        """The reference of `degraded`: of the same stem, else of the stem without 'x4' and the like.

        Raises:
            InputError: none, or more than one.
        """
        if not self._path.is_dir():
            return self._path
        for stem in (degraded.stem, SCALE_SUFFIX.sub("", degraded.stem)):
            found = self._by_stem.get(stem, [])
            if len(found) > 1:
                names = " and ".join(str(each) for each in found[:2])
                raise InputError(f"{degraded}: two references have its name, {names}.")
            if found:
                return found[0]
        raise InputError(f"{degraded}: no picture named '{degraded.stem}' in --reference {self._path}.")
