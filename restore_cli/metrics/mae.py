"""Mean absolute error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from restore_cli.metrics.check import check_pair

__all__ = ["mae"]


def mae(restored: NDArray, reference: NDArray) -> float:
    """Mean over all pixels and channels of |restored - reference|, in the pictures' own units.

    Convention: pictures in [0, 1], as in the tables of the defocus papers (DPDNet, Abuolaim & Brown,
    ECCV 2020, and after: 0.024 and the like).
    Differs from: the same in 8-bit values, 255 times as large.

    Raises:
        ValueError: shapes differ, or a value is not a number.
    """
    check_pair(restored, reference)
    return float(np.mean(np.abs(restored.astype(np.float64) - reference.astype(np.float64))))
