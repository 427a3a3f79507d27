"""From what the user typed to the list of pictures and the files their results go to.

Nothing is read or written here. Two results never share a name, and no result has an input's name.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from restore_cli.errors import InputError, OutputError, UsageError
from restore_cli.io.formats import READABLE_SUFFIXES

__all__ = ["Source", "find_pictures", "find_sources", "plan_outputs"]


@dataclass(frozen=True)
class Source:
    """A picture to restore.

    Attributes:
        path: the file, as the user would type it.
        relative: where below the output folder its result goes, still with the input's own name.
    """

    path: Path
    relative: Path


def find_pictures(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The picture files in `folder`, by name, sorted; hidden ones and linked folders are left alone."""
    found: list[Path] = []
    for directory, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".")) if recursive else []
        found += [Path(directory, name) for name in sorted(names) if _is_picture_name(name)]
    return found


def find_sources(inputs: Sequence[str], *, recursive: bool = False, made_suffix: str = "") -> list[Source]:
    """Every picture that `inputs` (files, folders, glob patterns) name, once each.

    A file that does not exist is kept: it fails alone when its turn comes, and the others are done.

    Args:
        inputs: as typed.
        recursive: also look into the folders' subfolders.
        made_suffix: in folders, files whose stem ends in this are results of an earlier run and skipped.

    Raises:
        InputError: a folder or pattern without a single picture.
    """
    sources: dict[Path, Source] = {}
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            pictures = find_pictures(path, recursive=recursive)
            pictures = [each for each in pictures if not (made_suffix and each.stem.endswith(made_suffix))]
            if not pictures:
                hint = "Check the folder." if recursive else "Pass --recursive to look into its subfolders."
                raise InputError(f"{text}: no pictures in this folder.", hint)
            found = [Source(each, each.relative_to(path)) for each in pictures]
        elif not path.exists() and glob.has_magic(text):
            matches = sorted(Path(match) for match in glob.glob(text, recursive=True))
            matches = [match for match in matches if match.is_file()]
            if not matches:
                raise InputError(f"{text}: no file matches this pattern.", "Check the pattern.")
            found = [Source(match, Path(match.name)) for match in matches]
        else:
            found = [Source(path, Path(path.name))]
        for source in found:
            sources.setdefault(Path(os.path.abspath(source.path)), source)
    return list(sources.values())


def plan_outputs(sources: Sequence[Source], output: Path | None, suffix: str, extensions: Sequence[str]) -> list[Path]:
    """A file for each result, in the order of `sources`.

    Args:
        sources: from `find_sources`.
        output: None puts each result beside its input; a name with a picture's extension names the
            one result; anything else is a folder.
        suffix: added to the stem, as in `in_sr4x.png`. In an output folder the name stays, unless
            that would be the input itself.
        extensions: of each result, dot included.

    Raises:
        UsageError: one file named for several results.
        OutputError: two results would get one name.
    """
    names_file = output is not None and not output.is_dir() and output.suffix.lower() in READABLE_SUFFIXES
    if output is not None and names_file:
        if len(sources) != 1:
            raise UsageError(
                f"--output {output} names one file, but there are {len(sources)} inputs.", "Name a folder instead."
            )
        targets = [output]
    else:
        targets = [_target(source, output, suffix, end) for source, end in zip(sources, extensions, strict=True)]
    _refuse_collisions(sources, targets)
    return targets


def _target(source: Source, folder: Path | None, suffix: str, extension: str) -> Path:
    base = source.path if folder is None else folder / source.relative
    plain = base.with_name(base.stem + extension)
    if folder is not None and not _same_place(plain, source.path):
        return plain
    return base.with_name(f"{base.stem}{suffix}{extension}")


def _refuse_collisions(sources: Iterable[Source], targets: Sequence[Path]) -> None:
    taken: dict[str, Path] = {}
    inputs = {_key(source.path) for source in sources}
    for source, target in zip(sources, targets, strict=True):
        key = _key(target)
        if key in inputs:
            raise OutputError(
                f"{source.path}: the result would replace the input {target}.", "Choose another --output or --suffix."
            )
        if key in taken:
            raise OutputError(
                f"{taken[key]} and {source.path} would both be written to {target}.",
                "Use another --output folder, or --format to tell them apart.",
            )
        taken[key] = source.path


def _key(path: Path) -> str:
    # Folded, because a.png and A.PNG are one file on the disks of Windows and macOS.
    return os.path.abspath(path).casefold()


def _same_place(first: Path, second: Path) -> bool:
    return _key(first) == _key(second)


def _is_picture_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in READABLE_SUFFIXES
