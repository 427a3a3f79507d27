"""Depth lost without bands, and nothing lost that need not be."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore_cli.errors import OutputError
from restore_cli.io.quantise import dithered, quantise
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from restore_cli.options import BitDepth, Encoding
from tests.io.helpers import levels, picture


def test_rounding_is_half_up_and_clamping_is_at_both_ends() -> None:
    values = np.float32([-3, 0, 0.49 / 255, 0.5 / 255, 1.5 / 255, 2.4999 / 255, 1, 7])
    assert quantise(values, 8).tolist() == [0, 0, 0, 1, 2, 2, 255, 255]
    assert quantise(np.float32([1 / 65535, 0.5, 2]), 16).tolist() == [1, 32768, 65535]
    assert quantise(np.float32([1 / 4095, 2]), 12).tolist() == [1, 4095]
    assert quantise(np.float32([-3, 7]), 32).tolist() == [-3, 7]


@given(st.integers(0, 65535))
def test_every_16_bit_level_survives_the_way_through_floats(level: int) -> None:
    assert quantise(np.float32([level / 65535]), 16)[0] == level


def test_a_slow_gradient_has_the_right_mean_everywhere() -> None:
    ramp = np.tile(np.linspace(0.3, 0.31, 512, dtype=np.float32)[None, :, None], (64, 1, 1))
    error = cv2.blur(dithered(ramp)[..., 0].astype(np.float64) - ramp[..., 0] * 255, (7, 7))[4:-4, 4:-4]
    plain = cv2.blur(quantise(ramp, 8)[..., 0].astype(np.float64) - ramp[..., 0] * 255, (7, 7))[4:-4, 4:-4]
    assert np.abs(error).max() < 0.12
    assert np.abs(plain).max() > 0.45


def test_levels_that_fit_are_kept_and_grey_stays_grey() -> None:
    exact = levels(40, 40, 3, 8)
    np.testing.assert_array_equal(dithered(exact), quantise(exact, 8))
    grey = np.repeat(levels(40, 40, 1, 16), 3, axis=2)
    assert np.ptp(dithered(grey), axis=2).max() == 0
    np.testing.assert_array_equal(dithered(np.float32([[[-5, 0, 1], [1, 9, 1]]])), [[[0, 0, 255], [255, 255, 255]]])


@pytest.mark.parametrize(("source", "target", "spread"), [(16, "8", True), (8, "8", False), (32, "8", True)])
def test_only_lost_depth_is_dithered(tmp_path: Path, source: int, target: str, spread: bool) -> None:
    flat = np.full((30, 30, 3), 100.5 / 255, np.float32)
    write_image(
        replace(picture(bit_depth=source), pixels=flat),
        tmp_path / "a.png",
        encoding=Encoding(bit_depth=BitDepth(target)),
    )
    again = read_image(tmp_path / "a.png")
    assert again.bit_depth == 8
    assert bool(np.ptp(again.pixels) > 0) is spread


def test_a_constant_alpha_stays_constant(tmp_path: Path) -> None:
    image = replace(picture(bit_depth=16), alpha=np.full((5, 7), 0.3, np.float32))
    write_image(image, tmp_path / "a.png", encoding=Encoding(bit_depth=BitDepth.EIGHT))
    assert np.ptp(read_image(tmp_path / "a.png").alpha) == 0


@pytest.mark.parametrize("bit_depth", BitDepth)
@pytest.mark.parametrize("source", [8, 16, 32])
def test_the_depth_asked_for_is_written(tmp_path: Path, source: int, bit_depth: BitDepth) -> None:
    image = replace(picture(bit_depth=source), pixels=levels(5, 7, 3, 8))
    write_image(image, tmp_path / "a.tif", encoding=Encoding(bit_depth=bit_depth))
    again = read_image(tmp_path / "a.tif")
    assert again.bit_depth == bit_depth.bits
    np.testing.assert_allclose(again.pixels, image.pixels, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "asked", "way_out"), [("jpg", "16", "png"), ("webp", "32f", "tiff"), ("png", "32f", "tiff")]
)
def test_a_depth_the_format_lacks_is_refused(tmp_path: Path, name: str, asked: str, way_out: str) -> None:
    with pytest.raises(OutputError, match=f"bits a sample.*--format {way_out}"):
        write_image(picture(), tmp_path / f"a.{name}", encoding=Encoding(bit_depth=BitDepth(asked)))
    assert not list(tmp_path.iterdir())
