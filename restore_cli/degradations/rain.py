"""Rain streaks: drops that fall during the exposure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.air import cover, grey_light
from restore_cli.degradations.canvas import portions, smooth_field, soften, splat
from restore_cli.degradations.fog import Fog
from restore_cli.degradations.settings import check_settings

__all__ = ["Rain", "RainFog"]

DISTANCES = (1.0, 1.6, 2.5, 4.0)
LONGEST = 1.2  # streak of a layer, to its mean


@dataclass(frozen=True)
class Rain:
    """Streaks in four layers of distance, over a thin veil of drops too far to be seen singly.

    A falling drop shows the light of the whole sky: it covers what is behind it for a part of the
    exposure and is as a rule brighter (Garg and Nayar, "Vision and Rain", IJCV 2007). At a distance z
    streaks are z times shorter and thinner and z^2 times as many, as drops fill space evenly; one that is
    thinner than a pixel is fainter instead. Drops oscillate, which mottles their streaks (Garg and Nayar,
    "Photorealistic Rendering of Rain Streaks", SIGGRAPH 2006). Layers and veil combine as in Li, Cheong
    and Tan, "Heavy Rain Image Restoration", CVPR 2019.

    Args:
        length_px: of the nearest streaks.
        width_px: of the nearest streaks.
        angle_deg: from straight down; positive slants to the right.
        density: streaks that start in 100x100 pixels, all layers together.
        opacity: share of the light that a streak a pixel wide takes away and replaces.
        brightness: of the streaks.
        haze: opacity of the veil.

    All are ranges, (lowest, highest), of which each picture draws one value.
    """

    length_px: tuple[float, float] = (25.0, 70.0)
    width_px: tuple[float, float] = (1.5, 3.0)
    angle_deg: tuple[float, float] = (-35.0, 35.0)
    density: tuple[float, float] = (60.0, 260.0)
    opacity: tuple[float, float] = (0.4, 0.8)
    brightness: tuple[float, float] = (0.8, 1.0)
    haze: tuple[float, float] = (0.0, 0.08)
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(
            self,
            length_px=(0, 1000),
            width_px=(0.1, 100),
            angle_deg=(-90, 90),
            density=(0, 10000),
            opacity=(0, 1),
            brightness=(0, 1),
            haze=(0, 1),
        )

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32 in [0, 1]."""
        size = clean.shape[:2]
        light = grey_light(self.brightness, rng, clean.shape[2])
        haze = rng.uniform(*self.haze) * (1 + 0.3 * np.clip(smooth_field(size, rng, 150), -2, 2))
        through = 1 - np.clip(haze, 0, 1)
        for layer in self._layers(size, rng):
            through *= 1 - layer
        return cover(clean, (1 - through).astype(np.float32), light)

    def _layers(self, size: tuple[int, int], rng: np.random.Generator) -> list[NDArray[np.float32]]:
        """Opacity of the streaks at each distance."""
        length_px, width_px = rng.uniform(*self.length_px), rng.uniform(*self.width_px)
        angle = np.deg2rad(rng.uniform(*self.angle_deg))
        density, opacity = rng.uniform(*self.density), rng.uniform(*self.opacity)
        crowds = np.array(DISTANCES) ** 2 / sum(distance**2 for distance in DISTANCES)
        return [
            _streaks(size, rng, length_px / distance, width_px / distance, angle, density * crowd, opacity)
            for distance, crowd in zip(DISTANCES, crowds, strict=True)
        ]


@dataclass(frozen=True)
class RainFog(Rain):
    """Heavy rain: streaks, and over them the fog that its finest drops make; O = T (I + S) + (1 - T) A.

    Source: Li, Cheong and Tan, "Heavy Rain Image Restoration", CVPR 2019.

    Args:
        fog_density: see `Fog`.
        airlight: see `Fog`.

    The others are those of `Rain`.
    """

    density: tuple[float, float] = (20.0, 100.0)
    fog_density: tuple[float, float] = (0.15, 0.6)
    airlight: tuple[float, float] = (0.7, 0.95)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_settings(self, fog_density=(0, 20), airlight=(0, 1))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32 in [0, 1]."""
        return Fog(self.fog_density, self.airlight)(super().__call__(clean, rng), rng)


def _streaks(
    size: tuple[int, int],
    rng: np.random.Generator,
    length_px: float,
    width_px: float,
    angle: float,
    density: float,
    opacity: float,
) -> NDArray[np.float32]:
    """Opacity (H, W) of one layer of streaks; those that start outside reach in."""
    height, width = (side + 2 * length_px for side in size)
    count = rng.poisson(density * height * width / 1e4)
    # Points half a pixel apart, so that no gaps show.
    along = np.linspace(0, 1, max(2, ceil(2 * LONGEST * length_px)))
    taper = 1 - (2 * along - 1) ** 4
    lines = np.zeros(size, np.float32)
    for some in portions(count, len(along)):
        lengths = length_px * rng.uniform(0.6, LONGEST, (some, 1))
        angles = angle + np.deg2rad(2) * rng.standard_normal((some, 1))
        strengths = opacity * rng.uniform(0.3, 1.0, (some, 1))
        x = rng.uniform(-length_px, width - length_px, (some, 1)) + lengths * np.sin(angles) * along
        y = rng.uniform(-length_px, height - length_px, (some, 1)) + lengths * np.cos(angles) * along
        mottle = 1 + 0.35 * np.sin(along * rng.uniform(5, 25, (some, 1)) + rng.uniform(0, 2 * pi, (some, 1)))
        lines += splat(x, y, strengths * width_px * lengths / len(along) * taper * mottle, size)
    sigma_px = width_px / 2.5
    return np.minimum(soften(lines, sigma_px) if sigma_px > 0.3 else lines, opacity)
