"""A figure published by another convention is told by which; others stay unexplained."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from restore_cli.evaluation.paper import (
    UNEXPLAINED,
    Convention,
    alternative_scores,
    compare,
    conventions,
    explain,
    published_scores,
)
from restore_cli.evaluation.pixels import Pixels, from_8_bit
from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.evaluation.results import PictureScore
from restore_cli.models.card import Score
from restore_cli.models.catalog import find_card
from tests.pictures import values

SCALE = 4


def pair(seed: int, strength: float, channels: int = 3) -> tuple[Pixels, Pixels]:
    """A restored picture, worse near its border and with more error in blue, and the reference."""
    clean = from_8_bit(np.atleast_3d(values(80, 90, channels, seed=seed)))
    rng = np.random.default_rng(seed)
    inner = np.zeros((80, 90, 1))
    inner[9:-9, 9:-9] = 1
    error = rng.normal(0, strength, clean.shape) * (3 - 2 * cv2.GaussianBlur(inner, (0, 0), 4)[..., None])
    error = error * np.array([1.0, 0.7, 2.2])[:channels] + 0.4 * error[..., :1]
    return np.float32(clean + error), clean


PICTURES = [pair(seed, strength) for seed, strength in enumerate((0.003, 0.006, 0.012))]


def psnr(restored, clean, border=0):
    difference = (restored.astype(np.float64) - clean)[border : len(clean) - border, border : clean.shape[1] - border]
    return -10 * math.log10(np.mean(difference**2))


def rounded(picture):
    return np.floor(np.clip(picture, 0, 1) * 255 + 0.5) / 255


def truncated(picture):
    return np.clip(picture, 0, 1) * 255 // 1 / 255


def luma(picture, weights=(65.481, 128.553, 24.966), offset=16):
    return (np.asarray(picture, np.float64) @ weights + offset) / 255


def luma_full(picture):
    return luma(picture, (0.299 * 255, 0.587 * 255, 0.114 * 255), 0)


# Each written out here a second time, with its own arithmetic.
ALTERNATIVES = {
    "Y, full range": lambda r, c: psnr(luma_full(rounded(r)), luma_full(c), SCALE),
    "RGB, all channels together": lambda r, c: psnr(rounded(r), c, SCALE),
    "mean of one PSNR a channel": lambda r, c: np.mean([psnr(rounded(r)[..., k], c[..., k], SCALE) for k in range(3)]),
    "no border cropped": lambda r, c: psnr(luma(rounded(r)), luma(c)),
    "border of 10 px cropped": lambda r, c: psnr(luma(rounded(r)), luma(c), SCALE + 6),
    "cut off to 8 bits": lambda r, c: psnr(luma(truncated(r)), luma(c), SCALE),
    "rounded to 8 bits as MATLAB": lambda r, c: psnr(rounded(luma(rounded(r))), rounded(luma(c)), SCALE),
    "full range and no border": lambda r, c: psnr(luma_full(rounded(r)), luma_full(c)),
}
TOLD = {"full range and no border": ("full range", "no border")}


@pytest.fixture(scope="module")
def scored():
    return [alternative_scores(*each, PROTOCOLS["sr"], SCALE) for each in PICTURES]


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_a_figure_made_by_an_alternative_is_told_by_its_name(name, scored):
    published = float(np.mean([ALTERNATIVES[name](*each) for each in PICTURES]))
    explanation = explain(published, scored, PROTOCOLS["sr"], SCALE)
    for text in TOLD.get(name, (name,)):
        assert text in explanation
    assert f"({published:.2f} dB)" in explanation


def test_a_mean_of_squared_errors_is_told_from_a_mean_of_psnr(scored):
    errors = [10 ** (-PROTOCOLS["sr"].score(*each, SCALE).psnr / 10) for each in PICTURES]
    published = -10 * math.log10(np.mean(errors))
    assert explain(published, scored, PROTOCOLS["sr"], SCALE).startswith("the squared error averaged over pictures")


@pytest.mark.parametrize("task", ["denoise", "jpeg", "demosaic"])
def test_luma_in_place_of_rgb_is_told_in_tasks_that_keep_the_size(task):
    protocol = PROTOCOLS[task]
    scored = [alternative_scores(*each, protocol, 1) for each in PICTURES]
    view = rounded if protocol.rounded else np.asarray
    published = float(np.mean([psnr(luma(view(r)), luma(c)) for r, c in PICTURES]))
    assert explain(published, scored, protocol, 1).startswith("Y, limited range")


@pytest.mark.parametrize("task", PROTOCOLS)
def test_the_first_convention_is_the_protocols_own(task):
    scale = SCALE if task == "sr" else 1
    first = next(conventions(PROTOCOLS[task], scale))
    for channels in (3, 1):
        restored, clean = pair(5, 0.02, channels)
        own = PROTOCOLS[task].score(restored, clean, scale).psnr
        scores = alternative_scores(restored, clean, PROTOCOLS[task], scale)
        assert scores[first.key] == pytest.approx(own, abs=1e-9)


def test_agreement_needs_no_explanation_and_nonsense_has_none(scored):
    ours = float(np.mean([PROTOCOLS["sr"].score(*each, SCALE).psnr for each in PICTURES]))
    assert explain(ours + 0.049, scored, PROTOCOLS["sr"], SCALE) == ""
    assert explain(ours + 7, scored, PROTOCOLS["sr"], SCALE) == UNEXPLAINED


def test_one_change_is_believed_before_two():
    changed = [len(each.changes(next(conventions(PROTOCOLS["sr"], 4)))) for each in conventions(PROTOCOLS["sr"], 4)]
    assert changed[0] == 0 and set(changed[1:]) == {1, 2}
    usual = Convention("y", 4, "rounded")
    assert dataclasses.replace(usual, border_px=0, pooled=True).changes(usual) == (
        "no border cropped",
        "the squared error averaged over pictures, not the PSNR",
    )


def test_a_picture_too_small_for_a_border_rules_that_border_out():
    restored, clean = (each[:18, :18] for each in PICTURES[0])
    scored = [alternative_scores(restored, clean, PROTOCOLS["sr"], SCALE)]
    assert explain(30.0, scored, PROTOCOLS["sr"], SCALE)  # whatever it is, it is no crash


def test_published_figures_are_those_of_the_protocol_and_of_the_folder():
    card = dataclasses.replace(
        find_card("unet-jpeg"),
        scores=(
            Score("jpeg", "LIVE1", "published", 27.0),
            Score("jpeg", "LIVE1", "measured", 28.0),
            Score("jpeg", "classic5", "published", 29.0),
            Score("denoise", "LIVE1", "published", 30.0),
        ),
    )
    for place in ("data/LIVE1", "LIVE1/HR", "live1"):
        assert [each.psnr for each in published_scores([card], PROTOCOLS["jpeg"], Path(place))] == [27.0]
    assert published_scores([card], PROTOCOLS["jpeg"], Path("data/BSD500")) == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [("quality = 10", [27.0, 27.5]), ("quality = 40", [32.0]), ("quality = 20", []), ("", [25.0])],
)
def test_figures_of_another_level_are_not_compared(condition, expected):
    published = [
        Score("jpeg", "LIVE1", "published", 27.0, condition="quality 10"),
        Score("jpeg", "LIVE1", "published", 27.5, condition="quality 10, with luck"),
        Score("jpeg", "LIVE1", "published", 32.0, condition="quality 40"),
        Score("jpeg", "LIVE1", "published", 25.0, condition="as it is"),
    ]
    rows = [PictureScore("a", "m", condition, {"psnr": 26.0}, alternatives={})]
    found = compare(rows, published, PROTOCOLS["jpeg"], 1)
    assert [each.published for each in found] == expected
    assert compare([], published, PROTOCOLS["jpeg"], 1) == []
