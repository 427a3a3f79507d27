"""What a network has to beat: models that are no network, by the names that `--model` takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import UsageError
from restore_cli.evaluation.pixels import Pixels, Restore, from_8_bit, to_8_bit
from restore_cli.tasks import Task

__all__ = ["BASELINES", "baseline", "baseline_names"]

# What a baseline is for: pictures that keep their size, small ones, or mosaics.
PICTURE, SMALL, MOSAIC = "picture", "small picture", "mosaic"

# OpenCV names a pattern by the second row's second and third values, in BGR: RGGB is its BayerBG.
OPENCV_PATTERNS = {"rggb": "BG", "bggr": "RG", "grbg": "GB", "gbrg": "GR"}


@dataclass(frozen=True)
class Baseline:
    """One of them.

    Attributes:
        summary: one line for people.
        takes: `PICTURE`, `SMALL` or `MOSAIC`.
        make: (scale, Bayer pattern) -> what restores a picture.
    """

    summary: str
    takes: str
    make: Callable[[int, str], Restore]


def baseline(name: str, task: Task, scale: int = 1, cfa: str = "rggb") -> Restore:
    """What `name` does: (H, W, C) -> (sH, sW, C'), neither modified nor clamped.

    Args:
        name: of `BASELINES`.
        task: decides what it is given; a mosaic comes as (H, W, 1), or as (H, W, 3) with zeros.
        scale: enlargement.
        cfa: the mosaic's pattern.

    Raises:
        UsageError: it is not for this task.
    """
    if name not in baseline_names(task):
        raise UsageError(
            f"--model {name}: no baseline of {task.name}.", f"There it is {' or '.join(baseline_names(task))}."
        )
    return BASELINES[name].make(scale, cfa)


def baseline_names(task: Task) -> tuple[str, ...]:
    """Those that make sense for `task`."""
    takes = MOSAIC if task.input == "mosaic" else SMALL if task.enlarges else PICTURE
    return tuple(name for name, each in BASELINES.items() if each.takes == takes)


def _as_it_is(degraded: Pixels) -> Pixels:
    return degraded


def _bicubic(small: Pixels, scale: int) -> Pixels:
    return np.asarray(resize_bicubic(small, (small.shape[0] * scale, small.shape[1] * scale)), np.float32)


def _non_local_means(degraded: Pixels) -> Pixels:
    """OpenCV's, in 8 bits, its strength set to the noise that it finds (Buades, Coll and Morel, CVPR 2005)."""
    # 0.8 was the best of 0.6, 0.8, 1 and 1.2 times the level on training pictures, at levels 15, 25 and 50.
    strength = max(0.8 * _noise_level_255(degraded), 1.0)
    denoised = cv2.fastNlMeansDenoising(
        np.ascontiguousarray(to_8_bit(degraded)), None, h=strength, templateWindowSize=7, searchWindowSize=21
    )
    return from_8_bit(np.asarray(denoised, np.uint8).reshape(degraded.shape))


def _noise_level_255(degraded: Pixels) -> float:
    """Deviation of white noise in 8-bit units (Immerkaer, "Fast Noise Variance Estimation", CVIU 1996)."""
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return 255 * math.sqrt(math.pi / 2) / 6 * float(np.abs(cv2.filter2D(degraded, -1, mask)).mean())


def _median(degraded: Pixels) -> Pixels:
    return np.asarray(cv2.medianBlur(degraded, 5), np.float32).reshape(degraded.shape)


def _bilateral(degraded: Pixels) -> Pixels:
    return np.asarray(cv2.bilateralFilter(degraded, 9, 0.3, 5), np.float32).reshape(degraded.shape)


def _demosaic(mosaic: Pixels, cfa: str, method: str) -> Pixels:
    code: int = getattr(cv2, f"COLOR_Bayer{OPENCV_PATTERNS[cfa]}2RGB{method}")
    return from_8_bit(np.asarray(cv2.cvtColor(to_8_bit(mosaic.sum(axis=2)), code), np.uint8))


def _same_size(restore: Restore) -> Callable[[int, str], Restore]:
    return lambda scale, cfa: restore


def _demosaicker(method: str) -> Callable[[int, str], Restore]:
    return lambda scale, cfa: partial(_demosaic, cfa=cfa, method=method)


BASELINES = {
    "input": Baseline("the input itself", PICTURE, _same_size(_as_it_is)),
    "bicubic": Baseline("MATLAB's bicubic enlargement", SMALL, lambda scale, cfa: partial(_bicubic, scale=scale)),
    "opencv-nlm": Baseline("OpenCV's non-local means", PICTURE, _same_size(_non_local_means)),
    "opencv-median": Baseline("OpenCV's median of 5x5", PICTURE, _same_size(_median)),
    "opencv-bilateral": Baseline("OpenCV's bilateral filter", PICTURE, _same_size(_bilateral)),
    "opencv-bilinear": Baseline("OpenCV's bilinear demosaicing", MOSAIC, _demosaicker("")),
    "opencv-vng": Baseline("OpenCV's variable number of gradients", MOSAIC, _demosaicker("_VNG")),
    "opencv-ea": Baseline("OpenCV's edge-aware demosaicing", MOSAIC, _demosaicker("_EA")),
}
