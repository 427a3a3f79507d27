import numpy as np
import pytest

from restore_cli.diagnosis.noise import _clipping, _largest_strength, estimate_noise
from tests.diagnosis.pictures import noisy, rounded, scene


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma_255", [2, 6, 20, 55])
def test_the_level_of_white_noise_is_found_within_five_percent(channels, sigma_255):
    found = estimate_noise([rounded(noisy(scene(channels=channels), sigma_255))])
    assert found.sigma_255 == pytest.approx(sigma_255, rel=0.05, abs=0.3)


def test_a_clean_picture_has_next_to_none():
    assert estimate_noise([rounded(scene())]).sigma_255 < 1


def test_a_drawing_of_even_areas_has_none():
    drawing = np.repeat(np.repeat(np.random.default_rng(0).integers(20, 230, (5, 5, 3)), 40, 0), 40, 1)
    assert estimate_noise([drawing.astype(np.float32)]).sigma_255 == 0


def test_burnt_out_areas_and_letterboxes_do_not_hide_noise():
    picture = rounded(noisy(scene(), 15))
    picture[:60] = 255
    picture[-60:] = 0
    picture[60:110] = 90  # an even caption
    assert estimate_noise([picture]).sigma_255 == pytest.approx(15, rel=0.06)


def test_what_black_cuts_off_is_made_up_for():
    dark = np.full((300, 300, 3), 30, np.float32) + 10 * scene(300, 300) / 255
    assert estimate_noise([rounded(noisy(dark, 25))]).sigma_255 == pytest.approx(25, rel=0.06)


def test_rounding_to_8_bits_counts_as_none_and_16_bits_are_taken_as_they_are():
    slope = np.linspace(50, 60, 400, dtype=np.float32)[None, :, None] + np.zeros((400, 1, 3), np.float32)
    fine = noisy(slope, 0.5)
    assert estimate_noise([fine], bit_depth=16).sigma_255 == pytest.approx(0.5, rel=0.05)
    assert estimate_noise([np.rint(fine)], bit_depth=8).sigma_255 == pytest.approx(0.5, rel=0.1)


def test_tiles_tell_what_the_whole_picture_does():
    whole = rounded(noisy(scene(512, 512), 12))
    tiles = [whole[top : top + 256, left : left + 256] for top in (0, 256) for left in (0, 256)]
    assert estimate_noise(tiles).sigma_255 == pytest.approx(estimate_noise([whole]).sigma_255, rel=0.03)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (12, 12)])
def test_of_too_little_nothing_is_told(size):
    assert estimate_noise([noisy(np.full((*size, 3), 99, np.float32), 9)]).patches == 0


def test_all_white_tells_nothing():
    assert estimate_noise([np.full((200, 200, 1), 255, np.float32)]).patches == 0


def test_the_gradients_of_pure_noise_pass_as_those_of_noise():
    patches = np.random.default_rng(0).standard_normal((20_000, 8, 8))
    across = np.square((patches[:, :, 2:] - patches[:, :, :-2]) / 2).sum((1, 2))
    down = np.square((patches[:, 2:] - patches[:, :-2]) / 2).sum((1, 2))
    assert np.mean(across + down <= _largest_strength()) == pytest.approx(0.99, abs=0.004)


def test_the_variance_that_clipping_leaves_is_that_of_clipped_noise():
    found, lost = _clipping()
    for distance in (0.5, 1.0, 2.0):
        clipped = np.maximum(np.random.default_rng(0).standard_normal(400_000), -distance)
        mean = clipped.mean() + distance
        assert 1 - np.interp(mean, found, lost) == pytest.approx(clipped.var(), abs=0.005)
