"""PBM, PGM and PPM, plain and binary, any white level up to 65535 (Pillow reduces deep colour to 8 bits)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io import canvas
from restore_cli.io.opened import Opened, PictureError, Samples, check_pixel_count

__all__ = ["open_pnm", "write_pnm"]

_TEXT_BYTES = 1024 * 1024
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
        sample = np.dtype(np.uint16 if deep else np.uint8)
        row_bytes = (width + 7) // 8 if kind == 4 else width * channels * sample.itemsize
        # Before room is made for what cannot come. Written out, a sample takes a digit at least.
        start = stream.tell()
        if stream.seek(0, io.SEEK_END) - start < height * (row_bytes if kind > 3 else width * channels):
            raise PictureError("is cut short")
        stream.seek(start)
        values = canvas.empty((height, width, channels), sample)
        plain = _plain(stream, is_bitmap) if kind < 4 else None
        for rows in canvas.bands(height, row_bytes * 8):
            part = values[rows]
            if plain is not None:
                stored: NDArray[Any] = plain(part.size).reshape(part.shape)
            else:
                stored = _exactly(stream, len(part) * row_bytes)
                if kind == 4:
                    stored = np.unpackbits(stored.reshape(len(part), -1), axis=1, count=width)
                stored = stored.view(sample.newbyteorder(">")).reshape(part.shape)
            if stored.max() > peak:
                raise PictureError(f"has a sample above its own white level of {peak}")
            part[:] = 1 - stored if is_bitmap else stored  # 1 is ink
        mode = "1" if is_bitmap else {1: "L", 3: "RGB"}[channels] + (";16" if deep else "")
        return Samples(
            values,
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


def _plain(stream: BinaryIO, is_bitmap: bool) -> Callable[[int], NDArray[np.int64]]:
    """What gives the next so many samples of those written out as text, of which a part is read at a time."""
    words: list[bytes] = []
    rest = b""

    def following(wanted: int) -> NDArray[np.int64]:
        nonlocal words, rest
        while len(words) < wanted:
            read = stream.read(_TEXT_BYTES)
            text = rest + read
            # Cut where that splits neither a number nor a comment.
            spaces = (b"\n", b"\r") if b"#" in text else (b"\n", b"\r", b" ", b"\t")
            is_whole = not read or (is_bitmap and b"#" not in text)
            end = len(text) if is_whole else 1 + max(text.rfind(space) for space in spaces)
            rest = text[end:]
            # In a plain bitmap the digits need no space between them.
            text = _COMMENT.sub(b"", text[:end])
            words += [b"%c" % digit for digit in b"".join(text.split())] if is_bitmap else text.split()
            if not read and len(words) < wanted:
                raise PictureError("is cut short")
        try:
            values = np.array(words[:wanted]).astype(np.int64)
        except ValueError:
            raise PictureError("is damaged: it holds something that is not a number") from None
        words = words[wanted:]
        if values.min() < 0:
            raise PictureError("is damaged: it holds a negative sample")
        return values

    return following


def write_pnm(stream: BinaryIO, values: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """A binary PGM (one channel) or PPM (three); this format holds no metadata."""
    height, width, channels = values.shape
    deep = values.dtype == np.uint16
    stream.write(f"P{5 if channels == 1 else 6}\n{width} {height}\n{65535 if deep else 255}\n".encode())
    for rows in canvas.bands(height, values.nbytes // height):
        stream.write(values[rows].astype(">u2" if deep else np.uint8).tobytes())
