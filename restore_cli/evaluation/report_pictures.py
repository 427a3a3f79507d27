"""The pictures of a report: a viewer for each, and close looks at the best and the worst."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import InputError
from restore_cli.evaluation.embed import PictureBudget
from restore_cli.evaluation.page import Look, Source, Viewer, look_at
from restore_cli.evaluation.report_scores import Scored, score_line
from restore_cli.evaluation.shown import choose_boxes, enlarge, read_panel

__all__ = ["make_looks", "make_viewers"]

INPUT, RESULT, REFERENCE = "input", "result", "reference"
LOOKS = 2  # at the best, and as many at the worst
CROP_PX = (32, 96)


class _File(NamedTuple):
    """A picture of a report: what it is and where it lies."""

    kind: str
    name: str
    condition: str
    detail: str
    path: Path


class _Picture(NamedTuple):
    """The same, read; in 8 bits, as floats of many large pictures would not fit into memory."""

    file: _File
    pixels: NDArray[np.uint8]
    icc_profile: bytes | None


def make_viewers(scored: Scored) -> tuple[list[Viewer], list[str]]:
    """A viewer for each picture with files, in the order of the report, and a line for each unreadable file."""
    wanted = {picture: _files(scored, picture, scored.conditions) for picture, _ in scored.order}
    wanted = {picture: files for picture, files in wanted.items() if files}
    budget = PictureBudget(len(wanted))
    viewers, failures = [], []
    for number, (picture, files) in enumerate(wanted.items(), 1):
        found, unreadable = _read(files)
        failures += unreadable
        if not found:
            continue
        uris, remark = budget.embed([each.pixels for each in found], [each.icc_profile for each in found])
        sources = tuple(
            Source(each.file.name, uri, each.file.detail, each.file.condition)
            for each, uri in zip(found, uris, strict=True)
        )
        height, width = _size(found)
        left, right = _first_shown(scored, picture, [each.file for each in found])
        viewers.append(Viewer(f"picture-{number}", picture, width, height, sources, left, right, remark))
    return viewers, failures


def make_looks(scored: Scored) -> list[tuple[str, list[Look]]]:
    """At the first and the last in the order of the report, of those that have files, under a heading each."""
    with_files = [key for key in scored.order if _files(scored, key[0], key[1:])]
    count = min(LOOKS, (len(with_files) + 1) // 2)
    best, worst = with_files[:count], with_files[max(count, len(with_files) - count) :]
    if len(scored.models) > 1:
        first, second = scored.models[:2]
        headings = (f"{second} gains most over {first}", f"{second} gains least over {first}")
    else:
        headings = ("Highest PSNR", "Lowest PSNR")
    groups = [(headings[0], _look_at_all(scored, best)), (headings[1], _look_at_all(scored, worst[::-1]))]
    return [(heading, looks) for heading, looks in groups if looks]


def _look_at_all(scored: Scored, keys: Sequence[tuple[str, str]]) -> list[Look]:
    looks = []
    for picture, condition in keys:
        found, _ = _read(_files(scored, picture, (condition,)))
        if not found:
            continue
        size = _size(found)
        fitting = [fitted for each in found if (fitted := _fitted(each, size))]
        side = int(np.clip(min(size) // 5, *CROP_PX))
        compared = [each.pixels for each in fitting if each.file.kind != INPUT] or [fitting[0].pixels]
        (box,) = choose_boxes(compared, side, side, 1)
        detail = " · ".join(filter(None, (condition, scored.gap_line(picture, condition))))
        crops = [(each.file.name, each.file.detail, each.pixels, each.icc_profile) for each in fitting]
        looks.append(look_at(picture, detail, box, crops))
    return looks


def _files(scored: Scored, picture: str, conditions: Sequence[str]) -> list[_File]:
    """Input and results by condition, then the reference, which all of them share."""
    files: list[_File] = []
    reference = None
    for condition in conditions:
        rows = [row for model in scored.models if (row := scored.row(picture, condition, model))]
        degraded = next((row.degraded for row in rows if row.degraded), None)
        reference = reference or next((row.reference for row in rows if row.reference), None)
        if degraded and INPUT not in scored.models:  # the baseline of that name is the same picture, with scores
            files.append(_File(INPUT, INPUT, condition, "", degraded))
        files += [_File(RESULT, row.model, condition, score_line(row), row.restored) for row in rows if row.restored]
    return [*files, _File(REFERENCE, REFERENCE, "", "", reference)] if reference else files


def _read(files: Sequence[_File]) -> tuple[list[_Picture], list[str]]:
    found, failures = [], []
    for file in files:
        try:
            panel = read_panel(file.path, file.name)
        except InputError as error:
            failures.append(error.message)
        else:
            found.append(_Picture(file, panel.eight_bit, panel.icc_profile))
    if any(each.file.kind == RESULT for each in found):
        height, width = _size(found)
        # As for scoring: test sets are enlarged from pictures whose sides the scale does not divide.
        found = [
            each._replace(pixels=np.ascontiguousarray(each.pixels[:height, :width]))
            if each.file.kind == REFERENCE
            else each
            for each in found
        ]
    return found, failures


def _size(pictures: Sequence[_Picture]) -> tuple[int, int]:
    """(height, width) of the results; without any, of the last: the reference, if there is one."""
    shown = next((each for each in pictures if each.file.kind == RESULT), pictures[-1])
    height, width = shown.pixels.shape[:2]
    return height, width


def _fitted(picture: _Picture, size: tuple[int, int]) -> _Picture | None:
    """Of that size, enlarged by a whole number if need be; None where that is impossible."""
    height, width = picture.pixels.shape[:2]
    factor = max(1, size[1] // width)
    if (height * factor, width * factor) != size:
        return None
    return picture._replace(pixels=enlarge(picture.pixels, factor))


def _first_shown(scored: Scored, picture: str, files: Sequence[_File]) -> tuple[int, int]:
    """Before and after: the input, or what comes first, and of what follows in its condition the best result."""

    def psnr(place: int) -> float:
        row = scored.row(picture, files[place].condition, files[place].name)
        return row.scores.get("psnr", 0.0) if row else 0.0

    results = [
        place
        for place, file in enumerate(files)
        if place > 0 and file.kind == RESULT and file.condition == files[0].condition
    ]
    return 0, max(results, key=psnr, default=len(files) - 1)
