"""Pictures as bare arrays, what turns one into another, and their trip through 8 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pixels", "Restore", "from_8_bit", "to_8_bit"]

Pixels: TypeAlias = NDArray[np.float32]  # (H, W, C) in nominal [0, 1]
Restore: TypeAlias = Callable[[Pixels], Pixels]


def to_8_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """Clipped to [0, 1] and rounded half up, as files are written."""
    return np.asarray(np.floor(np.clip(pixels, 0, 1) * 255 + 0.5), np.uint8)


def from_8_bit(pixels: NDArray[np.uint8]) -> Pixels:
    """As files are read."""
    return np.asarray(pixels / np.float32(255), np.float32)
