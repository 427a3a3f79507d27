from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from restore_cli.metrics.psnr import psnr
from tests.metrics.pictures import pair


def test_psnr_of_a_known_error():
    # A difference of 0.1 everywhere: mean square 0.01, 20 dB.
    assert psnr(np.full((3, 3), 0.6), np.full((3, 3), 0.5)) == pytest.approx(20)
    assert psnr(np.full((3, 3), 153.0), np.full((3, 3), 127.5), peak=255) == pytest.approx(20)


def test_psnr_agrees_with_scikit_image():
    restored, clean = pair()
    assert psnr(restored, clean) == pytest.approx(peak_signal_noise_ratio(clean, restored, data_range=1))


def test_psnr_of_identical_pictures_is_infinite():
    assert psnr(pair()[0], pair()[0]) == math.inf
