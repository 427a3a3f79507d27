"""Structural similarity as the MATLAB code of the papers computes it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.metrics.check import check_pair

__all__ = ["ssim"]

WINDOW_PX = 11
WINDOW_SIGMA_PX = 1.5


def ssim(restored: NDArray, reference: NDArray, peak: float = 1.0) -> float:
    """Mean SSIM in [-1, 1]; channels are scored alone and averaged.

    Convention: Wang et al., TIP 2004: Gaussian window of 11x11, sigma 1.5; K1 = 0.01, K2 = 0.03;
    population (co)variances; only windows that lie inside the picture; float64.
    Differs from: their full program, which first halves large pictures (the SR papers do not), and
    scikit-image's defaults (7x7 uniform window, sample covariance).

    Args:
        restored, reference: (H, W) or (H, W, C), floating, at least 11 pixels each way.
        peak: the largest value of their units: 1, or 255.

    Raises:
        ValueError: shapes differ, a side is under 11 pixels, or a value is not a number.
    """
    check_pair(restored, reference)
    if min(restored.shape[:2]) < WINDOW_PX:
        raise ValueError(f"SSIM needs {WINDOW_PX} pixels each way, found {restored.shape[:2]}")
    first, second = (np.atleast_3d(picture).astype(np.float64) for picture in (restored, reference))
    scores = [_ssim_channel(first[:, :, c], second[:, :, c], peak) for c in range(first.shape[2])]
    return float(np.mean(scores))


def _ssim_channel(x: NDArray[np.float64], y: NDArray[np.float64], peak: float) -> float:
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    variance_x = _windowed(x * x) - mean_x**2
    variance_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    similarity = ((2 * mean_x * mean_y + c1) * (2 * covariance + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    )
    return float(similarity.mean())


def _windowed(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel = cv2.getGaussianKernel(WINDOW_PX, WINDOW_SIGMA_PX, cv2.CV_64F)
    inside = WINDOW_PX // 2
    filtered = np.asarray(cv2.sepFilter2D(picture, cv2.CV_64F, kernel, kernel), np.float64)
    return filtered[inside:-inside, inside:-inside]
