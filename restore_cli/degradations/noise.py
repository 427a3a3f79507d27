"""Additive noise. The level is always in 8-bit units (`sigma_255`), the picture always in [0, 1].

Convention: the result is neither clipped nor rounded, as in the denoising papers. A camera or a PNG
would clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.settings import check_settings

__all__ = ["CorrelatedNoise", "GaussianNoise", "PoissonGaussianNoise"]


@dataclass(frozen=True)
class GaussianNoise:
    """White Gaussian noise, its level drawn uniformly from a range for each picture.

    Args:
        sigma_255: standard deviation in 8-bit units, as (lowest, highest).
    """

    sigma_255: tuple[float, float] = (25.0, 25.0)
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(self, sigma_255=(0, 255))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32, not clipped."""
        sigma = rng.uniform(*self.sigma_255) / 255
        noise = rng.standard_normal(clean.shape, dtype=np.float32)
        noisy: NDArray[np.float32] = clean + np.float32(sigma) * noise
        return noisy


@dataclass(frozen=True)
class PoissonGaussianNoise:
    """What a sensor adds: the chance of counting photons, stronger where it is bright, and the reading's.

    The variance at a value x is x / photons + (sigma_255 / 255)^2; Foi et al., "Practical
    Poissonian-Gaussian Noise Modeling and Fitting for Single-Image Raw-Data", TIP 2008.

    Args:
        photons: counted at white, as (lowest, highest); drawn evenly over its logarithm.
        sigma_255: standard deviation of the reading noise in 8-bit units, as (lowest, highest).
    """

    photons: tuple[float, float] = (30.0, 1000.0)
    sigma_255: tuple[float, float] = (0.0, 10.0)
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(self, photons=(1, 1e9), sigma_255=(0, 255))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32, not clipped."""
        photons = np.exp(rng.uniform(*np.log(self.photons)))
        counted = rng.poisson(np.clip(clean, 0, 1) * photons) / photons
        return GaussianNoise(self.sigma_255)(counted.astype(np.float32), rng)


@dataclass(frozen=True)
class CorrelatedNoise:
    """Gaussian noise whose grains are wider than a pixel, as demosaicking and resampling leave it.

    White noise through a Gaussian filter, brought back to its deviation; over pixels a distance d apart
    it correlates by exp(-d^2 / (4 grain_px^2)).

    Args:
        sigma_255: standard deviation of the result in 8-bit units, as (lowest, highest).
        grain_px: deviation of the filter, as (lowest, highest).
    """

    sigma_255: tuple[float, float] = (10.0, 40.0)
    grain_px: tuple[float, float] = (0.5, 1.5)
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(self, sigma_255=(0, 255), grain_px=(0.2, 50))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32, not clipped."""
        sigma, grain_px = rng.uniform(*self.sigma_255) / 255, rng.uniform(*self.grain_px)
        reach = ceil(4 * grain_px)
        height, width, channels = clean.shape
        # Wider than the picture by the filter's reach, so that the grain is the same up to the border.
        white = rng.standard_normal((height + 2 * reach, width + 2 * reach, channels), dtype=np.float32)
        profile = np.asarray(cv2.getGaussianKernel(2 * reach + 1, grain_px, cv2.CV_32F))
        profile = profile / np.linalg.norm(profile)
        grain = cv2.sepFilter2D(white, -1, profile, profile)[reach : reach + height, reach : reach + width]
        noisy: NDArray[np.float32] = clean + np.float32(sigma) * grain.reshape(clean.shape)
        return noisy
