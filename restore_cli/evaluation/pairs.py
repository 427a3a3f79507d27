"""Which reference belongs to which picture: by name, never by position."""

from __future__ import annotations

import os
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
        InputError: no such file or folder, or a folder without pictures.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_folder = os.path.isdir(path)
        if not os.path.exists(path):
            raise InputError(f"--reference {path}: no such file or folder.")
        self._by_stem: dict[str, list[Path]] = {}
        for picture in find_pictures(path, recursive=True) if self._is_folder else []:
            self._by_stem.setdefault(picture.stem, []).append(picture)
        if self._is_folder and not self._by_stem:
            raise InputError(f"--reference {path}: no pictures in this folder.")

    def find(self, degraded: Path, relative: Path | None = None) -> Path:
        """The reference of `degraded`: of the same stem, else of the stem without 'x4' and the like.

        Args:
            degraded: the picture.
            relative: its place in the tree of inputs, which decides where subfolders repeat a name.

        Raises:
            InputError: none, or more than one.
        """
        if not self._is_folder:
            return self._path
        for stem in dict.fromkeys((degraded.stem, SCALE_SUFFIX.sub("", degraded.stem))):
            found = self._by_stem.get(stem, [])
            if len(found) > 1 and relative is not None:
                folder = self._path / relative.parent
                found = [each for each in found if each.parent == folder] or found
            if len(found) > 1:
                names = " and ".join(str(each) for each in found[:2])
                raise InputError(f"{degraded}: two references have its name, {names}.")
            if found:
                return found[0]
        raise InputError(f"{degraded}: no picture named '{degraded.stem}' in --reference {self._path}.")
