"""Luma, in the conventions that papers and tools score in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["luma_full", "luma_limited", "luma_rounded"]


def luma_limited(rgb: NDArray) -> NDArray[np.float64]:
    """Y of BT.601 in limited range: (H, W, 3) or (H, W, 1) in [0, 1] -> (H, W) in [16/255, 235/255].

    Convention: MATLAB's rgb2ycbcr, without its rounding to 8 bits. A grey picture counts as RGB with
    three equal channels, as in the Python tools that read every file as colour (BasicSR, SwinIR):
    Set14 holds one, and on the full range its PSNR would be 1.32 dB lower and the set's mean 0.09.
    Differs from: full-range Y, whose PSNR is 1.32 dB lower for the same pictures, and `luma_rounded`.
    """
    return (_weighted(rgb, (65.481, 128.553, 24.966)) + 16) / 255


def luma_rounded(rgb: NDArray) -> NDArray[np.float64]:
    """`luma_limited` rounded to 8 bits: (H, W, 3) or (H, W, 1) in [0, 1] -> (H, W) in [16/255, 235/255].

    Convention: MATLAB's rgb2ycbcr of an 8-bit picture, in the scripts that score deraining (MPRNet,
    Restormer) and super-resolution before Python.
    Differs from: `luma_limited`, by nothing one sees at 30 dB, and by 0.1 dB and more above 40.
    """
    rounded: NDArray[np.float64] = np.floor(luma_limited(rgb) * 255 + 0.5) / 255
    return rounded


def luma_full(rgb: NDArray) -> NDArray[np.float64]:
    """Y of BT.601 in full range: (H, W, 3) or (H, W, 1) in [0, 1] -> (H, W) in [0, 1].

    Convention: 0.299 R + 0.587 G + 0.114 B, as in JPEG (JFIF), in OpenCV's and Pillow's conversions to
    grey, and in pyiqa's 'psnry'. A grey picture is its own luma.
    Differs from: limited-range Y, whose PSNR is 1.32 dB higher for the same pictures.
    """
    return _weighted(rgb, (0.299, 0.587, 0.114))


def _weighted(rgb: NDArray, weights: tuple[float, float, float]) -> NDArray[np.float64]:
    picture = np.broadcast_to(np.asarray(rgb, np.float64), (*rgb.shape[:2], 3))
    luma: NDArray[np.float64] = picture @ np.array(weights)
    return luma
