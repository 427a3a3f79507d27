from __future__ import annotations

import numpy as np
import pytest

from restore_cli.degradations.mosaic import Mosaic, mosaic_to_sparse_rgb
from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.picture import degrade_image
from restore_cli.degradations.rain import Rain
from restore_cli.degradations.resize import Bicubic
from restore_cli.io.image import Image
from tests.degradations.pictures import clean_picture


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def image():
    alpha = clean_picture(24, 32, 1, seed=1)[:, :, 0]
    return Image(clean_picture(24, 32), alpha, 16, "PNG", "RGBA", icc_profile=b"profile", dpi=(72.0, 72.0))


def test_what_the_picture_carries_stays_and_samples_become_8_bits(image):
    degraded = degrade_image(image, Rain(), rng())
    assert np.array_equal(degraded.pixels, Rain()(image.pixels, rng()))
    assert np.array_equal(degraded.alpha, image.alpha)
    assert (degraded.icc_profile, degraded.dpi, degraded.bit_depth) == (b"profile", (72.0, 72.0), 8)


def test_a_mosaic_has_one_channel_that_the_decoder_spreads_again(image):
    raw = degrade_image(image, Mosaic(("gbrg",)), rng())
    assert raw.pixels.shape == (24, 32, 1)
    assert (raw.alpha, raw.icc_profile, raw.bit_depth) == (None, None, 8)
    assert np.array_equal(mosaic_to_sparse_rgb(raw.pixels[:, :, 0], "gbrg"), Mosaic(("gbrg",))(image.pixels, rng()))


def test_transparency_shrinks_with_the_picture(image):
    reduced = degrade_image(image, Bicubic(3), rng())
    assert reduced.pixels.shape[:2] == reduced.alpha.shape == (8, 10)
    assert reduced.alpha.min() >= 0 and reduced.alpha.max() <= 1


def test_values_beyond_white_are_clipped_first(image):
    bright = image.with_pixels(image.pixels * 3)
    degraded = degrade_image(bright, GaussianNoise((0, 0)), rng())
    assert degraded.pixels.max() == 1
