"""Which reference belongs to which picture: by name, never by position."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from restore_cli.errors import InputError, UsageError
from restore_cli.io.paths import find_pictures

__all__ = ["Layout", "Pair", "Pairing", "References", "clean_pictures", "find_layout", "pair_up"]

# What test sets and tools add to a clean picture's name: 'babyx4', 'baby_SwinIR', 'baby_sr4x', 'img_001_LR'. A
# number alone is no such ending: 'img_001' is not a version of 'img'.
SCALE_ENDING = re.compile(r"[_-]?x\d+$", re.IGNORECASE)
WORD_ENDING = re.compile(r"[_-](?=[^_/-]*[a-z])[^_/-]+$", re.IGNORECASE)
REFERENCE_ENDING = re.compile(r"[_-](hr|gt|clean|target|sharp|reference)$", re.IGNORECASE)
SHOWN = 8  # names in a message

# Folder of references, of degraded pictures, and whose habit it is.
ENLARGING_LAYOUTS = (
    ("HR", "LR_bicubic/X{scale}", "KAIR and SwinIR"),
    ("GTmod12", "LRbicx{scale}", "BasicSR"),
    ("GTmod{scale}", "LRbicx{scale}", "HAT"),
    ("DIV2K_valid_HR", "DIV2K_valid_LR_bicubic/X{scale}", "BasicSR, DIV2K"),
)
LAYOUTS = (
    ("target", "input", "MPRNet, Restormer and NAFNet"),
    ("test/target", "test/input", "MPRNet, Restormer and NAFNet"),
)


@dataclass(frozen=True)
class Pair:
    """A picture to score.

    Attributes:
        picture: its name: the reference's path below its folder without suffix, with '/'.
        source: degraded, restored, or (to be degraded) the reference itself.
        reference: the clean picture.
    """

    picture: str
    source: Path
    reference: Path


@dataclass(frozen=True)
class Pairing:
    """Pairs in the order of names, and the pictures on either side that have no partner."""

    pairs: tuple[Pair, ...]
    left_out: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Layout:
    """Where a test set keeps what.

    Attributes:
        name: whose habit it is.
        reference: folder of clean pictures.
        degraded: of degraded ones; None where they are to be made.
    """

    name: str
    reference: Path
    degraded: Path | None = None


def pair_up(pictures: Path, references: Path, *, allow_missing: bool = False) -> Pairing:
    """Every picture with its reference: of the same place and name, up to what test sets and tools add.

    Args:
        pictures: file, or folder of degraded or restored pictures, subfolders included.
        references: the file for the one picture, or a folder of the same tree.
        allow_missing: leave out what has no partner.

    Raises:
        InputError: no such file, a folder without pictures, two pictures of one name, pictures or references
            without partner (all of them are named), or not a single pair.
        UsageError: one reference for a folder.
    """
    for place in (pictures, references):
        if not os.path.exists(place):
            raise InputError(f"{place}: no such file or folder.", "Check the path.")
    if not os.path.isdir(pictures):
        reference = References(references).find(pictures)
        return Pairing((Pair(reference.stem, pictures, reference),))
    if not os.path.isdir(references):
        raise UsageError(f"{pictures} is a folder, {references} one picture.", "Name two folders, or two pictures.")
    wanted, known = _by_name(pictures), _by_name(references)
    aliases = {REFERENCE_ENDING.sub("", name): name for name in known}
    partners: dict[str, str] = {}  # of references
    alone = []
    for name in wanted:
        partner = next((aliases.get(each, each) for each in _shortened(name) if each in known or each in aliases), None)
        if partner is None:
            alone.append(name)
        elif partner in partners:
            both = f"{wanted[partners[partner]]} and {wanted[name]}"
            raise InputError(f"{both} both belong to {known[partner]}, by their names.", "Keep one of them.")
        else:
            partners[partner] = name
    unused = [name for name in known if name not in partners]
    if not partners or ((alone or unused) and not allow_missing):
        raise InputError(
            f"not every picture has a partner: in {pictures} {_listed(alone)}, in {references} {_listed(unused)}.",
            "Names agree up to endings such as x4 or _SwinIR. Rename them"
            + (", or add --allow-missing to leave them out." if partners else "."),
        )
    pairs = tuple(Pair(name, wanted[partners[name]], known[name]) for name in known if name in partners)
    return Pairing(pairs, tuple([wanted[name] for name in alone] + [known[name] for name in unused]))


def clean_pictures(path: Path) -> Pairing:
    """Every picture in `path` (file, or folder with its subfolders) as its own reference, to be degraded.

    Raises:
        InputError: no such file, a folder without pictures, or two pictures of one name.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such file or folder.", "Check the path.")
    found = _by_name(path) if os.path.isdir(path) else {path.stem: path}
    return Pairing(tuple(Pair(name, picture, picture) for name, picture in found.items()))


def find_layout(folder: Path, scale: int) -> Layout:
    """How the test set in `folder` is laid out; one without known subfolders holds clean pictures.

    Args:
        folder: such as 'Set5' or 'GoPro'.
        scale: enlargement, which super-resolution sets name their folders after; 1 for other tasks.

    Raises:
        InputError: neither.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.", "Name the folder of a test set.")
    tried = ENLARGING_LAYOUTS if scale > 1 else LAYOUTS
    for reference, degraded, name in tried:
        clean, small = (folder / each.format(scale=scale) for each in (reference, degraded))
        if clean.is_dir() and small.is_dir():
            return Layout(name, clean, small)
    if find_pictures(folder):
        return Layout("clean pictures", folder)
    known = " or ".join(f"{clean} and {small}" for clean, small, _ in tried).format(scale=scale)
    raise InputError(
        f"{folder}: not laid out like a known test set, and no pictures in it.",
        f"Known: {known}. Others take --input and --reference, or --clean.",
    )


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
        for stem in _shortened(degraded.stem):
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


def _shortened(name: str) -> Iterator[str]:
    """`name`, then without one ending after the other; folders in it stay."""
    while name and not name.endswith("/"):
        yield name
        # Of 'img_001x4' the scale, not the word '001x4'.
        ending = SCALE_ENDING if SCALE_ENDING.search(name) else WORD_ENDING
        shorter = ending.sub("", name)
        if shorter == name:
            return
        name = shorter


def _by_name(folder: Path) -> dict[str, Path]:
    """The pictures below `folder` by path without suffix."""
    found: dict[str, Path] = {}
    for picture in find_pictures(folder, recursive=True):
        name = picture.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{found[name]} and {picture} have one name.", "Keep one of them.")
        found[name] = picture
    if not found:
        raise InputError(f"{folder}: no pictures in this folder.", "Check the folder.")
    return found


def _listed(names: Iterable[str]) -> str:
    """'none', or 'a, b, c and 12 more'."""
    every = list(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more if every else "none"
