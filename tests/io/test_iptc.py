"""IPTC and comments: from format to format, however they were wrapped."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import IptcImagePlugin, PngImagePlugin

from restore_cli.errors import OutputError
from restore_cli.io.iptc import PHOTOSHOP, in_resources, resource
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from restore_cli.options import Encoding
from tests.io.helpers import picture, saved

IPTC = b"\x1c\x02\x78\x00\x06Harbor\x1c\x02\x19\x00\x04boat"
CARRIERS = ["PNG", "JPEG", "TIFF"]


@pytest.mark.parametrize("source", CARRIERS)
@pytest.mark.parametrize("target", CARRIERS)
def test_it_goes_from_format_to_format(tmp_path: Path, source: str, target: str) -> None:
    write_image(picture(iptc=IPTC), tmp_path / "first", format=source)
    write_image(read_image(tmp_path / "first"), tmp_path / "second", format=target)
    assert read_image(tmp_path / "second").iptc == IPTC
    if target != "PNG":  # where it is a convention that Pillow does not know
        with PillowImage.open(tmp_path / "second") as file:
            found = IptcImagePlugin.getiptcinfo(file)
        assert found[(2, 120)] == b"Harbor"


@pytest.mark.parametrize("name", CARRIERS)
def test_stripping_takes_it_away(tmp_path: Path, name: str) -> None:
    write_image(
        picture(iptc=IPTC, text=(("Comment", "hello"),)), tmp_path / "a", format=name, encoding=Encoding(strip=True)
    )
    again = read_image(tmp_path / "a")
    assert again.iptc is None
    assert again.text == ()


def test_other_resources_before_it_are_passed_over() -> None:
    other = b"8BIM" + struct.pack(">HB5sI", 1005, 4, b"name\0", 3) + b"abc\0"
    assert in_resources(PHOTOSHOP + other + resource(IPTC)) == IPTC
    assert in_resources(PHOTOSHOP + other) is None
    assert in_resources(IPTC) == IPTC


@given(st.binary(max_size=60))
def test_no_resources_are_too_broken_to_look_into(noise: bytes) -> None:
    in_resources(b"8BIM\x04\x04" + noise)
    in_resources(PHOTOSHOP + noise)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_may_store_it_as_numbers_of_32_bits(tmp_path: Path, order: str) -> None:
    block = IPTC + bytes(-len(IPTC) % 4)
    # As old Photoshop did: the block's bytes are turned around in every number of a little-endian file.
    values = np.frombuffer(block, ">u4").tolist()
    tag = (33723, 4, len(values), values, True)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8), byteorder=order, extratags=[tag], metadata=None)
    assert read_image(tmp_path / "a.tif").iptc == block


def test_too_much_for_a_jpeg_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"70000 bytes of IPTC.*--format png"):
        write_image(picture(iptc=b"\x1c" * 70_000), tmp_path / "a.jpg")


@pytest.mark.parametrize("content", ["plain", "Zoë", "雪 \U0001f338", "two\nlines"])
def test_pngs_texts_come_back(tmp_path: Path, content: str) -> None:
    text = (("Comment", content), ("Software", "scanner"), ("Comment", "again"))
    write_image(picture(text=text), tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").text == text
    with PillowImage.open(tmp_path / "a.png") as file:
        assert file.text["Software"] == "scanner"


def test_compressed_and_international_texts_are_read_but_not_blocks_of_other_programs(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "x" * 2000, zip=True)
    info.add_itxt("Author", "Zoë", lang="fr", tkey="Auteur", zip=True)
    info.add_text("Raw profile type 8bim", "\n8bim\n       1\n00\n")
    path = saved(tmp_path / "a.png", PillowImage.new("L", (4, 4)), "PNG", pnginfo=info)
    assert read_image(path).text == (("Title", "x" * 2000), ("Author", "Zoë"))


@pytest.mark.parametrize("name", ["JPEG", "GIF"])
def test_the_one_comment_of_other_formats_is_kept(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / "a", PillowImage.new("L", (8, 8)), name, comment="Zoë".encode())
    image = read_image(path)
    assert image.text == (("Comment", "Zoë"),)
    write_image(image, tmp_path / "b.jpg")
    assert read_image(tmp_path / "b.jpg").text == image.text


def test_a_comment_in_latin_1_is_read_as_such(tmp_path: Path) -> None:
    path = saved(tmp_path / "a", PillowImage.new("L", (8, 8)), "JPEG", comment="Zoë".encode("latin-1"))
    assert read_image(path).text == (("Comment", "Zoë"),)


def test_a_wrapped_block_is_what_photoshop_writes() -> None:
    stream = io.BytesIO(resource(IPTC + b"\0"))
    assert stream.read(6) == b"8BIM\x04\x04"
    assert len(resource(IPTC)) % 2 == len(resource(IPTC + b"\0")) % 2 == 0
