"""What lies between camera and scene: the light of the air, and how it covers a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.canvas import smooth_field

__all__ = ["cover", "depth_field", "grey_light"]

SCENE_PX = 400


def cover(
    picture: NDArray[np.float32], opacity: NDArray[np.float32], light: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`picture` (H, W, C) behind something of `opacity` (H, W) in [0, 1] that shines with `light` (C,)."""
    result: NDArray[np.float32] = picture + opacity[:, :, None] * (light - picture)
    return result


def grey_light(brightness: tuple[float, float], rng: np.random.Generator, channels: int) -> NDArray[np.float32]:
    """Daylight under clouds, (C,): a brightness from a range and, in colour, a hint of blue or yellow."""
    light = np.full(channels, rng.uniform(*brightness))
    warmth = rng.uniform(-0.03, 0.02)
    if channels == 3:
        light *= 1 + warmth * np.array([1, 0, -1])
    clipped: NDArray[np.float32] = np.clip(light, 0, 1).astype(np.float32)
    return clipped


def depth_field(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Distances (H, W) like a landscape's, about 1 at most: near below, far above, uneven in between.

    A small picture is a piece, at a random height, of a scene that is `SCENE_PX` tall.
    """
    height = size[0]
    scene_px = max(SCENE_PX, height)
    top = rng.uniform(0, scene_px - height)
    horizon = rng.uniform(0.1, 0.5)
    below_horizon = (np.arange(height) + top) / scene_px - horizon
    # On flat ground distance falls with the reciprocal of the angle below the horizon.
    ground = 1 / (1 + 6 * np.maximum(below_horizon, 0))
    uneven = np.exp(0.35 * smooth_field(size, rng, SCENE_PX / 3) + 0.07 * smooth_field(size, rng, SCENE_PX / 12))
    depth: NDArray[np.float32] = (ground[:, None] * uneven).astype(np.float32)
    return depth
