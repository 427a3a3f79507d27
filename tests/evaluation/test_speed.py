"""Speeds are compared in turns, by medians, per megapixel of output."""

from __future__ import annotations

import pytest
import torch

from restore_cli.evaluation.speed import Speed, limited_threads, measure_speeds, score_of, time_in_turns
from restore_cli.inference.restorer import load_model
from restore_cli.models.build import build_model
from restore_cli.models.catalog import read_catalog


class Clock:
    """Stands still but for what runs take."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_calls_run_in_turns_and_the_first_run_is_not_timed():
    clock, order = Clock(), []

    def call(name, seconds):
        taken = iter(seconds)

        def run():
            order.append(name)
            clock.now += next(taken)

        return run

    slow, quick = time_in_turns([call("slow", [100, 4, 6, 5]), call("quick", [50, 1, 9, 2])], 3, clock)
    assert "".join(each[0] for each in order) == "sqsqsqsq"
    assert slow == (4, 6, 5)
    assert quick == (1, 9, 2)


def test_the_median_counts_and_ratios_are_per_megapixel_and_round():
    slow = Speed("slow", 4, 1000, 500, "fp32", (4.0, 60.0, 5.0))
    quick = Speed("quick", 1, 1000, 1000, "fp32", (2.0, 1.0, 1.0))
    assert (slow.median_seconds, quick.median_seconds) == (5, 1)
    assert (slow.seconds_per_megapixel, quick.seconds_per_megapixel) == (10, 1)
    assert quick.times_as_fast(slow) == 10  # of 4, 120 and 10
    assert slow.times_as_fast(quick) == pytest.approx(0.1)
    assert slow.times_as_fast(slow) == 1


def test_a_machine_that_slows_down_for_a_while_moves_no_ratio():
    slow = Speed("slow", 1, 10, 10, "fp32", (3.0, 3.0, 30.0, 30.0, 30.0))
    quick = Speed("quick", 1, 10, 10, "fp32", (1.0, 1.0, 10.0, 10.0, 10.0))
    assert quick.times_as_fast(slow) == 3


def test_every_scale_gives_an_output_of_at_least_the_size_asked_for(weights):
    restorers = [load_model(str(weights[name]), device="cpu") for name in ("x1", "x2", "x4", "grey")]
    told = []
    found = measure_speeds(restorers, 30, 2, on_run=told.append, clock=Clock())
    assert [(each.output_height, each.output_width) for each in found] == [(30, 30), (30, 30), (32, 32), (30, 30)]
    assert [each.scale for each in found] == [1, 2, 4, 1]
    assert all(len(each.seconds) == 2 for each in found)
    assert told == 3 * [f"{name}.safetensors" for name in ("x1", "x2", "x4", "grey")]


def test_threads_are_as_before_afterwards():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), limited_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


def test_a_models_score_is_the_first_its_card_has_measured(weights):
    catalog = read_catalog().values()
    score = score_of(build_model("resnet-sr-x2"), catalog)
    assert (score.origin, score.dataset, score.protocol) == ("measured", "Set5", "sr")
    assert score_of(build_model(str(weights["x2"])), catalog) is None
