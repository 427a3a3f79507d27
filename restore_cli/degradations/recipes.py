"""The degradations a recipe can name, and what they have in common."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.resize import Bicubic

__all__ = ["DEGRADATIONS", "Degradation"]


class Degradation(Protocol):
    """Turns a clean picture into a degraded one; all chance comes from the generator it is given.

    Attributes:
        margin_px: degraded pixels at the border that depend on what lies outside the picture.
    """

    margin_px: ClassVar[int]

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> (H/scale, W/scale, C) float32."""
        ...


DEGRADATIONS: dict[str, type[Any]] = {"bicubic": Bicubic, "gaussian-noise": GaussianNoise}
