"""Windows: partition and merge undo each other, offsets and masks are what they say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from restore_cli.archs.windows import (
    MASKED,
    merge_windows,
    partition_windows,
    relative_position_index,
    shifted_window_mask,
)

small = st.integers(1, 4)


@given(batch=small, rows=small, columns=small, size=small, channels=small)
def test_merging_undoes_partitioning_bitwise(batch, rows, columns, size, channels):
    tokens = torch.rand(batch, rows * size, columns * size, channels)
    windows = partition_windows(tokens, size)
    assert windows.shape == (batch * rows * columns, size * size, channels)
    assert torch.equal(merge_windows(windows, size, rows * size, columns * size), tokens)


def test_a_window_holds_a_square_of_the_picture_in_reading_order():
    tokens = torch.arange(2 * 4 * 6).view(2, 4, 6, 1)
    windows = partition_windows(tokens, 2).view(2, 2, 3, 2, 2)
    assert torch.equal(windows[1, 1, 2], tokens[1, 2:4, 4:6, 0])


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_offset_in_a_window_has_its_own_row_of_the_table(size):
    index = relative_position_index(size)
    assert index.dtype == torch.int64
    row_of_offset = {}
    for query in range(size**2):
        for key in range(size**2):
            offset = (query // size - key // size, query % size - key % size)
            assert row_of_offset.setdefault(offset, index[query, key].item()) == index[query, key]
    assert sorted(row_of_offset) == [offset for offset, _ in sorted(row_of_offset.items(), key=lambda item: item[1])]
    assert sorted(row_of_offset.values()) == list(range((2 * size - 1) ** 2))


@pytest.mark.parametrize(
    ("height", "width", "size", "shift"), [(8, 12, 4, 2), (4, 4, 4, 1), (6, 3, 3, 1), (8, 8, 8, 4)]
)
def test_the_mask_separates_pixels_that_only_rolling_made_neighbours(height, width, size, shift):
    mask = shifted_window_mask(height, width, size, shift, torch.device("cpu"), torch.float64)
    axes = torch.arange(height), torch.arange(width)
    place = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    came_from = partition_windows(place.roll((-shift, -shift), (0, 1))[None], size)
    is_at = partition_windows(place[None], size)
    assert mask.dtype == torch.float64
    # Pixels of one piece are as far apart as they were, in either axis.
    together = (_offsets(came_from) == _offsets(is_at)).all(dim=-1)
    assert torch.equal(mask == 0, together)
    assert torch.equal(mask.unique(), torch.tensor([MASKED, 0.0], dtype=torch.float64))


def test_unshifted_windows_have_nothing_to_mask():
    assert not shifted_window_mask(8, 12, 4, 0, torch.device("cpu"), torch.float32).any()


def _offsets(places):
    return places[:, :, None] - places[:, None, :]
