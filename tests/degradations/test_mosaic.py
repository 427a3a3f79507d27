from __future__ import annotations

import numpy as np
import pytest

from restore_cli.degradations.mosaic import BAYER_PATTERNS, Mosaic, mosaic_to_sparse_rgb
from restore_cli.errors import RecipeError, UsageError
from tests.degradations.pictures import clean_picture


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_a_mosaic_keeps_every_value_once_and_in_its_colour(pattern):
    mosaic = rng().random((6, 8), dtype=np.float32)
    sparse = mosaic_to_sparse_rgb(mosaic, pattern)
    np.testing.assert_array_equal(sparse.sum(axis=2), mosaic)
    colours = ["rgb"[channel] for channel in sparse[:2, :2].reshape(4, 3).argmax(axis=1)]
    assert "".join(colours) == pattern


def test_an_unknown_pattern_names_the_known_ones():
    with pytest.raises(UsageError, match="rggb"):
        mosaic_to_sparse_rgb(np.zeros((2, 2), np.float32), "rgbw")


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_the_degradation_keeps_the_pictures_own_values_where_the_decoder_expects_them(pattern):
    clean = clean_picture(7, 9)
    sparse = Mosaic(patterns=(pattern,))(clean, rng())
    seen = sparse != 0
    assert np.array_equal(sparse[seen], clean[seen])
    assert np.array_equal(seen, mosaic_to_sparse_rgb(np.ones((7, 9), np.float32), pattern) == 1)


def test_all_phases_named_are_drawn():
    degradation = Mosaic(patterns=tuple(BAYER_PATTERNS))
    phases = {tuple((degradation(np.ones((2, 2, 3), np.float32), rng(seed)) > 0).ravel()) for seed in range(40)}
    assert len(phases) == 4


def test_its_noise_is_the_sensors_so_the_zeros_between_stay_zeros():
    clean = np.full((100, 100, 3), 0.5, np.float32)
    sparse = Mosaic(sigma_255=(10, 10))(clean, rng())
    assert ((sparse != 0).sum(axis=2) == 1).all()
    assert (sparse.sum(axis=2) - 0.5).std() * 255 == pytest.approx(10, rel=0.03)


def test_of_a_grey_picture_every_pixel_is_kept():
    clean = clean_picture(8, 8, 1)
    assert np.array_equal(Mosaic()(clean, rng()).sum(axis=2), clean[:, :, 0])


@pytest.mark.parametrize("patterns", [(), ("rggb", "xtrans")])
def test_patterns_that_are_none_are_refused(patterns):
    with pytest.raises(RecipeError, match="Mosaic: patterns"):
        Mosaic(patterns=patterns)
