from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from restore_cli.errors import InputError
from restore_cli.evaluation.shown import Box, Panel, choose_boxes, enlarge, one_size, read_panel, reduce, short_names
from tests.pictures import values, write


def panel(height, width, label="p"):
    return Panel(label, values(height, width).astype(np.float32) / 255)


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (1, 16), (3, 8), (3, 16)])
def test_any_picture_becomes_three_channels_between_0_and_1(tmp_path, channels, bits):
    samples = values(channels=channels, bits=bits)
    shown = read_panel(write(tmp_path / "in.png", samples), "label")
    expected = np.broadcast_to(np.atleast_3d(samples) / (2**bits - 1), (20, 24, 3))
    assert np.abs(shown.pixels - expected).max() < 1e-6 and (shown.label, shown.remark) == ("label", "")
    assert np.array_equal(shown.eight_bit, np.floor(expected * 255 + 0.5))


def test_transparent_parts_are_white_and_the_panel_says_so(tmp_path):
    samples = np.zeros((4, 4, 4), np.uint8)
    samples[:2, :, 3] = 255
    shown = read_panel(write(tmp_path / "in.png", samples), "label")
    assert shown.remark == "on white"
    assert np.array_equal(shown.eight_bit[:, 0, 0], [0, 0, 255, 255])


def test_a_smaller_picture_of_a_whole_ratio_is_enlarged_by_squares_and_says_so():
    small, large = one_size([panel(10, 12, "small"), panel(30, 36, "large")])
    assert small.remark == "enlarged ×3, nearest" and large.remark == ""
    assert small.pixels.shape == large.pixels.shape
    assert np.array_equal(small.pixels[::3, 1::3], panel(10, 12).pixels)


@pytest.mark.parametrize("size", [(30, 35), (10, 18), (29, 36), (36, 30), (1, 1)])
def test_sizes_that_do_not_fit_are_refused_with_both_names(size):
    with pytest.raises(InputError, match=rf"odd is {size[1]}x{size[0]}, large 36x30"):
        one_size([panel(30, 36, "large"), panel(*size, "odd")])


def test_reducing_keeps_the_mean_and_covers_what_does_not_divide():
    pixels = values(9, 12)
    assert np.array_equal(reduce(enlarge(pixels, 3), 3), pixels)
    assert reduce(values(10, 13), 4).shape == (3, 4, 3)
    assert reduce(pixels, 1) is pixels


def test_a_box_is_chosen_where_pictures_differ_on_detail():
    rng = np.random.default_rng(0)
    first = np.full((80, 120, 3), 0.5, np.float32)
    first[20:36, 70:86] += rng.normal(0, 0.2, (16, 16, 1)).astype(np.float32)  # detail that differs
    first[50:66, 10:26] += rng.normal(0, 0.2, (16, 16, 1)).astype(np.float32)  # detail that does not
    second = first.copy()
    second[20:36, 70:86] = second[20:36, 70:86].mean()
    second[60:80, 90:120] += 0.2  # a difference without detail
    (box,) = choose_boxes([first, second], 16, 16, 1)
    assert abs(box.x - 70) <= 2 and abs(box.y - 20) <= 2


def test_of_equal_pictures_detail_is_chosen():
    picture = np.zeros((40, 60, 3), np.float32)
    picture[8:16, 32:40] = np.random.default_rng(0).random((8, 8, 1))
    (box,) = choose_boxes([picture, picture], 8, 8, 1)
    assert abs(box.x - 32) <= 1 and abs(box.y - 8) <= 1


@pytest.mark.parametrize("count", [1, 2, 5, 100])
def test_boxes_do_not_overlap_and_lie_inside(count):
    pictures = [values(40, 50, seed=seed).astype(np.float32) / 255 for seed in (0, 1)]
    boxes = choose_boxes(pictures, 16, 12, count)
    assert len(boxes) == min(count, len(boxes)) and (count > 5 or len(boxes) == count)
    covered = np.zeros((40, 50), int)
    for box in boxes:
        assert (box.width, box.height) == (16, 12)
        box.of(covered)[:] += 1
    assert covered.max() == 1 and covered.sum() == len(boxes) * 16 * 12


def test_a_box_larger_than_the_picture_is_the_picture():
    assert choose_boxes([values(5, 9)], 16, 16, 3) == [Box(0, 0, 9, 5)]


def test_names_keep_as_many_folders_as_tell_them_apart():
    def short(*names):
        return short_names([Path(name) for name in names])

    assert short("x/a.png", "y/b.png") == ["a.png", "b.png"]
    assert short("x/1/a.png", "y/1/a.png", "c.png") == ["x/1/a.png", "y/1/a.png", "c.png"]
    assert short("/x/a.png", "/x/a.png") == ["a.png", "a.png"]
    assert short("a.png", "/x/a.png") == ["a.png", "x/a.png"]
