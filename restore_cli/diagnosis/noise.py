"""The level of white noise, from the picture alone.

Patches of a clean picture lie near a space of few dimensions, so of the eigenvalues of their covariance the
smallest are the noise's variance and nothing else; Chen, Zhu and Heng, "An Efficient Statistical Method for
Image Noise Level Estimation", ICCV 2015, tell which: the largest are dropped until mean and median of the rest
agree. On textured pictures too many are left, so only patches whose gradients are no stronger than noise of
this level makes them are looked at, and the level is estimated anew until it stays: Liu, Tanaka and Okutomi,
"Single-Image Noise Level Estimation for Blind Denoising", TIP 2013.

Choices of our own: colour is turned into brightness and two differences of colours first, where the
differences have next to no texture; and noise that black or white cut off is made up for, by the share of
its variance that a Gaussian keeps.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, erf, exp, pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.io.image import FloatArray

__all__ = ["Noise", "estimate_noise"]

PATCH_PX = 8
MAX_PATCHES = 40_000
MIN_PATCHES = 256  # fewer tell nothing of 64 eigenvalues
PASSING_DEVIATE = 2.326  # of a standard normal: 99 % of patches of pure noise count as such
ROUNDS = 10
SETTLED = 1e-3
NEAREST = 1.0  # deviations from black or white; patches nearer to them are left out
WHITE = 255.0
FLAT = 1e-3
MOSTLY_FLAT = 0.4
ROUNDING_VARIANCE = 1 / 12
# Orthonormal: white noise of one deviation in R, G and B has it in each of these.
OPPONENT = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])


@dataclass(frozen=True)
class Noise:
    """White noise.

    Attributes:
        sigma_255: standard deviation in 8-bit units, the root of the mean square over channels.
        patches: how many of the channel with the fewest told it; 0 where nothing could be told.
    """

    sigma_255: float
    patches: int


@dataclass(frozen=True)
class _Patches:
    """Of one picture.

    Attributes:
        values: (channels, n, 64), in opponent colours.
        strengths: (channels, n), of the gradients in each.
        means: (channels, n), in the picture's own colours.
    """

    values: FloatArray
    strengths: FloatArray
    means: FloatArray


def estimate_noise(tiles: Sequence[FloatArray], bit_depth: int = 8) -> Noise:
    """The level of the noise.

    Args:
        tiles: (h, w, 1 or 3) each, in 8-bit units.
        bit_depth: of the file; what rounding to 8 bits adds is taken off.
    """
    parts = [part for tile in tiles if (part := _patches(tile, _stride_px(tiles))) is not None]
    if not parts:
        return Noise(0.0, 0)
    every = _joined(parts, [np.ones(part.values.shape[1], bool) for part in parts])
    is_flat = every.strengths.sum(axis=0) < FLAT
    if np.mean(is_flat & _is_inside(every.means, 0.5)) > MOSTLY_FLAT:
        return Noise(0.0, len(is_flat))  # noise leaves no place out
    # Even places elsewhere are letterboxes, or burnt out: they tell nothing of the rest.
    uneven = _joined([every], [~is_flat])
    if uneven.values.shape[1] < MIN_PATCHES:
        return Noise(0.0, 0)
    rounding = ROUNDING_VARIANCE if bit_depth == 8 else 0.0
    levels = [_variance(uneven, channel) for channel in range(len(uneven.values))]
    variance = float(np.mean([max(0.0, level - rounding) for level, _ in levels]))
    return Noise(sqrt(variance), min(count for _, count in levels))


def _stride_px(tiles: Sequence[FloatArray]) -> int:
    area = sum(tile.shape[0] * tile.shape[1] for tile in tiles)
    return max(1, ceil(sqrt(area / MAX_PATCHES)))


def _patches(tile: FloatArray, stride_px: int) -> _Patches | None:
    height, width, channels = tile.shape
    if min(height, width) < PATCH_PX:
        return None
    planes = tile @ OPPONENT.T.astype(np.float32) if channels == 3 else tile
    values, strengths, means = [], [], []
    for channel in range(channels):
        plane = np.ascontiguousarray(planes[:, :, channel])
        windows = np.lib.stride_tricks.sliding_window_view(plane, (PATCH_PX, PATCH_PX))[::stride_px, ::stride_px]
        values.append(windows.reshape(-1, PATCH_PX**2))
        strengths.append(_gradient_energy(plane)[::stride_px, ::stride_px].ravel())
        own = tile[:, :, channel]
        means.append(_box_sum(own, PATCH_PX, PATCH_PX)[::stride_px, ::stride_px].ravel() / PATCH_PX**2)
    return _Patches(np.stack(values), np.stack(strengths), np.stack(means))


def _joined(parts: Sequence[_Patches], kept: Sequence[NDArray[np.bool_]]) -> _Patches:
    return _Patches(
        np.concatenate([part.values[:, keep] for part, keep in zip(parts, kept, strict=True)], axis=1),
        np.concatenate([part.strengths[:, keep] for part, keep in zip(parts, kept, strict=True)], axis=1),
        np.concatenate([part.means[:, keep] for part, keep in zip(parts, kept, strict=True)], axis=1),
    )


def _variance(patches: _Patches, channel: int) -> tuple[float, int]:
    """Of the noise in one channel, and how many patches told it."""
    values, strengths = patches.values[channel], patches.strengths[channel]
    mixing = OPPONENT[channel] ** 2 if len(patches.values) == 3 else np.ones(1)
    chosen = _is_inside(patches.means, NEAREST)
    if chosen.sum() < MIN_PATCHES:
        return 0.0, 0
    variance, count = _smallest_eigenvalues(values[chosen]), int(chosen.sum())
    for _ in range(ROUNDS):
        sigma = sqrt(variance)
        chosen = (strengths <= variance * _largest_strength()) & _is_inside(patches.means, NEAREST * sigma)
        if chosen.sum() < MIN_PATCHES:
            break
        kept = mixing @ np.mean(_kept_variance(patches.means[:, chosen], max(sigma, 0.1)), axis=1)
        before, variance = variance, _smallest_eigenvalues(values[chosen]) / float(kept)
        count = int(chosen.sum())
        if abs(variance - before) <= SETTLED * before:
            break
    return variance, count


def _smallest_eigenvalues(values: FloatArray) -> float:
    """The mean of those that mean and median agree on; `values` is (n, 64)."""
    centred = values - values.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh((centred.T @ centred / len(centred)).astype(np.float64))
    for count in range(len(eigenvalues), 0, -1):
        mean = float(eigenvalues[:count].mean())
        if np.sum(eigenvalues[:count] > mean) >= np.sum(eigenvalues[:count] < mean):
            break
    return max(0.0, mean)


def _is_inside(means: FloatArray, distance: float) -> NDArray[np.bool_]:
    """Which patches lie that far from black and white in every channel; at most a quarter of the way."""
    distance = min(max(distance, 0.5), WHITE / 4)
    return np.asarray(((means > distance) & (means < WHITE - distance)).all(axis=0))


def _gradient_energy(plane: FloatArray) -> FloatArray:
    """The sum of squared central differences within each patch, (h - 7, w - 7)."""
    across = np.square((plane[:, 2:] - plane[:, :-2]) / 2)
    down = np.square((plane[2:] - plane[:-2]) / 2)
    return _box_sum(across, PATCH_PX, PATCH_PX - 2) + _box_sum(down, PATCH_PX - 2, PATCH_PX)


def _box_sum(plane: FloatArray, height: int, width: int) -> FloatArray:
    """Over every window of that size that lies inside."""
    sums = cv2.boxFilter(np.ascontiguousarray(plane), cv2.CV_32F, (width, height), anchor=(0, 0), normalize=False)
    inside: FloatArray = np.asarray(sums, np.float32)[: plane.shape[0] - height + 1, : plane.shape[1] - width + 1]
    return inside


@functools.cache
def _largest_strength() -> float:
    """What the gradients of white noise of variance 1 stay under, as a rule.

    Their sum of squares is nearly gamma-distributed (Liu et al.); the quantile is Wilson and Hilferty's.
    """
    rows = []
    for first in np.ndindex(PATCH_PX, PATCH_PX - 2):
        for along in (first, first[::-1]):
            difference = np.zeros((PATCH_PX, PATCH_PX))
            step = (0, 2) if along is first else (2, 0)
            difference[along] = -0.5
            difference[along[0] + step[0], along[1] + step[1]] = 0.5
            rows.append(difference.ravel())
    matrix = np.array(rows)
    product = matrix.T @ matrix
    mean, variance = float(np.trace(product)), 2 * float(np.sum(product * product))
    ninth = variance / mean**2 / 9
    return mean * (1 - ninth + PASSING_DEVIATE * sqrt(ninth)) ** 3


def _kept_variance(means: FloatArray, sigma: float) -> NDArray[np.float64]:
    """The share of the noise's variance that clipping leaves, by the mean of a patch as it is found."""
    found, lost = _clipping()
    below, above = np.interp(means / sigma, found, lost), np.interp((WHITE - means) / sigma, found, lost)
    kept: NDArray[np.float64] = np.maximum(1 - below - above, 0.1)
    return kept


@functools.cache
def _clipping() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of a standard normal cut off at a limit below: its mean's distance from the limit, and the variance lost."""
    distances = np.linspace(-1, 5, 241)
    found, lost = [], []
    for distance in distances:
        density, above = exp(-(distance**2) / 2) / sqrt(2 * pi), (1 + erf(distance / sqrt(2))) / 2
        mean = distance * above + density  # over the limit
        found.append(mean)
        lost.append(1 - ((1 + distance**2) * above + distance * density - mean**2))
    return np.array(found), np.array(lost)
