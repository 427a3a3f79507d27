"""Arrays beyond a limit are mapped files: used like any other, gone with the process, refused on a full disk."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restore_cli.errors import RestoreError
from restore_cli.io import canvas
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.io.helpers import picture


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RESTORE_TMPDIR", str(tmp_path))
    yield tmp_path


def is_file(array: np.ndarray) -> bool:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return isinstance(getattr(array.base, "obj", array.base), mmap.mmap)


@pytest.mark.parametrize("make", [canvas.empty, canvas.zeros])
def test_an_array_is_mapped_above_the_limit_and_ordinary_up_to_it(place, make):
    assert not is_file(make((10, 10), np.float32, limit=400))
    mapped = make((10, 10), np.float32, limit=399)
    assert is_file(mapped) and mapped.flags.writeable and mapped.flags.c_contiguous
    mapped[3] = 2.5
    assert mapped.sum() == 25
    assert not list(place.iterdir())  # unlinked at once


def test_zeros_are_zeros(place):
    assert not canvas.zeros((100, 100), np.uint16, limit=0).any()


def test_a_full_disk_is_an_error_with_a_way_out_and_no_crash_later(place, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(RestoreError, match="temporary disk space") as caught:
        canvas.empty((100, 100), limit=0)
    assert str(place) in caught.value.message and "RESTORE_TMPDIR" in caught.value.hint
    assert not list(place.iterdir())


def test_a_folder_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTORE_TMPDIR", str(tmp_path / "nowhere"))
    with pytest.raises(RestoreError, match="nowhere"):
        canvas.empty((10,), limit=0)


def test_our_own_variable_goes_before_the_systems(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("RESTORE_TMPDIR", raising=False)
    assert canvas.folder() == tmp_path
    monkeypatch.setenv("RESTORE_TMPDIR", str(tmp_path / "large"))
    assert canvas.folder() == tmp_path / "large"


@given(height=st.integers(1, 40), width=st.integers(1, 9), band=st.integers(1, 200), limit=st.integers(0, 2000))
@settings(deadline=None, max_examples=60)
def test_by_rows_gives_what_the_whole_gives(height, width, band, limit):
    rng = np.random.default_rng(0)
    first, second = rng.random((height, width, 3), np.float32), rng.random((height, 1), np.float32)

    def mixed(first, second):
        return (first * second[:, :, None]).sum(axis=2).astype(np.float64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canvas, "BAND_BYTES", band)
        patch.setattr(canvas, "LIMIT_BYTES", limit)
        assert np.array_equal(canvas.by_rows(mixed, first, second), mixed(first, second))


def test_bands_cover_every_row_once_and_start_on_even_ones(monkeypatch):
    monkeypatch.setattr(canvas, "BAND_BYTES", 70)
    found = list(canvas.bands(13, 10))
    assert [row for band in found for row in range(13)[band]] == list(range(13))
    assert len(found) > 1 and all(band.start % 2 == 0 for band in found)


def test_a_view_is_copied_into_order_and_what_is_in_order_is_not_copied(monkeypatch):
    monkeypatch.setattr(canvas, "BAND_BYTES", 64)
    picture = np.random.default_rng(0).random((11, 14, 3), np.float32)
    turned = np.rot90(picture)[:, ::-1]
    assert canvas.contiguous(picture) is picture
    assert np.array_equal(canvas.contiguous(turned), turned) and canvas.contiguous(turned).flags.c_contiguous
    picture.flags.writeable = False
    assert canvas.contiguous(picture).flags.writeable


def test_a_picture_without_room_for_its_canvas_is_not_called_damaged(monkeypatch, tmp_path):
    write_image(picture(), tmp_path / "a.png")
    monkeypatch.setenv("RESTORE_TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(canvas, "LIMIT_BYTES", 0)
    with pytest.raises(RestoreError, match="temporary disk space"):
        read_image(tmp_path / "a.png")
