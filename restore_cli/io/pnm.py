"""PBM, PGM and PPM, plain and binary, any white level up to 65535 (Pillow reduces deep colour to 8 bits)."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io.opened import Opened, PictureError, Samples, check_pixel_count

__all__ = ["encode_pnm", "open_pnm"]

_COMMENT = re.compile(rb"#[^\r\n]*")


def open_pnm(stream: BinaryIO) -> Opened:
    """A netpbm picture; only the first of several in a file."""
    kind = int(stream.read(2)[1:])
    width, height = _number(stream), _number(stream)
    check_pixel_count(height, width)
    is_bitmap = kind in (1, 4)
    peak = 1 if is_bitmap else _number(stream)
    if not 0 < peak < 65536:
        raise PictureError(f"claims a white level of {peak}; it must be 1 to 65535")
    channels = 3 if kind in (3, 6) else 1
    deep = peak > 255

    def decode() -> Samples:
        wanted = height * width * channels
        if kind == 4:
            rows = _exactly(stream, height * ((width + 7) // 8)).reshape(height, -1)
            values = np.unpackbits(rows, axis=1, count=width)
        elif kind > 4:
            values = _exactly(stream, wanted * (2 if deep else 1)).view(">u2" if deep else np.uint8)
        else:
            values = _plain(stream.read(), wanted, is_bitmap)
        if values.max() > peak:
            raise PictureError(f"has a sample above its own white level of {peak}")
        if is_bitmap:  # 1 is ink
            values = 1 - values
        mode = "1" if is_bitmap else {1: "L", 3: "RGB"}[channels] + (";16" if deep else "")
        return Samples(
            values.reshape(height, width, channels),
            False,
            peak,
            16 if deep else 8,
            mode.replace("L;16", "I;16"),
        )

    return Opened(height, width, decode)


def _number(stream: BinaryIO) -> int:
    """The next whole number of the header; takes the one white space after it along."""
    digits = b""
    while len(digits) < 10:
        byte = stream.read(1)
        if byte == b"#":
            while byte not in (b"\n", b"\r", b""):
                byte = stream.read(1)
        if byte.isdigit():
            digits += byte
        elif digits and (byte.isspace() or not byte):
            return int(digits)
        elif not byte.isspace():
            break
    raise PictureError("has a damaged header: a whole number was expected")


def _exactly(stream: BinaryIO, size: int) -> NDArray[np.uint8]:
    data = stream.read(size)
    if len(data) < size:
        raise PictureError("is cut short")
    return np.frombuffer(data, np.uint8)


def _plain(text: bytes, wanted: int, is_bitmap: bool) -> NDArray[Any]:
    text = _COMMENT.sub(b"", text)
    # In a plain bitmap the digits need no space between them.
    words = list(re.sub(rb"\s", b"", text).decode("latin-1")) if is_bitmap else text.split()
    if len(words) < wanted:
        raise PictureError("is cut short")
    try:
        values = np.array(words[:wanted]).astype(np.int64)
    except ValueError:
        raise PictureError("is damaged: it holds something that is not a number") from None
    if values.min() < 0:
        raise PictureError("is damaged: it holds a negative sample")
    return values


def encode_pnm(values: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """A binary PGM (one channel) or PPM (three) file's bytes; this format holds no metadata."""
    height, width, channels = values.shape
    deep = values.dtype == np.uint16
    head = f"P{5 if channels == 1 else 6}\n{width} {height}\n{65535 if deep else 255}\n".encode()
    return head + values.astype(">u2" if deep else np.uint8).tobytes()
