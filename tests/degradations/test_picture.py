from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restore_cli.degradations.mosaic import Mosaic, mosaic_to_sparse_rgb
from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.picture import degrade_image
from restore_cli.degradations.rain import Rain
from restore_cli.degradations.resize import Bicubic
from restore_cli.io.colour import to_light, to_srgb
from restore_cli.io.icc import linear_profile
from restore_cli.io.image import Image
from tests.degradations.pictures import clean_picture
from tests.io.helpers import adobe_rgb_profile


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def image():
    alpha = clean_picture(24, 32, 1, seed=1)[:, :, 0]
    return Image(clean_picture(24, 32), alpha, 16, "PNG", "RGBA", icc_profile=b"profile", dpi=(72.0, 72.0))


def test_what_the_picture_carries_stays_and_samples_become_8_bits(image):
    degraded = degrade_image(image, Rain(), rng()).image
    assert np.array_equal(degraded.pixels, Rain()(image.pixels, rng()))
    assert np.array_equal(degraded.alpha, image.alpha)
    assert (degraded.icc_profile, degraded.dpi, degraded.bit_depth) == (b"profile", (72.0, 72.0), 8)


def test_a_mosaic_has_one_channel_that_the_decoder_spreads_again(image):
    raw = degrade_image(image, Mosaic(("gbrg",)), rng()).image
    assert raw.pixels.shape == (24, 32, 1)
    assert (raw.alpha, raw.icc_profile, raw.bit_depth) == (None, None, 8)
    assert np.array_equal(mosaic_to_sparse_rgb(raw.pixels[:, :, 0], "gbrg"), Mosaic(("gbrg",))(image.pixels, rng()))


def test_light_is_degraded_as_it_is_displayed(image):
    displayed = replace(image, icc_profile=None)
    light, _ = to_light(displayed.pixels, None)
    of_light = replace(displayed, pixels=light, icc_profile=linear_profile())
    for degradation in (GaussianNoise(), Mosaic(("bggr",))):
        expected = degrade_image(displayed, degradation, rng()).image
        degraded = degrade_image(of_light, degradation, rng()).image
        np.testing.assert_allclose(degraded.pixels, expected.pixels, atol=1e-4)
        assert degraded.icc_profile is None


def test_a_mosaic_may_hold_what_is_no_number(image):
    pixels = image.pixels.copy()
    pixels[3, 5] = np.nan
    degraded = degrade_image(image.with_pixels(pixels), Mosaic(("gbrg",)), rng())
    assert degraded.cfa == "gbrg" and np.isnan(degraded.image.pixels).sum() == 1


def test_a_mosaic_of_other_primaries_is_one_of_srgb(image):
    wide = replace(image, icc_profile=adobe_rgb_profile())
    grey = np.full((8, 8, 3), 0.4, np.float32)
    green = degrade_image(replace(wide, pixels=grey * [0.2, 1, 0.2], alpha=None), Mosaic(), rng())
    expected = np.clip(to_srgb((grey * [0.2, 1, 0.2]).astype(np.float32), adobe_rgb_profile()), 0, 1)
    np.testing.assert_allclose(green.image.pixels[0, 1, 0], expected[0, 1, 1])
    assert green.cfa == "rggb"


def test_transparency_shrinks_with_the_picture(image):
    reduced = degrade_image(image, Bicubic(3), rng()).image
    assert reduced.pixels.shape[:2] == reduced.alpha.shape == (8, 10)
    assert reduced.alpha.min() >= 0 and reduced.alpha.max() <= 1


def test_values_beyond_white_are_clipped_first(image):
    bright = image.with_pixels(image.pixels * 3)
    degraded = degrade_image(bright, GaussianNoise((0, 0)), rng()).image
    assert degraded.pixels.max() == 1
