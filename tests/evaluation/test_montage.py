from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from restore_cli.evaluation.montage import (
    FRAMES,
    GAP_PX,
    MARGIN_PX,
    common_profile,
    difference_maps,
    draw_flip,
    draw_montage,
    find_boxes,
)
from restore_cli.evaluation.shown import Box, Panel
from restore_cli.evaluation.slider import draw_slider
from tests.evaluation.evaluations import HOSTILE, embedded
from tests.pictures import values

PICTURE_Y = MARGIN_PX + 52  # below the labels


def panel(seed=0, label="p", height=300, width=400, **changes):
    return Panel(label, values(height, width, seed=seed).astype(np.float32) / 255, **changes)


def drawn(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def frames(content):
    with Image.open(io.BytesIO(content)) as gif:
        for index in range(gif.n_frames):
            gif.seek(index)
            yield np.asarray(gif.convert("RGB"))


def holds(sheet, part):
    """Whether `part` lies somewhere in `sheet`, pixel for pixel."""
    windows = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], part.shape[:2])
    corners = np.argwhere((windows[..., 0, 0] == part[0, 0, 0]) & (windows[..., -1, -1] == part[-1, -1, 0]))
    return any(np.array_equal(sheet[y : y + part.shape[0], x : x + part.shape[1]], part) for y, x in corners)


def test_pictures_stand_side_by_side_pixel_for_pixel():
    panels = [panel(seed) for seed in range(3)]
    sheet = drawn(draw_montage(panels, []))
    assert sheet.shape[1] == 2 * MARGIN_PX + 3 * 400 + 2 * GAP_PX
    for place, each in enumerate(panels):
        x = MARGIN_PX + place * (400 + GAP_PX)
        assert np.array_equal(sheet[PICTURE_Y : PICTURE_Y + 300, x : x + 400], each.eight_bit)


def test_crops_are_the_framed_parts_enlarged_by_whole_numbers():
    panels = [panel(0), panel(1)]
    boxes = [Box(40, 50, 36, 30), Box(200, 100, 36, 36)]
    sheet = drawn(draw_montage(panels, boxes))
    for each in panels:
        for box in boxes:
            part = box.of(each.eight_bit).repeat(5, 0).repeat(5, 1)  # (400 - 12) / 2 - 8 = 186 pixels, 5 times 36
            assert holds(sheet, part), box
    first, second = (sheet[PICTURE_Y + 50 - 2, MARGIN_PX + 60], sheet[PICTURE_Y + 100 - 2, MARGIN_PX + 220])
    assert (tuple(first), tuple(second)) == FRAMES[:2]


def test_small_pictures_are_enlarged_and_large_ones_reduced_to_be_legible():
    sheet = drawn(draw_montage([panel(0, height=20, width=30), panel(1, height=20, width=30)], []))
    picture = sheet[PICTURE_Y : PICTURE_Y + 200, MARGIN_PX : MARGIN_PX + 300]
    assert np.array_equal(picture, panel(0, height=20, width=30).eight_bit.repeat(10, 0).repeat(10, 1))
    sheet = drawn(draw_montage([panel(0, height=20, width=5000), panel(1, height=20, width=5000)], []))
    assert sheet.shape[1] == 2 * MARGIN_PX + GAP_PX + 2 * 1250


@pytest.mark.parametrize(("gap_255", "ceiling"), [(0.5, 1), (3, 4), (30, 32), (200, 255)])
def test_difference_maps_are_black_where_equal_and_state_what_white_is(gap_255, ceiling):
    first = Panel("a", np.full((40, 50, 3), 0.1, np.float32))
    other = first.pixels.copy()
    other[:20] += gap_255 / 255
    found = difference_maps([first, Panel("b", other), first])
    assert found.ceiling_255 == ceiling and f"white: {ceiling} of 255" in found.scale_text
    assert found.means_255 == pytest.approx((gap_255 / 2, 0), abs=1e-3)
    changed, equal = found.maps
    assert not equal.any() and not changed[20:].any()
    # Black, red, yellow, white: the three channels add up to the share of the ceiling.
    assert changed[0, 0].sum() / (3 * 255) == pytest.approx(gap_255 / ceiling, abs=0.01)


