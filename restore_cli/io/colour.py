"""Colour profiles: to what networks know and back, and where a picture cannot keep its own.

Networks know sRGB. A picture of another profile of primaries and curves (see `icc`) becomes sRGB for them, in
floats that reach below 0 and above 1 where its gamut is the wider one, and goes back afterwards: nothing is
clipped. Profiles made of tables stay as they are; the network sees their samples as if they were sRGB.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageCms

from restore_cli.io import icc as profiles
from restore_cli.io.canvas import by_rows
from restore_cli.io.image import FloatArray

__all__ = [
    "cmyk_to_srgb",
    "displayable",
    "from_light",
    "from_srgb",
    "is_of_tables",
    "shown_as_srgb",
    "to_light",
    "to_srgb",
]

_SAME = 0.5 / 255  # profiles that differ from sRGB by less are its many variants, and conversion only rounding


def cmyk_to_srgb(ink: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    """Printing inks to sRGB, through their profile, or by the plain formula (1 - ink)(1 - black) without one.

    Args:
        ink: (H, W, 4) uint8, 255 is full ink.
        icc: the file's profile; one that is damaged or not for CMYK counts as none.

    Returns:
        (H, W, 3) uint8.
    """
    converted = _cmyk_through_profile(ink, icc)
    if converted is None:
        converted = np.asarray(PillowImage.fromarray(ink, "CMYK").convert("RGB"))
    return converted


def _cmyk_through_profile(ink: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8] | None:
    if icc is None or profiles.profile_space(icc) != "CMYK":
        return None
    try:
        converted = ImageCms.profileToProfile(
            PillowImage.fromarray(ink, "CMYK"),
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return None if converted is None else np.asarray(converted)


def to_srgb(pixels: FloatArray, icc: bytes | None) -> FloatArray:
    """Samples of a profile as sRGB, not clipped.

    Args:
        pixels: (H, W, 1 or 3) float32.
        icc: their profile.

    Returns:
        Of the same shape; `pixels` themselves where the profile is sRGB's, absent, or not of primaries and curves.
    """
    profile = _foreign(icc, pixels.shape[2])
    if profile is None:
        return pixels
    matrix = _between(profile, profiles.SRGB)
    return by_rows(_as_floats(lambda rows: _srgb_samples(_mixed(matrix, _light(profile, rows)))), pixels)


def from_srgb(pixels: FloatArray, icc: bytes | None) -> FloatArray:
    """The inverse of `to_srgb`."""
    profile = _foreign(icc, pixels.shape[2])
    if profile is None:
        return pixels
    matrix = _between(profiles.SRGB, profile)
    return by_rows(_as_floats(lambda rows: _samples(profile, _mixed(matrix, _srgb_light(rows)))), pixels)


def is_of_tables(icc: bytes | None) -> bool:
    """Whether there is a profile, and none to compute with."""
    return icc is not None and profiles.parse(icc) is None


def shown_as_srgb(icc: bytes | None) -> bool:
    """Whether a picture of this profile looks right (nearly) where profiles are unknown."""
    if icc is None:
        return True
    profile = profiles.parse(icc)
    return profile is not None and _is_srgb(icc)


def to_light(pixels: FloatArray, icc: bytes | None) -> tuple[FloatArray, tuple[float, ...]]:
    """Samples as light, for files that hold that.

    Returns:
        The light, of the same shape, and x and y of the red, green and blue it consists of and of its white.

    Raises:
        ValueError: a profile of tables.
    """
    profile = profiles.parse(icc) if icc else None
    if profile is None:
        if icc:
            raise ValueError("a profile of tables has no light")
        return by_rows(_as_floats(_srgb_light), pixels), profiles.REC_709
    if len(profile.curves) != pixels.shape[2]:
        profile = profiles.MatrixProfile((profile.curves[0],) * pixels.shape[2], profile.to_xyz, profile.adaptation)
    if profile.is_linear:
        return pixels, profile.chromaticities
    return by_rows(_as_floats(lambda rows: _light(profile, rows)), pixels), profile.chromaticities


def from_light(light: FloatArray) -> FloatArray:
    """Light of sRGB's primaries as sRGB samples."""
    return by_rows(_as_floats(_srgb_samples), light)


def displayable(pixels: FloatArray, icc: bytes | None) -> tuple[FloatArray, bytes | None]:
    """Light as samples fit for few bits: sRGB's curve, and the profile that says so; others as they are.

    Whole numbers proportional to light would show bands in the shadows.
    """
    profile = profiles.parse(icc) if icc else None
    if profile is None or not profile.is_linear:
        return pixels, icc
    curved = profiles.MatrixProfile((profiles.SRGB_CURVE,) * len(profile.curves), profile.to_xyz, profile.adaptation)
    described = profiles.build(curved, "RGB with sRGB's curve" if len(profile.curves) > 1 else "grey with sRGB's curve")
    return from_light(pixels), None if _is_srgb(described) else described


def _foreign(icc: bytes | None, channels: int) -> profiles.MatrixProfile | None:
    """The profile, where there is one to compute with and it says anything else than sRGB."""
    if icc is None:
        return None
    profile = profiles.parse(icc)
    if profile is None or _is_srgb(icc) or len(profile.curves) not in (channels, 3):
        return None
    # Grey in a profile of colours is where all of them are equal.
    return profile if len(profile.curves) == channels else profiles.MatrixProfile(profile.curves[:1], None)


@functools.lru_cache(maxsize=16)
def _is_srgb(icc: bytes) -> bool:
    """Whether no colour of a grid moves by as much as rounding to 8 bits would move it."""
    profile = profiles.parse(icc)
    if profile is None:
        return False
    steps = np.linspace(0, 1, 18)
    if profile.to_xyz is None:
        grid = steps[:, None]
        return bool(np.abs(_srgb_samples(_light(profile, grid)) - grid).max() < _SAME)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    matrix = _between(profile, profiles.SRGB)
    return bool(np.abs(np.clip(_srgb_samples(_mixed(matrix, _light(profile, grid))), 0, 1) - grid).max() < _SAME)


def _between(source: profiles.MatrixProfile, target: profiles.MatrixProfile) -> NDArray[Any] | None:
    """The matrix from the light of one set of primaries to that of another; None where one is grey."""
    if source.to_xyz is None or target.to_xyz is None:
        return None
    return np.linalg.solve(target.to_xyz, source.to_xyz)


def _as_floats(function: Callable[[profiles.Doubles], profiles.Doubles]) -> Callable[[FloatArray], FloatArray]:
    return lambda rows: function(rows.astype(np.float64)).astype(np.float32)


def _light(profile: profiles.MatrixProfile, samples: profiles.Doubles) -> profiles.Doubles:
    return np.stack([curve.light(samples[..., at]) for at, curve in enumerate(profile.curves)], axis=-1)


def _samples(profile: profiles.MatrixProfile, light: profiles.Doubles) -> profiles.Doubles:
    return np.stack([curve.samples(light[..., at]) for at, curve in enumerate(profile.curves)], axis=-1)


def _srgb_light(samples: profiles.Doubles) -> profiles.Doubles:
    return profiles.SRGB_CURVE.light(samples)


def _srgb_samples(light: profiles.Doubles) -> profiles.Doubles:
    return profiles.SRGB_CURVE.samples(light)


def _mixed(matrix: NDArray[Any] | None, light: profiles.Doubles) -> profiles.Doubles:
    return light if matrix is None else light @ matrix.T
