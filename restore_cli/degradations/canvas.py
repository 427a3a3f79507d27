"""What weather and blur are drawn with: soft points, smooth fields and discs."""

from __future__ import annotations

from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["convolve", "disc_kernel", "portions", "smooth_field", "soften", "splat", "to_display", "to_linear"]

GAMMA = 2.2
PORTION = 1_000_000
SPLINE_ENERGY = 151 / 315  # integral of the cubic B-spline's square


def splat(
    x: NDArray[np.floating], y: NDArray[np.floating], weights: NDArray[np.floating], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Points on a canvas of `size` (height, width), each shared by the four pixels around it.

    Args:
        x, y: positions in pixels, arrays of one shape; 0 is the centre of the first pixel. Points outside
            are left out.
        weights: of each point; the canvas sums to those of the points within.
        size: height and width.
    """
    height, width = size
    left, top = np.floor(x), np.floor(y)
    right_share, bottom_share = x - left, y - top
    column, row = left.astype(np.intp), top.astype(np.intp)
    inside = (column >= -1) & (column < width) & (row >= -1) & (row < height)
    # One pixel of border on every side takes what falls half outside, and is cut off.
    first = (row[inside] + 1) * (width + 2) + column[inside] + 1
    weights, right_share, bottom_share = weights[inside], right_share[inside], bottom_share[inside]
    lower, upper = weights * bottom_share, weights * (1 - bottom_share)
    cells = np.concatenate([first, first + 1, first + width + 2, first + width + 3])
    shares = np.concatenate(
        [upper * (1 - right_share), upper * right_share, lower * (1 - right_share), lower * right_share]
    )
    canvas = np.bincount(cells, shares, (height + 2) * (width + 2)).reshape(height + 2, width + 2)
    return np.ascontiguousarray(canvas[1:-1, 1:-1], np.float32)


def portions(count: int, points: int) -> list[int]:
    """`count` figures of `points` points each, split so that a portion's points fit into memory easily."""
    most = max(1, PORTION // points)
    return [min(most, count - start) for start in range(0, count, most)]


def smooth_field(size: tuple[int, int], rng: np.random.Generator, scale_px: float) -> NDArray[np.float32]:
    """A random field (H, W) of mean 0 and deviation about 1 whose hills are about `scale_px` wide.

    Cubic B-splines over random nodes `scale_px` apart, the grid's origin random too, so that a small
    field looks like a piece of a large one.
    """
    down, across = (_spline_weights(side, scale_px, rng.random()) for side in size)
    nodes = rng.standard_normal((down.shape[1], across.shape[1]))
    field: NDArray[np.float32] = (down @ nodes @ across.T).astype(np.float32)
    return field


def _spline_weights(side: int, scale_px: float, shift: float) -> NDArray[np.float64]:
    """Weights (pixels, nodes), scaled so that nodes of deviation 1 make pixels of deviation about 1."""
    place = np.arange(side) / scale_px + shift + 1
    distance = np.abs(place[:, None] - np.arange(int(place[-1]) + 3))
    near, far = 2 / 3 - distance**2 + distance**3 / 2, np.maximum(2 - distance, 0) ** 3 / 6
    weights = np.where(distance < 1, near, far)
    spread: NDArray[np.float64] = weights / np.sqrt(SPLINE_ENERGY)
    return spread


def disc_kernel(radius_px: float) -> NDArray[np.float32]:
    """A disc that sums to 1, its edge falling off over one pixel."""
    reach = ceil(radius_px + 0.5)
    row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius_px + 0.5 - np.hypot(row, column), 0, 1)
    kernel: NDArray[np.float32] = (disc / disc.sum()).astype(np.float32)
    return kernel


def convolve(picture: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """`picture` (H, W, C) convolved with `kernel` of odd sides; mirrored beyond the border."""
    # OpenCV correlates, so the kernel is turned around.
    return _whole(cv2.filter2D(picture, -1, kernel[::-1, ::-1], borderType=cv2.BORDER_REFLECT_101), picture)


def soften(picture: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """`picture` (H, W) or (H, W, C) through a Gaussian of deviation `sigma_px`; mirrored beyond the border."""
    return _whole(cv2.GaussianBlur(picture, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT_101), picture)


def to_linear(display: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values proportional to light from display values; light adds up, display values do not."""
    return _whole(cv2.pow(np.clip(display, 0, 1), GAMMA), display)


def to_display(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """The reverse of `to_linear`."""
    return _whole(cv2.pow(np.clip(linear, 0, 1), 1 / GAMMA), linear)


def _whole(result: Any, like: NDArray[np.float32]) -> NDArray[np.float32]:  # noqa: ANN401 - OpenCV's matrices
    """An answer of OpenCV, which drops the axis of a single channel, in the shape of what it was given."""
    return np.asarray(result, np.float32).reshape(like.shape)