def test_a_difference_below_8_bits_is_seen():
    first = Panel("a", np.full((8, 8, 3), 0.5, np.float32))
    found = difference_maps([first, Panel("b", first.pixels + np.float32(0.2 / 255))])
    assert found.maps[0].min(axis=(0, 1)).max() > 100


def test_a_flip_shows_all_pictures_in_turn_for_ever_and_what_is_equal_stands_still():
    first = values(300, 400)
    second = first.copy()
    second[100:200, 100:200] = 255 - second[100:200, 100:200]
    panels = [Panel(label, each.astype(np.float32) / 255) for label, each in (("a", first), ("b", second))]
    content = draw_flip(panels)
    with Image.open(io.BytesIO(content)) as gif:
        assert (gif.n_frames, gif.info["loop"], gif.info["duration"]) == (2, 0, 900)
    one, two = (frame[52:].astype(int) for frame in frames(content))
    assert np.abs(one - first).mean() < 6 and np.abs(two - second).mean() < 6
    outside = np.ones((300, 400), bool)
    outside[100:200, 100:200] = False
    assert np.array_equal(one[outside], two[outside])


def test_grey_pictures_flip_nearly_exactly():
    panels = [
        Panel("g", np.repeat(values(300, 400, 1, seed=seed)[..., None] / np.float32(255), 3, 2)) for seed in (0, 1)
    ]
    for each, frame in zip(panels, frames(draw_flip(panels)), strict=True):
        assert np.abs(frame[52:].astype(int) - each.eight_bit).max() <= 1


def test_a_flip_of_a_part_shows_it_enlarged():
    panels = [panel(0), panel(1)]
    for each, frame in zip(panels, frames(draw_flip(panels, Box(30, 20, 100, 50))), strict=True):
        assert frame[52:].shape == (150, 300, 3)
        assert np.abs(frame[52::3, ::3].astype(int) - each.eight_bit[20:70, 30:130]).mean() < 6


def test_boxes_nobody_asked_for_fill_the_width_below_the_pictures():
    panels = [panel(0), panel(1)]
    boxes = find_boxes(panels)
    assert len(boxes) == 2
    for box in boxes:
        assert box.width == box.height and 186 - 186 % box.width >= 180


@pytest.mark.parametrize("label", [HOSTILE, "a" * 500, "日本 é\n\t\x00", "bad\udcff"])
def test_any_label_is_drawn_on_its_line(label):
    panels = [panel(0, label), panel(1, label)]
    plain = drawn(draw_montage([panel(0, "a"), panel(1, "b")], []))
    sheet = drawn(draw_montage(panels, []))
    assert sheet.shape == plain.shape
    assert np.array_equal(sheet[PICTURE_Y : PICTURE_Y + 300], plain[PICTURE_Y : PICTURE_Y + 300])
    assert (sheet[:PICTURE_Y, -MARGIN_PX:] == 255).all() and len(list(frames(draw_flip(panels)))) == 2


def test_a_profile_that_all_share_is_kept_and_no_other():
    with_profile = [panel(seed, icc_profile=b"profile") for seed in (0, 1)]
    assert Image.open(io.BytesIO(draw_montage(with_profile, []))).info["icc_profile"] == b"profile"
    assert common_profile([with_profile[0], panel(1)]) is None
    assert "icc_profile" not in Image.open(io.BytesIO(draw_montage([with_profile[0], panel(1)], []))).info


def test_a_slider_page_holds_pictures_crops_and_maps_exactly():
    panels = [panel(0, "one"), panel(1, HOSTILE)]
    box = Box(40, 50, 36, 30)
    page = draw_slider(panels, [box]).decode()
    pictures = embedded(page)
    for expected in (*(each.eight_bit for each in panels), *difference_maps(panels).maps):
        assert any(np.array_equal(each, expected) for each in pictures)
        assert HOSTILE not in page
    for each in panels:
        assert any(np.array_equal(found, box.of(each.eight_bit)) for found in pictures)
    assert difference_maps(panels).scale_text in page
