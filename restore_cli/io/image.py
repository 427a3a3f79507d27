"""The picture as every other part of the program sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from restore_cli.io.sensor import Sensor

__all__ = ["FloatArray", "Image"]

FloatArray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)  # whether two arrays are equal has no one answer
class Image:
    """A picture and everything its file said about it.

    Args:
        pixels: (H, W, C) float32, C = 1 (grey) or 3 (RGB), encoded as in the file (no linearisation), black 0
            and white 1 (float files may go beyond), straight, not multiplied by alpha, upright.
        alpha: (H, W) float32 in [0, 1], 0 transparent; None where the file has no transparency.
        bit_depth: of a sample in the file: 8 (also for 1, 2 and 4), 16 (also for 9 to 15), or 32 for floats.
        source_format: the file's real format, whatever its suffix: "PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM",
            "GIF", "AVIF", "HEIF", "JXL", "EXR", "HDR" or "RAW".
        source_mode: how the file held its samples: "1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16",
            "RGB;16", "F", "mosaic;16", ...
        icc_profile: the colour profile of `pixels`; None reads as sRGB.
        exif: EXIF as a bare TIFF block (it starts with b"II" or b"MM"). Its orientation has been applied and
            says 1.
        xmp: the XMP packet, UTF-8. Its tiff:Orientation says 1.
        dpi: pixels an inch, (across, down).
        lossless: whether the file held its samples exactly; False for JPEG and lossy WebP.
        iptc: IPTC's data sets, as stored.
        text: comments, keyword and content: PNG's texts, OpenEXR's attributes, JPEG's and GIF's one "Comment".
        sensor: of the mosaic of a camera raw; `pixels` are that mosaic then, white-balanced, with sRGB's curve.
    """

    pixels: FloatArray
    alpha: FloatArray | None
    bit_depth: int
    source_format: str
    source_mode: str
    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    lossless: bool = True
    iptc: bytes | None = None
    text: tuple[tuple[str, str], ...] = ()
    sensor: Sensor | None = None

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def is_grey(self) -> bool:
        """Whether there is one channel."""
        return bool(self.pixels.shape[2] == 1)

    @property
    def has_transparency(self) -> bool:
        """Whether any pixel is less than opaque once rounded to 8 bits: models do not return exactly 1."""
        return self.alpha is not None and bool(self.alpha.min() < 254.5 / 255)

    def with_pixels(self, pixels: FloatArray, alpha: FloatArray | None = None) -> Image:
        """The same picture with other pixels, of any size; everything else is carried over.

        Args:
            pixels: (H', W', C) float32.
            alpha: (H', W') float32, or None for a picture without transparency; the old one is not kept.
        """
        return replace(self, pixels=pixels, alpha=alpha)
