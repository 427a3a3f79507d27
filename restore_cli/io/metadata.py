"""Orientation and size inside EXIF and XMP: read, reset, brought up to date; the rest stays byte for byte."""

from __future__ import annotations

import re
import struct

from restore_cli.io import exif as tiff_fields

__all__ = ["bare_exif", "orientation_of", "sized_exif", "upright_exif", "upright_xmp"]

_CLASSIC = (b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112
_EXIF_DIRECTORY = 0x8769
# Orientation may be an attribute (tiff:Orientation="6") or an element (<tiff:Orientation>6<).
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation\s*(?:=\s*[\"']|>)\s*)([1-8])(?=\s*[\"'<])")


def bare_exif(block: bytes | None) -> bytes | None:
    """An EXIF block without the JPEG marker's name before it; None where nothing is left."""
    if not block:
        return None
    return block.removeprefix(b"Exif\0\0") or None


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


def sized_exif(exif: bytes, height: int, width: int) -> bytes:
    """The block with those of its fields that state the picture's size brought up to date, same length."""
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
    return bytes(block)


def _directory(exif: bytes) -> tiff_fields.Directory | None:
    """The block's directory; None for BigTIFF, which EXIF never is and whose entries differ."""
    return tiff_fields.parse(exif) if exif[:4] in _CLASSIC else None
