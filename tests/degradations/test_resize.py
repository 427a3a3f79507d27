from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restore_cli.degradations.resize import Bicubic, resize_bicubic
from restore_cli.errors import InputError, RecipeError
from tests.degradations.pictures import clean_picture


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


def test_eight_bits_are_rounded_after_the_vertical_pass_and_again_after_the_horizontal_one():
    large = (clean_picture(64, 64) * 255).astype(np.uint8)
    tall = np.clip(np.floor(resize_bicubic(large.astype(float), (16, 64)) + 0.5), 0, 255)
    both = np.clip(np.floor(resize_bicubic(tall, (16, 16)) + 0.5), 0, 255)
    once = np.clip(np.floor(resize_bicubic(large.astype(float), (16, 16)) + 0.5), 0, 255)
    assert np.array_equal(resize_bicubic(large, (16, 16)), both)
    assert not np.array_equal(once, both)


@pytest.mark.shared
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_published_low_resolution_files_of_set5_are_reproduced_exactly(shared, scale):
    paths = sorted((shared / "data/test/Set5/HR").glob("*.png"))
    assert len(paths) == 5
    for path in paths:
        large = cv2.imread(str(path))
        small = cv2.imread(str(shared / f"data/test/Set5/LR_bicubic/X{scale}/{path.stem}x{scale}.png"))
        height, width = small.shape[:2]
        assert np.array_equal(resize_bicubic(large[: height * scale, : width * scale], (height, width)), small)


@pytest.mark.shared
def test_the_published_files_of_set14_are_reproduced_inside_a_border_of_four_pixels(shared):
    paths = sorted((shared / "data/test/Set14/HR").glob("*.png"))
    assert len(paths) == 14
    for path in paths:
        large = cv2.imread(str(path))
        small = cv2.imread(str(shared / f"data/test/Set14/LR_bicubic/X4/{path.stem}x4.png"))
        height, width = small.shape[:2]
        ours = resize_bicubic(large[: height * 4, : width * 4], (height, width))
        assert np.array_equal(ours[4:-4, 4:-4], small[4:-4, 4:-4])


def test_bicubic_yields_values_a_file_of_8_bits_can_hold():
    reduced = Bicubic(4)(clean_picture(), np.random.default_rng(0))
    assert reduced.shape == (12, 15, 3)
    np.testing.assert_allclose(reduced * 255, np.round(reduced * 255), atol=1e-4)


def test_what_the_scale_does_not_divide_is_cut_off_at_the_bottom_and_the_right():
    clean, rng = clean_picture(50, 63), np.random.default_rng(0)
    assert np.array_equal(Bicubic(4)(clean, rng), Bicubic(4)(clean[:48, :60], rng))


def test_a_picture_smaller_than_the_scale_and_a_scale_that_is_none_are_refused():
    with pytest.raises(InputError, match="60x3 pixels cannot be reduced by 4"):
        Bicubic(4)(clean_picture(3, 60), np.random.default_rng(0))
    with pytest.raises(RecipeError, match="Bicubic: scale = 0"):
        Bicubic(0)
