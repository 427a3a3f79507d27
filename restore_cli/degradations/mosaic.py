"""Bayer mosaics: one colour a pixel, as a sensor sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.settings import check_settings
from restore_cli.errors import RecipeError, UsageError

__all__ = ["BAYER_PATTERNS", "Mosaic", "mosaic_to_sparse_rgb"]

# The 2x2 cell read row by row: 0 red, 1 green, 2 blue.
BAYER_PATTERNS = {"rggb": (0, 1, 1, 2), "bggr": (2, 1, 1, 0), "grbg": (1, 0, 2, 1), "gbrg": (1, 2, 0, 1)}


@dataclass(frozen=True)
class Mosaic:
    """What a Bayer sensor keeps of a picture: one value a pixel, with the sensor's noise if any.

    Args:
        patterns: keys of `BAYER_PATTERNS`; one is drawn for each picture.
        sigma_255: standard deviation of white Gaussian noise in 8-bit units, as (lowest, highest).
    """

    patterns: tuple[str, ...] = ("rggb",)
    sigma_255: tuple[float, float] = (0.0, 0.0)
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        unknown = [pattern for pattern in self.patterns if pattern not in BAYER_PATTERNS]
        if unknown or not self.patterns:
            raise RecipeError(f"Mosaic: patterns = {list(self.patterns)}.", f"Some of {', '.join(BAYER_PATTERNS)}.")
        check_settings(self, sigma_255=(0, 255))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, 1 or 3) float32 in [0, 1] -> (H, W, 3): values in their colour's channel, else zeros."""
        pattern = self.patterns[int(rng.integers(len(self.patterns)))]
        noisy = GaussianNoise(self.sigma_255)(clean, rng) if max(self.sigma_255) > 0 else clean
        colours = np.broadcast_to(noisy, (*noisy.shape[:2], 3))
        mosaic = np.empty(noisy.shape[:2], np.float32)
        for place, channel in enumerate(BAYER_PATTERNS[pattern]):
            row, column = divmod(place, 2)
            mosaic[row::2, column::2] = colours[row::2, column::2, channel]
        return mosaic_to_sparse_rgb(mosaic, pattern)


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
