"""What each format keeps of a picture, found out by writing one and reading it again; for `test_kept`."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from restore_cli.errors import OutputError
from restore_cli.io import colour, icc
from restore_cli.io.formats import WRITABLE_FORMATS, OutputFormat, check_output_limits
from restore_cli.io.image import Image
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.io.helpers import XMP, display_p3_profile, exif, levels, picture

START, END = "<!-- kept: written by tests/io/test_kept.py -->", "<!-- end of kept -->"
IPTC = b"\x1c\x02\x78\x00\x06Harbor\x1c\x02\x19\x00\x04boat"
TEXT = (("Comment", "Zoë"),)
HEADINGS = (
    "format",
    "bits a sample",
    "grey",
    "transparency",
    "exact",
    "colour profile",
    "EXIF, GPS",
    "XMP",
    "IPTC",
    "resolution",
    "comments",
    "pixels a side",
)
TITLES = {"JXL": "JPEG XL `[jxl]`", "HEIF": "HEIC `[heif]`", "EXR": "OpenEXR `[exr]`", "HDR": "Radiance HDR"}


def table(folder: Path, names: list[str]) -> dict[str, str]:
    """The rows of the README's table, by format; "" is its head."""
    rows = {"": f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}"}
    for name in names:
        rows[name] = f"| {' | '.join(_row(folder, WRITABLE_FORMATS[name]))} |"
    return rows


def _row(folder: Path, spec: OutputFormat) -> list[str]:
    everything = Image(
        np.broadcast_to(np.float32([0.9, 0.1, 0.2]), (8, 8, 3)),  # a red outside sRGB
        *(None, 8, "PNG", "RGB", display_p3_profile(), exif(), XMP % 1, (300.0, 300.0)),
        iptc=IPTC,
        text=TEXT,
    )
    again = _again(folder, spec, everything)
    return [
        TITLES.get(spec.name, spec.name),
        ", ".join(str(bits) for bits in (8, 16, 32) if _keeps_depth(folder, spec, bits)).replace("32", "float")
        + (" (12 bits of 16)" if 12 in spec.bit_depths else ""),
        "yes" if _again(folder, spec, picture(8, 8, grey=True)).is_grey else "as RGB",
        _transparency(folder, spec),
        _exactness(folder, spec),
        _profile(everything, again),
        "yes" if again.exif else "no",
        "yes" if again.xmp == everything.xmp else "no",
        "yes" if again.iptc == IPTC else "no",
        "yes" if again.dpi and abs(again.dpi[0] - 300) < 0.5 else "no",
        "yes" if again.text == TEXT else "no",
        f"{spec.max_side:,}" if spec.max_side < 2**30 - 1 else "any",
    ]


def _again(folder: Path, spec: OutputFormat, image: Image) -> Image:
    write_image(image, folder / "kept", format=spec.name, overwrite=True)
    return read_image(folder / "kept")


def _keeps_depth(folder: Path, spec: OutputFormat, bits: int) -> bool:
    return _again(folder, spec, picture(8, 8, bit_depth=bits)).bit_depth == bits


def _transparency(folder: Path, spec: OutputFormat) -> str:
    image = picture(8, 8, alpha=True)
    try:
        check_output_limits(spec, 8, 8, has_alpha=True)
    except OutputError:
        return "refused"
    alpha = _again(folder, spec, image).alpha
    return "yes" if alpha is not None and np.abs(alpha - image.alpha).max() < 0.02 else "no"


def _exactness(folder: Path, spec: OutputFormat) -> str:
    # Of floats those of the kind that a format of floats holds: light.
    image = picture(8, 8, bit_depth=spec.bit_depths[-1], icc_profile=icc.linear_profile())
    image = replace(image, pixels=np.abs(image.pixels))
    if spec.name != "EXR":
        image = replace(image, pixels=levels(8, 8, 3, min(16, spec.bit_depths[-1])), icc_profile=None)
    again = _again(folder, spec, image)
    if again.pixels.shape == image.pixels.shape and np.array_equal(again.pixels, image.pixels):
        return "yes; a lossy source at quality 95" if spec.name in ("WEBP", "HEIF", "JXL") else "yes"
    return "8-bit mantissas" if spec.name == "HDR" else "quality 95"


def _profile(image: Image, again: Image) -> str:
    if again.icc_profile == image.icc_profile:
        return "yes"
    wanted = colour.to_srgb(image.pixels, image.icc_profile)
    got = colour.to_srgb(again.pixels, again.icc_profile)
    if np.abs(got - wanted).max() < 0.02:
        return "as its primaries" if again.icc_profile != icc.linear_profile() else "becomes sRGB's"
    assert np.abs(np.clip(wanted, 0, 1) - np.clip(got, 0, 1)).max() < 0.02
    return "becomes sRGB"
