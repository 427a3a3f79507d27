"""Deep, interlaced, transparent and damaged PNG, and the netpbm formats."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from restore_cli.errors import InputError
from restore_cli.io.read import read_image
from tests.io.helpers import png, png_chunk

PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("height", "width"), [(9, 11), (1, 1), (2, 5)])
def test_interlaced_pictures_read_exactly(tmp_path: Path, channels: int, depth: int, height: int, width: int) -> None:
    stored = np.random.default_rng(0).integers(0, 2**depth, (height, width, channels)).astype(f">u{depth // 8}")
    rows = b"".join(
        b"\0" + row.tobytes()
        for x, y, dx, dy in PASSES
        if x < width  # a pass without columns has no rows either
        for row in stored[y::dy, x::dx]
    )
    head = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPES[channels], 0, 0, 1)
    data = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    image = read_image(tmp_path / "a.png")
    wanted = (stored / (2**depth - 1)).astype(np.float32)
    colours = 1 if channels < 3 else 3
    np.testing.assert_array_equal(image.pixels, wanted[..., :colours])
    if channels in (2, 4):
        np.testing.assert_array_equal(image.alpha, wanted[..., -1])
    assert image.bit_depth == depth


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "transparent", "alpha"),
    [
        (1, 0, b"\0\x40", b"\0\1", [1, 0]),
        (2, 0, b"\0\x90", b"\0\2", [0, 1]),
        (4, 0, b"\0\x35", b"\0\5", [1, 0]),
        (8, 0, b"\0\x07\x70", b"\0\x70", [1, 0]),
        (16, 0, b"\0\x07\x70\x07\x71", b"\x07\x71", [1, 0]),
        (8, 2, b"\0\1\2\3\1\2\4", b"\0\1\0\2\0\4", [1, 0]),
        (16, 2, b"\0" + bytes(range(12)), bytes(range(6)), [0, 1]),
    ],
)
def test_the_one_transparent_colour_is_found_at_every_depth(
    tmp_path: Path, depth: int, colour: int, rows: bytes, transparent: bytes, alpha: list[int]
) -> None:
    (tmp_path / "a.png").write_bytes(png(2, 1, depth, colour, rows, (b"tRNS", transparent)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").alpha, [alpha])


def test_sixteen_bit_neighbours_of_the_transparent_colour_stay_opaque(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">3H", 0x1234, 0x1235, 0x1334)
    (tmp_path / "a.png").write_bytes(png(3, 1, 16, 0, rows, (b"tRNS", b"\x12\x34")))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").alpha, [[0, 1, 1]])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_few_bits_span_the_full_range(tmp_path: Path, depth: int) -> None:
    (tmp_path / "a.png").write_bytes(png(8 // depth, 1, depth, 0, b"\0\x1b"))
    stored = [0x1B >> shift & (2**depth - 1) for shift in range(8 - depth, -1, -depth)]
    np.testing.assert_allclose(read_image(tmp_path / "a.png").pixels[0, :, 0], np.array(stored) / (2**depth - 1))


def test_gamma_changes_no_sample(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1, 1, 16, 0, b"\0\x12\x34", (b"gAMA", struct.pack(">I", 35_000))))
    assert read_image(tmp_path / "a.png").pixels.item() == np.float32(0x1234 / 65535)


@pytest.mark.parametrize("depth", [8, 16])
def test_a_wrong_checksum_of_the_pixels_is_refused(tmp_path: Path, depth: int) -> None:
    data = bytearray(png(2, 2, depth, 0, (b"\0" + bytes(depth // 4)) * 2))
    data[data.index(b"IDAT") + 7] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="checksum"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("depth", [8, 16])
def test_pixels_may_come_in_many_parts(tmp_path: Path, depth: int) -> None:
    rows = b"".join(b"\0" + bytes([row] * 4 * depth // 8 if False else [row] * (4 * depth // 8)) for row in range(4))
    packed = zlib.compress(rows)
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, depth, 0, 0, 0, 0))
    parts = b"".join(png_chunk(b"IDAT", packed[i : i + 1]) for i in range(len(packed)))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", b"") + parts + png_chunk(b"IEND", b"")
    )
    np.testing.assert_allclose(read_image(tmp_path / "a.png").pixels[:, 0, 0] * 255, [0, 1, 2, 3], atol=1e-5)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"P1 # note\n3 2\n101\n0 1 0", [[0, 1, 0], [1, 0, 1]]),
        (b"P4\n3 2\n\xa0\x40", [[0, 1, 0], [1, 0, 1]]),
        (b"P2\n# made by hand\n2 1 100\n0 # black\n50", [[0, 0.5]]),
        (b"P5 2 1 100\n\x00\x32", [[0, 0.5]]),
        (b"P5\n2 1\n1023\n\x00\x00\x03\xff", [[0, 1]]),
        (b"P3\n1 1\n10\n0 5 10", [[[0, 0.5, 1]]]),
        (b"P6\n1 1\n65535\n\x00\x00\x80\x00\xff\xff", [[[0, 0x8000 / 65535, 1]]]),
    ],
)
def test_netpbm_reads_in_all_its_kinds(tmp_path: Path, data: bytes, wanted: list[object]) -> None:
    (tmp_path / "a.pnm").write_bytes(data)
    np.testing.assert_allclose(read_image(tmp_path / "a.pnm").pixels.squeeze(), np.squeeze(wanted), atol=1e-7)
