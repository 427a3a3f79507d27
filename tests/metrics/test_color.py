from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from skimage.color import rgb2ycbcr

from restore_cli.metrics.color import luma_full, luma_limited, luma_rounded
from restore_cli.metrics.psnr import psnr
from tests.metrics.pictures import pair


def test_limited_range_luma_agrees_with_scikit_image_and_spans_its_range():
    picture, _ = pair()
    np.testing.assert_allclose(luma_limited(picture) * 255, rgb2ycbcr(picture)[:, :, 0], atol=1e-9)
    assert luma_limited(np.ones((1, 1, 3)))[0, 0] * 255 == pytest.approx(235)
    assert luma_limited(np.zeros((1, 1, 1)))[0, 0] * 255 == pytest.approx(16)


def test_full_range_luma_agrees_with_opencv_and_spans_its_range():
    picture = pair()[0].astype(np.float32)
    np.testing.assert_allclose(luma_full(picture), cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), atol=1e-6)
    assert luma_full(np.ones((1, 1, 3)))[0, 0] == pytest.approx(1)
    np.testing.assert_allclose(luma_full(picture[..., :1]), picture[..., 0], atol=1e-7)


def test_rounded_luma_holds_eight_bit_values_the_nearest_ones():
    picture, _ = pair()
    rounded = luma_rounded(picture) * 255
    np.testing.assert_allclose(rounded, np.round(rounded), atol=1e-9)
    assert np.abs(rounded - rgb2ycbcr(picture)[:, :, 0]).max() <= 0.5


def test_limited_range_luma_scores_a_grey_error_higher_by_the_known_constant():
    clean = np.random.default_rng(0).random((20, 20, 3))
    clean[:] = clean[:, :, :1]
    restored = clean + np.random.default_rng(1).normal(0, 0.02, (20, 20, 1))
    gap = psnr(luma_limited(restored), luma_limited(clean)) - psnr(restored, clean)
    assert gap == pytest.approx(20 * math.log10(255 / 219), abs=1e-9)
    assert psnr(luma_full(restored), luma_full(clean)) == pytest.approx(psnr(restored, clean))
