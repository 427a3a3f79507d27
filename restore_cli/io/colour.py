"""Colour profiles where a picture cannot keep its own: CMYK is not ours, grey not every format's."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageCms

__all__ = ["cmyk_to_srgb", "grey_to_srgb", "profile_space"]


def profile_space(icc: bytes | None) -> str:
    """The colour space a profile speaks of ("RGB", "GRAY", "CMYK", ...), "" where there is none."""
    return icc[16:20].decode("ascii", "replace").strip() if icc and len(icc) >= 20 else ""


def cmyk_to_srgb(ink: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    """Printing inks to sRGB, through their profile, or by the plain formula (1 - ink)(1 - black) without one.

    Args:
        ink: (H, W, 4) uint8, 255 is full ink.
        icc: the file's profile; one that is damaged or not for CMYK counts as none.

    Returns:
        (H, W, 3) uint8.
    """
    converted = _to_srgb(ink, "CMYK", icc)
    if converted is None:
        converted = np.asarray(PillowImage.fromarray(ink, "CMYK").convert("RGB"))
    return converted


def grey_to_srgb(grey: NDArray[np.uint8], icc: bytes | None) -> NDArray[np.uint8]:
    """Grey to sRGB, (H, W, 1) to (H, W, 3) uint8; repeated where the profile is not a usable grey one."""
    converted = _to_srgb(grey[..., 0], "GRAY", icc)
    return np.repeat(grey, 3, axis=2) if converted is None else converted


def _to_srgb(samples: NDArray[Any], space: str, icc: bytes | None) -> NDArray[np.uint8] | None:
    if icc is None or profile_space(icc) != space:
        return None
    try:
        converted = ImageCms.profileToProfile(
            PillowImage.fromarray(samples, "CMYK" if space == "CMYK" else "L"),
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    return None if converted is None else np.asarray(converted)
