"""A picture made ready for a file format: the kind of samples it holds, in a profile it can state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from restore_cli.io import colour, icc
from restore_cli.io.formats import OutputFormat
from restore_cli.io.image import FloatArray, Image

__all__ = ["Fitting", "fitting"]

_LIGHT = ("EXR", "HDR")
_NEVER_GREY, _NEVER_GREY_WITH_ALPHA = ("WEBP",), ("AVIF", "HEIF")


@dataclass(frozen=True)
class Fitting:
    """How a format holds a picture.

    Attributes:
        convert: some rows of its colours, (H, W, C) float32, as the format holds them.
        channels: of what `convert` returns.
        icc_profile: the one to state.
        chromaticities: of the primaries and the white of its light (for OpenEXR).
    """

    convert: Callable[[FloatArray], FloatArray]
    channels: int
    icc_profile: bytes | None
    chromaticities: tuple[float, ...] = icc.REC_709


def fitting(image: Image, spec: OutputFormat, bit_depth: int) -> Fitting:
    """What is done to a picture's rows on their way into a file, and what the file says of them.

    OpenEXR and HDR hold light. Light that goes to whole numbers gets sRGB's curve. A profile becomes sRGB where the
    format has no place for it: in floats nothing is lost by that, in whole numbers what lies outside sRGB is.

    Args:
        image: what is to be written.
        spec: the format; `check_output_limits` has seen that it can hold the picture.
        bit_depth: of the file.
    """
    own, nothing = image.icc_profile, image.pixels[:0]  # of which alone is asked what becomes of the profile
    channels = nothing.shape[2]
    if spec.name == "EXR":
        return Fitting(lambda rows: colour.to_light(rows, own)[0], channels, None, colour.to_light(nothing, own)[1])
    if spec.name in _LIGHT:
        return Fitting(lambda rows: colour.to_light(colour.to_srgb(rows, own), None)[0], channels, None)

    convert: Callable[[FloatArray], FloatArray]
    if not spec.profile:
        convert, stated = lambda rows: colour.to_srgb(rows, own), None
    elif image.bit_depth == 32 > bit_depth:
        convert, stated = lambda rows: colour.displayable(rows, own)[0], colour.displayable(nothing, own)[1]
    else:
        convert, stated = lambda rows: rows, own
    never_grey = spec.name in _NEVER_GREY or (image.alpha is not None and spec.name in _NEVER_GREY_WITH_ALPHA)
    if not (image.is_grey and never_grey):
        return Fitting(convert, channels, stated)
    of_grey = icc.profile_space(stated) == "GRAY"
    return Fitting(
        lambda rows: np.repeat(colour.to_srgb(convert(rows), stated), 3, axis=2), 3, None if of_grey else stated
    )
