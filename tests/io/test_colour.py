"""Colours on their way to the network and back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from restore_cli.io import canvas, colour, icc
from tests.io.helpers import (
    adobe_rgb_profile,
    display_p3_profile,
    grey_ink_profile,
    levels,
    linear_grey_profile,
    prophoto_profile,
    renamed_profile,
    srgb_profile,
)

WIDE = [adobe_rgb_profile, display_p3_profile, prophoto_profile, icc.linear_profile]


@pytest.mark.parametrize("made", WIDE)
@pytest.mark.parametrize("bit_depth", [8, 16])
def test_samples_come_back_from_srgb(made, bit_depth: int) -> None:
    pixels = levels(60, 50, 3, bit_depth)
    there = colour.to_srgb(pixels, made())
    again = colour.from_srgb(there, made())
    assert there.dtype == again.dtype == np.float32
    # Most samples to a tenth of a level of 16 bits. Beside full ones the darkest lose a little, in single precision.
    off = np.abs(again - pixels)
    assert np.quantile(off, 0.99) < 0.2 / 65535
    assert off.max() < 0.15 / 255


@pytest.mark.parametrize("made", [adobe_rgb_profile, display_p3_profile, prophoto_profile])
def test_nothing_is_clipped(made) -> None:
    pure = np.eye(3, dtype=np.float32)[None]
    there = colour.to_srgb(pure, made())
    assert there.min() < -0.1
    assert there.max() > 1.05
    np.testing.assert_allclose(colour.from_srgb(there, made()), pure, atol=1e-3)


@pytest.mark.parametrize("made", WIDE)
def test_grey_and_white_stay_so(made) -> None:
    grey = np.linspace(0, 1, 33, dtype=np.float32)[:, None, None].repeat(3, axis=2)
    there = colour.to_srgb(grey, made())
    assert np.ptp(there, axis=2).max() < 1e-3
    np.testing.assert_allclose(there[-1], 1, atol=1e-4)


@pytest.mark.parametrize("profile", [None, srgb_profile(), grey_ink_profile(), renamed_profile(b"CMYK"), b"rubbish"])
def test_srgb_and_tables_are_left_alone(profile: bytes | None) -> None:
    pixels = levels(5, 7, 3, 8)
    assert colour.to_srgb(pixels, profile) is pixels
    assert colour.from_srgb(pixels, profile) is pixels


def test_grey_goes_through_its_curve_or_that_of_equal_colours() -> None:
    half = np.full((2, 2, 1), 0.5, np.float32)
    np.testing.assert_allclose(colour.to_srgb(half, linear_grey_profile()), 0.7354, atol=1e-4)
    np.testing.assert_allclose(colour.to_srgb(half, icc.linear_profile()), 0.7354, atol=1e-4)
    np.testing.assert_allclose(
        colour.from_srgb(colour.to_srgb(half, linear_grey_profile()), linear_grey_profile()), half
    )


def test_large_pictures_go_by_rows_to_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = levels(50, 40, 3, 16)
    whole = colour.to_srgb(pixels, adobe_rgb_profile())
    monkeypatch.setattr(canvas, "BAND_BYTES", 2000)
    monkeypatch.setattr(canvas, "LIMIT_BYTES", 1000)
    np.testing.assert_array_equal(colour.to_srgb(pixels, adobe_rgb_profile()), whole)


def test_light_keeps_its_primaries() -> None:
    pixels = levels(4, 4, 3, 16)
    light, points = colour.to_light(pixels, display_p3_profile())
    np.testing.assert_allclose(points, (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *icc.D65), atol=1e-4)
    np.testing.assert_allclose(light, icc.SRGB_CURVE.light(pixels.astype(np.float64)), atol=2e-5)
    assert colour.to_light(pixels, None)[1] == icc.REC_709
    with pytest.raises(ValueError, match="tables"):
        colour.to_light(pixels, grey_ink_profile())


def test_light_is_shown_through_srgbs_curve() -> None:
    light: NDArray[np.float32] = levels(4, 4, 3, 16)
    shown, profile = colour.displayable(light, icc.linear_profile())
    assert profile is None
    np.testing.assert_allclose(shown, colour.to_srgb(light, icc.linear_profile()), atol=5e-4)
    wide = icc.linear_profile((0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *icc.D65))
    shown, profile = colour.displayable(light, wide)
    np.testing.assert_allclose(colour.to_srgb(shown, profile), colour.to_srgb(light, wide), atol=2e-3)
    assert not icc.parse(profile).is_linear
    assert colour.displayable(light, adobe_rgb_profile()) == (light, adobe_rgb_profile())
