from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio

from restore_cli.errors import InputError
from restore_cli.evaluation.protocol import PROTOCOLS


def pair(height=24, width=30, channels=3, noise=0.05):
    rng = np.random.default_rng(0)
    clean = rng.random((height, width, channels)).astype(np.float32)
    return clean + noise * rng.standard_normal(clean.shape).astype(np.float32), clean


def eight_bit(picture):
    return np.floor(np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def test_sr_scores_limited_range_luma_inside_a_border_of_the_scale_after_rounding():
    restored, clean = pair()
    expected = peak_signal_noise_ratio(
        *(rgb2ycbcr(eight_bit(each))[4:-4, 4:-4, 0] for each in (clean, restored)), data_range=255
    )
    assert PROTOCOLS["sr"].score(restored, clean, 4).psnr == pytest.approx(expected, abs=1e-6)


def test_derain_scores_luma_without_a_border():
    restored, clean = pair()
    expected = peak_signal_noise_ratio(
        *(rgb2ycbcr(eight_bit(each))[..., 0] for each in (clean, restored)), data_range=255
    )
    assert PROTOCOLS["derain"].score(restored, clean).psnr == pytest.approx(expected, abs=1e-6)


def test_rgb_scores_all_channels_rounded_to_8_bits():
    restored, clean = pair()
    expected = peak_signal_noise_ratio(eight_bit(clean), eight_bit(restored))
    assert PROTOCOLS["rgb"].score(restored, clean).psnr == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_description_says_everything_that_changes_the_number(name):
    protocol = PROTOCOLS[name]
    text = protocol.describe(4)
    assert text.startswith(f"{name}: ")
    assert ("Y (BT.601, limited range)" in text) == (protocol.channels == "y")
    assert ("border of 4 px cropped" in text) == (protocol.crop == "scale")
    assert ("nor rounded" in text) != protocol.rounded


@pytest.mark.parametrize("name", PROTOCOLS)
def test_identical_pictures_score_infinity_and_1_and_nothing_is_modified(name):
    _, clean = pair()
    before = clean.copy()
    scores = PROTOCOLS[name].score(clean, clean, 1)
    assert (scores.psnr, scores.ssim) == (float("inf"), pytest.approx(1))
    assert np.array_equal(clean, before)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_grey_scores_against_the_same_grey_stored_as_colour(name):
    restored, clean = pair(channels=1)
    plain = PROTOCOLS[name].score(restored, clean).psnr
    assert PROTOCOLS[name].score(restored, np.repeat(clean, 3, 2)).psnr == pytest.approx(plain)


def test_a_reference_may_be_larger_by_less_than_the_scale():
    restored, clean = pair(24, 28)
    larger = np.pad(clean, ((0, 3), (0, 3), (0, 0)))
    sr = PROTOCOLS["sr"]
    assert sr.score(restored, larger, 4) == sr.score(restored, clean, 4)
    for height, width in ((28, 28), (23, 28), (24, 27)):
        with pytest.raises(InputError, match=f"the reference is {width}x{height}, the restored picture 28x24"):
            sr.check_sizes((24, 28), (height, width), 4)
    with pytest.raises(InputError):
        PROTOCOLS["rgb"].score(restored, larger, 1)


def test_pictures_too_small_for_the_border_or_the_window_of_ssim():
    restored, clean = pair(10, 40)
    assert PROTOCOLS["rgb"].score(restored, clean).ssim is None
    with pytest.raises(InputError, match="inside a border of 4"):
        PROTOCOLS["sr"].score(*pair(8, 40), 4)
    assert PROTOCOLS["sr"].score(*pair(9, 40), 4).psnr > 0
