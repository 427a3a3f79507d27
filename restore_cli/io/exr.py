"""OpenEXR: light in floats, red, green and blue or luminance, by the format's own library (extra `exr`).

The picture is the data window of the first part; channels beside colour and alpha (depth, motion, layers) are
neither read nor written. Alpha is stored multiplied into the colours. What the file says in words is kept.
"""

from __future__ import annotations

import io
import struct
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.io.extras import require
from restore_cli.io.icc import REC_709, linear_profile
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_pixel_count
from restore_cli.io.tiff_parts import quiet_stderr

__all__ = ["HALF_MODE", "encode_exr", "open_exr"]

HALF_MODE = ";16f"
"""Ends the `source_mode` of pictures that hold floats of 16 bits."""


def open_exr(stream: BinaryIO) -> Opened:
    """An OpenEXR picture."""
    require("EXR")
    import OpenEXR

    data = io.BytesIO(stream.read())
    with quiet_stderr():
        # The library's newer half stumbles over names that are no UTF-8, where the older one crashes the process;
        # of the two, only the older one says nothing on standard output about damaged pixels.
        repr(OpenEXR.File(data, header_only=True).header())
        data.seek(0)
        file = OpenEXR.InputFile(data)
    header = file.header()
    if b"deep" in header.get("type", b""):
        raise PictureError("holds several samples a pixel (deep data)", "Flatten it first.")
    window = header["dataWindow"]
    width, height = window.max.x - window.min.x + 1, window.max.y - window.min.y + 1
    check_pixel_count(height, width)
    names = next((each for each in (("R", "G", "B"), ("Y",)) if set(each) <= set(header["channels"])), None)
    if names is None:
        found = ", ".join(sorted(header["channels"])[:8])
        raise PictureError(f"has no channels R, G, B or Y; it has {found}", "Name the channels so.")
    has_alpha = "A" in header["channels"]

    def decode() -> Samples:
        planes = []
        for name in (*names, "A") if has_alpha else names:
            with quiet_stderr():
                data = file.channel(name)
            kind = {2: np.float16, 4: np.float32}.get(len(data) // (height * width))
            if kind is None or "UINT" in str(header["channels"][name]) or len(data) % (height * width):
                raise PictureError(f"has a channel {name} of whole numbers or of fewer pixels", "Save it as floats.")
            planes.append(np.frombuffer(data, kind).reshape(height, width))
        is_half = planes[0].dtype == np.float16
        values = np.stack(planes, axis=-1).astype(np.float32)
        if has_alpha:
            values = _straight(values)
        mode = ("RGB" if len(names) == 3 else "L") + ("A" if has_alpha else "")
        return Samples(values, has_alpha, 1.0, 32, mode + (HALF_MODE if is_half else ";32f"))

    return Opened(height, width, decode, _metadata(header))


def _metadata(header: dict[str, Any]) -> Metadata:
    stated = header.get("chromaticities")
    points = (stated.red, stated.green, stated.blue, stated.white) if stated is not None else ()
    chromaticities = tuple(value for point in points for value in (point.x, point.y)) or REC_709
    density, aspect = header.get("xDensity"), header.get("pixelAspectRatio", 1.0)
    try:
        icc = linear_profile(chromaticities)
    except (ValueError, struct.error):  # nonsense, or numbers too large for a profile
        icc = linear_profile()
    return Metadata(
        icc=icc,
        dpi=(float(density), float(density * aspect)) if density and aspect > 0 else None,
        text=tuple(
            (name, value.decode("utf-8", "replace"))
            for name, value in header.items()
            if isinstance(value, bytes) and name not in ("type", "name", "view")
        ),
    )


def _straight(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours divided by their alpha; those of alpha 0, which only add light, stay as they are."""
    alpha = values[..., 3:] if values.shape[2] == 4 else values[..., 1:]
    return np.concatenate([values[..., :-1] / np.where(alpha > 0, alpha, 1), alpha], axis=2)


def encode_exr(
    values: NDArray[np.float32], has_alpha: bool, metadata: Metadata, chromaticities: tuple[float, ...], half: bool
) -> bytes:
    """An OpenEXR file's bytes, compressed without loss.

    Args:
        values: (H, W, C) float32: light, grey or RGB, with `has_alpha` one channel more, straight.
        has_alpha: see above.
        metadata: resolution and text go in; this format has no place for the rest.
        chromaticities: x and y of red, green, blue and white.
        half: floats of 16 bits, as the source had, or 32.
    """
    require("EXR")
    import OpenEXR

    header: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    header.update({name: text for name, text in metadata.text if name.isidentifier() and name not in header})
    header["chromaticities"] = tuple(float(value) for value in chromaticities)
    if metadata.dpi:
        header["xDensity"] = float(metadata.dpi[0])
        header["pixelAspectRatio"] = float(metadata.dpi[1] / metadata.dpi[0])
    if has_alpha:
        alpha = values[..., -1:]
        values = np.concatenate([values[..., :-1] * np.where(alpha > 0, alpha, 1), alpha], axis=2)
    kind = np.float16 if half else np.float32
    names = ("Y", "A") if values.shape[2] < 3 else ("R", "G", "B", "A")
    channels = {name: np.ascontiguousarray(values[..., at], kind) for at, name in enumerate(names[: values.shape[2]])}
    buffer = io.BytesIO()
    OpenEXR.File(header, channels).write(buffer)
    return buffer.getvalue()
