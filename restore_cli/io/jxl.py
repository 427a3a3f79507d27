"""JPEG XL by imagecodecs (pixels) and pillow-jxl-plugin (the profile they come in), extra `jxl`.

Grey, RGB and alpha in 8 and 16 bits and floats, without loss both ways. Neither package writes a colour profile.
Of an animation the first frame is read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io.boxes import box, top_boxes
from restore_cli.io.colour import shown_as_srgb
from restore_cli.io.extras import require
from restore_cli.io.icc import SRGB_CURVE
from restore_cli.io.metadata import bare_exif
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_pixel_count

__all__ = ["encode_jxl", "open_jxl"]

_CODESTREAM = b"\xff\x0a"
_HEAD_BYTES = 128
_LINEAR, _SRGB = (2 | (number - 2) << 2 for number in (8, 13))  # as the standard's Enum, six bits each
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class _Bits:
    """Whole numbers out of a stream of bits, the lowest first (ISO/IEC 18181-1, 6.2)."""

    def __init__(self, data: bytes) -> None:
        self.value = int.from_bytes(data[:_HEAD_BYTES], "little")
        self.at = 0

    def take(self, count: int) -> int:
        """The next `count` bits."""
        found = (self.value >> self.at) & ((1 << count) - 1)
        self.at += count
        return found

    def chosen(self, *choices: tuple[int, int]) -> int:
        """The standard's U32: two bits choose among (offset, further bits)."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)

    def named(self) -> int:
        """The standard's Enum."""
        return self.chosen((0, 0), (1, 0), (2, 4), (18, 6))


@dataclass(frozen=True)
class _Header:
    """What a codestream begins with (18181-1, annex D).

    Args:
        height, width: before it is turned.
        orientation: EXIF's number.
        changed: whether the colours were changed for compression, so that something is lost.
        transfer_at: the bit, from the codestream's beginning, where its tone curve is stated as one of a list.
    """

    height: int
    width: int
    orientation: int = 1
    changed: bool = False
    transfer_at: int | None = None


def _side(bits: _Bits, small: bool) -> int:
    return (bits.take(5) + 1) * 8 if small else 1 + bits.chosen((0, 9), (0, 13), (0, 18), (0, 30))


