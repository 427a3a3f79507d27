"""A degradation applied to a picture as files hold it.

Degradations know samples as they are displayed. Those of light (HDR, EXR) get sRGB's curve; any other curve is near
enough, and keeps what sRGB has no colours for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from restore_cli.degradations.mosaic import BAYER_PATTERNS, mosaic_to_sparse_rgb
from restore_cli.degradations.recipes import Degradation, makes_mosaic
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.io.colour import displayable, to_srgb
from restore_cli.io.image import FloatArray, Image

__all__ = ["Degraded", "degrade_image"]


@dataclass(frozen=True)
class Degraded:
    """A degraded picture, and of a mosaic its Bayer pattern, which the picture itself does not tell."""

    image: Image
    cfa: str | None = None


def degrade_image(image: Image, degradation: Degradation, rng: np.random.Generator) -> Degraded:
    """`image` with 8 bits a sample; what else it carries stays.

    A mosaic becomes one channel, as `restore demosaic` reads it; profile and transparency mean nothing
    there and are left out.

    Args:
        image: what lies outside [0, 1] is clipped first.
        degradation: from `read_degradation`.
        rng: all chance comes from it, see `generator_for`.
    """
    shown, icc_profile = displayable(image.pixels, image.icc_profile)
    if makes_mosaic(degradation):
        # What restores it will say nothing of a profile.
        pixels = degradation(np.clip(to_srgb(shown, icc_profile), 0, 1), rng)
        raw = pixels.sum(axis=2, keepdims=True)
        cfa = next(each for each in BAYER_PATTERNS if _has_pattern(pixels, raw[:, :, 0], each))
        return Degraded(replace(image, pixels=raw, alpha=None, icc_profile=None, bit_depth=8), cfa)
    pixels = degradation(np.clip(shown, 0, 1), rng)
    alpha = image.alpha
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        alpha = np.clip(resize_bicubic(alpha, (pixels.shape[0], pixels.shape[1])), 0, 1)
    return Degraded(replace(image, pixels=pixels, alpha=alpha, icc_profile=icc_profile, bit_depth=8))


def _has_pattern(sparse: FloatArray, raw: FloatArray, pattern: str) -> bool:
    # Pictures of light may hold what is no number.
    return np.array_equal(mosaic_to_sparse_rgb(raw, pattern), sparse, equal_nan=True)
