"""Every kind of picture, lying in each of the eight ways, into every format: what comes back is what went in."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image as PillowImage

from restore_cli.errors import OutputError
from restore_cli.io import colour, icc
from restore_cli.io.formats import WRITABLE_FORMATS
from restore_cli.io.image import Image
from restore_cli.io.metadata import orientation_of
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.io.helpers import XMP, adobe_rgb_profile, exif, exif_of, needs, saved

GREY_PROFILE = icc.build(icc.MatrixProfile((icc.Curve(2.2),), None), "grey, gamma 2.2")
KINDS = [
    (bits, kind, profiled)
    for bits, kind, profiled in product((8, 16, 32), ("grey", "rgb", "rgba", "palette"), (False, True))
    if kind != "palette" or bits == 8
]
# Of a sample, after the file's own rounding: JPEG and AVIF at quality 95, HDR's mantissas of 8 bits, 12 bits of HEIC.
NEARLY = {"JPEG": 0.03, "AVIF": 0.03, "HDR": 0.06, "HEIF": 0.5 / 4095}


@dataclass
class Made:
    """A file, and what it shows upright."""

    path: Path
    pixels: NDArray[np.float32]
    alpha: NDArray[np.float32] | None
    profile: bytes | None


def made(path: Path, bits: int, kind: str, profiled: bool, orientation: int) -> Made:
    height, width, channels = 12, 16, {"grey": 1, "rgba": 4}.get(kind, 3)
    profile = None if not profiled else GREY_PROFILE if kind == "grey" else adobe_rgb_profile()
    # Smooth, or what loses anything would lose too much; other in each corner, or turning would not show.
    down, across = np.mgrid[0:height, 0:width] / 16
    planes = [0.2 + 0.5 * down, 0.9 - 0.4 * across, 0.1 + 0.3 * down + 0.4 * across, 0.3 + 0.6 * down]
    upright = np.stack(planes[:channels], axis=-1)
    if kind == "palette":
        upright = np.round(upright * 3) / 3
    peak = 1 if bits == 32 else 2**bits - 1
    stored = upright.astype(np.float32) if bits == 32 else np.round(upright * peak).astype(f"u{bits // 8}")
    lying = stored
    if orientation in (3, 4, 7, 8):
        lying = lying[::-1]
    if orientation in (2, 3, 6, 7):
        lying = lying[:, ::-1]
    if orientation >= 5:
        lying = lying.swapaxes(0, 1)
    lying = np.ascontiguousarray(lying)
    block = exif(orientation)
    if kind == "palette":
        colours = PillowImage.fromarray(lying).quantize(64)
        saved(path, colours, "PNG", exif=b"Exif\0\0" + block, icc_profile=profile)
    else:
        tags = [(274, 3, 1, orientation, True), (271, 2, 7, b"Kamera\0", True), (700, 1, len(XMP) - 1, XMP % 1, True)]
        tifffile.imwrite(
            path,
            lying[..., 0] if channels == 1 else lying,
            photometric="minisblack" if channels == 1 else "rgb",
            extrasamples=["unassalpha"] if channels == 4 else None,
            resolution=(300, 300),
            resolutionunit="INCH",
            iccprofile=profile,
            extratags=tags,
            metadata=None,
            software=False,
        )
    shown = (stored / peak).astype(np.float32)
    return Made(path, shown[..., :3], shown[..., 3] if channels == 4 else None, profile)


def check_pixels(name: str, again: Image, source: Made, bits: int, kind: str) -> None:
    spec = WRITABLE_FORMATS[name]
    in_srgb, wanted = (
        colour.to_srgb(pixels, profile)
        for pixels, profile in ((again.pixels, again.icc_profile), (source.pixels, source.profile))
    )
    if again.pixels.shape[2] == 3 > wanted.shape[2]:
        wanted = np.repeat(wanted, 3, axis=2)
    if again.icc_profile == source.profile:  # then the samples themselves can be compared
        in_srgb, wanted = again.pixels, np.broadcast_to(source.pixels, again.pixels.shape)
    elif name == "HDR" or min(bits, spec.bit_depths[-1]) < 32:
        in_srgb, wanted = np.clip(in_srgb, 0, 1), np.clip(wanted, 0, 1)
    tolerance = 0 if name == "HEIF" and bits == 8 else NEARLY.get(name, 0)
    if kind == "palette":  # whose colours meet in edges
        tolerance *= 4
    if spec.bit_depths[-1] == 8 < bits:
        tolerance += 1 / 255  # dithered
    elif spec.bit_depths[-1] < bits:
        tolerance += 0.6 / 65535
    if again.icc_profile != source.profile or name == "EXR":
        tolerance += 0.6 / 255 if spec.bit_depths[-1] == 8 or bits == 8 else 1e-4
    np.testing.assert_allclose(in_srgb, wanted, atol=tolerance + 1e-6)


@pytest.mark.parametrize(("bits", "kind", "profiled"), KINDS)
@pytest.mark.parametrize("name", WRITABLE_FORMATS)
def test_it_comes_back(tmp_path: Path, name: str, bits: int, kind: str, profiled: bool) -> None:
    needs(name)
    spec = WRITABLE_FORMATS[name]
    # Each format meets all eight; `test_metadata` turns the ways of storing them.
    at = KINDS.index((bits, kind, profiled))
    for orientation in (1 + at % 8, 1 + (at + 4) % 8):
        source = made(tmp_path / "in", bits, kind, profiled, orientation)
        image = read_image(source.path)
        assert image.bit_depth == bits
        np.testing.assert_allclose(image.pixels, source.pixels, atol=1e-6)
        if kind == "rgba" and not spec.alpha:
            with pytest.raises(OutputError, match="transparent"):
                write_image(image, tmp_path / "out", format=name)
            continue
        write_image(image, tmp_path / "out", format=name, overwrite=True)
        again = read_image(tmp_path / "out")
        assert (again.height, again.width) == (12, 16)
        assert orientation_of(again.exif, again.xmp) == 1
        check_pixels(name, again, source, bits, kind)
        assert (again.alpha is None) == (kind != "rgba")
        if again.alpha is not None:
            np.testing.assert_allclose(again.alpha, source.alpha, atol=0.01)
        if spec.profile:
            assert again.icc_profile == (None if again.pixels.shape[2] != image.pixels.shape[2] else source.profile)


def test_a_wide_16_bit_tiff_lying_on_its_side_comes_back_with_all_of_it(tmp_path: Path) -> None:
    source = made(tmp_path / "in.tif", 16, "rgb", True, 6)
    image = read_image(source.path)
    write_image(image, tmp_path / "out.tif")
    again = read_image(tmp_path / "out.tif")
    np.testing.assert_array_equal(again.pixels, source.pixels)
    assert (again.bit_depth, again.icc_profile, again.xmp, again.dpi) == (16, source.profile, XMP % 1, (300, 300))
    assert exif_of(again.exif)[0x010F] == "Kamera"
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert "Orientation" not in file.pages[0].tags
