"""A picture made ready for a file format: the kind of samples it holds, in a profile it can state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from restore_cli.io import colour, icc
from restore_cli.io.canvas import by_rows
from restore_cli.io.formats import OutputFormat
from restore_cli.io.image import Image

__all__ = ["fitted"]

_LIGHT = ("EXR", "HDR")
_NEVER_GREY, _NEVER_GREY_WITH_ALPHA = ("WEBP",), ("AVIF", "HEIF")


def fitted(image: Image, spec: OutputFormat, bit_depth: int) -> tuple[Image, tuple[float, ...]]:
    """The picture as the format holds it.

    OpenEXR and HDR hold light. Light that goes to whole numbers gets sRGB's curve. A profile becomes sRGB where the
    format has no place for it: in floats nothing is lost by that, in whole numbers what lies outside sRGB is.

    Args:
        image: what is to be written.
        spec: the format; `check_output_limits` has seen that it can hold the picture.
        bit_depth: of the file.

    Returns:
        The picture, its `icc_profile` the one to state, and the primaries and white of its light (for OpenEXR).
    """
    profile = image.icc_profile
    pixels = image.pixels
    chromaticities: tuple[float, ...] = icc.REC_709
    if spec.name == "EXR":
        pixels, chromaticities = colour.to_light(pixels, profile)
        profile = None
    elif spec.name in _LIGHT:
        pixels, profile = colour.to_light(colour.to_srgb(pixels, profile), None)[0], None
    elif not spec.profile:
        pixels, profile = colour.to_srgb(pixels, profile), None
    elif image.bit_depth == 32 > bit_depth:
        pixels, profile = colour.displayable(pixels, profile)
    never_grey = spec.name in _NEVER_GREY or (image.alpha is not None and spec.name in _NEVER_GREY_WITH_ALPHA)
    if image.is_grey and never_grey:
        pixels = by_rows(lambda rows: np.repeat(rows, 3, axis=2), colour.to_srgb(pixels, profile))
        profile = None if icc.profile_space(profile) == "GRAY" else profile
    return replace(image, pixels=pixels, icc_profile=profile), chromaticities
