"""What a picture carries, through the whole program: from the command line into the written file."""

from __future__ import annotations

import pytest

from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.io.helpers import XMP, exif, picture, srgb_profile


@pytest.fixture
def carrying(tmp_path):
    """A 16-bit picture with everything."""
    image = picture(20, 24, bit_depth=16, exif=exif(), xmp=XMP % 1, icc_profile=srgb_profile(), dpi=(300.0, 300.0))
    write_image(image, tmp_path / "in.tif")
    return image


def test_everything_is_kept_unless_stripped(restore, weights, carrying, tmp_path):
    for options, kept in (((), True), (("--strip",), False)):
        assert restore("denoise", "in.tif", "-n", weights["x1"], "--overwrite", *options).exit_code == 0
        result = read_image(tmp_path / "in_denoise.tif")
        assert (result.bit_depth, result.dpi, result.icc_profile) == (16, (300, 300), carrying.icc_profile)
        assert (result.exif is not None, result.xmp is not None) == (kept, kept)


@pytest.mark.parametrize(("asked", "bits"), [("8", 8), ("16", 16), ("32f", 32)])
def test_the_bit_depth_asked_for_is_written(restore, weights, carrying, tmp_path, asked, bits):
    assert restore("denoise", "in.tif", "-n", weights["x1"], "--bit-depth", asked).exit_code == 0
    assert read_image(tmp_path / "in_denoise.tif").bit_depth == bits


def test_quality_reaches_the_file(restore, weights, tmp_path):
    write_image(picture(64, 64), tmp_path / "in.png")
    sizes = []
    for quality in (20, 95):
        out = f"{quality}.jpg"
        assert restore("denoise", "in.png", "-n", weights["x1"], "-o", out, "--quality", quality).exit_code == 0
        sizes.append((tmp_path / out).stat().st_size)
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize("options", [("--quality", "0"), ("--quality", "101"), ("--bit-depth", "12")])
def test_values_out_of_range_are_usage_errors(restore, weights, carrying, options):
    assert restore("denoise", "in.tif", "-n", weights["x1"], *options).exit_code == 2


def test_a_depth_the_format_lacks_is_refused_before_any_work(refused, weights, carrying, tmp_path):
    line = refused("denoise", "in.tif", "-n", weights["x1"], "-f", "jpg", "--bit-depth", "16")
    assert "JPEG holds at most 8 bits a sample, not 16" in line and "in.tif" in line
    assert [path.name for path in tmp_path.iterdir()] == ["in.tif"]
