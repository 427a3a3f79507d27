"""Fog: the farther a thing, the more of it is replaced by the light of the air."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.air import cover, depth_field, grey_light
from restore_cli.degradations.settings import check_settings

__all__ = ["Fog"]


@dataclass(frozen=True)
class Fog:
    """Koschmieder's law: a share exp(-density * depth) of the picture comes through, the rest is airlight.

    Sources: Koschmieder 1924; Narasimhan and Nayar, "Vision and the Atmosphere", IJCV 2002. The depth is
    a random field like a landscape's (near below, far above), since a picture does not tell its own.
    The blend is made on display values, as in the dehazing literature.

    Args:
        density: optical depth of the far end of the scene, as (lowest, highest).
        airlight: brightness of the air, as (lowest, highest).
    """

    density: tuple[float, float] = (0.4, 1.4)
    airlight: tuple[float, float] = (0.7, 0.95)
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(self, density=(0, 20), airlight=(0, 1))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32 in [0, 1]."""
        opacity = 1 - np.exp(-np.float32(rng.uniform(*self.density)) * depth_field(clean.shape[:2], rng))
        return cover(clean, opacity, grey_light(self.airlight, rng, clean.shape[2]))
