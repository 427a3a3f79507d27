from __future__ import annotations

import math

import pytest

from restore_cli.errors import UsageError
from restore_cli.metrics.catalog import METRICS, check_metrics, find_metric
from tests.metrics.pictures import pair

OWN = [metric for metric in METRICS.values() if metric.prepare is None]


def test_metrics_are_known_by_their_own_names_and_no_two_say_the_same():
    assert all(name == metric.name for name, metric in METRICS.items())
    for texts in ([metric.label for metric in METRICS.values()], [metric.convention for metric in METRICS.values()]):
        assert all(texts)
        assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("metric", OWN, ids=lambda metric: metric.name)
def test_the_least_side_is_the_least_that_can_be_scored(metric):
    side, channels = metric.min_side_px, 1 if metric.channels == "each" else 3
    assert math.isfinite(metric.compute(*pair(side, side + 30, channels)))
    if side > 1:
        with pytest.raises(ValueError, match=f"{side} pixels"):
            metric.compute(*pair(side - 1, side + 30, channels))


@pytest.mark.parametrize("metric", OWN, ids=lambda metric: metric.name)
def test_a_larger_error_scores_worse_and_better_is_the_way_it_says(metric):
    scores = [metric.compute(*pair(48, 64, noise=noise)) for noise in (0.02, 0.2)]
    assert (scores[0] > scores[1]) == metric.higher_is_better


def test_a_key_of_one_channel_finds_the_metric_of_all():
    assert find_metric("psnr_channels.2") is METRICS["psnr_channels"]
    assert find_metric("ssim") is METRICS["ssim"]
    with pytest.raises(UsageError, match="No metric is called 'psnr_rgba'.*psnr_rgb"):
        find_metric("psnr_rgba")


def test_names_are_checked_before_work_begins():
    check_metrics([metric.name for metric in OWN])
    with pytest.raises(UsageError, match="'ssim2'"):
        check_metrics(["psnr", "ssim2"])
    with pytest.raises(UsageError, match="one score of 'psnr_channels'"):
        check_metrics(["psnr_channels.0"])
