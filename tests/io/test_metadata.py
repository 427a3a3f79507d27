"""Orientation, profiles, EXIF, XMP and resolution: applied once, then kept."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import ImageCms, ImageOps, PngImagePlugin

from restore_cli.errors import OutputError
from restore_cli.io import exif as tiff_fields
from restore_cli.io.metadata import orientation_of, sized_exif, upright_exif
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import Encoding
from tests.io.helpers import (
    XMP,
    exif,
    exif_of,
    grey_ink_profile,
    levels,
    linear_grey_profile,
    picture,
    png,
    renamed_profile,
    saved,
    srgb_profile,
)

CARRIERS = ["PNG", "JPEG", "TIFF", "WEBP"]
EIGHT = range(1, 9)


def oriented(path: Path, name: str, orientation: int) -> Path:
    values = (np.repeat(np.repeat(levels(2, 3, 3, 8), 8, 0), 8, 1) * 255).astype(np.uint8)
    block = PillowImage.Exif()
    block[0x0112] = orientation
    options = {"tiffinfo": {274: orientation}} if name == "TIFF" else {"exif": block.tobytes()}
    lossless = {"lossless": True} if name == "WEBP" else {"subsampling": 0} if name == "JPEG" else {}
    return saved(path, values, name, **options, **lossless)


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("orientation", EIGHT)
def test_all_eight_orientations_are_applied_once(tmp_path: Path, name: str, orientation: int) -> None:
    path = oriented(tmp_path / "turned", name, orientation)
    with PillowImage.open(path) as file:
        # Pillow itself turns a TIFF when it loads one.
        wanted = np.asarray(file if name == "TIFF" else ImageOps.exif_transpose(file)) / 255
    image = read_image(path)
    np.testing.assert_allclose(image.pixels, wanted, atol=1e-6)
    assert read_size(path) == wanted.shape[:2]
    assert orientation_of(image.exif, image.xmp) == 1
    write_image(image, tmp_path / "again", format=name)
    np.testing.assert_allclose(read_image(tmp_path / "again").pixels, image.pixels, atol=0.05 if name == "JPEG" else 0)


def test_xmp_alone_can_turn_a_picture_and_is_reset(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", np.zeros((8, 16, 3), np.uint8), "JPEG", xmp=XMP % 6)
    image = read_image(path)
    assert (image.height, image.width) == (16, 8)
    assert image.xmp == XMP % 1


def test_exif_goes_before_xmp_and_both_are_reset(tmp_path: Path) -> None:
    options = {"exif": b"Exif\0\0" + exif(3), "xmp": XMP % 6}
    image = read_image(saved(tmp_path / "a.jpg", np.zeros((8, 16, 3), np.uint8), "JPEG", **options))
    assert (image.height, image.width) == (8, 16)
    assert image.xmp == XMP % 1
    assert exif_of(image.exif)[0x0112] == 1


@pytest.mark.parametrize("element", [b"<tiff:Orientation>8</tiff:Orientation>", b"tiff:Orientation = '8'"])
def test_xmp_says_its_orientation_in_several_ways(element: bytes) -> None:
    assert orientation_of(None, b"<x>" + element + b"</x>") == 8


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path: Path, orientation: int) -> None:
    path = saved(tmp_path / "a.jpg", np.zeros((8, 16, 3), np.uint8), "JPEG", exif=b"Exif\0\0" + exif(orientation))
    assert read_image(path).pixels.shape == (8, 16, 3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_orientation_of_exif_changes(order: str) -> None:
    before = exif(6, order=order)
    after = upright_exif(before, turned=False)
    assert after == exif(1, order=order)
    assert exif_of(upright_exif(before, turned=True)).get_ifd(0x8769)[0x8827] == 400


def test_the_thumbnail_of_a_turned_picture_is_unlinked() -> None:
    assert tiff_fields.parse(exif(6)).next_at
    block = upright_exif(exif(6), turned=True)
    at = tiff_fields.parse(block).next_at
    assert block[at : at + 4] == bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_size_in_exif_follows_the_picture(order: str) -> None:
    assert sized_exif(exif(order=order), 5, 7) == exif(order=order)
    fields = exif_of(sized_exif(exif(order=order), 100_000, 70_000)).get_ifd(0x8769)
    assert (fields[0xA002], fields[0xA003]) == (70_000, 100_000)
    assert fields[0x8827] == 400


@pytest.mark.parametrize("source", CARRIERS)
@pytest.mark.parametrize("target", CARRIERS)
def test_everything_a_picture_carries_goes_from_format_to_format(tmp_path: Path, source: str, target: str) -> None:
    profile = srgb_profile()
    first = replace(picture(), icc_profile=profile, exif=exif(), xmp=XMP % 1, dpi=(300.0, 150.0))
    write_image(first, tmp_path / "first", format=source)
    enlarged = read_image(tmp_path / "first").with_pixels(np.zeros((10, 14, 3), np.float32))
    write_image(enlarged, tmp_path / "second", format=target)
    image = read_image(tmp_path / "second")
    assert image.icc_profile == profile
    assert image.xmp == XMP % 1
    if "WEBP" not in (source, target):  # which has no resolution
        assert image.dpi == pytest.approx((300, 150))
    fields = exif_of(image.exif)
    assert (fields[0x010F], fields[0x013B]) == ("Kamera", "Ann")
    inner = fields.get_ifd(0x8769)
    assert (inner[0x8827], inner[0xA002], inner[0xA003]) == (400, 14, 10)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_kept_byte_for_byte(tmp_path: Path, name: str, order: str) -> None:
    write_image(picture(exif=exif(order=order)), tmp_path / "a", format=name)
    assert read_image(tmp_path / "a").exif == sized_exif(exif(order=order), 5, 7)


def test_big_endian_exif_gets_into_a_tiff_too(tmp_path: Path) -> None:
    write_image(picture(exif=exif(order=">"), bit_depth=16), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages[0].tags["ExifTag"].value["ISOSpeedRatings"] == 400
        assert file.pages[0].tags["Make"].value == "Kamera"
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, picture(bit_depth=16).pixels)


@pytest.mark.parametrize("name", CARRIERS)
def test_stripping_leaves_the_profile_and_the_resolution(tmp_path: Path, name: str) -> None:
    image = picture(icc_profile=srgb_profile(), exif=exif(), xmp=XMP % 1, dpi=(96.0, 96.0))
    write_image(image, tmp_path / "a", format=name, encoding=Encoding(strip=True))
    again = read_image(tmp_path / "a")
    assert again.exif is None
    assert again.xmp is None
    assert again.icc_profile == image.icc_profile


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("name", ["PNG", "TIFF", "JPEG"])
def test_a_grey_profile_stays_with_grey(tmp_path: Path, name: str, bit_depth: int) -> None:
    profile = renamed_profile(b"GRAY")
    write_image(picture(grey=True, bit_depth=bit_depth, icc_profile=profile), tmp_path / "a", format=name)
    again = read_image(tmp_path / "a")
    assert again.is_grey
    assert again.icc_profile == profile


@pytest.mark.parametrize("name", CARRIERS)
def test_a_grey_profile_never_goes_onto_colours(tmp_path: Path, name: str) -> None:
    write_image(picture(icc_profile=renamed_profile(b"GRAY")), tmp_path / "a", format=name)
    assert read_image(tmp_path / "a").icc_profile is None


def test_a_profile_of_megabytes_survives_png(tmp_path: Path) -> None:
    profile = srgb_profile() + np.random.default_rng(0).bytes(3_000_000)
    write_image(picture(icc_profile=profile, xmp=XMP % 1 + b" " * 2_000_000), tmp_path / "a.png")
    again = read_image(tmp_path / "a.png")
    assert again.icc_profile == profile
    assert len(again.xmp) > 2_000_000


def test_exif_too_long_for_jpeg_is_said_not_dropped(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"EXIF.*--format png"):
        write_image(picture(exif=exif() + bytes(70_000)), tmp_path / "a.jpg")
    write_image(picture(exif=exif() + bytes(70_000)), tmp_path / "a.png")


@pytest.mark.parametrize("block", [b"MM\0\xd2\0\0\0\x08\0\0", b"no exif at all", b"II", b""])
def test_an_exif_block_that_is_none_is_not_handed_on(tmp_path: Path, block: bytes) -> None:
    """Pillow, for one, raises SyntaxError at it where somebody asks for the orientation."""
    path = saved(tmp_path / "a.jpg", np.zeros((8, 8, 3), np.uint8), "JPEG", exif=b"Exif\0\0" + block)
    assert read_image(path).exif is None


def test_exif_in_a_png_text_is_found(tmp_path: Path) -> None:
    values = PillowImage.new("RGB", (16, 8))
    info = PngImagePlugin.PngInfo()
    body = (b"Exif\0\0" + exif(6)).hex()
    info.add_text("Raw profile type exif", f"\nexif\n{len(body) // 2:8}\n{body}\n", zip=True)
    assert read_size(saved(tmp_path / "a.png", values, "PNG", pnginfo=info)) == (16, 8)


def test_damaged_optional_parts_of_a_png_cost_only_themselves(tmp_path: Path) -> None:
    data = png(1, 1, 8, 0, b"\0\x80", (b"iCCP", b"name\0\0not deflated"), (b"eXIf", b"rubbish"), (b"pHYs", b"short"))
    (tmp_path / "a.png").write_bytes(data)
    image = read_image(tmp_path / "a.png")
    assert image.pixels.item() == np.float32(128 / 255)
    assert image.icc_profile is None
    assert image.dpi is None


@pytest.mark.parametrize("adobe", [True, False])
def test_cmyk_without_a_profile_becomes_rgb_by_the_plain_formula(tmp_path: Path, adobe: bool) -> None:
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[:, :8] = (255, 0, 0, 0)
    path = saved(tmp_path / "a", PillowImage.fromarray(ink, "CMYK"), "JPEG" if adobe else "TIFF")
    image = read_image(path)
    assert image.source_mode == "CMYK"
    np.testing.assert_allclose(image.pixels[8, 3], [0, 1, 1], atol=0.03)
    np.testing.assert_allclose(image.pixels[8, 12], [1, 1, 1], atol=0.03)


def test_cmyk_goes_through_its_profile_which_is_then_not_attached(tmp_path: Path) -> None:
    cyan = PillowImage.new("CMYK", (16, 16), (255, 0, 0, 0))
    image = read_image(saved(tmp_path / "a.tif", cyan, "TIFF", icc_profile=grey_ink_profile()))
    # L* 75 is sRGB 0.73; the plain formula would give (0, 1, 1).
    np.testing.assert_allclose(image.pixels, 0.73, atol=0.02)
    assert image.icc_profile is None


def test_grey_goes_to_webp_through_its_profile(tmp_path: Path) -> None:
    grey = picture(grey=True, icc_profile=linear_grey_profile())
    grey = grey.with_pixels(np.full((4, 4, 1), 0.5, np.float32))
    write_image(grey, tmp_path / "a.webp")
    again = read_image(tmp_path / "a.webp")
    np.testing.assert_allclose(again.pixels, 0.735, atol=0.01)  # half the light, encoded as sRGB
    assert again.icc_profile is None


def test_a_broken_profile_of_cmyk_does_not_stop_the_reading(tmp_path: Path) -> None:
    profile = renamed_profile(b"CMYK")[:200]
    path = saved(tmp_path / "a.jpg", PillowImage.new("CMYK", (8, 8)), "JPEG", icc_profile=profile)
    np.testing.assert_allclose(read_image(path).pixels, 1, atol=0.01)


def test_resolution_turns_with_the_picture(tmp_path: Path) -> None:
    values = np.zeros((8, 16, 3), np.uint8)
    path = saved(
        tmp_path / "a.tif",
        values,
        "TIFF",
        tiffinfo={274: 6},
        resolution_unit=2,
        x_resolution=300,
        y_resolution=150,
    )
    assert read_image(path).dpi == (150, 300)


def test_a_resolution_nobody_stated_is_not_invented(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", np.zeros((8, 8, 3), np.uint8), "JPEG", exif=b"Exif\0\0" + exif())
    assert read_image(path).dpi is None


@given(st.binary(max_size=300), st.booleans())
def test_no_exif_block_is_too_broken_to_carry(noise: bytes, big: bool) -> None:
    block = (b"MM\0*" if big else b"II*\0") + noise
    assert len(upright_exif(block, turned=True)) == len(block)
    assert len(sized_exif(block, 5, 7)) == len(block)
    assert orientation_of(block, None) in EIGHT


def test_directories_survive_being_moved() -> None:
    directory = tiff_fields.parse(exif(order=">"))
    moved = b"MM\0*" + (100).to_bytes(4, "big") + bytes(92) + tiff_fields.serialise(directory, 100)
    again = tiff_fields.parse(moved)
    assert {tag: entry.data for tag, entry in again.entries.items() if tag != 0x8769} == {
        tag: entry.data for tag, entry in directory.entries.items() if tag != 0x8769
    }
    assert again.children[0x8769].number(0x8827) == 400


def test_a_written_profile_is_readable_by_colour_management(tmp_path: Path) -> None:
    write_image(picture(icc_profile=srgb_profile()), tmp_path / "a.png")
    with PillowImage.open(tmp_path / "a.png") as file:
        assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(file.info["icc_profile"])))


@pytest.mark.parametrize(("unit", "per_inch"), [(2, 1), (3, 2.54)])
def test_formats_without_a_resolution_have_that_of_exif(tmp_path: Path, unit: int, per_inch: float) -> None:
    block = PillowImage.Exif()
    block[0x011A], block[0x011B], block[0x0128] = 300.0, 150.0, unit
    path = saved(tmp_path / "a", np.zeros((8, 16, 3), np.uint8), "WEBP", exif=block.tobytes())
    image = read_image(path)
    assert image.dpi == pytest.approx((300 * per_inch, 150 * per_inch))
    # Unchanged it stays as it is, byte for byte; changed, it is in inches.
    write_image(image, tmp_path / "b", format="WEBP")
    assert read_image(tmp_path / "b").exif == image.exif
    write_image(replace(image, dpi=(1200.0, 600.0)), tmp_path / "c", format="WEBP")
    fields = exif_of(read_image(tmp_path / "c").exif)
    assert (fields[0x011A], fields[0x011B], fields[0x0128]) == (1200, 600, 2)
