"""Additive noise. The level is always in 8-bit units (`sigma_255`), the picture always in [0, 1]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["GaussianNoise"]


@dataclass(frozen=True)
class GaussianNoise:
    """White Gaussian noise, its level drawn uniformly from a range for each picture.

    Convention: neither clipped nor rounded, as in the denoising papers. A camera or a PNG would clip.

    Args:
        sigma_255: standard deviation in 8-bit units, as (lowest, highest).
    """

    sigma_255: tuple[float, float]
    margin_px: ClassVar[int] = 0

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32, not clipped."""
        sigma = rng.uniform(*self.sigma_255) / 255
        noise = rng.standard_normal(clean.shape, dtype=np.float32)
        noisy: NDArray[np.float32] = clean + np.float32(sigma) * noise
        return noisy
