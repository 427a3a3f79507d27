"""From what the user typed to the list of pictures and the files their results go to.

No file is opened here. Two results never share a name, and no result has an input's name.
"""

from __future__ import annotations

import errno
import glob
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from restore_cli.errors import InputError, OutputError, UsageError
from restore_cli.io.formats import READABLE_SUFFIXES

__all__ = ["Source", "check_target", "find_pictures", "find_sources", "is_same_file", "names_file", "plan_outputs"]

# What the end of a file's name looks like, known format or not: .jxl, .heic; not .v2 or .2024.
LIKE_A_FILE = re.compile(r"\.[a-z][a-z0-9]{2,4}")


@dataclass(frozen=True)
class Source:
    """A picture to restore.

    Attributes:
        path: the file, as the user would type it.
        relative: where below the output folder its result goes, still with the input's own name.
        frame: which of a file's several pictures, from 0; None for the first, or the only one, of a file whose
            result is to have its name.
    """

    path: Path
    relative: Path
    frame: int | None = None

    @property
    def index(self) -> int:
        """The picture's number in its file."""
        return self.frame or 0

    @property
    def ending(self) -> str:
        """What tells results of one file apart."""
        return "" if self.frame is None else f"_f{self.frame:03}"


def find_pictures(folder: Path, *, recursive: bool = False) -> list[Path]:
    """The picture files in `folder`, by name, sorted; hidden ones and linked folders are left alone.

    Raises:
        InputError: a folder that may not be listed; skipped, its pictures would be missed by nobody.
    """
    found: list[Path] = []
    for directory, subfolders, names in os.walk(folder, onerror=_refuse_folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".")) if recursive else []
        found += [Path(directory, name) for name in sorted(names) if _is_picture_name(name)]
    return found


def find_sources(
    inputs: Sequence[str], *, recursive: bool = False, made_suffix: str = "", output: Path | None = None
) -> list[Source]:
    """Every picture that `inputs` (files, folders, glob patterns) name, once each.

    Results of an earlier run that a folder or pattern brings up are left out: files beside their
    original, named as its result, and whatever lies in an output folder inside the folder. A file
    that does not exist is kept, as long as another does: it fails alone when its turn comes.

    Args:
        inputs: as typed.
        recursive: also look into the folders' subfolders. A pattern says so itself, by `**`.
        made_suffix: added to the stems of results; "" if not known yet.
        output: where results go, file or folder.

    Raises:
        UsageError: an empty name.
        InputError: a folder or pattern without a single picture, or none of the files is there.
    """
    sources: dict[str, Source] = {}
    for text in inputs:
        if not text:
            raise UsageError("An input's name is empty.", "Check the variable it came from.")
        if os.path.isdir(text):
            pictures = find_pictures(Path(text), recursive=recursive)
            found = _originals(pictures, Path(text), made_suffix, output)
            if not found:
                hint = "Check the folder." if recursive else "Pass --recursive to look into its subfolders."
                raise InputError(f"{text}: no pictures in this folder.", hint)
        elif not os.path.lexists(text) and glob.has_magic(text):
            found = _originals(_matches(text), _fixed_part(text), made_suffix, output)
            if not found:
                raise InputError(f"{text}: no picture matches this pattern.", "Check the pattern.")
        else:
            found = [Source(Path(text), Path(Path(text).name))]
        for source in found:
            sources.setdefault(os.path.abspath(source.path), source)
    # Told now rather than after a model has been loaded or even downloaded.
    if sources and not any(os.path.lexists(path) for path in sources):
        first = next(iter(sources.values())).path
        more = f"; none of the {len(sources)} inputs is there" if len(sources) > 1 else ""
        raise InputError(f"There is no file {first}{more}.", "Check the path.")
    return list(sources.values())


def plan_outputs(
    sources: Sequence[Source],
    output: Path | None,
    suffix: str,
    extensions: Sequence[str],
    *,
    suffix_in_folder: bool = False,
) -> list[Path]:
    """A file for each result, in the order of `sources`.

    Args:
        sources: from `find_sources`.
        output: None puts each result beside its input; a name that ends like a file names the one
            result; anything else is a folder.
        suffix: added to the stem, as in `in_sr4x.png`. In an output folder the name stays, unless
            that would be the input itself.
        extensions: of each result, dot included.
        suffix_in_folder: add the suffix there too.

    Raises:
        UsageError: one file named for several results.
        OutputError: two results would get one name, or a result an input's.
    """
    if output is not None and names_file(output, len(sources)):
        if len(sources) != 1:
            raise UsageError(
                f"--output {output} names one file, but there are {len(sources)} inputs.", "Name a folder instead."
            )
        targets = [output]
    else:
        targets = [
            _target(source, output, suffix, extension, suffix_in_folder)
            for source, extension in zip(sources, extensions, strict=True)
        ]
    _refuse_collisions(sources, targets)
    return targets


