"""The quality a picture was compressed with: from the file where it says so, and from the pixels in any case.

A decompressed picture remembers: in the grid of 8x8 blocks its DCT coefficients lie near multiples of the
steps they were rounded to. How likely each step makes the coefficients is the estimate of Fan and de Queiroz,
"Identification of Bitmap Compression History: JPEG Detection and Quantizer Estimation", TIP 2003, who also find
the grid, by how much more neighbours differ across its lines. Here the steps are those of libjpeg's tables, one
table a quality, or of any table where that explains the picture much better.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.diagnosis.tiles import GRID_PX
from restore_cli.io.image import FloatArray

__all__ = ["Compression", "estimate_compression", "luma_of", "quality_of_file", "quality_of_table", "standard_table"]

# Annex K.1 of ITU-T T.81, row by row.
LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # JFIF's
MAX_BLOCKS = 2500
MIN_COEFFICIENTS = 200
# Looked at are coefficients of low frequency that were not rounded to 0: those say nothing of the step.
FREQUENCIES = [(row, column) for row in range(7) for column in range(7) if 1 <= row + column <= 6]
NEARLY_ZERO = 3.0  # roundings
MAX_OF_FREQUENCY = 300
STEPS = np.arange(1, 256)
# Deviation of a coefficient from its multiple: roundings to 8 bits, of brightness and of colours; and once more
# where a picture was saved again, finely or less so.
ROUNDINGS = (0.42, 0.75, 1.4)
STRAY = 0.03  # share of coefficients that lie anywhere
EXPLAINED = 0.12
MIN_LINES = 16  # of the grid, to tell blocks from chance
FREE_BETTER = 1.35


@dataclass(frozen=True)
class Compression:
    """What JPEG left in the pixels.

    Attributes:
        quality: libjpeg's, 1 to 100, whose table is nearest; None where no compression is found.
        evidence: how much likelier a coefficient is made by it than by none, as a logarithm; 0 is none.
        offset: (rows, columns) of the grid from the upper left corner, each 0 to 7.
        blockiness: how many times more neighbours differ across the lines of a grid of 8 than elsewhere, on the
            grid where that is most; 1 is none, or too few lines to tell.
    """

    quality: int | None
    evidence: float
    offset: tuple[int, int]
    blockiness: float


def quality_of_file(path: Path) -> int | None:
    """The quality that a JPEG file's table for brightness amounts to; None for other files.

    Raises:
        OSError: the file cannot be read.
    """
    from PIL import Image as PillowImage

    with PillowImage.open(path) as picture:
        tables = getattr(picture, "quantization", None)
    return quality_of_table(np.reshape(tables[min(tables)], (8, 8))) if tables else None


def quality_of_table(steps: NDArray[np.int_]) -> int:
    """The quality, 1 to 100, whose standard table is nearest to `steps` (8, 8), in the mean square of logarithms."""
    distances = [float(np.mean(np.square(np.log(standard_table(quality) / steps)))) for quality in range(1, 101)]
    return 1 + int(np.argmin(distances))


def standard_table(quality: int) -> NDArray[np.int_]:
    """The steps of libjpeg for brightness, (8, 8), at a quality of 1 to 100."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    table: NDArray[np.int_] = np.clip((LUMA_TABLE * percent + 50) // 100, 1, 255)
    return table


def luma_of(tile: FloatArray) -> FloatArray:
    """(h, w): the brightness that JPEG compresses; of grey the tile itself."""
    luma: FloatArray = tile @ LUMA_WEIGHTS if tile.shape[2] == 3 else np.ascontiguousarray(tile[:, :, 0])
    return luma


def estimate_compression(tiles: Sequence[FloatArray]) -> Compression:
    """What can be seen of a JPEG compression, wherever its grid begins.

    Args:
        tiles: (h, w, 1 or 3) each, in 8-bit units, from places that are multiples of `GRID_PX`, as encoded in
            the file. Pixels must not have been turned by an angle or changed in size since.
    """
    lumas = [luma_of(tile) for tile in tiles]
    inside = [_is_inside(tile) for tile in tiles]
    rows = _edge_profile([luma.T for luma in lumas])
    columns = _edge_profile(lumas)
    likely = [(int(row), int(column)) for row in np.argsort(-rows)[:2] for column in np.argsort(-columns)[:2]]
    lines = min(sum(luma.shape[axis] for luma in lumas) for axis in (0, 1)) / GRID_PX
    blockiness = _blockiness(rows, columns, likely[0]) if lines >= MIN_LINES else 1.0
    best = Compression(None, 0.0, likely[0], blockiness)
    for offset in dict.fromkeys(((0, 0), *likely)):
        quality, evidence = _most_likely(_coefficients(lumas, inside, offset))
        # Of two compressions the harder one is what is to be mended.
        if evidence > EXPLAINED and quality < (best.quality or 101):
            best = Compression(quality, evidence, offset, blockiness)
    return best


def _edge_profile(lumas: Sequence[FloatArray]) -> NDArray[np.float64]:
    """(8,): mean difference between column x - 1 and column x, by x modulo 8, the strongest edges held back."""
    sums, counts = np.zeros(GRID_PX), np.zeros(GRID_PX)
    for luma in lumas:
        if luma.shape[1] < 2:
            continue
        differences = np.minimum(np.abs(np.diff(luma, axis=1)), 24.0).mean(axis=0, dtype=np.float64)
        places = np.arange(1, luma.shape[1]) % GRID_PX
        sums += np.bincount(places, differences, GRID_PX)
        counts += np.bincount(places, minlength=GRID_PX)
    profile: NDArray[np.float64] = sums / np.maximum(counts, 1)
    return profile


