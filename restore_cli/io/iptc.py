"""IPTC records (captions, keywords, credits): found, wrapped and unwrapped, never interpreted.

A block is a row of data sets, each starting with 0x1C (IPTC-NAA IIM 4.2). JPEG, and PNG by a convention of
ImageMagick's, hold it as one of Photoshop's image resources.
"""

from __future__ import annotations

import struct

__all__ = ["PHOTOSHOP", "in_resources", "resource"]

PHOTOSHOP = b"Photoshop 3.0\0"
"""What a JPEG segment of such resources starts with."""

_SIGNATURE, _IPTC = b"8BIM", 0x0404


def in_resources(resources: bytes) -> bytes | None:
    """The IPTC block among Photoshop's image resources, or bare where there are none."""
    resources = resources.removeprefix(PHOTOSHOP)
    if resources[:1] == b"\x1c":
        return resources
    at = 0
    while resources[at : at + 4] == _SIGNATURE and at + 12 <= len(resources):
        number, name_length = struct.unpack_from(">HB", resources, at + 4)
        at += 6 + name_length + 1 + (name_length + 1) % 2
        if at + 4 > len(resources):
            break
        (size,) = struct.unpack_from(">I", resources, at)
        if number == _IPTC:
            return resources[at + 4 : at + 4 + size] or None
        at += 4 + size + size % 2
    return None


def resource(block: bytes) -> bytes:
    """The block as one of Photoshop's image resources."""
    return _SIGNATURE + struct.pack(">HHI", _IPTC, 0, len(block)) + block + bytes(len(block) % 2)
