"""The chunks a PNG file is made of: taken apart, checked, put together."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

from restore_cli.io.opened import PictureError

__all__ = ["Chunk", "Header", "check_pixels", "chunk_bytes", "container", "read_chunks"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}
_BLOCK = 1 << 20
# First column, first row, column step, row step of the seven passes of an interlaced picture.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


Chunk: TypeAlias = tuple[bytes, bytes]
"""Name and data."""


class Header(NamedTuple):
    """What the first chunk says, in its order; `depth` in bits a sample."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filtering: int
    interlace: int


def read_chunks(stream: BinaryIO, *, with_pixels: bool = True) -> Iterator[Chunk]:
    """The chunks up to IEND. Optional ones that are damaged are left out, vital ones are not.

    Args:
        stream: just behind the signature.
        with_pixels: False to pass over the pixels unread (their data comes out empty).

    Raises:
        PictureError: a damaged or truncated vital chunk.
    """
    while len(head := stream.read(8)) == 8:
        size, name = struct.unpack(">I4s", head)
        if name == b"IDAT" and not with_pixels:
            stream.seek(size + 4, io.SEEK_CUR)
            yield name, b""
            continue
        body = stream.read(size + 4)
        if size > 2**31 - 1 or len(body) < size + 4:
            raise PictureError("is cut short")
        data = body[:-4]
        if zlib.crc32(data, zlib.crc32(name)) == int.from_bytes(body[-4:], "big"):
            yield name, data
        elif not name[0] & 0x20:  # an upper-case first letter marks the vital ones
            raise PictureError(f"is damaged: the checksum of its {name!r} part is wrong")
        if name == b"IEND":
            return


def _passes(header: Header) -> list[tuple[int, int]]:
    """Bytes a row (with its filter byte) and number of rows, for each pass that has any pixels."""
    bits = header.depth * CHANNELS[header.colour]
    sizes = (
        [(-(-(header.width - x) // dx), -(-(header.height - y) // dy)) for x, y, dx, dy in _PASSES]
        if header.interlace
        else [(header.width, header.height)]
    )
    return [(1 + (columns * bits + 7) // 8, rows) for columns, rows in sizes if columns > 0 and rows > 0]


def check_pixels(header: Header, parts: list[bytes]) -> None:
    """Inflate everything once, a block at a time: the decoders would fill missing rows with black, or print.

    Raises:
        PictureError: the data is damaged or stops before the last row.
    """
    passes = _passes(header)
    wanted = sum(stride * rows for stride, rows in passes)
    remaining = iter(passes)
    stride, rows = next(remaining)
    position = filter_at = 0  # in the inflated data: where the next block starts, where the next row starts
    inflate = zlib.decompressobj()
    for part in parts:
        while part and position < wanted and not inflate.eof:
            try:
                block = inflate.decompress(part, _BLOCK)
            except zlib.error:
                raise PictureError("is damaged: its pixels do not decompress") from None
            part = inflate.unconsumed_tail
            while rows and filter_at < position + len(block):
                filters = block[filter_at - position :: stride][:rows]
                if max(filters) > 4:
                    raise PictureError("is damaged: a row has an unknown filter")
                filter_at += len(filters) * stride
                rows -= len(filters)
                if not rows:
                    stride, rows = next(remaining, (stride, 0))
            position += len(block)
    if position < wanted:
        raise PictureError("is cut short")


def container(header: Header, middle: list[Chunk]) -> bytes:
    """A PNG file's bytes."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *header)), *middle, (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk_bytes(name, data) for name, data in chunks)


def chunk_bytes(name: bytes, data: bytes) -> bytes:
    """A chunk as it lies in the file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name)))