def _blockiness(rows: NDArray[np.float64], columns: NDArray[np.float64], offset: tuple[int, int]) -> float:
    across = rows[offset[0]] + columns[offset[1]]
    elsewhere = (rows.sum() + columns.sum() - across) / (GRID_PX - 1)
    return float(across / elsewhere) if elsewhere > 0 else 1.0


def _is_inside(tile: FloatArray) -> NDArray[np.bool_]:
    """(h, w): whether no channel is clipped."""
    channels = [tile[:, :, channel] for channel in range(tile.shape[2])]
    inside: NDArray[np.bool_] = functools.reduce(np.minimum, channels) > 0.5
    inside &= functools.reduce(np.maximum, channels) < 254.5
    return inside


def _coefficients(
    lumas: Sequence[FloatArray], inside: Sequence[NDArray[np.bool_]], offset: tuple[int, int]
) -> NDArray[np.float32]:
    """(n, 8, 8): DCT of the livelier of blocks in which nothing is clipped."""
    blocks = []
    most = max(1, 2 * MAX_BLOCKS // len(lumas))
    for luma, allowed in zip(lumas, inside, strict=True):
        whole = _blocks(luma, offset)[_blocks(allowed, offset).reshape(-1, GRID_PX**2).all(axis=1)]
        blocks.append(whole[:: max(1, len(whole) // most)])
    every = np.concatenate(blocks)
    chosen = every[np.argsort(-every.reshape(-1, GRID_PX**2).std(axis=1))[:MAX_BLOCKS]]
    basis = _dct_basis()
    coefficients: NDArray[np.float32] = basis @ chosen @ basis.T
    return coefficients


def _blocks(plane: NDArray[Any], offset: tuple[int, int]) -> NDArray[Any]:
    down, right = ((side - start) // GRID_PX for side, start in zip(plane.shape, offset, strict=True))
    if down < 1 or right < 1:
        return np.empty((0, GRID_PX, GRID_PX), plane.dtype)
    part = plane[offset[0] : offset[0] + down * GRID_PX, offset[1] : offset[1] + right * GRID_PX]
    blocks: NDArray[Any] = part.reshape(down, GRID_PX, right, GRID_PX).swapaxes(1, 2).reshape(-1, GRID_PX, GRID_PX)
    return blocks


def _dct_basis() -> NDArray[np.float32]:
    order, place = np.meshgrid(np.arange(GRID_PX), np.arange(GRID_PX), indexing="ij")
    basis = np.cos((2 * place + 1) * order * pi / (2 * GRID_PX)) * sqrt(2 / GRID_PX)
    basis[0] /= sqrt(2)
    scaled: NDArray[np.float32] = basis.astype(np.float32)
    return scaled


def _most_likely(coefficients: NDArray[np.float32]) -> tuple[int, float]:
    """The quality and how much it explains, see `Compression.evidence`."""
    found = 100, 0.0
    for rounding in ROUNDINGS:
        values = {
            (row, column): each[np.abs(each) > NEARLY_ZERO * rounding][:MAX_OF_FREQUENCY]
            for row, column in FREQUENCIES
            for each in (coefficients[:, row, column],)
        }
        total = sum(len(each) for each in values.values())
        if total < MIN_COEFFICIENTS:
            break
        gains = {place: _gains(each, rounding) for place, each in values.items()}
        by_quality = [
            sum(gains[place][table[place] - 1] for place in FREQUENCIES) for table in map(standard_table, range(1, 101))
        ]
        best = int(np.argmax(by_quality))
        quality, gain = best + 1, by_quality[best]
        free = sum(each.max() for each in gains.values())
        if rounding == ROUNDINGS[0] and free > max(FREE_BETTER * gain, gain + 0.1 * total):
            # A camera's or an editor's own table.
            quality, gain = _nearest_quality({place: STEPS[each.argmax()] for place, each in gains.items()}), free
        if gain / total > found[1]:
            found = quality, float(gain / total)
    return found


def _gains(values: NDArray[np.float32], rounding: float) -> NDArray[np.float64]:
    """Of each step of `STEPS`: the logarithm of how much likelier it makes `values` than no quantization does."""
    steps = STEPS[:, None].astype(np.float32)
    away = values - steps * np.round(values / steps)
    peaks = np.exp(-np.square(away / rounding) / 2) * (steps / (rounding * sqrt(2 * pi)))
    gains: NDArray[np.float64] = np.log((1 - STRAY) * peaks + STRAY).sum(axis=1, dtype=np.float64)
    # Steps so small that neighbours' peaks run into each other say nothing.
    gains[: int(3 * rounding)] = 0.0
    return gains


def _nearest_quality(steps: dict[tuple[int, int], np.int_]) -> int:
    """The quality whose table is nearest to steps that are known in part."""

    def distance(quality: int) -> float:
        table = standard_table(quality)
        return float(np.median([abs(log(table[place] / step)) for place, step in steps.items()]))

    return min(range(1, 101), key=distance)