def names_file(output: Path, inputs: int) -> bool:
    """Whether `--output` means a file rather than a folder, given the number of inputs."""
    if os.path.isdir(output):
        return False
    extension = output.suffix.lower()
    # For one input 'out.jpgg' is a slip, or a format we cannot write; for several a strange folder.
    return extension in READABLE_SUFFIXES or (inputs == 1 and LIKE_A_FILE.fullmatch(extension) is not None)


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse, before any computing, a result that could not be written. Nothing is created.

    Raises:
        OutputError: it exists and may not be replaced, its name is too long, or its folder cannot be
            made or written to.
    """
    try:
        os.lstat(target)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(f"{target}: the name is too long.", "Choose another --output.") from error
    else:
        if os.path.isdir(target):
            raise OutputError(f"{target} is a folder.", "Choose another --output or --suffix.")
        if not overwrite:
            raise OutputError(
                f"{target} exists.",
                "Add --overwrite or --skip-existing, --resume to go on with a batch, or choose another --output.",
            )
    folder = Path(os.path.abspath(target)).parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not os.path.isdir(folder):
        raise OutputError(f"{target}: {folder} is a file, not a folder.", "Choose another --output.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{target}: no permission to write in {folder}.", "Choose another --output.")


def is_same_file(first: Path, second: Path) -> bool:
    """Whether writing one would change the other: names that lead to one file, links followed."""
    return _key(first) == _key(second)


def _matches(pattern: str) -> list[Path]:
    found = sorted(Path(match) for match in _expanded(Path(pattern)) if os.path.isfile(match))
    # 'scans/*' means the pictures; 'scans/*.dat' means what it says.
    return [path for path in found if _is_picture_name(path.name)] if pattern.endswith("*") else found


def _expanded(pattern: Path) -> Iterable[str]:
    """What is there by the pattern; not glob's own `**`, which follows links, and for ever where they lead back."""
    parts = pattern.parts
    if "**" not in parts:
        return glob.glob(str(pattern))
    at = parts.index("**")
    inside = parts[at + 1 :] or ("*",)
    found: set[str] = set()
    for folder in glob.glob(str(Path(*parts[:at]))):
        for directory, subfolders, _ in os.walk(folder):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            found.update(_expanded(Path(glob.escape(directory), *inside)))
    return found


def _fixed_part(pattern: str) -> Path:
    """The folders of a pattern before the first one with a wildcard: the root of the tree it spans."""
    parts = Path(pattern).parts[:-1]
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return Path(*parts[:fixed])


def _originals(pictures: Sequence[Path], root: Path, made_suffix: str, output: Path | None) -> list[Source]:
    """`pictures`, found under `root`, without the results of an earlier run."""
    stems = {(path.parent, path.stem) for path in pictures}
    inner = None if output is None or is_same_file(output, root) else _key(output) + os.sep

    def is_result(path: Path) -> bool:
        beside = bool(made_suffix) and path.stem.endswith(made_suffix)
        beside = beside and (path.parent, path.stem.removesuffix(made_suffix)) in stems
        return beside or (inner is not None and _key(path).startswith(inner) and not _key(root).startswith(inner))

    return [Source(path, path.relative_to(root)) for path in pictures if not is_result(path)]


def _target(source: Source, folder: Path | None, suffix: str, extension: str, suffix_in_folder: bool) -> Path:
    base = source.path if folder is None else folder / source.relative
    stem = base.stem + source.ending
    plain = base.with_name(stem + extension)
    if folder is not None and not suffix_in_folder and not is_same_file(plain, source.path):
        return plain
    return base.with_name(f"{stem}{suffix}{extension}")


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
                "Rename one, or restore it on its own with another --output.",
            )
        taken[key] = source.path


def _key(path: Path) -> str:
    # Folded, because a.png and A.PNG are one file on the disks of Windows and macOS.
    return os.path.realpath(path).casefold()


def _is_picture_name(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in READABLE_SUFFIXES


def _refuse_folder(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename}: the folder cannot be listed: {error.strerror}.") from error
