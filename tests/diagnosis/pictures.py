"""Pictures without noise or compression, made here: edges of every direction, slopes and some texture."""

from __future__ import annotations

import functools

import numpy as np

from restore_cli.io.image import Image


@functools.cache
def scene(height=320, width=400, channels=3):
    """(H, W, C) float32 in 0 to 255: discs of all brightnesses, some of them textured, over a slope. Read only."""
    rng = np.random.default_rng(0)
    fine = 3  # drawn larger and reduced, as a lens and a sensor do
    rows, columns = np.mgrid[: height * fine, : width * fine].astype(np.float32) / fine
    picture = np.stack([60 + 80 * rows / height + 30 * columns / width * (c + 1) / 3 for c in range(channels)], axis=2)
    for _ in range(90):
        y, x, radius = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(6, 40)
        around = tuple(slice(max(0, int(fine * (c - radius))), int(fine * (c + radius)) + 1) for c in (y, x))
        down, across = rows[around], columns[around]
        inside = (down - y) ** 2 + (across - x) ** 2 < radius**2
        texture = 12 * np.sin((down + across * rng.uniform(-1, 1)) * rng.uniform(0.4, 1.2)) * (rng.random() < 0.3)
        colour = rng.uniform(30, 220, channels).astype(np.float32)
        picture[around] = np.where(inside[:, :, None], colour + texture[:, :, None], picture[around])
    small = picture.reshape(height, fine, width, fine, channels).mean(axis=(1, 3))
    clean = np.clip(small, 0, 255).astype(np.float32)
    clean.flags.writeable = False
    return clean


def rounded(pixels):
    """As 8 bits hold them."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.float32)


def noisy(pixels, sigma_255, seed=1):
    return pixels + sigma_255 * np.random.default_rng(seed).standard_normal(pixels.shape).astype(np.float32)


def image(pixels, bit_depth=8, **facts):
    return Image((pixels / 255).astype(np.float32), facts.pop("alpha", None), bit_depth, "PNG", "RGB", **facts)
