from __future__ import annotations

import dataclasses
import math

import pytest

from restore_cli.evaluation.plots import plot_conditions, plot_differences
from restore_cli.evaluation.report_scores import Scored
from tests.evaluation.evaluations import evaluation


def test_conditions_with_a_number_lie_at_it(tmp_path):
    conditions = ("quality = 40", "quality = 10", "quality = 20")
    plot = plot_conditions(evaluation(tmp_path, conditions=conditions), "psnr", "PSNR", "dB")
    assert (plot.title, plot.x_label) == ("PSNR (dB)", "quality")
    assert [(tick.at, tick.text) for tick in plot.x_ticks] == [(100, "40"), (0, "10"), (33.33, "20")]
    first, second = plot.lines
    assert [point.x for point in first.points] == [0, 33.33, 100]  # left to right, whatever the order of the table
    # Each condition of the helper is 1 dB below the one before: the mean of the first model is 30.33 at quality 40.
    assert [point.text for point in first.points] == [
        "first, quality = 10: 29.33 dB",
        "first, quality = 20: 28.33 dB",
        "first, quality = 40: 30.33 dB",
    ]
    assert all(above.y < below.y for above, below in zip(second.points, first.points, strict=True))


def test_other_conditions_lie_evenly(tmp_path):
    plot = plot_conditions(evaluation(tmp_path, conditions=("rain", "snow", "fog = 3")), "ssim", "SSIM", "")
    assert (plot.title, plot.x_label) == ("SSIM", "")
    assert [(tick.at, tick.text) for tick in plot.x_ticks] == [(0, "rain"), (50, "snow"), (100, "fog = 3")]


def test_marks_lie_between_the_ticks_that_say_their_value(tmp_path):
    plot = plot_conditions(evaluation(tmp_path, conditions=("s = 1", "s = 2")), "psnr", "PSNR", "dB")
    ticks = {float(tick.text): tick.at for tick in plot.y_ticks}
    (low, bottom), (high, top) = min(ticks.items()), max(ticks.items())
    assert (bottom, top) == (plot.height, 0)
    for line in plot.lines:
        for point in line.points:
            value = float(point.text.split(": ")[1].split()[0])
            assert point.y == pytest.approx(bottom * (high - value) / (high - low), abs=0.5)


def test_one_condition_is_no_curve_and_one_model_no_difference(tmp_path):
    made = evaluation(tmp_path, models=("first",))
    assert plot_conditions(made, "psnr", "PSNR", "dB") is None
    assert plot_differences(Scored(made)) is None


def test_differences_share_an_axis_with_zero_on_it(tmp_path):
    made = evaluation(tmp_path, models=("first", "second", "third"), conditions=("s = 1", "s = 2"))
    plot = plot_differences(Scored(made))
    assert [strip.name for strip in plot.strips] == [
        "second · s = 1",
        "second · s = 2",
        "third · s = 1",
        "third · s = 2",
    ]
    (zero,) = (tick.at for tick in plot.x_ticks if tick.is_zero)
    for strip in plot.strips:
        assert strip.low <= strip.mean <= strip.high
        for dot in strip.dots:
            gap = float(dot.text.split(": ")[1].split()[0])
            assert (dot.x > zero) == (gap > 0) and 0 <= dot.x <= 100


def test_infinite_scores_are_left_out_of_plots(tmp_path):
    made = evaluation(tmp_path, conditions=("s = 1", "s = 2"))
    endless = tuple(dataclasses.replace(row, scores={"psnr": math.inf}) for row in made.rows)
    made = dataclasses.replace(made, rows=endless)
    assert plot_conditions(made, "psnr", "PSNR", "dB") is None
    assert plot_differences(Scored(made)) is None
