"""What every metric of two pictures asks of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_pair"]


def check_pair(restored: NDArray, reference: NDArray) -> None:
    """Raises ValueError for shapes that differ, no pixels, integer types, or values that are not numbers."""
    if restored.shape != reference.shape:
        raise ValueError(f"shapes differ: restored {restored.shape}, reference {reference.shape}")
    if restored.ndim not in (2, 3) or restored.size == 0:
        raise ValueError(f"expected (H, W) or (H, W, C) with pixels, found {restored.shape}")
    for name, picture in (("restored", restored), ("reference", reference)):
        if not np.issubdtype(picture.dtype, np.floating):
            raise ValueError(f"{name} is {picture.dtype}; convert to floating units first")
        if not np.isfinite(picture).all():
            raise ValueError(f"{name} holds values that are not numbers")
