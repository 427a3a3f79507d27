"""The many ways a TIFF can lay out the same picture."""

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from restore_cli.errors import InputError
from restore_cli.io import canvas, tiff
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from tests.io.helpers import XMP, exif, exif_of, levels, picture, saved


@pytest.fixture(autouse=True, params=["in memory", "mapped"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test twice: as ever, and as if the picture were too large for memory."""
    if request.param == "mapped":
        monkeypatch.setattr(canvas, "LIMIT_BYTES", 0)
        monkeypatch.setattr(canvas, "BAND_BYTES", 64)


LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 3},
    "tiles": {"tile": (16, 16)},
    "planes": {"planarconfig": "separate"},
    "tiled planes": {"planarconfig": "separate", "tile": (16, 16)},
    "big endian": {"byteorder": ">"},
    "bigtiff": {"bigtiff": True},
    "deflate": {"compression": "zlib", "rowsperstrip": 4},
    "tiled deflate": {"compression": "zlib", "tile": (16, 32)},
    "lzma": {"compression": "lzma"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float16", "float32", "float64"])
def test_every_layout_gives_the_same_picture(tmp_path: Path, layout: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    whole = not dtype.startswith("f")
    peak = np.iinfo(dtype).max if whole else 1
    values = (rng.integers(0, peak, (21, 37, 3)) if whole else rng.random((21, 37, 3))).astype(dtype)
    options = dict(LAYOUTS[layout])
    if options.get("planarconfig"):
        values = np.ascontiguousarray(values.transpose(2, 0, 1))
    if whole and options.get("compression") == "zlib":
        options["predictor"] = True
    if options.get("byteorder") != ">":
        values = values.astype(values.dtype.newbyteorder("<"))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", **options)
    if options.get("planarconfig"):
        values = values.transpose(1, 2, 0)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image.pixels, values.astype(np.float64) / peak, rtol=1e-6, atol=1e-7)
    assert image.bit_depth == {"uint8": 8, "uint16": 16}.get(dtype, 32)
    assert read_size(tmp_path / "a.tif") == (21, 37)


@pytest.mark.parametrize(
    ("dtype", "predictor"),  # differences of floats are for floats, those of integers for integers
    [("uint8", 1), ("uint8", 2), ("uint16", 1), ("uint16", 2), ("float32", 1), ("float32", 3)],
)
@pytest.mark.parametrize("compression", [5, 8, 32773])
def test_the_compressions_of_libtiff_are_undone_exactly(
    tmp_path: Path, dtype: str, predictor: int, compression: int
) -> None:
    values = (levels(33, 29, 3, 32) if dtype == "float32" else levels(33, 29, 3, 8) * 255).astype(dtype)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    (tmp_path / "a.tif").write_bytes(cv2.imencode(".tif", values[..., ::-1], options)[1].tobytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert (file.pages[0].compression, file.pages[0].predictor) in {
            (compression, predictor),
            (compression, 1),
        }
    peak = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, (values / peak).astype(np.float32))


def handmade(bits: int, photometric: int, width: int, rows: bytes, *more: tuple[int, int, int, bytes]) -> bytes:
    """A little-endian one-strip grey TIFF of any bit depth, with further fields (tag, type, count, data)."""
    height = 2
    fields = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric), (277, 1), (278, height)]
    entries = {tag: struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields}
    base = 8 + 2 + 12 * (len(fields) + 2 + len(more)) + 4
    tail = b""
    for tag, kind, count, data in more:
        entries[tag] = (
            struct.pack("<HHII", tag, kind, count, base + len(tail))
            if len(data) > 4
            else (struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0"))
        )
        tail += data if len(data) > 4 else b""
    entries[273] = struct.pack("<HHII", 273, 4, 1, base + len(tail))
    entries[279] = struct.pack("<HHII", 279, 4, 1, len(rows))
    table = b"".join(entries[tag] for tag in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + tail + rows


def test_twelve_bits_are_unpacked_to_their_full_range(tmp_path: Path) -> None:
    # 0x000 0xfff 0x800 and four padding bits a row
    (tmp_path / "a.tif").write_bytes(handmade(12, 1, 3, bytes.fromhex("000fff8000" * 2)))
    image = read_image(tmp_path / "a.tif")
    assert image.bit_depth == 16
    np.testing.assert_allclose(image.pixels[..., 0], [[0, 1, 0x800 / 4095]] * 2, atol=1e-7)


@pytest.mark.parametrize(("bits", "rows"), [(1, "b0b0"), (2, "cfcf"), (4, "f0fff0ff"), (8, "ff00ffffff00ffff")])
def test_white_may_be_zero_at_any_depth(tmp_path: Path, bits: int, rows: str) -> None:
    stored = {1: [1, 0, 1, 1], 2: [1, 0, 1, 1], 4: [1, 0, 1, 1], 8: [1, 0, 1, 1]}[bits]
    (tmp_path / "a.tif").write_bytes(handmade(bits, 0, 4, bytes.fromhex(rows)))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[..., 0], [[1 - v for v in stored]] * 2)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("unit", [1, 257])
def test_a_palette_may_be_of_8_or_16_bits(tmp_path: Path, bits: int, unit: int) -> None:
    palette = np.zeros((3, 2**bits), np.uint16)
    palette[:, 1] = np.array([200, 100, 50]) * unit
    rows = bytes([0x10, 0x10]) if bits == 4 else bytes([1, 0, 1, 0])
    colours = (320, 3, palette.size, palette.astype("<u2").tobytes())
    (tmp_path / "a.tif").write_bytes(handmade(bits, 3, 2, rows, colours))
    image = read_image(tmp_path / "a.tif")
    assert image.source_mode == "P"
    np.testing.assert_allclose(image.pixels[0] * 255, [[200, 100, 50], [0, 0, 0]], atol=1e-4)


def test_bits_may_be_stored_backwards(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(handmade(1, 1, 4, b"\x0d\x0d", (266, 3, 1, b"\2\0")))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[..., 0], [[1, 0, 1, 1]] * 2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_premultiplied_alpha_is_divided_out(tmp_path: Path, dtype: str) -> None:
    peak = 1 if dtype == "float32" else np.iinfo(dtype).max
    alpha = np.linspace(0, 1, 40).reshape(5, 8)
    straight = levels(5, 8, 3, 8)
    stored = np.concatenate([straight * alpha[..., None], alpha[..., None]], axis=2) * peak
    stored = stored if dtype == "float32" else np.floor(stored + 0.5)
    tifffile.imwrite(tmp_path / "a.tif", stored.astype(dtype), photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image.alpha, alpha, atol=1 / 255)
    opaque_enough = alpha > 0.3
    np.testing.assert_allclose(image.pixels[opaque_enough], straight[opaque_enough], atol=0.02)
    assert (image.pixels[alpha == 0] == 0).all()
    write_image(image, tmp_path / "b.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, image.pixels)


def test_sixteen_bit_cmyk_becomes_rgb(tmp_path: Path) -> None:
    ink = np.zeros((4, 4, 4), np.uint16)
    ink[..., 0] = 65535
    tifffile.imwrite(tmp_path / "a.tif", ink, photometric="separated")
    image = read_image(tmp_path / "a.tif")
    assert image.bit_depth == 8
    np.testing.assert_allclose(image.pixels, np.broadcast_to([0, 1, 1], (4, 4, 3)), atol=1e-6)


def test_the_first_page_that_is_no_preview_is_read(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for level, options in ((10, {"subfiletype": 1}), (20, {}), (30, {})):
            file.write(np.full((level, 8), level, np.uint8), photometric="minisblack", metadata=None, **options)
    image = read_image(tmp_path / "a.tif")
    assert image.height == 20
    np.testing.assert_allclose(image.pixels * 255, 20, atol=1e-4)


def test_a_file_of_previews_or_a_raw_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.nef", np.zeros((4, 4), np.uint8), subfiletype=1)
    tifffile.imwrite(tmp_path / "a.dng", np.zeros((4, 4), np.uint8), extratags=[(50706, 1, 4, b"\1\4\0\0", True)])
    for name in ("a.nef", "a.dng"):
        with pytest.raises(InputError, match="camera raw"):
            read_image(tmp_path / name)


@pytest.mark.parametrize(
    "values", [np.zeros((4, 4), np.int16), np.zeros((4, 4), np.int32), np.zeros((4, 4), np.complex64)]
)
def test_samples_without_a_known_range_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values)
    with pytest.raises(InputError, match="samples of a kind"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", [3, 5])
def test_channels_nobody_explains_are_refused(tmp_path: Path, channels: int) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((4, 4, channels), np.uint8),
        photometric="minisblack",
        planarconfig="contig",
    )
    with pytest.raises(InputError, match=f"{channels} channels"):
        read_image(tmp_path / "a.tif")


def test_cielab_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", PillowImage.new("LAB", (4, 4)), "TIFF")
    with pytest.raises(InputError, match="RGB"):
        read_image(path)


def test_ycbcr_jpeg_with_its_orientation_is_turned_once(tmp_path: Path) -> None:
    values = np.zeros((16, 32, 3), np.uint8)
    values[:, 16:] = 200
    buffer = io.BytesIO()
    PillowImage.fromarray(values).save(buffer, "TIFF", compression="jpeg", tiffinfo={274: 6})
    (tmp_path / "a.tif").write_bytes(buffer.getvalue())
    image = read_image(tmp_path / "a.tif")
    assert (image.height, image.width) == read_size(tmp_path / "a.tif") == (32, 16)
    assert image.pixels[24:].mean() > 0.7
    assert image.pixels[:8].mean() < 0.05


def test_a_written_tiff_holds_what_other_programs_expect(tmp_path: Path) -> None:
    write_image(picture(alpha=True, bit_depth=16), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        assert page.photometric == tifffile.PHOTOMETRIC.RGB
        assert page.extrasamples == (tifffile.EXTRASAMPLE.UNASSALPHA,)
        assert page.predictor == tifffile.PREDICTOR.HORIZONTAL
        assert "Software" not in page.tags


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_file_beyond_four_gigabytes_keeps_its_exif_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, big: bool
) -> None:
    if big:
        monkeypatch.setattr(tiff, "_CLASSIC_BYTES", 0)
    block = exif(order=order)
    write_image(picture(bit_depth=16, exif=block, xmp=XMP % 1), tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff == big
        assert file.pages[0].tags["ExifTag"].value["ISOSpeedRatings"] == 400
    again = read_image(tmp_path / "a.tif")
    assert exif_of(again.exif).get_ifd(0x8769)[0x8827] == 400 and exif_of(again.exif)[0x013B] == "Ann"
    np.testing.assert_array_equal(again.pixels, levels(5, 7, 3, 16))


def test_a_file_too_short_for_what_it_claims_takes_no_room_first(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb", compression="zlib")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = file.pages[0].tags[name]
            struct.pack_into("<HI", data, tag.offset + 2, 4, 1)
            struct.pack_into("<I", data, tag.offset + 8, 30_000)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="cut short"):
        read_image(tmp_path / "a.tif")
