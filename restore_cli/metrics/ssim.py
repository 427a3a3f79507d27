"""Structural similarity as the MATLAB code of the papers computes it, and three variants that differ."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.metrics.check import check_pair

__all__ = ["UNIFORM_PX", "WINDOW_PX", "ssim", "ssim_downsampled", "ssim_uniform", "ssim_volume"]

WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5
UNIFORM_PX = 7
VIEWED_PX = 256  # what Wang's program reduces the shorter side towards


def ssim(restored: NDArray, reference: NDArray, peak: float = 1.0) -> float:
    """Mean SSIM in [-1, 1]; channels are scored alone and averaged.

    Convention: Wang et al., TIP 2004: Gaussian window of 11x11, sigma 1.5; K1 = 0.01, K2 = 0.03;
    population (co)variances; only windows that lie inside the picture; float64.
    Differs from: their full program, which first reduces large pictures (`ssim_downsampled`; the SR
    papers do not), scikit-image's defaults (`ssim_uniform`), and MATLAB's own ssim (`ssim_volume`).

    Args:
        restored, reference: (H, W) or (H, W, C), floating, at least 11 pixels each way.
        peak: the largest value of their units: 1, or 255.

    Raises:
        ValueError: shapes differ, a side is under 11 pixels, or a value is not a number.
    """
    first, second = _checked(restored, reference, WINDOW_PX)
    return _mean_over_channels(first, second, peak, _gaussian)


def ssim_downsampled(restored: NDArray, reference: NDArray, peak: float = 1.0) -> float:
    """Mean SSIM in [-1, 1] of the pictures reduced to about 256 pixels; channels are scored alone and averaged.

    Convention: Wang's full program (ssim.m of 2009 and after): both pictures are averaged over f x f
    pixels, edges mirrored, and every f-th is kept, with f = max(1, round(shorter side / 256)); then
    as `ssim`. piq's default is alike. For a shorter side under 384 pixels nothing is reduced.
    Differs from: `ssim`, which is lower for noise and other fine errors.

    Args and errors as those of `ssim`.
    """
    first, second = _checked(restored, reference, WINDOW_PX)
    # MATLAB rounds halves up.
    factor = max(1, int(min(first.shape[:2]) / VIEWED_PX + 0.5))
    if factor > 1:
        first, second = (_reduced(picture, factor) for picture in (first, second))
    return _mean_over_channels(first, second, peak, _gaussian)


def ssim_uniform(restored: NDArray, reference: NDArray, peak: float = 1.0) -> float:
    """Mean SSIM in [-1, 1] over uniform windows; channels are scored alone and averaged.

    Convention: scikit-image's defaults (`structural_similarity` with `data_range` and `channel_axis`):
    7x7 uniform window, sample (co)variances, which divide by 48 and not 49; only windows inside the picture.
    Differs from: `ssim`, which papers mean.

    Args:
        restored, reference: (H, W) or (H, W, C), floating, at least 7 pixels each way.
        peak: the largest value of their units: 1, or 255.

    Raises:
        ValueError: shapes differ, a side is under 7 pixels, or a value is not a number.
    """
    first, second = _checked(restored, reference, UNIFORM_PX)
    count = UNIFORM_PX**2
    return _mean_over_channels(first, second, peak, _uniform, sample=count / (count - 1))


def ssim_volume(restored: NDArray, reference: NDArray, peak: float = 1.0) -> float:
    """Mean SSIM in [-1, 1] of pictures taken for volumes, whose third axis is the colours.

    Convention: MATLAB's function ssim (R2014a and after) given RGB, as MPRNet and Restormer call it for
    GoPro and HIDE, and its port in HINet and NAFNet: Gaussian window of 11x11x11, sigma 1.5, edges
    repeated, also those of the colours; mean over the whole picture.
    Differs from: `ssim`, which takes each channel alone, and windows inside the picture only.

    Args and errors as those of `ssim`.
    """
    first, second = _checked(restored, reference, WINDOW_PX)
    return _similarity(first, second, peak, _volume)


_Plane = NDArray[np.float64]
_Window = Callable[[_Plane], _Plane]


def _checked(restored: NDArray, reference: NDArray, least_px: int) -> tuple[_Plane, _Plane]:
    check_pair(restored, reference)
    if min(restored.shape[:2]) < least_px:
        raise ValueError(f"SSIM needs {least_px} pixels each way, found {restored.shape[:2]}")
    return np.atleast_3d(restored).astype(np.float64), np.atleast_3d(reference).astype(np.float64)


def _mean_over_channels(first: _Plane, second: _Plane, peak: float, windowed: _Window, sample: float = 1.0) -> float:
    channels = range(first.shape[2])
    return float(np.mean([_similarity(first[:, :, c], second[:, :, c], peak, windowed, sample) for c in channels]))


def _similarity(x: _Plane, y: _Plane, peak: float, windowed: _Window, sample: float = 1.0) -> float:
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = windowed(x), windowed(y)
    variance_x = sample * (windowed(x * x) - mean_x**2)
    variance_y = sample * (windowed(y * y) - mean_y**2)
    covariance = sample * (windowed(x * y) - mean_x * mean_y)
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return float(similarity.mean())


def _gaussian(picture: _Plane) -> _Plane:
    kernel = cv2.getGaussianKernel(WINDOW_PX, WINDOW_SIGMA_PX, cv2.CV_64F)
    return _inside(cv2.sepFilter2D(picture, cv2.CV_64F, kernel, kernel), WINDOW_PX)


def _volume(picture: _Plane) -> _Plane:
    kernel = cv2.getGaussianKernel(WINDOW_PX, WINDOW_SIGMA_PX, cv2.CV_64F)
    blurred = cv2.sepFilter2D(picture, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    planes = np.atleast_3d(np.asarray(blurred, np.float64))
    # Which channel each tap of the window falls on, for each channel in its middle.
    last, reach = planes.shape[2] - 1, WINDOW_PX // 2
    mixing = np.zeros((last + 1, last + 1))
    for channel in range(last + 1):
        for step in range(-reach, reach + 1):
            mixing[min(max(channel + step, 0), last), channel] += kernel[step + reach, 0]
    mixed: _Plane = planes @ mixing
    return mixed


def _uniform(picture: _Plane) -> _Plane:
    return _inside(cv2.blur(picture, (UNIFORM_PX, UNIFORM_PX)), UNIFORM_PX)


def _inside(filtered: object, window_px: int) -> _Plane:
    border = window_px // 2
    return np.asarray(filtered, np.float64)[border:-border, border:-border]


def _reduced(picture: _Plane, factor: int) -> _Plane:
    # MATLAB's imfilter puts the origin of an even window left of its middle, OpenCV right of it.
    anchor = ((factor - 1) // 2, (factor - 1) // 2)
    averaged = cv2.blur(picture, (factor, factor), anchor=anchor, borderType=cv2.BORDER_REFLECT)
    return np.atleast_3d(np.asarray(averaged, np.float64))[::factor, ::factor]
