"""What came in goes out: bit for bit, in every format that can hold it."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from restore_cli.io import icc
from restore_cli.io.formats import WRITABLE_FORMATS
from restore_cli.io.image import Image
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import Encoding
from tests.io.helpers import levels, needs, picture, saved

CASES = [
    (spec.name, bit_depth, grey, alpha)
    for spec in WRITABLE_FORMATS.values()
    for bit_depth in spec.bit_depths
    for grey in (True, False)
    for alpha in ((True, False) if spec.alpha else (False,))
    if spec.name not in ("JPEG", "AVIF", "HDR")
]


@pytest.mark.parametrize(("name", "bit_depth", "grey", "alpha"), CASES)
def test_every_lossless_format_returns_the_very_same_samples(
    tmp_path: Path, name: str, bit_depth: int, grey: bool, alpha: bool
) -> None:
    needs(name)
    # OpenEXR holds light, in which others are converted.
    light = icc.linear_profile() if name == "EXR" else None
    image = picture(grey=grey, alpha=alpha, bit_depth=bit_depth, icc_profile=light)
    path = tmp_path / f"picture{WRITABLE_FORMATS[name].suffix}"
    write_image(image, path)
    again = read_image(path)
    assert (again.source_format, again.bit_depth) == (name, 16 if bit_depth == 12 else bit_depth)
    assert again.pixels.flags.c_contiguous
    if grey and (name == "WEBP" or (name == "HEIF" and alpha)):  # which have no grey
        assert not again.is_grey
        again = again.with_pixels(again.pixels[..., :1], again.alpha)
    assert again.is_grey is grey
    if name == "EXR" and alpha:  # there and back through colours multiplied by alpha
        np.testing.assert_allclose(again.pixels, image.pixels, rtol=1e-6)
    else:
        np.testing.assert_array_equal(again.pixels, image.pixels)
    if alpha:
        np.testing.assert_array_equal(again.alpha, image.alpha)
    else:
        assert again.alpha is None
    assert again.lossless
    assert again.pixels.dtype == np.float32
    assert read_size(path) == (5, 7)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["PNG", "TIFF", "PPM", "BMP", "WEBP", "HEIF", "JXL"]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    deep=st.booleans(),
    channels=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_any_size_survives(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    height: int,
    width: int,
    deep: bool,
    channels: int,
    seed: int,
) -> None:
    needs(name)
    spec = WRITABLE_FORMATS[name]
    bit_depth = spec.depth_for(16 if deep else 8)
    colours = 1 if channels < 3 and name not in ("WEBP", "HEIF") else 3
    alpha = levels(height, width, 1, bit_depth, seed + 1)[..., 0] if spec.alpha and channels % 2 == 0 else None
    image = Image(levels(height, width, colours, bit_depth, seed), alpha, bit_depth, "PNG", "RGB")
    path = tmp_path_factory.mktemp("sizes") / "picture"
    write_image(image, path, format=name)
    again = read_image(path)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    if alpha is None or (name == "WEBP" and (alpha == 1).all()):  # which keeps no alpha that hides nothing
        assert again.alpha is None
    else:
        np.testing.assert_array_equal(again.alpha, alpha)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (10, 60_000), (60_000, 10)])
@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "PPM"])
def test_a_single_pixel_and_a_long_strip_work(tmp_path: Path, name: str, height: int, width: int) -> None:
    image = Image(np.full((height, width, 3), 0.2, np.float32), None, 16, "PNG", "RGB")
    write_image(image, tmp_path / "strip", format=name)
    again = read_image(tmp_path / "strip")
    assert again.pixels.shape == (height, width, 3)
    np.testing.assert_allclose(again.pixels, 0.2, atol=0.002)


@pytest.mark.parametrize("grey", [True, False])
def test_jpeg_comes_back_close_with_its_chroma_in_full(tmp_path: Path, grey: bool) -> None:
    flat = np.repeat(np.repeat(levels(4, 4, 1 if grey else 3, 8), 8, 0), 8, 1)
    write_image(Image(flat, None, 8, "JPEG", "RGB", lossless=False), tmp_path / "a.jpg")
    again = read_image(tmp_path / "a.jpg")
    assert again.is_grey is grey
    assert not again.lossless
    assert np.abs(again.pixels - flat).mean() < 0.01
    if not grey:
        with PillowImage.open(tmp_path / "a.jpg") as file:
            assert [layer[1:3] for layer in file.layer] == [(1, 1)] * 3


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 256, 16))])
def test_a_palette_becomes_the_colours_it_stands_for(tmp_path: Path, transparency: int | bytes | None) -> None:
    palette = PillowImage.fromarray((levels(9, 8, 3, 8) * 255).astype(np.uint8)).quantize(16)
    options = {} if transparency is None else {"transparency": transparency}
    image = read_image(saved(tmp_path / "p.png", palette, "PNG", **options))
    with PillowImage.open(tmp_path / "p.png") as file:
        wanted = np.asarray(file.convert("RGBA")) / 255
    assert image.source_mode == "P"
    np.testing.assert_allclose(image.pixels, wanted[..., :3], atol=1e-6)
    assert (image.alpha is None) == (transparency is None)
    if image.alpha is not None:
        np.testing.assert_allclose(image.alpha, wanted[..., 3], atol=1e-6)
    write_image(image, tmp_path / "q.png")
    np.testing.assert_array_equal(read_image(tmp_path / "q.png").pixels, image.pixels)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit_reads_as_black_and_white(tmp_path: Path, name: str) -> None:
    bits = np.random.default_rng(0).random((5, 13)) > 0.5
    image = read_image(saved(tmp_path / "bits", PillowImage.fromarray(bits), name))
    assert image.is_grey
    np.testing.assert_array_equal(image.pixels[..., 0], bits)


def test_fax_and_jpeg_compressed_tiff_read(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).random((5, 13)) > 0.5
    fax = read_image(saved(tmp_path / "fax", PillowImage.fromarray(bits), "TIFF", compression="group4"))
    np.testing.assert_array_equal(fax.pixels[..., 0], bits)
    colours = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    jpeg = read_image(saved(tmp_path / "jpeg", colours, "TIFF", compression="jpeg", tiffinfo={274: 6}))
    np.testing.assert_allclose(jpeg.pixels * 255, colours, atol=4)


def test_the_first_frame_of_a_gif_reads(tmp_path: Path) -> None:
    frames = [PillowImage.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    image = read_image(saved(tmp_path / "a.gif", frames[0], "GIF", save_all=True, append_images=frames[1:]))
    np.testing.assert_array_equal(image.pixels, np.broadcast_to(np.float32([1, 0, 0]), (4, 6, 3)))
    assert image.source_format == "GIF"


def test_other_programs_see_the_same_16_bits(tmp_path: Path) -> None:
    image = picture(bit_depth=16, alpha=True)
    write_image(image, tmp_path / "a.png")
    write_image(image, tmp_path / "a.tif")
    wanted = np.concatenate([image.pixels, image.alpha[..., None]], axis=2) * 65535
    by_cv2 = cv2.imdecode(np.fromfile(tmp_path / "a.png", np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(by_cv2[..., [2, 1, 0, 3]], wanted, atol=0.01)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "a.tif"), wanted, atol=0.01)


def test_webp_is_lossless_only_when_the_source_was(tmp_path: Path) -> None:
    image = picture(40, 40)
    write_image(image, tmp_path / "exact.webp")
    write_image(replace(image, lossless=False), tmp_path / "close.webp")
    write_image(image, tmp_path / "asked.webp", encoding=Encoding(quality=50))
    assert read_image(tmp_path / "exact.webp").lossless
    np.testing.assert_array_equal(read_image(tmp_path / "exact.webp").pixels, image.pixels)
    assert not read_image(tmp_path / "close.webp").lossless
    assert not read_image(tmp_path / "asked.webp").lossless
    assert (tmp_path / "asked.webp").stat().st_size < (tmp_path / "close.webp").stat().st_size


def test_quality_makes_a_jpeg_smaller(tmp_path: Path) -> None:
    for quality in (30, None):
        write_image(picture(64, 64), tmp_path / f"{quality}.jpg", encoding=Encoding(quality=quality))
    assert (tmp_path / "30.jpg").stat().st_size < (tmp_path / "None.jpg").stat().st_size


@pytest.mark.parametrize(
    ("name", "kept"),
    [("PNG", 16), ("TIFF", 32), ("PPM", 16), ("BMP", 8), ("JPEG", 8), ("WEBP", 8), ("AVIF", 8), ("HEIF", 16)],
)
def test_a_depth_the_format_lacks_becomes_its_deepest(tmp_path: Path, name: str, kept: int) -> None:
    needs(name)
    image = replace(picture(bit_depth=32), pixels=levels(5, 7, 3, 16))
    write_image(image, tmp_path / "a", format=name)
    assert read_image(tmp_path / "a").bit_depth == kept


def test_nothing_of_the_picture_is_modified_by_writing_it(tmp_path: Path) -> None:
    image = picture(alpha=True)
    before = image.pixels.copy(), image.alpha.copy()
    for name in ("PNG", "TIFF", "WEBP"):
        write_image(image, tmp_path / name, format=name)
    np.testing.assert_array_equal(image.pixels, before[0])
    np.testing.assert_array_equal(image.alpha, before[1])
