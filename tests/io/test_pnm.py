"""Netpbm pictures are read and written a part at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from restore_cli.errors import InputError
from restore_cli.io import canvas, pnm
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.io.helpers import levels, picture


@pytest.fixture(autouse=True)
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "LIMIT_BYTES", 0)
    monkeypatch.setattr(canvas, "BAND_BYTES", 100)
    monkeypatch.setattr(pnm, "_TEXT_BYTES", 7)


@pytest.mark.parametrize(
    ("kind", "peak", "channels"),
    [(1, 1, 1), (2, 255, 1), (2, 60000, 1), (3, 200, 3), (4, 1, 1), (5, 900, 1), (6, 255, 3)],
)
def test_every_kind_is_read_across_the_borders_of_its_parts(
    tmp_path: Path, kind: int, peak: int, channels: int
) -> None:
    samples = np.random.default_rng(kind).integers(0, peak + 1, (13, 21, channels))
    samples.flat[0] = peak
    head = f"P{kind}\n# by hand\n21 13\n" + ("" if kind in (1, 4) else f"{peak}\n")
    if kind == 4:
        body = np.packbits(samples[..., 0].astype(np.uint8), axis=1).tobytes()
    elif kind > 4:
        body = samples.astype(">u2" if peak > 255 else np.uint8).tobytes()
    else:
        rows = ["  ".join(str(value) for value in row.ravel()) for row in samples]
        body = "\n".join(f"{row} # row {index} of 13" for index, row in enumerate(rows)).encode()
    (tmp_path / "a.pnm").write_bytes(head.encode() + body)
    pixels = read_image(tmp_path / "a.pnm").pixels
    expected = samples / peak
    np.testing.assert_allclose(pixels, 1 - expected if kind in (1, 4) else expected, atol=1e-6)


def test_a_plain_bitmap_needs_no_space_between_its_digits(tmp_path: Path) -> None:
    (tmp_path / "a.pbm").write_bytes(b"P1\n21 2\n" + b"10" * 21)
    assert read_image(tmp_path / "a.pbm").pixels.ravel().tolist() == [0, 1] * 21


@pytest.mark.parametrize("body", [b"1 " * 700, b"12 " * 400])
def test_text_that_ends_early_is_cut_short(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P3\n20 20\n255\n" + body)
    with pytest.raises(InputError, match="cut short"):
        read_image(tmp_path / "a.ppm")


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_what_is_written_in_parts_is_whole(tmp_path: Path, bit_depth: int) -> None:
    write_image(picture(33, 17, bit_depth=bit_depth), tmp_path / "a.ppm")
    np.testing.assert_array_equal(read_image(tmp_path / "a.ppm").pixels, levels(33, 17, 3, bit_depth))
