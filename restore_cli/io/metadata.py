"""Orientation and size inside EXIF and XMP: read, reset, brought up to date; the rest stays byte for byte."""

from __future__ import annotations

import re
import struct

from restore_cli.io import exif as tiff_fields

__all__ = [
    "bare_exif",
    "orientation_of",
    "resolution_in",
    "resolution_of",
    "sized_exif",
    "upright_exif",
    "upright_xmp",
    "without_orientation",
]

_CLASSIC = (b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112
_EXIF_DIRECTORY = 0x8769
_RESOLUTIONS, _RESOLUTION_UNIT = (0x011A, 0x011B), 0x0128
# Orientation may be an attribute (tiff:Orientation="6") or an element (<tiff:Orientation>6<).
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])(?=\s*[\"'<])")


def bare_exif(block: bytes | None) -> bytes | None:
    """An EXIF block without the JPEG marker's name before it; None where what is left is none.

    Other programs refuse a whole picture for an EXIF block that does not begin like one.
    """
    bare = (block or b"").removeprefix(b"Exif\0\0")
    return bare if bare[:4] in _CLASSIC else None


def orientation_of(exif: bytes | None, xmp: bytes | None) -> int:
    """1 to 8, by EXIF or, where that says nothing, by XMP; 1 where neither does or the number is another."""
    directory = _directory(exif) if exif else None
    value = directory.number(_ORIENTATION) if directory else None
    if value is None and xmp and (match := _XMP_ORIENTATION.search(xmp)):
        value = int(match[2])
    return value if value is not None and 1 <= value <= 8 else 1


def upright_exif(exif: bytes, turned: bool) -> bytes:
    """The block with its orientation set to 1, same length.

    With `turned`, the embedded thumbnail is unlinked: it still lies on its side, where viewers would show it.
    """
    directory = _directory(exif)
    if directory is None:
        return exif
    block = bytearray(exif)
    if entry := directory.entries.get(_ORIENTATION):
        struct.pack_into(directory.order + "HHIHH", block, entry.at, _ORIENTATION, 3, 1, 1, 0)
    if turned and directory.next_at + 4 <= len(block):
        struct.pack_into(directory.order + "I", block, directory.next_at, 0)
    return bytes(block)


def upright_xmp(xmp: bytes) -> bytes:
    """The packet with its tiff:Orientation set to 1, same length."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def resolution_of(exif: bytes | None) -> tuple[float, float] | None:
    """What EXIF says about the pixels an inch, (across, down)."""
    directory = _directory(exif) if exif else None
    return resolution_in(directory) if directory else None


def resolution_in(directory: tiff_fields.Directory) -> tuple[float, float] | None:
    """Pixels an inch, (across, down); None where the directory does not say, or not in a unit of length."""
    per_inch = {2: 1.0, 3: 2.54}.get(directory.number(_RESOLUTION_UNIT) or 2)
    values = []
    for tag in _RESOLUTIONS:
        entry = directory.entries.get(tag)
        if entry is None or entry.kind != 5:
            return None
        above, below = struct.unpack_from(directory.order + "II", entry.data)
        if per_inch is None or not above or not below:
            return None
        values.append(round(above / below * per_inch, 4))
    return values[0], values[1]


def sized_exif(exif: bytes, height: int, width: int, dpi: tuple[float, float] | None = None) -> bytes:
    """The block with those of its fields that state the size or resolution brought up to date, same length.

    Args:
        exif: bare block.
        height, width: of the picture.
        dpi: pixels an inch, (across, down); None leaves what is stated.
    """
    directory = _directory(exif)
    if directory is None:
        return exif
    block = bytearray(exif)
    sizes = {0x0100: width, 0x0101: height, 0xA002: width, 0xA003: height}
    for part in (directory, directory.children.get(_EXIF_DIRECTORY)):
        for tag, value in sizes.items():
            if part and (entry := part.entries.get(tag)) and entry.count == 1:
                # A short stays one while the number fits: an unchanged size changes no byte.
                kind, layout = (3, "HHIH") if entry.kind == 3 and value < 65536 else (4, "HHII")
                struct.pack_into(part.order + layout, block, entry.at, tag, kind, 1, value)
    stated = resolution_in(directory)
    if dpi and stated and max(dpi) < 4e6 and not all(abs(dpi[at] / stated[at] - 1) < 0.001 for at in (0, 1)):
        for tag, resolution in zip(_RESOLUTIONS, dpi, strict=True):
            (place,) = struct.unpack_from(directory.order + "I", exif, directory.entries[tag].at + 8)
            struct.pack_into(directory.order + "II", block, place, round(resolution * 1000), 1000)
        if unit := directory.entries.get(_RESOLUTION_UNIT):
            struct.pack_into(directory.order + "HHIHH", block, unit.at, _RESOLUTION_UNIT, 3, 1, 2, 0)
    return bytes(block)


def without_orientation(exif: bytes) -> bytes:
    """The block without its field for the orientation, same length: later entries move up by one place."""
    directory = _directory(exif)
    entry = directory.entries.get(_ORIENTATION) if directory else None
    if directory is None or entry is None:
        return exif
    start = struct.unpack_from(directory.order + "I", exif, 4)[0]
    (count,) = struct.unpack_from(directory.order + "H", exif, start)
    end = start + 2 + 12 * count + 4  # with the link to the next directory
    moved = exif[start + 2 : entry.at] + exif[entry.at + 12 : end] + bytes(12)
    return exif[:start] + struct.pack(directory.order + "H", count - 1) + moved + exif[end:]


def _directory(exif: bytes) -> tiff_fields.Directory | None:
    """The block's directory; None for BigTIFF, which EXIF never is and whose entries differ."""
    return tiff_fields.parse(exif) if exif[:4] in _CLASSIC else None
