"""Large PNGs go by bands of rows, and are what they would be in one piece."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from restore_cli.errors import InputError
from restore_cli.io import canvas
from restore_cli.io.opened import Metadata
from restore_cli.io.png import write_png
from restore_cli.io.png_chunks import CHANNELS, GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, Header, container
from restore_cli.io.png_rows import row_bytes
from restore_cli.io.read import read_image

KINDS = [(GREY, depth) for depth in (1, 2, 4, 8, 16)] + [(PALETTE, depth) for depth in (1, 2, 4, 8)]
KINDS += [(colour, depth) for colour in (RGB, GREY_ALPHA, RGB_ALPHA) for depth in (8, 16)]


@pytest.fixture
def by_rows(monkeypatch: pytest.MonkeyPatch):
    """From now on every picture is large, and a band two or a few rows high."""

    def switch() -> None:
        monkeypatch.setattr(canvas, "LIMIT_BYTES", 0)
        monkeypatch.setattr(canvas, "BAND_BYTES", 800)

    return switch


def filtered(header: Header) -> bytes:
    """Random rows under random filters: whatever they stand for."""
    rng = np.random.default_rng(header.depth)
    rows = rng.integers(0, 256, (header.height, 1 + row_bytes(header)), np.uint8)
    rows[:, 0] = rng.integers(0, 5, header.height)
    return rows.tobytes()


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_every_kind_and_filter_is_decoded_as_in_one_piece(tmp_path: Path, by_rows, colour, depth, transparent) -> None:
    header = Header(29, 23, depth, colour, 0, 0, 0)
    packed = zlib.compress(filtered(header))
    chunks = [(b"PLTE", bytes(range(255, -1, -1)) * 3)] if colour == PALETTE else []
    if transparent and colour in (GREY, RGB, PALETTE):
        chunks.append((b"tRNS", bytes([0, 1, 200]) if colour == PALETTE else bytes([0, 1]) * CHANNELS[colour]))
    chunks += [(b"IDAT", packed[start : start + 100]) for start in range(0, len(packed), 100)]
    (tmp_path / "a.png").write_bytes(container(header, chunks))
    expected = read_image(tmp_path / "a.png")
    by_rows()
    found = read_image(tmp_path / "a.png")
    assert np.array_equal(found.pixels, expected.pixels)
    assert (found.alpha is None) == (expected.alpha is None)
    assert found.alpha is None or np.array_equal(found.alpha, expected.alpha)
    assert (found.bit_depth, found.source_mode) == (expected.bit_depth, expected.source_mode)


def test_large_data_that_is_short_or_has_an_unknown_filter_is_refused(tmp_path: Path, by_rows) -> None:
    header = Header(29, 23, 8, RGB, 0, 0, 0)
    rows = bytearray(filtered(header))
    by_rows()
    for name, data, words in (
        ("short", zlib.compress(rows[:-1]), "cut short"),
        ("damaged", zlib.compress(rows)[:2] + b"\xff" * 200, "do not decompress"),
        ("filter", zlib.compress(rows[: -(1 + 87)] + b"\5" + rows[-87:]), "unknown filter"),
    ):
        (tmp_path / f"{name}.png").write_bytes(container(header, [(b"IDAT", data)]))
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / f"{name}.png")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("content", ["smooth", "noise"])
def test_what_is_written_by_rows_is_read_by_others(tmp_path: Path, by_rows, channels, dtype, content) -> None:
    peak = np.iinfo(dtype).max
    rng = np.random.default_rng(channels)
    ramp = np.add.outer(np.arange(40) * 3, np.arange(50))[..., None] * peak / 200 * (1 + np.arange(channels)) / channels
    values = (ramp if content == "smooth" else rng.integers(0, peak + 1, (40, 50, channels))).astype(dtype)
    write_png(in_one_piece := io.BytesIO(), values, Metadata(dpi=(300, 300)))
    by_rows()
    write_png(buffer := io.BytesIO(), values, Metadata(dpi=(300, 300)))
    for number, stream in enumerate((in_one_piece, buffer)):
        (tmp_path / f"{number}.png").write_bytes(stream.getvalue())
    images = [read_image(tmp_path / f"{number}.png") for number in range(2)]
    assert np.array_equal(images[0].pixels, images[1].pixels) and images[1].dpi == (300, 300)
    assert images[0].alpha is None or np.array_equal(images[0].alpha, images[1].alpha)
    if dtype is np.uint8:
        assert np.array_equal(np.asarray(PillowImage.open(tmp_path / "1.png")).reshape(values.shape), values)
    if content == "smooth":
        assert len(buffer.getvalue()) < values.nbytes / 2  # the filters do their work
