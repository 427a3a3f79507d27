"""Radiance HDR: light in three 8-bit mantissas and a common exponent, by OpenCV."""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io.icc import linear_profile
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_pixel_count
from restore_cli.io.tiff_parts import quiet_stderr

__all__ = ["encode_hdr", "open_hdr"]

_SIZE = re.compile(rb"\n\n([-+][YX]) (\d{1,9}) ([-+][YX]) (\d{1,9})\n")
_HEAD_BYTES = 65_536


def open_hdr(stream: BinaryIO) -> Opened:
    """A Radiance picture; its EXPOSURE, a factor of all its light, is left out of account."""
    head = stream.read(_HEAD_BYTES)
    size = _SIZE.search(head)
    if size is None or b"FORMAT=32-bit_rle_xyze" in head[: size.start()]:
        raise PictureError("has a damaged header, or holds CIE XYZ")
    if (size[1], size[3]) != (b"-Y", b"+X"):
        raise PictureError("does not lie upright in its file", "Turn it with Radiance's own tools first.")
    height, width = int(size[2]), int(size[4])
    check_pixel_count(height, width)

    def decode() -> Samples:
        import cv2

        stream.seek(0)
        data = np.frombuffer(stream.read(), np.uint8)
        try:
            with quiet_stderr():
                stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        except cv2.error:
            stored = None
        if stored is None or stored.shape != (height, width, 3):
            raise PictureError("is damaged or cut short")
        values: NDArray[Any] = stored[..., ::-1]  # OpenCV has blue first
        return Samples(values, False, 1.0, 32, "RGB;32f", lossless=False)

    return Opened(height, width, decode, Metadata(icc=linear_profile()))


def encode_hdr(values: NDArray[np.float32]) -> bytes:
    """A Radiance file's bytes from (H, W, 1 or 3) light of sRGB's primaries; what is below zero becomes zero."""
    import cv2

    colours = np.maximum(np.broadcast_to(values, (*values.shape[:2], 3))[..., ::-1], 0)
    # OpenCV cuts mantissas off: with half of their last place it rounds, and what it has written stays as it is.
    exponent = np.frexp(colours.max(axis=2, keepdims=True))[1]
    colours = np.where(colours.max(axis=2, keepdims=True) > 0, colours + np.ldexp(np.float32(1), exponent - 9), 0)
    encoded: bytes = cv2.imencode(".hdr", np.ascontiguousarray(colours, np.float32))[1].tobytes()
    return encoded
