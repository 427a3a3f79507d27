"""Bayer mosaics: one colour a pixel, as a sensor sees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import UsageError

__all__ = ["BAYER_PATTERNS", "mosaic_to_sparse_rgb"]

# The 2x2 cell read row by row: 0 red, 1 green, 2 blue.
BAYER_PATTERNS = {"rggb": (0, 1, 1, 2), "bggr": (2, 1, 1, 0), "grbg": (1, 0, 2, 1), "gbrg": (1, 2, 0, 1)}


def mosaic_to_sparse_rgb(mosaic: NDArray[np.float32], pattern: str = "rggb") -> NDArray[np.float32]:
    """(H, W) raw values -> (H, W, 3), each value in its own colour's channel and zeros elsewhere.

    Raises:
        UsageError: an unknown pattern.
    """
    if pattern not in BAYER_PATTERNS:
        raise UsageError(f"--cfa {pattern}: not a Bayer pattern.", f"One of {', '.join(BAYER_PATTERNS)}.")
    sparse = np.zeros((*mosaic.shape, 3), mosaic.dtype)
    for place, channel in enumerate(BAYER_PATTERNS[pattern]):
        row, column = divmod(place, 2)
        sparse[row::2, column::2, channel] = mosaic[row::2, column::2]
    return sparse
