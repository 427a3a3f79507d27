"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from restore_cli.metrics.check import check_pair

__all__ = ["psnr"]


def psnr(restored: NDArray, reference: NDArray, peak: float = 1.0) -> float:
    """In dB, over all pixels and channels together; infinite for identical pictures.

    Args:
        restored, reference: (H, W) or (H, W, C), floating, in the same units.
        peak: the largest value of those units: 1, or 255.

    Raises:
        ValueError: shapes differ, or a value is not a number.
    """
    check_pair(restored, reference)
    difference = restored.astype(np.float64) - reference.astype(np.float64)
    mean_square = float(np.mean(np.square(difference)))
    return math.inf if mean_square == 0 else 10 * math.log10(peak**2 / mean_square)
