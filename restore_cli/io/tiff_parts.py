"""A TIFF page's strips or tiles, out of their compressions and put together."""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from restore_cli.io import canvas
from restore_cli.io.inflate import Inflated
from restore_cli.io.opened import MAX_PIXELS, PictureError

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["COMPRESSIONS", "assembled", "quiet_stderr"]

_NONE, _LZW, _PACKBITS, _LZMA, _ZSTD, _DEFLATES = 1, 5, 32773, 34925, 50000, (8, 32946)
COMPRESSIONS = frozenset({_NONE, _LZW, _PACKBITS, _LZMA, _ZSTD, *_DEFLATES})
"""What `assembled` undoes: those that know nothing of colours."""

# Bytes that one stored byte can stand for at most: LZW has codes of 12 bits for up to 4096 bytes, deflate two bits for
# 258, PackBits two bytes for 128.
_MAX_RATIOS = {_NONE: 1, _LZW: 4096, _PACKBITS: 64, **dict.fromkeys(_DEFLATES, 1032)}
_INPUT_BYTES = 256 * 1024
_BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_stderr_lock = threading.Lock()


def assembled(page: TiffPage, data: mmap.mmap) -> NDArray[Any]:
    """The stored samples, (H, W, samples), in native byte order, of the smallest type that holds them."""
    height, width, samples = page.imagelength, page.imagewidth, page.samplesperpixel
    bits, kind = page.bitspersample, {1: "u", 3: "f"}.get(int(page.sampleformat))
    if kind is None or not isinstance(bits, int) or not (1 <= bits <= 16 or bits in (32, 64)) or page.imagedepth > 1:
        raise PictureError("holds samples of a kind this program does not read", "Convert it to 16-bit whole numbers.")
    separate = page.planarconfig == 2 and samples > 1
    per_pixel = 1 if separate else samples
    tall, wide = (page.tilelength, page.tilewidth) if page.is_tiled else (min(page.rowsperstrip, height), width)
    if not (isinstance(tall, int) and isinstance(wide, int) and 0 < tall * wide <= MAX_PIXELS):
        raise PictureError("is damaged: its parts have an impossible size")
    across, down = -(-width // wide), -(-height // tall)
    if len(page.dataoffsets) < across * down * (samples if separate else 1):
        raise PictureError("is cut short")
    item = bits if bits in (8, 16, 32, 64) else (8 if bits < 8 else 16)
    stored = np.dtype(f"{page.parent.byteorder}{kind}{item // 8}")
    # Before room is made for what cannot come.
    _check_ratio(page, height * width * samples * bits // 8, sum(page.databytecounts))
    whole = canvas.empty((height, width, samples), stored.newbyteorder("="))
    row_bytes = (wide * per_pixel * bits + 7) // 8
    for index in range(across * down * (samples if separate else 1)):
        plane, place = divmod(index, across * down)
        top, left = place // across * tall, place % across * wide
        rows = tall if page.is_tiled else min(tall, height - top)
        start = page.dataoffsets[index]
        planes = slice(plane, plane + 1) if separate else slice(None)
        with memoryview(data)[start : start + page.databytecounts[index]] as raw:
            for band, plain in _plain(page, raw, rows, row_bytes):
                part = _unpredicted(page, _unpacked(plain, bits, wide * per_pixel, stored), per_pixel)
                place_in = whole[top + band.start : top + band.stop, left : left + wide, planes]
                place_in[:] = part.reshape(-1, wide, per_pixel)[: len(place_in), : width - left]
    return whole


def _plain(page: TiffPage, raw: memoryview, rows: int, row_bytes: int) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """One strip or tile out of its compression, in bands: which rows, and these as (rows, row_bytes) uint8.

    One strip may hold the whole picture, so that only what is LZW, PackBits, LZMA or Zstandard is held as one.
    """
    if page.compression != _NONE and page.compression not in _DEFLATES:
        _check_ratio(page, rows * row_bytes, len(raw))
        whole = _in_order(page, raw)
        yield slice(0, rows), _by_libtiff(whole, page.compression, rows, row_bytes)
        return
    inflated = Inflated(_pieces(page, raw)) if page.compression in _DEFLATES else None
    for band in canvas.bands(rows, row_bytes):
        size = (band.stop - band.start) * row_bytes
        plain = inflated.read(size) if inflated else _in_order(page, raw[band.start * row_bytes :][:size])
        if len(plain) < size:
            raise PictureError("is cut short")
        yield band, np.frombuffer(plain, np.uint8, size).reshape(-1, row_bytes)


def _check_ratio(page: TiffPage, plain_bytes: int, stored_bytes: int) -> None:
    if plain_bytes > _MAX_RATIOS.get(page.compression, plain_bytes) * stored_bytes:
        raise PictureError("is cut short")


def _in_order(page: TiffPage, raw: memoryview) -> bytes:
    """Bytes with their highest bit first, as all but some fax programs store them."""
    return bytes(raw).translate(_BITS_REVERSED) if page.fillorder == 2 else bytes(raw)


def _pieces(page: TiffPage, raw: memoryview) -> Iterator[bytes]:
    for start in range(0, len(raw), _INPUT_BYTES):
        yield _in_order(page, raw[start : start + _INPUT_BYTES])


def _by_libtiff(raw: bytes, compression: int, rows: int, row_bytes: int) -> NDArray[np.uint8]:
    """The bytes of one part, whatever they mean: to libtiff they are an 8-bit grey picture of one strip."""
    fields = {
        256: row_bytes,
        257: rows,
        258: 8,
        259: compression,
        262: 1,
        273: 0,
        277: 1,
        278: rows,
        279: len(raw),
    }
    fields[273] = 8 + 2 + 12 * len(fields) + 4
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    file = io.BytesIO(b"II*\0" + struct.pack("<IH", 8, len(fields)) + table + bytes(4) + raw)
    with quiet_stderr():
        picture = TiffImagePlugin.TiffImageFile(file)
        picture.load()
    return np.asarray(picture)


def _unpacked(plain: NDArray[np.uint8], bits: int, per_row: int, stored: np.dtype[Any]) -> NDArray[Any]:
    """Bytes as samples, (rows, per_row), in native byte order."""
    if bits in (8, 16, 32, 64):
        return plain.view(stored).astype(stored.newbyteorder("="), copy=False)
    singles = np.unpackbits(plain, axis=1)[:, : per_row * bits].reshape(len(plain), per_row, bits)
    weights = (1 << np.arange(bits - 1, -1, -1)).astype(np.uint16)
    return (singles @ weights).astype(stored.newbyteorder("="))


def _unpredicted(page: TiffPage, part: NDArray[Any], per_pixel: int) -> NDArray[Any]:
    """Samples from their differences along the row."""
    if page.predictor == 1:
        return part
    rows = len(part)
    if page.predictor == 2:
        whole = part.view(f"u{part.dtype.itemsize}").reshape(rows, -1, per_pixel)
        return np.cumsum(whole, axis=1, dtype=whole.dtype).view(part.dtype).reshape(rows, -1)
    if page.predictor == 3 and part.dtype.kind == "f":
        # Differences of bytes; each row holds all highest bytes first, then the next ones. `_unpacked` took
        # them for samples in the file's byte order, so that order is restored before they are taken apart.
        size = part.dtype.itemsize
        raw = part.astype(part.dtype.newbyteorder(page.parent.byteorder)).view(np.uint8)
        summed = np.cumsum(raw.reshape(rows, -1, per_pixel), axis=1, dtype=np.uint8).reshape(rows, size, -1)
        floats = np.ascontiguousarray(summed.transpose(0, 2, 1)).view(f">f{size}")
        return floats.reshape(rows, -1).astype(part.dtype)
    raise PictureError(f"uses a predictor ({page.predictor}) this program does not know")


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Throw away what libtiff writes straight to file descriptor 2; the exception says enough.

    For these milliseconds the whole process is without standard error; there is no narrower way.
    """
    with _stderr_lock:
        try:
            saved = os.dup(2)
        except OSError:  # no standard error, nothing to keep quiet
            yield
            return
        sink = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(sink, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(sink)
