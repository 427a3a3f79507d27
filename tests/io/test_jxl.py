"""JPEG XL: what we write is what it says it is, and headers tell the truth."""

import io
from pathlib import Path

import numpy as np
import pytest

from restore_cli.errors import InputError
from restore_cli.io import icc
from restore_cli.io.boxes import top_boxes
from restore_cli.io.jxl import encode_jxl, open_jxl
from restore_cli.io.opened import Metadata
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import Encoding
from tests.io.helpers import XMP, exif, levels, needs, picture

KINDS = {np.uint8: 255, np.uint16: 65535, np.float32: 1}


@pytest.fixture(autouse=True)
def _packages() -> None:
    needs("JXL")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("quality", [None, 90])
def test_every_file_states_srgb(kind: type, channels: int, quality: int | None) -> None:
    import pillow_jxl

    ramp = np.linspace(0, 1, 64)[None, :, None].repeat(48, 0).repeat(channels, 2)
    values = (ramp * KINDS[kind]).astype(kind)
    data = encode_jxl(values, Metadata(), quality)
    stated = icc.parse(bytes(pillow_jxl.Decoder(num_threads=1)(data)[3]))
    assert stated.curves[0].g == pytest.approx(2.4, abs=1e-3)
    opened = open_jxl(io.BytesIO(data))
    samples = opened.decode()
    assert samples.values.dtype == kind
    assert samples.lossless is (quality is None)
    off = np.abs(samples.values.astype(np.float64) - values) / KINDS[kind]
    assert off.max() <= (0 if quality is None else 0.03)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 7), (256, 256), (300, 400), (3, 700), (1024, 640), (9, 16)])
def test_the_size_is_read_from_the_header(tmp_path: Path, height: int, width: int) -> None:
    write_image(picture(height, width, grey=True), tmp_path / "a.jxl")
    assert read_size(tmp_path / "a.jxl") == (height, width)


def test_metadata_are_boxes_before_and_after(tmp_path: Path) -> None:
    write_image(picture(exif=exif(), xmp=XMP % 1), tmp_path / "a.jxl")
    names = [name for name, _ in top_boxes((tmp_path / "a.jxl").read_bytes())]
    assert names == [b"JXL ", b"ftyp", b"jxlc", b"Exif", b"xml "]


def test_a_bare_codestream_reads(tmp_path: Path) -> None:
    import imagecodecs

    values = (levels(5, 7, 3, 8) * 255).astype(np.uint8)
    (tmp_path / "a").write_bytes(imagecodecs.jpegxl_encode(values, lossless=True))
    np.testing.assert_allclose(read_image(tmp_path / "a").pixels * 255, values, atol=1e-4)


def test_quality_makes_it_smaller(tmp_path: Path) -> None:
    for quality in (20, 60, 95):
        write_image(picture(64, 64), tmp_path / f"{quality}.jxl", encoding=Encoding(quality=quality))
    sizes = [(tmp_path / f"{quality}.jxl").stat().st_size for quality in (20, 60, 95)]
    assert sizes == sorted(sizes)
    assert not read_image(tmp_path / "95.jxl").lossless


@pytest.mark.parametrize("cut", [12, 40, 60, 120])
def test_a_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    write_image(picture(64, 64), tmp_path / "a.jxl")
    (tmp_path / "b.jxl").write_bytes((tmp_path / "a.jxl").read_bytes()[:cut])
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "b.jxl")
    assert "\n" not in str(caught.value)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    # Both sides 1 + 2**18 - 1 pixels: a size of 18 bits, no ratio, twice.
    bits = int.from_bytes(b"\xff\x0a", "little")
    at = 16
    for value, count in ((0, 1), (2, 2), (2**18 - 1, 18), (0, 3), (2, 2), (2**18 - 1, 18), (1, 1)):
        bits |= value << at
        at += count
    (tmp_path / "a.jxl").write_bytes(bits.to_bytes(32, "little"))
    with pytest.raises(InputError, match="claims 262144x262144 pixels"):
        read_image(tmp_path / "a.jxl")


def test_a_header_is_read_without_decoding_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jxl"
    write_image(picture(40, 60), path)
    path.write_bytes(path.read_bytes()[:200])
    assert read_size(path) == (40, 60)
    with pytest.raises(InputError, match="a.jxl is damaged or cut short"):
        read_image(path)
