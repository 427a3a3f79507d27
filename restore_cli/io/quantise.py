"""From floats to the whole numbers a file holds: clamped, rounded, dithered where depth is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.io.image import FloatArray

__all__ = ["dithered", "quantise"]

_SPARED = 0.01  # of a level: what is this close to one becomes it, so that 8 bits in 16 come back untouched


def quantise(values: NDArray[np.float32], bit_depth: int) -> NDArray[Any]:
    """Samples as the file holds them: whole numbers clamped and rounded half up, 32-bit floats as they are.

    Returns:
        uint8 for 8 bits, uint16 (up to 2**bit_depth - 1) for 9 to 16, float32 for 32.
    """
    if bit_depth == 32:
        return values.astype(np.float32, copy=False)
    peak = 2**bit_depth - 1
    levels = np.clip(values, 0, 1) * np.float32(peak)
    levels += np.float32(0.5)
    samples: NDArray[Any] = levels.astype(np.uint8 if bit_depth == 8 else np.uint16)
    return samples


def dithered(colours: FloatArray, first_row: int = 0) -> NDArray[np.uint8]:
    """(H, W, C) as 8 bits, up or down by a pattern so that the mean over a few pixels is right: no bands.

    One threshold a pixel for all its channels: grey stays grey. No random numbers: the same picture gives the
    same file. A sample that is a level already keeps it. The pattern is interleaved gradient noise (Jimenez, Next
    Generation Post Processing in Call of Duty: Advanced Warfare, SIGGRAPH 2014), whose 3x3 neighbourhoods hold all
    thresholds evenly; a part of a picture gets its part of the pattern by `first_row`.
    """
    height, width = colours.shape[:2]
    across, down = np.arange(width) * 0.06711056, (np.arange(height) + first_row) * 0.00583715
    samples = np.empty(colours.shape, np.uint8)
    for row in range(height):  # by rows, or the thresholds in double precision would outweigh the picture
        noise = np.modf(52.9829189 * np.modf(across + down[row])[0])[0]
        thresholds = (_SPARED + (1 - 2 * _SPARED) * noise).astype(np.float32)
        samples[row] = np.clip(colours[row], 0, 1) * np.float32(255) + thresholds[:, None]
    return samples
