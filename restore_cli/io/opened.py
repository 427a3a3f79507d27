"""What the decoders hand to `read`: a header first, the samples on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from restore_cli.io.sensor import Sensor

__all__ = ["MAX_PIXELS", "Metadata", "Opened", "PictureError", "Samples", "check_claim", "check_pixel_count"]

MAX_PIXELS = 1_000_000_000
"""Pictures with more pixels than this are refused: a few bytes can claim any size."""

# Each of JPEG's blocks of 8x8 pixels takes a bit at least, and it has up to three channels of them. Others pack blank
# pictures closer; below a hundred megapixels that is let pass.
_MOST_PIXELS_A_BYTE, _FEW_BYTES = 4096, 25_000


class PictureError(Exception):
    """What is wrong with a picture, as half a sentence that `read` or `write` completes with its file's name.

    Args:
        found: goes after the file's name: "is cut short".
        hint: the way out.
    """

    def __init__(self, found: str, hint: str = "") -> None:
        """See the class."""
        super().__init__(found)
        self.found = found
        self.hint = hint


@dataclass(frozen=True)
class Metadata:
    """What a file says about its picture, as stored: nothing applied, nothing reset.

    Args:
        icc: colour profile.
        exif: bare TIFF block.
        xmp: packet.
        dpi: pixels an inch, (across, down), of the picture as stored.
        orientation: the container's own word (TIFF), which goes before EXIF's and XMP's; None without one.
        iptc: block of data sets, see `iptc`.
        text: keyword and content of each comment.
    """

    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    orientation: int | None = None
    iptc: bytes | None = None
    text: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Samples:
    """Pixels as stored: whole numbers (or floats), not turned upright.

    Args:
        values: (H, W, C) unsigned or float, C = 1 to 4; with `has_alpha` the last channel is straight alpha.
        has_alpha: see above.
        peak: the sample value of white and of opaque.
        bit_depth: 8, 16 or 32, as in `Image`.
        mode: as `Image.source_mode`.
        keeps_profile: False where a conversion has made the file's profile untrue (CMYK to RGB).
        lossless: as in `Image`.
        is_upright: whether the decoder has applied the orientation already.
        sensor: for the mosaic of a camera raw.
        icc: colour profile, where the pixels must be decoded to learn it.
    """

    values: NDArray[Any]
    has_alpha: bool
    peak: float
    bit_depth: int
    mode: str
    keeps_profile: bool = True
    lossless: bool = True
    is_upright: bool = False
    sensor: Sensor | None = None
    icc: bytes | None = None


@dataclass(frozen=True)
class Opened:
    """A file whose header has been read; `decode` does the rest while the file is still open.

    Args:
        height, width: of the picture as stored.
        decode: its samples.
        metadata: see `Metadata`.
        frames: how many pictures (pages, frames) the file holds.
    """

    height: int
    width: int
    decode: Callable[[], Samples]
    metadata: Metadata = field(default_factory=Metadata)
    frames: int = 1


def check_pixel_count(height: int, width: int) -> None:
    """Refuse an impossible size before memory is taken for it.

    Raises:
        PictureError: no pixels, or more than `MAX_PIXELS`.
    """
    if height < 1 or width < 1:
        raise PictureError(f"claims a size of {width}x{height} pixels: there is nothing in it")
    if height * width > MAX_PIXELS:
        raise PictureError(
            f"claims {width}x{height} pixels, more than the {MAX_PIXELS:,} this program takes",
            "Cut the picture into parts.",
        )


def check_claim(height: int, width: int, file_bytes: int) -> None:
    """Refuse a vast picture in a small file before a decoder takes memory for the whole of it.

    Raises:
        PictureError: more pixels than any photograph has in so many bytes.
    """
    if height * width > _MOST_PIXELS_A_BYTE * max(file_bytes, _FEW_BYTES):
        raise PictureError(f"claims {width}x{height} pixels in {file_bytes} bytes: it is damaged or cut short")
