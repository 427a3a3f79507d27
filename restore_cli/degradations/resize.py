"""Bicubic resampling as MATLAB's `imresize` does it, the convention of every SR benchmark.

Convention: Keys' kernel with a = -0.5; when reducing, the kernel is widened by the factor
(antialiasing); pixel centres sit at half-integers; the border is mirrored, edge pixel included.
8-bit pictures are rounded to 8 bits after the vertical pass and again after the horizontal one,
which reproduces the published LR files. OpenCV (a = -0.75, no antialiasing) and Pillow (other
border) give other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.settings import check_settings
from restore_cli.errors import InputError

__all__ = ["Bicubic", "check_reducible", "resize_bicubic"]


def resize_bicubic(picture: NDArray, size: tuple[int, int], scale: float | None = None) -> NDArray:
    """`picture` (H, W) or (H, W, C), uint8 or floating, resampled to `size` = (height, width).

    Args:
        picture: any range; floating input is neither clipped nor rounded.
        size: output height and width in pixels.
        scale: output pixels per input pixel, if it is not exactly the ratio of the sizes (MATLAB's
            `imresize(picture, 1/4)` of an odd picture keeps 1/4 and rounds the size up).
    """
    result: NDArray = picture if picture.dtype == np.uint8 else picture.astype(np.result_type(picture, np.float32))
    for axis in (0, 1):
        factor = scale or size[axis] / picture.shape[axis]
        result = _resample(result, axis, size[axis], factor)
        if picture.dtype == np.uint8:
            result = np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)
    return result


def check_reducible(height: int, width: int, scale: int) -> None:
    """Raises InputError where a side is shorter than `scale`."""
    if min(height, width) < scale:
        raise InputError(f"{width}x{height} pixels cannot be reduced by {scale}.", "Use a larger picture.")


@dataclass(frozen=True)
class Bicubic:
    """The classical SR degradation: MATLAB bicubic reduction by `scale`, rounded to 8 bits.

    Rows and columns that `scale` does not divide are cut off first, as benchmarks do.
    """

    scale: int
    margin_px: ClassVar[int] = 4

    def __post_init__(self) -> None:
        check_settings(self, scale=(1, 64))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> (H // scale, W // scale, C) float32.

        Raises:
            InputError: a side is shorter than `scale`.
        """
        check_reducible(clean.shape[0], clean.shape[1], self.scale)
        height, width = (side // self.scale for side in clean.shape[:2])
        eight_bit = np.floor(np.clip(clean, 0, 1) * 255 + 0.5).astype(np.uint8)
        reduced = resize_bicubic(eight_bit[: height * self.scale, : width * self.scale], (height, width))
        low_resolution: NDArray[np.float32] = reduced.astype(np.float32) / np.float32(255)
        return low_resolution


def _resample(picture: NDArray, axis: int, length: int, factor: float) -> NDArray:
    indices, weights = _taps(picture.shape[axis], length, factor)
    moved = np.moveaxis(picture, axis, 0)
    dtype = np.float64 if picture.dtype == np.uint8 else picture.dtype
    result = np.zeros((length, *moved.shape[1:]), dtype)
    column = (slice(None),) + (None,) * (moved.ndim - 1)
    for tap in range(indices.shape[1]):
        result += weights[:, tap].astype(dtype)[column] * moved[indices[:, tap]]
    return np.moveaxis(result, 0, axis)


@lru_cache(maxsize=64)
def _taps(source: int, target: int, factor: float) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each output position, the input positions that feed it and their weights (summing to 1)."""
    shrink = min(factor, 1.0)
    support = 4.0 / shrink
    centre = (np.arange(target) + 0.5) / factor - 0.5
    first = np.floor(centre - support / 2).astype(np.intp)
    taps = ceil(support) + 2
    positions = first[:, None] + np.arange(taps)
    weights = _cubic((centre[:, None] - positions) * shrink)
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.mod(positions, 2 * source)
    mirrored = np.where(mirrored < source, mirrored, 2 * source - 1 - mirrored)
    used = np.any(weights != 0, axis=0)
    return mirrored[:, used], weights[:, used]


def _cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel, a = -0.5, support [-2, 2]."""
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
