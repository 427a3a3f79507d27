"""One batch of the command line, and whether it did what it must with every file it was given."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

from restore_cli.batch.manifest import MANIFEST_NAME
from restore_cli.cli._output import one_line
from restore_cli.io.digest import sha256_of
from restore_cli.io.tiff_parts import quiet_stderr
from tests.torture.counts import Counts
from tests.torture.process import Ran, restore

__all__ = ["check_results", "digests", "judged", "pixels", "same_picture", "take_through"]

COMPANIONS = ("exists", ".restore.json", MANIFEST_NAME)
"""A result may be there all the same: of an earlier run, or because what belongs beside it could not be written."""

GROWN_BYTES = 1_500_000_000
"""No picture of the ordeals is larger than a few megapixels."""


def take_through(
    folder: Path,
    given: Sequence[Path | str],
    *options: object,
    task: str = "denoise",
    limits: Mapping[int, int] | None = None,
    grown_bytes: int = GROWN_BYTES,
) -> tuple[Counts, list[dict[str, Any]]]:
    """Restore `given`, files or folders, from `folder`; returns the counts and a record for each file.

    Args:
        folder: results go to `out` in it unless `options` say otherwise.
        given: what is typed.
        options: the model among them.
        task: the command.
        limits: see `process.restore`.
        grown_bytes: what memory may grow by.
    """
    before = digests(given, folder)
    ran = restore(folder, task, "-q", "--json", *options, "--", *given, limits=limits)
    counts, records = judged(ran, folder)
    after = digests(given, folder)
    for path in before:
        if after.get(path) != before[path]:
            counts.fault("lost", f"the input {path!r} is gone or was changed")
    if ran.grown_bytes > grown_bytes:
        counts.fault("", f"memory grew by {ran.grown_bytes / 1e9:.1f} GB")
    return counts, records


def judged(ran: Ran, folder: Path) -> tuple[Counts, list[dict[str, Any]]]:
    """What a run with `-q --json` in `folder` did: a line on standard error for each file that failed, no other."""
    counts = Counts()
    # What befalls the log befalls no file.
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("error: --log ")]
    lines_of_log = len(ran.stderr.splitlines()) - len(lines)
    if ran.crashed:
        how = "came to no end" if ran.endless else f"exit code {ran.code}"
        counts.fault("tracebacks", f"{how}: {' / '.join(lines[-3:])}")
    try:
        document = json.loads(ran.stdout)
    except ValueError:
        counts.fault("", f"no document on standard output; on the other: {' / '.join(lines[-3:])}")
        return counts, []
    if "files" not in document:  # refused as a whole
        counts.given = 1
        if len(lines) == 1 and lines[0].startswith("error: ") and one_line(document["error"]) in lines[0]:
            counts.refused = 1
        return counts, []
    records: list[dict[str, Any]] = document["files"]
    counts.given = len(records)
    expected = []
    for record in records:
        if record["status"] == "failed":
            expected.append(record)
            if Path(folder, record["output"]).is_file() and not any(word in record["message"] for word in COMPANIONS):
                counts.fault("wrong", f"failed, but there is a result: {record}")
        elif not Path(folder, record["output"]).is_file():
            counts.fault("lost", f"no result: {record}")
        else:
            counts.restored += 1
    for line, record in zip(lines, expected, strict=False):
        if "internal error" in line:
            counts.fault("tracebacks", line)
        elif line.startswith("error: ") and one_line(Path(record["input"]).name) in line.replace("'", ""):
            counts.refused += 1
        else:
            counts.fault("", f"{record['input']!r} was refused by: {line}")
    if len(lines) != len(expected):
        counts.fault("", f"{len(lines)} lines for {len(expected)} failures, among them: {' / '.join(lines[:3])}")
    if ran.code != int(bool(expected) or lines_of_log > 0):
        counts.fault("", f"exit code {ran.code} where {len(expected)} files failed")
    for left in folder.rglob(".restore-*.part"):
        counts.fault("wrong", f"a temporary file was left: {left}")
    return counts, records


def check_results(counts: Counts, records: Iterable[dict[str, Any]], folder: Path, *, all_known: bool = True) -> int:
    """Count as wrong every result that is not the picture it was made from; the network changes nothing.

    Args:
        counts: of the run.
        records: of its files.
        folder: that it ran in.
        all_known: whether every input can be read by another decoder, too.

    Returns:
        How many of the results were compared.
    """
    known = 0
    for record in records:
        if record["status"] != "done":
            continue
        same = same_picture(folder / record["input"], folder / record["output"])
        known += same is not None
        if not same and (same is not None or all_known):
            counts.restored -= 1
            counts.fault("wrong", f"{record['output']!r} is another picture than {record['input']!r}")
    return known


def digests(given: Iterable[Path | str], folder: Path) -> dict[str, str]:
    """SHA-256 of every file that `given`, relative to `folder`, names or has below it."""
    found: dict[str, str] = {}
    for each in given:
        path = Path(folder, each)
        inside = [path] if not path.is_dir() else [Path(at, name) for at, _, names in os.walk(path) for name in names]
        for file in inside:
            if file.is_file() and file.name != MANIFEST_NAME:
                found[str(file)] = sha256_of(file)
    return found


def pixels(path: Path) -> np.ndarray | None:
    """(H, W, 4) in 16 bits, upright, by Pillow or, of 16 bits, OpenCV; None where these do not read the file."""
    try:
        with Image.open(path) as picture:
            if picture.mode == "CMYK":
                return None
            if not _is_deep_png(path):
                return np.asarray(_upright(picture).convert("RGBA")).astype(np.uint16) * 257
    except Exception:  # whatever Pillow raises of what is damaged
        return None
    with quiet_stderr():
        stored = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        return None
    if stored.ndim == 2:
        stored = np.repeat(stored[:, :, None], 3, axis=2)
    alpha = stored[..., 3:] if stored.shape[2] == 4 else np.full((*stored.shape[:2], 1), 65535, np.uint16)
    return np.concatenate([stored[..., 2::-1], alpha], axis=2)


def same_picture(source: Path, result: Path, steps: int = 1) -> bool | None:
    """Whether two files hold one picture, up to so many steps of 8 bits where it is seen; None where nobody knows.

    Args:
        source: what went into a network that changes nothing.
        result: what came out, in a format that loses nothing.
        steps: of difference allowed.
    """
    wanted, found = pixels(source), pixels(result)
    if found is None:
        return False
    if wanted is None:
        return None
    if wanted.shape != found.shape:
        return False
    if _has_a_transparent_colour(source):
        wanted, found = wanted[..., :3], found[..., :3]
    seen = wanted[..., 3:] > 0 if wanted.shape[2] == 4 else True
    difference = np.abs(wanted.astype(np.int32) - found) * seen
    return bool(difference.max() <= steps * 257)


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except SyntaxError:  # an EXIF block that is none
        return picture


def _is_deep_png(path: Path) -> bool:
    head = path.read_bytes()[:26]
    return head.startswith(b"\x89PNG") and head[24] == 16


def _has_a_transparent_colour(path: Path) -> bool:
    """One colour that a PNG calls transparent, about which both libraries err: of few bits, and of 16."""
    data = path.read_bytes()
    return data.startswith(b"\x89PNG") and data[25] in (0, 2) and b"tRNS" in data
