"""AVIF: 8 bits both ways by Pillow; 10 and 12 bits are read with imagecodecs (extra `avif`)."""

from __future__ import annotations

import io
import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from restore_cli.io.boxes import profile_in
from restore_cli.io.extras import require
from restore_cli.io.metadata import bare_exif, without_orientation
from restore_cli.io.opened import Metadata, Opened, Samples, check_pixel_count
from restore_cli.io.pillow import samples_of

__all__ = ["encode_avif", "open_avif"]

_CONFIGURATION = re.compile(rb"av1C\x81.(.)", re.DOTALL)  # 'version 1', profile and level, bit depth among flags
_DEEP, _TWELVE = 0x40, 0x20


def open_avif(stream: BinaryIO, frame: int = 0) -> Opened:
    """An AVIF picture, or a frame of a sequence."""
    require("AVIF")
    from PIL import AvifImagePlugin

    data = stream.read()
    picture = AvifImagePlugin.AvifImageFile(io.BytesIO(data))
    width, height = picture.size
    check_pixel_count(height, width)
    flags = [match[1][0] for match in _CONFIGURATION.finditer(data)]
    is_deep = any(flag & _DEEP for flag in flags)
    if is_deep:
        require("AVIF of more than 8 bits")
    peak = 4095 if any(flag & _TWELVE for flag in flags) else 1023

    def decode() -> Samples:
        if not is_deep:
            picture.seek(frame)
            picture.load()
            return samples_of(picture, lossless=False)
        import imagecodecs

        values: NDArray[Any] = imagecodecs.avif_decode(data, index=frame)
        values = values.reshape(height, width, -1)
        mode = {1: "I;16", 2: "LA;16", 3: "RGB;16", 4: "RGBA;16"}[values.shape[2]]
        return Samples(values, values.shape[2] in (2, 4), peak, 16, mode, lossless=False)

    info = picture.info
    icc = info.get("icc_profile") or profile_in(data)
    exif = bare_exif(info.get("exif"))
    return Opened(height, width, decode, Metadata(icc, exif, info.get("xmp") or None), picture.n_frames)


def encode_avif(values: NDArray[np.uint8], metadata: Metadata, quality: int | None) -> bytes:
    """An AVIF file's bytes from grey, RGB or RGBA, at quality 95 unless said, chroma in full."""
    require("AVIF")
    from PIL import AvifImagePlugin  # noqa: F401  (registers what `save` looks up)

    extra: dict[str, Any] = {}
    if metadata.icc:
        extra["icc_profile"] = metadata.icc
    if metadata.exif:
        # Pillow makes a new block of one that states an orientation; of others it keeps every byte.
        extra["exif"] = without_orientation(metadata.exif)
    if metadata.xmp:
        extra["xmp"] = metadata.xmp
    if values.shape[2] > 1:
        extra["subsampling"] = "4:4:4"
    buffer = io.BytesIO()
    picture = PillowImage.fromarray(values[..., 0] if values.shape[2] == 1 else values)
    picture.save(buffer, "AVIF", quality=95 if quality is None else quality, **extra)
    return buffer.getvalue()
