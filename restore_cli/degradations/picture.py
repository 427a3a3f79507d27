"""A degradation applied to a picture as files hold it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from restore_cli.degradations.recipes import Degradation, makes_mosaic
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.io.image import Image

__all__ = ["degrade_image"]


def degrade_image(image: Image, degradation: Degradation, rng: np.random.Generator) -> Image:
    """`image` degraded, with 8 bits a sample; what else it carries stays.

    A mosaic becomes one channel, as `restore demosaic` reads it; profile and transparency mean nothing
    there and are left out.

    Args:
        image: what lies outside [0, 1] is clipped first.
        degradation: from `read_degradation`.
        rng: all chance comes from it, see `generator_for`.
    """
    pixels = degradation(np.clip(image.pixels, 0, 1), rng)
    if makes_mosaic(degradation):
        raw = pixels.sum(axis=2, keepdims=True)
        return replace(image, pixels=raw, alpha=None, icc_profile=None, bit_depth=8)
    alpha = image.alpha
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        alpha = np.clip(resize_bicubic(alpha, (pixels.shape[0], pixels.shape[1])), 0, 1)
    return replace(image, pixels=pixels, alpha=alpha, bit_depth=8)
