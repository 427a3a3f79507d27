from __future__ import annotations

import math
from pathlib import Path

import pytest

from restore_cli.errors import UsageError
from restore_cli.options import FinishOptions, Hints, OutputOptions, RunOptions, parse_tile
from restore_cli.tasks import TASKS


@pytest.mark.parametrize(("text", "tile_px"), [("auto", None), ("off", 0), ("1", 1), ("512", 512)])
def test_a_tile_is_auto_off_or_a_number(text, tile_px):
    assert parse_tile(text) == tile_px


@pytest.mark.parametrize("text", ["", "0", "-1", "+5", "1e3", "1.5", "AUTO", "none", "²", "0x10", "1_000"])
def test_anything_else_is_no_tile(text):
    with pytest.raises(UsageError, match="auto, off or a number"):
        parse_tile(text)


@pytest.mark.parametrize(
    "options", [{"tile_px": -1}, {"overlap_px": -1}, {"tile_px": 0, "overlap_px": 1}, {"tile_px": 8, "overlap_px": 8}]
)
def test_tiles_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError):
        RunOptions(**options)


def test_tiles_that_make_sense_are_accepted():
    RunOptions(tile_px=0, overlap_px=0)
    RunOptions(tile_px=9, overlap_px=8)
    RunOptions(overlap_px=10**9)


@pytest.mark.parametrize("level", [math.nan, math.inf, -math.inf, -1e-9])
def test_levels_that_are_no_numbers_or_out_of_range_are_refused(level):
    for hints in ({"sigma_255": level}, {"quality_factor": level}):
        with pytest.raises(UsageError, match="outside"):
            Hints(**hints)
    with pytest.raises(UsageError, match="between 0 and 1"):
        FinishOptions(strength=level)


def test_the_ends_of_a_range_belong_to_it():
    Hints(0, 1), Hints(255, 100)
    FinishOptions(0), FinishOptions(1)


@pytest.mark.parametrize("suffix", ["/", "a/b", "..\\x", "a\0b"])
def test_a_suffix_names_no_folder(suffix):
    with pytest.raises(UsageError, match="another folder"):
        OutputOptions(suffix=suffix)


def test_original_is_kept_below_full_strength_and_outside_a_mask_but_never_of_a_mosaic():
    keeping = (FinishOptions(0.99), FinishOptions(mask=Path("mask.png")))
    assert not FinishOptions().keeps_original and all(each.keeps_original for each in keeping)
    for task in TASKS.values():
        FinishOptions().check_task(task)
        for finish in keeping:
            if task.input == "mosaic":
                with pytest.raises(UsageError, match="--strength and --mask"):
                    finish.check_task(task)
            else:
                finish.check_task(task)