def _depth(bits: _Bits) -> None:
    if bits.take(1):
        bits.chosen((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        bits.chosen((8, 0), (10, 0), (12, 0), (1, 6))


def _header(codestream: bytes) -> _Header:
    bits = _Bits(codestream)
    bits.take(16)
    small = bool(bits.take(1))
    height = _side(bits, small)
    ratio = bits.take(3)
    width = height * _RATIOS[ratio - 1][0] // _RATIOS[ratio - 1][1] if ratio else _side(bits, small)
    if bits.take(1):  # everything as usual
        return _Header(height, width, changed=True)
    orientation = 1
    if bits.take(1):
        orientation = bits.take(3) + 1
        if bits.take(1):
            intrinsic = bool(bits.take(1))
            _side(bits, intrinsic)
            if not bits.take(3):
                _side(bits, intrinsic)
        if bits.take(2):  # a preview or an animation: what follows lies further on
            return _Header(height, width, orientation)
    _depth(bits)
    bits.take(1)
    for _ in range(bits.chosen((0, 0), (1, 0), (2, 4), (1, 12))):
        if bits.take(1):  # alpha of 8 bits
            continue
        kind = bits.named()
        _depth(bits)
        bits.chosen((0, 0), (3, 0), (4, 0), (1, 3))
        bits.take(8 * bits.chosen((0, 0), (0, 4), (16, 5), (48, 10)))
        if kind != 0:  # not alpha
            return _Header(height, width, orientation)
        bits.take(1)
    changed = bool(bits.take(1))
    transfer_at = None
    if not bits.take(1) and not bits.take(1):  # neither sRGB nor a profile
        is_grey = bits.named() == 1
        if bits.named() == 1 and (is_grey or bits.named() == 1) and not bits.take(1):  # white and primaries of sRGB
            transfer_at = bits.at
    return _Header(height, width, orientation, changed, transfer_at)


def open_jxl(stream: BinaryIO) -> Opened:
    """A JPEG XL picture, a bare codestream or in boxes."""
    require("JXL")
    data = stream.read()
    boxes = [] if data.startswith(_CODESTREAM) else list(top_boxes(data))
    # A codestream in parts has their numbers before them.
    parts = [content[4:] if name == b"jxlp" else content for name, content in boxes if name in (b"jxlc", b"jxlp")]
    codestream = b"".join(parts) if boxes else data
    if not codestream.startswith(_CODESTREAM):
        raise PictureError("is damaged: there is no picture in its boxes")
    header = _header(codestream)
    height, width = header.height, header.width
    check_pixel_count(height, width)
    lossless = not header.changed and b"jbrd" not in {name for name, _ in boxes}

    def decode() -> Samples:
        import imagecodecs

        try:
            values: NDArray[Any] = imagecodecs.jpegxl_decode(data, index=0, keeporientation=True)
        except RuntimeError as error:
            raise PictureError("is damaged or cut short") from error
        values = values.reshape(height, width, -1)
        kind = {"uint8": "", "uint16": ";16", "float16": ";16f", "float32": ";32f"}.get(values.dtype.name)
        if kind is None or values.shape[2] > 4:
            raise PictureError(f"holds samples of a kind not read here ({values.dtype}, {values.shape[2]} channels)")
        mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[values.shape[2]] + kind
        peak = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
        depth = 32 if values.dtype.kind == "f" else 8 * values.dtype.itemsize
        mode = {"L;16": "I;16", "L;32f": "F"}.get(mode, mode)
        has_alpha = values.shape[2] in (2, 4)
        return Samples(values, has_alpha, peak, depth, mode, lossless=lossless, icc=_profile(data))

    content = dict(reversed(boxes))
    exif = content.get(b"Exif", b"")[4:]  # after the offset of its beginning, which is 0 in practice
    # The profile comes with the pixels: the library tells it only of what it has decoded.
    metadata = Metadata(exif=bare_exif(exif), xmp=content.get(b"xml ") or None, orientation=header.orientation)
    return Opened(height, width, decode, metadata)


def _profile(data: bytes) -> bytes | None:
    """The profile that libjxl gives with the pixels; None where it is sRGB, which it always states."""
    import pillow_jxl

    try:
        icc: bytes | None = pillow_jxl.Decoder(num_threads=1)(data)[3]
    except (RuntimeError, ValueError, OSError, SyntaxError) as error:
        raise PictureError("is damaged or cut short") from error
    return None if not icc or shown_as_srgb(icc) else bytes(icc)


def encode_jxl(values: NDArray[Any], metadata: Metadata, quality: int | None) -> bytes:
    """A JPEG XL file's bytes: without loss, or at a quality.

    Args:
        values: (H, W, C) uint8, uint16 or float32: grey, grey and alpha, RGB, RGBA, in sRGB.
        metadata: EXIF and XMP go in.
        quality: None for no loss.
    """
    require("JXL")
    import imagecodecs

    values = np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values)
    if quality is None:
        encoded = bytes(imagecodecs.jpegxl_encode(values, lossless=True))
    else:
        if values.dtype != np.uint8:  # which the encoder takes for light, and weighs as such
            peak = 1.0 if values.dtype.kind == "f" else 65535.0
            light = SRGB_CURVE.light(values / peak) * peak
            colours = light if values.dtype.kind == "f" else np.rint(light)
            has_alpha = values.ndim == 3 and values.shape[2] in (2, 4)
            alpha = values[..., -1:]
            values = np.concatenate([colours[..., :-1], alpha], axis=2) if has_alpha else colours
            values = values.astype(alpha.dtype)
        encoded = bytes(imagecodecs.jpegxl_encode(values, lossless=False, distance=_distance(quality)))
    encoded = _labelled_srgb(encoded)
    if encoded.startswith(_CODESTREAM):
        encoded = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ") + box(b"jxlc", encoded)
    if metadata.exif:
        encoded += box(b"Exif", struct.pack(">I", 0) + metadata.exif)
    if metadata.xmp:
        encoded += box(b"xml ", metadata.xmp)
    return encoded


def _distance(quality: int) -> float:
    """The least visible differences that libjxl allows at JPEG's quality, by its own formula."""
    if quality >= 100:
        return 0.0
    return 0.1 + (100 - quality) * 0.09 if quality >= 30 else 53 / 3000 * quality**2 - 23 / 20 * quality + 25


def _labelled_srgb(encoded: bytes) -> bytes:
    """The file with sRGB's curve stated where the encoder states light, as it does of all but 8 bits."""
    start = 0
    if not encoded.startswith(_CODESTREAM):
        at = encoded.find(b"jxlc")
        start = at + 4 if at >= 0 else encoded.find(b"jxlp") + 8
    at_bit = _header(encoded[start:]).transfer_at
    if at_bit is None:
        return encoded
    head = int.from_bytes(encoded[start : start + _HEAD_BYTES], "little")
    if (head >> at_bit) & 0x3F == _LINEAR:
        head ^= (_LINEAR ^ _SRGB) << at_bit
    size = min(_HEAD_BYTES, len(encoded) - start)
    return encoded[:start] + head.to_bytes(size, "little") + encoded[start + size :]
