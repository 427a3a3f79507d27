"""Floors and aims are looked up by what was measured, and held to it."""

from __future__ import annotations

import pytest

from restore_cli.evaluation.goals import Goal, goal_for, verdict
from restore_cli.models.card import Score
from restore_cli.models.catalog import find_card, read_catalog


def score(psnr: float, dataset: str = "Set5", condition: str = "", origin: str = "measured") -> Score:
    return Score("sr", dataset, origin, psnr, condition=condition)


def test_the_goal_follows_the_scale_and_the_condition():
    assert goal_for(find_card("resnet-sr-x4"), "sr", score(30)) == Goal(31.4, 32.0)
    assert goal_for(find_card("resnet-sr-x2"), "sr", score(30)) == Goal(37.2, 37.8)
    jpeg = find_card("unet-jpeg")
    assert goal_for(jpeg, "jpeg", score(30, "LIVE1", "quality 40, OpenCV's encoder")) == Goal(31.9, 32.4)
    assert goal_for(jpeg, "jpeg", score(30, "LIVE1", "quality 20, OpenCV's encoder")) is None
    assert goal_for(jpeg, "jpeg", score(30, "LIVE1", "clean pictures")) == Goal(38, 42)


def test_a_model_beside_the_default_is_held_to_less():
    assert goal_for(find_card("iitransformer-sr-x4"), "sr", score(30)) == Goal(30.5, 31.4)
    rain = score(30, "CBSD68", "rain, restore degrade rain --seed 0")
    assert goal_for(find_card("hi-ir-derain"), "derain", rain) == Goal(4.5, 5, "input")
    assert goal_for(find_card("hinet-derain"), "derain", rain) == Goal(5, 9, "input")


@pytest.mark.parametrize(("psnr", "expected"), [(31.39, "missed"), (31.4, "floor"), (31.99, "floor"), (32.0, "aim")])
def test_a_score_is_held_to_floor_and_aim(psnr, expected):
    assert verdict(Goal(31.4, 32.0), score(psnr), []) == expected


def test_a_gain_is_counted_over_the_baseline_on_the_same_pictures():
    beside = [score(24.0, origin="OpenCV median"), score(20.0, origin="input")]
    assert verdict(Goal(5, 9, "input"), score(24.9), beside) == "missed"
    assert verdict(Goal(5, 9, "input"), score(25.1), beside) == "floor"


def test_every_default_model_has_a_goal_for_each_task_it_serves():
    for card in read_catalog().values():
        if card.embedded:
            for task in card.tasks:
                held = [goal_for(card, task, each) for each in card.scores if each.protocol == task]
                assert any(held), f"{card.id}: {task}"
