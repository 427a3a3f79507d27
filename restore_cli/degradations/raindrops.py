"""Raindrops on the window or lens in front of the camera."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, pi, sinh
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.canvas import soften
from restore_cli.degradations.settings import check_settings
from restore_cli.errors import InputError

__all__ = ["Raindrops"]

LONGEST_PX = 32766  # of cv2.remap


@dataclass(frozen=True)
class Raindrops:
    """Drops on the glass: each is a small wide-angle lens that shows its surroundings upside down.

    What is seen through a point of a drop lies on the other side of the drop's centre and several radii
    away, the farther out the more (the refraction of a spherical cap; Roser and Geiger, "Video-based
    Raindrop Detection for Improved Image Registration", ICCV Workshops 2009). The camera is focused on
    the scene, so the drop itself is out of focus: its content is blurred and its edge soft (Qian et al.,
    "Attentive GAN for Raindrop Removal", CVPR 2018). Near the rim light is lost to reflection, above the
    centre the sky is mirrored.

    Args:
        radius_px: of the drops, drawn for each (small ones are more frequent).
        coverage: share of the picture that drops would cover if none overlapped, as (lowest, highest).
        view: how many radii away the drop's rim shows, as (lowest, highest).
        edge_px: width of a drop's soft edge, as (lowest, highest).
    """

    radius_px: tuple[float, float] = (4.0, 22.0)
    coverage: tuple[float, float] = (0.08, 0.3)
    view: tuple[float, float] = (3.0, 7.0)
    edge_px: tuple[float, float] = (1.0, 5.0)
    # Beyond the border drops see the picture mirrored, as likely a scene as any other.
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(self, radius_px=(1, 500), coverage=(0, 0.9), view=(0, 100), edge_px=(0.5, 100))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32 in [0, 1].

        Raises:
            InputError: a side is longer than OpenCV can map.
        """
        height, width = clean.shape[:2]
        if max(height, width) > LONGEST_PX:
            raise InputError(f"{width}x{height} pixels are too many for raindrops.", f"{LONGEST_PX} a side fit.")
        edge_px = rng.uniform(*self.edge_px)
        from_x, from_y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        opacity, shade, glint = (np.zeros((height, width), np.float32) for _ in range(3))
        for x, y, radius in self._places(height, width, rng):
            reach = ceil(1.6 * radius + edge_px)
            rows = slice(max(0, int(y) - reach), max(0, min(height, int(y) + reach + 1)))
            columns = slice(max(0, int(x) - reach), max(0, min(width, int(x) + reach + 1)))
            if rows.start >= rows.stop or columns.start >= columns.stop:
                continue
            across = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(x)
            down = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y)
            distance = _distance(across, down, radius, rng)
            inside = np.clip((1 - distance) * radius / edge_px + 0.5, 0, 1)
            inside *= inside * (3 - 2 * inside)
            nearer = inside > opacity[rows, columns]
            bend = rng.uniform(*self.view) * (0.4 + 0.6 * np.minimum(distance, 1) ** 2)
            np.copyto(from_x[rows, columns], x - across * bend, where=nearer)
            np.copyto(from_y[rows, columns], y - down * bend, where=nearer)
            np.copyto(opacity[rows, columns], inside, where=nearer)
            np.copyto(shade[rows, columns], 0.45 * np.minimum(distance, 1) ** 4, where=nearer)
            highlight = np.exp(-((across / radius + 0.25) ** 2 + (down / radius + 0.4) ** 2) / 0.03)
            np.copyto(glint[rows, columns], np.float32(rng.uniform(0, 0.5)) * highlight, where=nearer)
        seen = np.asarray(
            cv2.remap(clean, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32
        )
        seen = soften(seen.reshape(clean.shape), edge_px) * (1 - shade[:, :, None])
        seen += glint[:, :, None] * (1 - seen)
        dropped: NDArray[np.float32] = clean + opacity[:, :, None] * (seen - clean)
        return dropped

    def _places(self, height: int, width: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
        """x, y and radius of the drops, in pixels, also of those that reach in from outside."""
        small, large = self.radius_px
        # Numbers fall with the cube of the radius, as those of drops that grow by meeting each other do.
        border = 1.6 * large
        area = (height + 2 * border) * (width + 2 * border)
        octaves = log(large / small)
        mean_square = small * large * (octaves / sinh(octaves) if octaves else 1)
        count = rng.poisson(rng.uniform(*self.coverage) * area / (pi * mean_square))
        share = rng.random(count)
        radii = 1 / np.sqrt(share / large**2 + (1 - share) / small**2)
        x, y = rng.uniform(-border, width + border, count), rng.uniform(-border, height + border, count)
        return list(zip(x.tolist(), y.tolist(), radii.tolist(), strict=True))


def _distance(
    across: NDArray[np.float32], down: NDArray[np.float32], radius: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Distance from a drop's centre as a share of that of its uneven outline, which hangs down a little."""
    angle = np.arctan2(down, across)
    outline = np.ones_like(angle)
    for lobes in (2, 3):
        outline += np.float32(rng.uniform(0, 0.25 / lobes)) * np.cos(lobes * angle + np.float32(rng.uniform(0, 2 * pi)))
    outline += np.float32(rng.uniform(0, 0.2)) * np.sin(angle)
    distance: NDArray[np.float32] = np.hypot(across, down) / (np.float32(radius) * outline)
    return distance
