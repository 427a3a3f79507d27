"""What AVIF, HEIF and JPEG XL files have in common: they consist of boxes (ISO/IEC 14496-12)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from restore_cli.io import icc
from restore_cli.io.opened import PictureError

__all__ = ["box", "profile_in", "top_boxes"]

_CODE_POINTS = re.compile(rb"colrnclx(..)(..)", re.DOTALL)
# Primaries and curves by their numbers of ITU-T H.273; 2 is 'unspecified', which everybody shows as sRGB.
_PRIMARIES = {
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *icc.D65),  # Rec. 2020
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *icc.D65),  # Display P3
}
_CURVES = {4: icc.Curve(2.2), 5: icc.Curve(2.8), 8: icc.Curve()}
_ABSOLUTE = {16: "PQ", 18: "HLG"}


def box(name: bytes, content: bytes) -> bytes:
    """A box's bytes."""
    return (8 + len(content)).to_bytes(4, "big") + name + content


def top_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and content of the outermost boxes; one whose size makes no sense is the last, cut off at the end."""
    at = 0
    while at + 8 <= len(data):
        size, start = int.from_bytes(data[at : at + 4], "big"), at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        end = at + size if size >= start - at else len(data)
        yield data[at + 4 : at + 8], data[start:end]
        at = end


def profile_in(data: bytes) -> bytes | None:
    """The profile that a file without one describes by code points; None where they come down to sRGB.

    Raises:
        PictureError: a curve (PQ, HLG) that stands for absolute light, which none of our networks knows.
    """
    found = _CODE_POINTS.search(data)
    if found is None:
        return None
    primaries, transfer = (int.from_bytes(each, "big") for each in found.groups())
    if transfer in _ABSOLUTE:
        raise PictureError(
            f"holds high dynamic range in the curve {_ABSOLUTE[transfer]}, which is not read here",
            "Convert it to OpenEXR, or to standard dynamic range.",
        )
    curve = _CURVES.get(transfer, icc.SRGB_CURVE)
    if primaries not in _PRIMARIES and curve is icc.SRGB_CURVE:
        return None
    profile = icc.of_primaries(_PRIMARIES.get(primaries, icc.REC_709), curve)
    return icc.build(profile, f"H.273 primaries {primaries}, transfer {transfer}")
