"""Pictures that the metrics' tests share."""

from __future__ import annotations

import numpy as np


def pair(height=40, width=50, channels=3, noise=0.05, seed=0):
    """(restored, clean), both (H, W, C) float64 in [0, 1]."""
    rng = np.random.default_rng(seed)
    clean = rng.random((height, width, channels))
    return np.clip(clean + rng.normal(0, noise, clean.shape), 0, 1), clean
