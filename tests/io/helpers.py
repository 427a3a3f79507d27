"""Pictures and metadata made up for the tests."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageCms

from restore_cli.io import icc
from restore_cli.io.extras import missing_package
from restore_cli.io.image import Image

XMP = (
    b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
    b'tiff:Orientation="%d" dc:creator="Zo\xc3\xab"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def levels(height: int, width: int, channels: int, bit_depth: int, seed: int = 0) -> NDArray[np.float32]:
    """(H, W, C) float32 holding exactly what a file of that depth can hold, both ends of the range included."""
    rng = np.random.default_rng(seed)
    if bit_depth == 32:
        return rng.normal(0.5, 1, (height, width, channels)).astype(np.float32)
    stored = rng.integers(0, 2**bit_depth, (height, width, channels))
    stored.flat[0], stored.flat[-1] = 0, 2**bit_depth - 1
    return (stored / (2**bit_depth - 1)).astype(np.float32)


def picture(
    height: int = 5,
    width: int = 7,
    *,
    grey: bool = False,
    alpha: bool = False,
    bit_depth: int = 8,
    **kept: Any,
) -> Image:
    opacity = np.clip(levels(height, width, 1, bit_depth, seed=1)[..., 0], 0, 1) if alpha else None
    kept = {"source_format": "PNG", "source_mode": "RGB", **kept}
    return Image(levels(height, width, 1 if grey else 3, bit_depth), opacity, bit_depth, **kept)


def exif(orientation: int = 1, width: int = 7, height: int = 5, order: str = "<") -> bytes:
    """A bare EXIF block: orientation, maker, artist, a thumbnail link, pixel size as a SHORT and a LONG."""
    maker, artist = b"Kamera\0", b"Ann\0"
    ifd0 = 8
    data = ifd0 + 2 + 4 * 12 + 4
    sub = data + 8
    ifd1 = sub + 2 + 3 * 12 + 4
    block = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", ifd0)
    block += struct.pack(order + "H", 4)
    block += struct.pack(order + "HHII", 0x010F, 2, 7, data)
    block += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    block += struct.pack(order + "HHI4s", 0x013B, 2, 4, artist)
    block += struct.pack(order + "HHII", 0x8769, 4, 1, sub)
    block += struct.pack(order + "I", ifd1) + maker.ljust(8, b"\0")
    block += struct.pack(order + "H", 3)
    block += struct.pack(order + "HHIHH", 0x8827, 3, 1, 400, 0)  # ISO
    block += struct.pack(order + "HHIHH", 0xA002, 3, 1, width, 0)
    block += struct.pack(order + "HHII", 0xA003, 4, 1, height)
    block += bytes(4) + struct.pack(order + "H", 0) + bytes(4)
    return block


def exif_of(block: bytes) -> PillowImage.Exif:
    parsed = PillowImage.Exif()
    parsed.load(b"Exif\0\0" + block)
    return parsed


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def icc_profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A small ICC version 2 profile from CIELAB (printers) or XYZ (others) to the given space."""
    connection = b"Lab " if space == b"CMYK" else b"XYZ "
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    white = b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in (0.9642, 1, 0.8249)))
    tags = {b"wtpt": white, **tags}
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"lcms", 0x02400000, kind, space, connection)
    head = head.ljust(36, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + white[8:]
    return head.ljust(128, b"\0") + table + body


def linear_grey_profile() -> bytes:
    return icc_profile(b"GRAY", {b"kTRC": b"curv" + bytes(4) + struct.pack(">I", 0)})


def grey_ink_profile() -> bytes:
    """A CMYK profile of a press whose four inks are all the same grey: L* falls by a quarter with each."""
    identity = struct.pack(">9i", *(65536 * (index % 4 == 0) for index in range(9)))
    ramp = bytes(range(256))
    corners = b"".join(bytes([255 - 255 * bin(corner).count("1") // 4, 128, 128]) for corner in range(16))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + corners + ramp * 3
    return icc_profile(b"CMYK", {b"A2B0": table})


def renamed_profile(space: bytes) -> bytes:
    """An sRGB profile that claims another colour space: enough where profiles are only carried."""
    profile = srgb_profile()
    return profile[:16] + space + profile[20:]


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG from unfiltered rows, each with its filter byte, and further chunks before the pixels."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    middle = b"".join(png_chunk(*chunk) for chunk in extra) + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + middle + png_chunk(b"IEND", b"")


def saved(path: Path, values: NDArray[Any] | PillowImage.Image, name: str, **options: Any) -> Path:
    """A file written by Pillow, whatever its suffix says."""
    buffer = io.BytesIO()
    image = values if isinstance(values, PillowImage.Image) else PillowImage.fromarray(values)
    image.save(buffer, name, **options)
    path.write_bytes(buffer.getvalue())
    return path


def adobe_rgb_profile() -> bytes:
    """Adobe RGB (1998), by its published primaries, white and gamma."""
    return icc.build(icc.of_primaries((0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *icc.D65), icc.Curve(2 + 51 / 256)), "Adobe")


def display_p3_profile() -> bytes:
    return icc.build(icc.of_primaries((0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *icc.D65), icc.SRGB_CURVE), "P3")


def prophoto_profile() -> bytes:
    primaries = (0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001, 0.3457, 0.3585)
    return icc.build(icc.of_primaries(primaries, icc.Curve(1.8, 1.0, 0.0, 1 / 16, 1 / 32)), "ProPhoto")


def needs(name: str) -> None:
    """Skip where a package for the format is not installed."""
    if command := missing_package(name):
        pytest.skip(f"{name} needs {command}")


def dng(
    path: Path,
    mosaic: NDArray[np.uint16],
    *,
    pattern: str = "rggb",
    black: int = 512,
    white: int = 16383,
    neutral: tuple[float, float, float] = (0.5, 1.0, 0.625),
    matrix: NDArray[np.float64] | None = None,
    orientation: int = 1,
) -> Path:
    """An uncompressed DNG: (H, W) sensor values, or (H, W, 3) for one that is linear, in colour already.

    Args:
        pattern: of the top left 2x2 pixels.
        black, white: levels.
        neutral: the sensor's red, green and blue of white.
        matrix: (3, 3) from CIE XYZ to the sensor's colours; None for sRGB's.
    """
    if matrix is None:
        matrix = np.linalg.inv(np.linalg.solve(icc.SRGB.adaptation, icc.SRGB.to_xyz))
    rationals = [part for value in matrix.ravel() for part in (round(value * 10_000), 10_000)]
    model = b"Test Camera\0"
    tags: list[tuple[int, int, int, Any, bool]] = [
        (271, 2, 5, b"Test\0", True),
        (272, 2, len(model), model, True),
        (274, 3, 1, orientation, True),
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (50707, 1, 4, bytes([1, 1, 0, 0]), True),
        (50708, 2, len(model), model, True),
        (50714, 4, 1 if mosaic.ndim == 2 else 3, black if mosaic.ndim == 2 else (black,) * 3, True),
        (50717, 4, 1 if mosaic.ndim == 2 else 3, white if mosaic.ndim == 2 else (white,) * 3, True),
        (50721, 10, 9, rationals, True),
        (50728, 5, 3, [part for value in neutral for part in (round(value * 10_000), 10_000)], True),
        (50778, 3, 1, 21, True),
    ]
    if mosaic.ndim == 2:
        tags += [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes("rgb".index(letter) for letter in pattern), True)]
    tifffile.imwrite(
        path,
        mosaic,
        photometric=32803 if mosaic.ndim == 2 else 34892,
        planarconfig="contig" if mosaic.ndim == 3 else None,
        metadata=None,
        software=False,
        extratags=tags,
    )
    return path
