"""Against independent code and numbers that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.metrics.color import luma_limited
from restore_cli.metrics.psnr import psnr
from restore_cli.metrics.ssim import ssim


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    clean = rng.random((40, 50, 3))
    return np.clip(clean + rng.normal(0, 0.05, clean.shape), 0, 1), clean


def test_psnr_of_a_known_error():
    # A difference of 0.1 everywhere: mean square 0.01, 20 dB.
    assert psnr(np.full((3, 3), 0.6), np.full((3, 3), 0.5)) == pytest.approx(20)
    assert psnr(np.full((3, 3), 153.0), np.full((3, 3), 127.5), peak=255) == pytest.approx(20)


def test_psnr_agrees_with_scikit_image(pair):
    assert psnr(*pair) == pytest.approx(peak_signal_noise_ratio(pair[1], pair[0], data_range=1))


def test_psnr_of_identical_pictures_is_infinite(pair):
    assert psnr(pair[0], pair[0]) == math.inf


def test_ssim_agrees_with_scikit_image_in_the_papers_settings(pair):
    # scikit-image averages over a border too; its 'full' map is cut to the windows inside the picture.
    _, full = structural_similarity(
        *pair, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert ssim(*pair) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


def test_ssim_is_one_for_identical_pictures_symmetric_and_free_of_the_unit(pair):
    restored, clean = pair
    assert ssim(clean, clean) == pytest.approx(1)
    assert ssim(restored, clean) == pytest.approx(ssim(clean, restored))
    assert ssim(restored * 255, clean * 255, peak=255) == pytest.approx(ssim(restored, clean))


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize(
    ("restored", "clean", "message"),
    [
        (np.zeros((12, 12)), np.zeros((12, 13)), "shapes differ"),
        (np.zeros((12, 12), np.uint8), np.zeros((12, 12), np.uint8), "convert to floating"),
        (np.full((12, 12), np.nan), np.zeros((12, 12)), "not numbers"),
        (np.zeros((0, 12)), np.zeros((0, 12)), "with pixels"),
    ],
)
def test_what_cannot_be_scored_is_an_error(metric, restored, clean, message):
    with pytest.raises(ValueError, match=message):
        metric(restored, clean)


def test_ssim_of_a_picture_under_eleven_pixels_is_an_error():
    with pytest.raises(ValueError, match="11 pixels"):
        ssim(np.zeros((10, 50)), np.zeros((10, 50)))


def test_luma_agrees_with_scikit_image_and_spans_the_limited_range(pair):
    np.testing.assert_allclose(luma_limited(pair[0]) * 255, rgb2ycbcr(pair[0])[:, :, 0], atol=1e-9)
    assert luma_limited(np.ones((1, 1, 3)))[0, 0] * 255 == pytest.approx(235)
    assert luma_limited(np.zeros((1, 1, 1)))[0, 0] * 255 == pytest.approx(16)


def test_limited_range_luma_scores_a_grey_error_higher_by_the_known_constant():
    clean = np.random.default_rng(0).random((20, 20, 3))
    clean[:] = clean[:, :, :1]
    restored = clean + np.random.default_rng(1).normal(0, 0.02, (20, 20, 1))
    gap = psnr(luma_limited(restored), luma_limited(clean)) - psnr(restored, clean)
    assert gap == pytest.approx(20 * math.log10(255 / 219), abs=1e-9)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_a_protocols_description_names_everything_that_changes_the_number(protocol):
    text = protocol.describe(scale=3)
    assert ("Y (BT.601, limited range)" in text) == (protocol.channels == "y")
    assert ("border of 3 px" in text) == (protocol.crop == "scale")
    assert "rounded" in text
