"""HEIF (HEIC): 8 bits, or 10 and 12, by pillow-heif (extra `heif`)."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io.boxes import profile_in
from restore_cli.io.extras import require
from restore_cli.io.metadata import bare_exif
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_pixel_count

__all__ = ["encode_heif", "open_heif"]

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def open_heif(stream: BinaryIO, frame: int = 0) -> Opened:
    """A HEIF picture: the primary one, or number `frame` of the primary one and the others in their order."""
    require("HEIF")
    import pillow_heif

    data = stream.read()
    try:
        file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    except (ValueError, RuntimeError, EOFError) as error:
        raise PictureError(f"is damaged: {' '.join(str(error).split())}") from None
    order = [file.primary_index, *(at for at in range(len(file)) if at != file.primary_index)]
    picture = file[order[min(frame, len(order) - 1)]]
    width, height = picture.size
    check_pixel_count(height, width)
    info: dict[str, Any] = dict(picture.info)
    bits = int(info["bit_depth"])

    def decode() -> Samples:
        try:
            values: NDArray[Any] = np.asarray(picture).reshape(height, width, -1)
        except (ValueError, RuntimeError, EOFError, OSError) as error:
            raise PictureError(f"is damaged: {' '.join(str(error).split())}") from None
        has_alpha = values.shape[2] in (2, 4)
        if picture.premultiplied_alpha:
            raise PictureError("holds colours multiplied by alpha", "Convert it to PNG first.")
        mode = _MODES[values.shape[2]] + (";16" if bits > 8 else "")
        # Whether it is exact cannot be told from the file; what a camera writes is not.
        return Samples(
            values,
            has_alpha,
            2**bits - 1,
            16 if bits > 8 else 8,
            {"L;16": "I;16"}.get(mode, mode),
            lossless=_is_lossless(info),
        )

    icc = info.get("icc_profile") or profile_in(data)
    # libheif has turned the picture already, whatever EXIF says.
    metadata = Metadata(icc, bare_exif(info.get("exif")), info.get("xmp") or None, orientation=1)
    return Opened(height, width, decode, metadata, len(order))


def _is_lossless(info: dict[str, Any]) -> bool:
    """Whether colours were stored as they are, not as brightness and chroma: nobody does that who wants loss."""
    profile = info.get("nclx_profile") or {}
    return bool(profile.get("matrix_coefficients") == 0)


def encode_heif(
    values: NDArray[np.uint8] | NDArray[np.uint16], bit_depth: int, metadata: Metadata, quality: int | None
) -> bytes:
    """A HEIF file's bytes from grey, RGB or RGBA: without loss, or at a quality, chroma in full.

    Raises:
        PictureError: the encoder refuses the size (a strip too thin for its length).
    """
    require("HEIF")
    import pillow_heif

    height, width, channels = values.shape
    mode = _MODES[channels]
    if bit_depth > 8:
        # The library takes samples of 16 bits and drops the lowest.
        values = (values << (16 - bit_depth)).astype(np.uint16)
        mode = {"L": "I;16"}.get(mode, f"{mode};16")
    extra: dict[str, Any] = {"icc_profile": metadata.icc, "exif": metadata.exif, "xmp": metadata.xmp}
    if quality is None:
        extra["matrix_coefficients"] = 0
    buffer = io.BytesIO()
    try:
        pillow_heif.encode(
            mode,
            (width, height),
            np.ascontiguousarray(values).tobytes(),
            buffer,
            quality=-1 if quality is None else quality,
            chroma=444,
            bit_depth=bit_depth,
            **{key: value for key, value in extra.items() if value is not None},
        )
    except RuntimeError as error:
        raise PictureError(f"has a size the HEIF encoder refuses ({width}x{height})") from error
    return buffer.getvalue()
