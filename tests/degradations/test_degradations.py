from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restore_cli.degradations.mosaic import BAYER_PATTERNS, mosaic_to_sparse_rgb
from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.resize import Bicubic, resize_bicubic
from restore_cli.errors import UsageError


def clean_picture(height=48, width=60):
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


@given(height=st.integers(1, 40), width=st.integers(1, 40), to=st.tuples(st.integers(1, 40), st.integers(1, 40)))
@settings(deadline=None)
def test_a_constant_picture_stays_constant_at_any_size(height, width, to):
    resized = resize_bicubic(np.full((height, width, 2), 0.3), to)
    assert resized.shape == (*to, 2)
    np.testing.assert_allclose(resized, 0.3, atol=1e-12)


def test_enlarging_agrees_with_keys_kernel_worked_by_hand():
    # Doubling puts samples at -1/4 and +1/4 of a pixel; at the centre of a step 0, 1 the weights of
    # the four neighbours are -0.0234, 0.2266, 0.8672, -0.0703 for a = -0.5.
    row = np.array([[0.0, 0.0, 0.0, 1.0, 1.0, 1.0]])
    doubled = resize_bicubic(row, (1, 12))[0]
    assert doubled[5] == pytest.approx(0.2265625 - 0.0234375, abs=1e-12)
    assert doubled[6] == pytest.approx(1 - (0.2265625 - 0.0234375), abs=1e-12)


def test_reducing_removes_what_the_smaller_grid_cannot_hold():
    stripes = np.tile(np.array([0.0, 1.0]), (64, 32))
    reduced = resize_bicubic(stripes, (16, 16))
    # Stripes of period 2 at a quarter of the resolution are grey.
    np.testing.assert_allclose(reduced[4:-4, 4:-4], 0.5, atol=0.02)


@pytest.mark.shared
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_published_low_resolution_files_of_set5_are_reproduced_exactly(shared, scale):
    for path in sorted((shared / "data/test/Set5/HR").glob("*.png")):
        large = cv2.imread(str(path))
        small = cv2.imread(str(shared / f"data/test/Set5/LR_bicubic/X{scale}/{path.stem}x{scale}.png"))
        height, width = small.shape[:2]
        assert np.array_equal(resize_bicubic(large[: height * scale, : width * scale], (height, width)), small)


@pytest.mark.shared
def test_the_published_files_of_set14_are_reproduced_inside_a_border_of_four_pixels(shared):
    for path in sorted((shared / "data/test/Set14/HR").glob("*.png")):
        large = cv2.imread(str(path))
        small = cv2.imread(str(shared / f"data/test/Set14/LR_bicubic/X4/{path.stem}x4.png"))
        height, width = small.shape[:2]
        ours = resize_bicubic(large[: height * 4, : width * 4], (height, width))
        assert np.array_equal(ours[4:-4, 4:-4], small[4:-4, 4:-4])


def test_bicubic_yields_values_a_file_of_8_bits_can_hold():
    reduced = Bicubic(4)(clean_picture(), np.random.default_rng(0))
    assert reduced.shape == (12, 15, 3)
    np.testing.assert_allclose(reduced * 255, np.round(reduced * 255), atol=1e-4)


def test_noise_has_the_stated_deviation_and_is_not_clipped():
    noisy = GaussianNoise((25, 25))(np.zeros((200, 200, 3), np.float32), np.random.default_rng(0))
    assert noisy.std() * 255 == pytest.approx(25, rel=0.01)
    assert noisy.min() < -0.2


def test_noise_levels_cover_their_range():
    rng = np.random.default_rng(0)
    flat = np.zeros((64, 64, 1), np.float32)
    levels = [GaussianNoise((5, 50))(flat, rng).std() * 255 for _ in range(200)]
    assert 4.5 < min(levels) < 10
    assert 45 < max(levels) < 53


@pytest.mark.parametrize("degradation", [Bicubic(2), GaussianNoise((5, 50))], ids=lambda each: type(each).__name__)
def test_the_same_seed_makes_the_same_picture_and_leaves_the_clean_one_alone(degradation):
    clean = clean_picture()
    before = clean.copy()
    first, second = (degradation(clean, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)
    assert np.array_equal(clean, before)
    assert first.dtype == np.float32


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_a_mosaic_keeps_every_value_once_and_in_its_colour(pattern):
    mosaic = np.random.default_rng(0).random((6, 8), dtype=np.float32)
    sparse = mosaic_to_sparse_rgb(mosaic, pattern)
    np.testing.assert_array_equal(sparse.sum(axis=2), mosaic)
    colours = ["rgb"[channel] for channel in sparse[:2, :2].reshape(4, 3).argmax(axis=1)]
    assert "".join(colours) == pattern


def test_an_unknown_pattern_names_the_known_ones():
    with pytest.raises(UsageError, match="rggb"):
        mosaic_to_sparse_rgb(np.zeros((2, 2), np.float32), "rgbw")
