"""Falling snow."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, pi
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.air import cover, grey_light
from restore_cli.degradations.canvas import portions, smooth_field, soften, splat
from restore_cli.degradations.settings import check_settings

__all__ = ["Snow"]

# Radius as a share of the largest flakes', and how much of the covered area is theirs.
SCALES = ((0.15, 0.25), (0.35, 0.35), (1.0, 0.4))
LUMPS = 9


@dataclass(frozen=True)
class Snow:
    """Flakes of three sizes, drawn out by their motion, over a thin veil.

    A flake is a clump of crystals, so it is drawn as a clump of soft spots; the large ones are near,
    out of focus and therefore softer and more translucent. As in Liu et al., "DesnowNet", TIP 2018, a
    mask of opacities blends the picture with the flakes' light, and small, medium and large flakes are
    laid over each other.

    Args:
        radius_px: of the largest flakes.
        coverage: share of the picture that flakes would cover if none overlapped.
        motion: how far a flake moves during the exposure, in its own radii.
        angle_deg: of the motion, from straight down; positive slants to the right.
        opacity: of the flakes.
        brightness: of the flakes.
        veil: opacity of the snow too far away to be seen singly.

    All are ranges, (lowest, highest), of which each picture draws one value.
    """

    radius_px: tuple[float, float] = (4.0, 9.0)
    coverage: tuple[float, float] = (0.06, 0.2)
    motion: tuple[float, float] = (0.5, 4.0)
    angle_deg: tuple[float, float] = (-50.0, 50.0)
    opacity: tuple[float, float] = (0.6, 0.95)
    brightness: tuple[float, float] = (0.85, 1.0)
    veil: tuple[float, float] = (0.0, 0.1)
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(
            self,
            radius_px=(0.5, 200),
            coverage=(0, 10),
            motion=(0, 100),
            angle_deg=(-180, 180),
            opacity=(0, 1),
            brightness=(0, 1),
            veil=(0, 1),
        )

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32 in [0, 1]."""
        size = clean.shape[:2]
        light = grey_light(self.brightness, rng, clean.shape[2])
        veil = rng.uniform(*self.veil) * (1 + 0.3 * np.clip(smooth_field(size, rng, 150), -2, 2))
        through = 1 - np.clip(veil, 0, 1)
        radius_px, coverage = rng.uniform(*self.radius_px), rng.uniform(*self.coverage)
        motion, opacity = rng.uniform(*self.motion), rng.uniform(*self.opacity)
        angle = np.deg2rad(rng.uniform(*self.angle_deg))
        for scale, share in SCALES:
            flakes = _flakes(size, rng, radius_px * scale, coverage * share, motion, angle)
            # Near flakes are out of focus: the same ice over a larger disc.
            through *= 1 - opacity * (1 - 0.4 * scale) * flakes
        return cover(clean, (1 - through).astype(np.float32), light)


def _flakes(
    size: tuple[int, int], rng: np.random.Generator, radius_px: float, coverage: float, motion: float, angle: float
) -> NDArray[np.float32]:
    """Opacity (H, W) in [0, 1] of the flakes of one size; those that start outside reach in."""
    border = radius_px * (motion + 3)
    height, width = (side + 2 * border for side in size)
    count = rng.poisson(coverage * height * width / (pi * radius_px**2))
    steps = np.linspace(-0.5, 0.5, max(1, ceil(2 * motion)))
    spots = np.zeros(size, np.float32)
    for some in portions(count, LUMPS * len(steps)):
        radii = radius_px * rng.uniform(0.6, 1.3, (some, 1, 1))
        lumps = 0.5 * radii * (rng.standard_normal((some, LUMPS, 2)) @ np.array([1, 1j]))[:, :, None]
        # Wind and tumbling: flakes of one gust do not quite fly parallel.
        headings = pi / 2 - angle + 0.15 * rng.standard_normal((some, 1, 1))
        centres = rng.uniform(0, width, (some, 1, 1)) + 1j * rng.uniform(0, height, (some, 1, 1)) - border * (1 + 1j)
        points = centres + lumps + radii * motion * np.exp(1j * headings) * steps
        shares = np.broadcast_to(pi * radii**2 / (LUMPS * len(steps)), points.shape)
        spots += splat(points.real, points.imag, shares, size)
    opacity: NDArray[np.float32] = 1 - np.exp(-2 * soften(spots, max(0.45 * radius_px, 0.3)))
    return opacity
