"""What no metric takes."""

from __future__ import annotations

import numpy as np
import pytest

from restore_cli.metrics.check import check_pair
from restore_cli.metrics.mae import mae
from restore_cli.metrics.psnr import psnr
from restore_cli.metrics.psnr_b import psnr_b, psnr_b_mean
from restore_cli.metrics.ssim import ssim, ssim_downsampled, ssim_uniform, ssim_volume

METRICS = [psnr, mae, psnr_b, psnr_b_mean, ssim, ssim_downsampled, ssim_uniform, ssim_volume]


@pytest.mark.parametrize("metric", [check_pair, *METRICS])
@pytest.mark.parametrize(
    ("restored", "clean", "message"),
    [
        (np.zeros((16, 16)), np.zeros((16, 17)), "shapes differ"),
        (np.zeros((16, 16, 3)), np.zeros((16, 16)), "shapes differ"),
        (np.zeros((16, 16), np.uint8), np.zeros((16, 16), np.uint8), "convert to floating"),
        (np.full((16, 16), np.nan), np.zeros((16, 16)), "not numbers"),
        (np.zeros((16, 16)), np.full((16, 16), np.inf), "not numbers"),
        (np.zeros((0, 16)), np.zeros((0, 16)), "with pixels"),
        (np.zeros(16), np.zeros(16), "with pixels"),
    ],
)
def test_what_cannot_be_scored_is_an_error(metric, restored, clean, message):
    with pytest.raises(ValueError, match=message):
        metric(restored, clean)


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_modified(metric):
    restored, clean = np.random.default_rng(0).random((2, 20, 20, 3)).astype(np.float32)
    before = restored.copy(), clean.copy()
    metric(restored, clean)
    assert np.array_equal(restored, before[0]) and np.array_equal(clean, before[1])
