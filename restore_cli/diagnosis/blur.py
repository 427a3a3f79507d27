"""How wide a picture's sharpest edges are, by direction.

At the middle of an edge the slope falls by a known factor when the edge is blurred once more, the more so the
sharper it was: Zhuo and Sim, "Defocus map estimation from a single image", Pattern Recognition 2011. Of our own:
edges are taken by direction, since a moving camera smears those across its path and leaves those along it; the
steepest of each direction are asked, for a picture may be soft here and there on purpose; and both blurs
grow with the edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.diagnosis.jpeg import luma_of
from restore_cli.io.image import FloatArray

__all__ = ["Blur", "estimate_blur"]

SCALES_PX = (0.7, 1.2, 2.0, 3.0)  # deviation of the first Gaussian; the second's is twice that
DIRECTIONS = 6
STEEPEST = 0.04  # share of a direction's edges that is asked
MIN_EDGES = 40
MIN_SLOPE = 4.0  # 8-bit units a pixel, at the finest scale
BORDER_PX = 8
LEAST_PX, LARGEST_PX = 0.3, 10.0


@dataclass(frozen=True)
class Blur:
    """What widens edges.

    Attributes:
        spread_px: deviation of the blur in the direction where it is greatest, the lens's and the sensor's own
            0.5 or so included: about half the radius of a disc, a length of movement divided by 3.5. 0 where
            there are no edges to tell by.
        ratio: of the greatest spread to the least, over directions.
        direction_deg: in which it is greatest, from 0 (across) counter-clockwise to under 180.
    """

    spread_px: float
    ratio: float
    direction_deg: float


def estimate_blur(tiles: Sequence[FloatArray], sigma_255: float = 0.0) -> Blur:
    """The blur of the picture's sharpest edges.

    Args:
        tiles: (h, w, 1 or 3) each, in 8-bit units.
        sigma_255: of white noise in them; edges must be steeper than what it makes.
    """
    lumas = [luma for tile in tiles if min((luma := luma_of(tile)).shape) > 2 * BORDER_PX]
    finest = spreads = _spreads(lumas, SCALES_PX[0], sigma_255)
    if np.isnan(finest).all():
        return Blur(0.0, 1.0, 0.0)
    for scale_px in SCALES_PX[1:]:
        if np.nanmax(spreads) < scale_px:
            break
        coarser = _spreads(lumas, scale_px, sigma_255)
        if np.isnan(coarser).all():
            break
        spreads = coarser
    # Sharp edges are told from each other at the finest scale alone.
    ratio = float(np.nanmax(finest)) / max(float(np.nanmin(finest)), LEAST_PX)
    # Rows count downwards, angles upwards.
    direction_deg = (-180.0 * int(np.nanargmax(spreads)) / DIRECTIONS) % 180
    return Blur(float(np.nanmax(spreads)), max(1.0, ratio), direction_deg)


def _spreads(lumas: Sequence[FloatArray], scale_px: float, sigma_255: float) -> NDArray[np.float64]:
    """(DIRECTIONS,): the median spread of the steepest edges of each, NaN where there are too few."""
    spreads = np.full(DIRECTIONS, np.nan)
    edges = [_edges(luma, scale_px) for luma in lumas]
    if not edges:
        return spreads
    slopes, widths, angles = (np.concatenate(each) for each in zip(*edges, strict=True))
    directions = np.floor(angles / pi * DIRECTIONS + 0.5).astype(int) % DIRECTIONS
    # Noise under a Gaussian of deviation s has slopes of about sigma / (3.5 s^2).
    least = max(MIN_SLOPE * SCALES_PX[0] / scale_px, 4 * sigma_255 / (3.5 * scale_px**2))
    for direction in range(DIRECTIONS):
        here = directions == direction
        count = max(MIN_EDGES, int(STEEPEST * here.sum()))
        if here.sum() < 2 * MIN_EDGES:
            continue
        steepest = np.argpartition(-slopes[here], count - 1)[:count]
        if slopes[here][steepest].min() >= least:
            spreads[direction] = np.median(widths[here][steepest])
    return spreads


def _edges(luma: FloatArray, scale_px: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Slope, spread and angle (0 to pi) of every edge point: where the slope is greatest across the edge."""
    across, down = _gradient(luma, scale_px)
    fine, turned = (np.asarray(each, np.float32) for each in cv2.cartToPolar(across, down))
    angle = turned % np.float32(pi)
    coarse = np.asarray(cv2.magnitude(*_gradient(luma, 2 * scale_px)), np.float32)
    is_edge = np.zeros(luma.shape, bool)
    inner = (slice(BORDER_PX, -BORDER_PX),) * 2
    toward = np.round(angle[inner] / (pi / 4)).astype(int) % 4
    for number, (row, column) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        before, after = (np.roll(fine, (sign * row, sign * column), (0, 1))[inner] for sign in (1, -1))
        is_edge[inner] |= (toward == number) & (fine[inner] >= before) & (fine[inner] > after)
    squared = np.square(fine[is_edge] / np.maximum(coarse[is_edge], 1e-6))
    variance = scale_px**2 * (4 - squared) / np.maximum(squared - 1, 1e-3)
    return fine[is_edge], np.sqrt(np.clip(variance, 0, LARGEST_PX**2)), angle[is_edge]


def _gradient(luma: FloatArray, scale_px: float) -> tuple[FloatArray, FloatArray]:
    smooth = cv2.GaussianBlur(luma, (0, 0), scale_px)
    across, down = (np.asarray(cv2.Sobel(smooth, cv2.CV_32F, *axis, ksize=1, scale=0.5)) for axis in ((1, 0), (0, 1)))
    return across.astype(np.float32, copy=False), down.astype(np.float32, copy=False)
