"""Large PNGs, a band of rows at a time: what Pillow and OpenCV would hold whole, several times over.

Decoding, each band becomes a small PNG of its own, which begins with the row above it: PNG's filters look no
further. Encoding, the filters are numpy's, chosen row by row as libpng does, by the smallest sum of differences.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io import canvas
from restore_cli.io.inflate import Inflated
from restore_cli.io.opened import PictureError, Samples
from restore_cli.io.png_chunks import CHANNELS, GREY, PALETTE, SIGNATURE, Chunk, Header, chunk_bytes

__all__ = ["LEVEL", "decode_rows", "is_large", "row_bytes", "write_rows"]

Decode = Callable[[Header, list[Chunk]], Samples]
LEVEL = 4
"""Of zlib's compression: the usual 6 takes twice as long over a photograph, for files smaller by a fiftieth."""

_NONE, _SUB, _UP, _PAETH = 0, 1, 2, 4
_FILTERS = 5


def row_bytes(header: Header) -> int:
    """Bytes of a row, without the one that names its filter."""
    return (header.width * header.depth * CHANNELS[header.colour] + 7) // 8


def is_large(header: Header) -> bool:
    """Whether the picture's samples would be a mapped file; interlaced ones have no rows to go by."""
    return not header.interlace and canvas.is_mapped(header.height * row_bytes(header))


def decode_rows(header: Header, parts: Iterable[bytes], decode: Decode) -> Samples:
    """The samples of a large picture.

    Args:
        header: of one that is not interlaced.
        parts: the data of its IDAT chunks.
        decode: makes samples of a whole PNG's header and pixels.

    Raises:
        PictureError: the data is damaged or stops before the last row.
    """
    stride = 1 + row_bytes(header)
    inflated = Inflated(parts)
    samples: Samples | None = None
    whole: NDArray[Any] | None = None
    above = bytes(stride)  # over the first row there are zeros, and they are not filtered
    for rows in canvas.bands(header.height, 4 * stride):
        tall = rows.stop - rows.start
        filtered = inflated.read(tall * stride)
        if max(filtered[::stride]) >= _FILTERS:
            raise PictureError("is damaged: a row has an unknown filter")
        pixels = [(b"IDAT", zlib.compress(above + filtered, 0))]
        samples = decode(header._replace(height=tall + 1), pixels)
        if whole is None:
            whole = canvas.empty((header.height, *samples.values.shape[1:]), samples.values.dtype)
        whole[rows] = samples.values[1:]
        if header.depth < 8 or header.colour == PALETTE:  # to filters several samples are one grey of 8 bits
            as_bytes = Header(stride - 1, tall + 1, 8, GREY, 0, 0, 0)
            last = decode(as_bytes, pixels).values[-1, :, :1]
        else:
            last = samples.values[-1, :, : CHANNELS[header.colour]]
        above = b"\0" + (last.astype(">u2") if header.depth == 16 else last).tobytes()
    assert samples is not None and whole is not None  # a picture has rows
    return replace(samples, values=whole)


def write_rows(stream: BinaryIO, header: Header, before: Sequence[Chunk], values: NDArray[Any]) -> None:
    """A PNG file.

    Args:
        stream: to write to.
        header: of 8 or 16 bits, not interlaced.
        before: chunks that go between the header and the pixels.
        values: (H, W, C) uint8 or uint16.
    """
    stream.write(
        SIGNATURE + b"".join(chunk_bytes(*chunk) for chunk in ((b"IHDR", struct.pack(">IIBBBBB", *header)), *before))
    )
    compress = zlib.compressobj(LEVEL, strategy=zlib.Z_FILTERED)
    pixel_bytes = values.shape[2] * values.dtype.itemsize
    above = np.zeros((1, row_bytes(header)), np.uint8)
    for rows in canvas.bands(header.height, 16 * row_bytes(header)):
        plain = values[rows].astype(values.dtype.newbyteorder(">")).view(np.uint8).reshape(rows.stop - rows.start, -1)
        if packed := compress.compress(_filtered(plain, above, pixel_bytes).tobytes()):
            stream.write(chunk_bytes(b"IDAT", packed))
        above = plain[-1:]
    stream.write(chunk_bytes(b"IDAT", compress.flush()) + chunk_bytes(b"IEND", b""))


def _filtered(plain: NDArray[np.uint8], above: NDArray[np.uint8], pixel_bytes: int) -> NDArray[np.uint8]:
    """Rows with their filters' numbers, given the row above the first of them."""
    height, width = plain.shape
    up = np.concatenate([above, plain[:-1]])
    left, corner = (np.pad(rows, ((0, 0), (pixel_bytes, 0)))[:, :width] for rows in (plain, up))
    candidates = {_NONE: plain, _SUB: plain - left, _UP: plain - up, _PAETH: plain - _paeth(left, up, corner)}
    costs = [np.abs(rows.view(np.int8).astype(np.int16)).sum(axis=1, dtype=np.int64) for rows in candidates.values()]
    chosen = np.array(list(candidates))[np.argmin(costs, axis=0)]
    filtered = np.empty((height, 1 + width), np.uint8)
    filtered[:, 0] = chosen
    for number, rows in candidates.items():
        filtered[chosen == number, 1:] = rows[chosen == number]
    return filtered


def _paeth(left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of three neighbours the one nearest to left + up - corner, in this order where they tie."""
    horizontal, vertical = up.astype(np.int16) - corner, left.astype(np.int16) - corner
    to_left, to_up, to_corner = np.abs(horizontal), np.abs(vertical), np.abs(horizontal + vertical)
    nearest_up = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest_up)
