"""Means, and differences with intervals that mean something."""

from __future__ import annotations

import math

import numpy as np
import pytest

from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.evaluation.results import Comparison, Evaluation, Failure, PictureScore


def evaluation(**psnr_by_model):
    rows = tuple(
        PictureScore(f"p{index}", model, "", {"psnr": psnr})
        for model, scores in psnr_by_model.items()
        for index, psnr in enumerate(scores)
        if psnr is not None
    )
    return Evaluation("sr", PROTOCOLS["sr"], 4, tuple(psnr_by_model), ("",), rows)


def test_a_mean_is_over_the_pictures_that_have_the_metric():
    found = evaluation(a=[30.0, 32.0, None])
    assert found.means("a", "") == {"psnr": 31.0}
    assert found.means("b", "") == {}


def test_a_difference_is_paired():
    # The pictures differ by 10 dB and more among each other, the models always by 0.5.
    found = evaluation(a=[20.0, 30.0, 41.0], b=[20.5, 30.5, 41.5]).difference("b", "a", "")
    assert (found.mean, found.low, found.high, found.pictures) == (0.5, 0.5, 0.5, 3)
    assert found.is_clear


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(40):
        gaps = rng.normal(0.3, 1.0, 20)
        found = evaluation(a=[30.0] * 20, b=list(30 + gaps)).difference("b", "a", "")
        hits += found.low <= 0.3 <= found.high
    assert 33 <= hits <= 40


def test_a_difference_leaves_out_missing_and_identical_pictures():
    found = evaluation(a=[30.0, None, math.inf, 30.0], b=[31.0, 40.0, math.inf, None])
    assert found.difference("b", "a", "").pictures == 1
    assert evaluation(a=[math.inf], b=[math.inf]).difference("b", "a", "") is None


def test_the_record_holds_the_protocol_the_means_the_pictures_and_the_failures(tmp_path):
    found = evaluation(a=[30.0], b=[31.0])
    rows = (*found.rows, PictureScore("p1", "a", "", {"psnr": 28.0}, 0.5, restored=tmp_path / "x.png"))
    whole = Evaluation(
        "sr", PROTOCOLS["sr"], 4, ("a", "b"), ("",), rows, (Failure("p2", "a", "", "bad", trace="long"),), ("note",)
    )
    record = whole.as_record()
    assert record["protocol"]["border_px"] == 4
    assert record["mean"][0] == {"model": "a", "condition": "", "pictures": 2, "psnr": 29.0}
    assert record["pictures"][2]["restored"] == str(tmp_path / "x.png")
    assert record["failures"] == [{"picture": "p2", "model": "a", "condition": "", "message": "bad", "hint": ""}]
    assert record["differences"][0]["pictures"] == 1
    assert "restored" not in whole.without_files(tmp_path).as_record()["pictures"][2]


@pytest.mark.parametrize(("measured", "difference"), [(30.0, -0.5), (31.0, 0.5)])
def test_a_comparison_is_measured_minus_published(measured, difference):
    assert Comparison("a", "", "Set5", 30.5, measured).difference == difference
