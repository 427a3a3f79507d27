"""Files of several pictures."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from restore_cli.errors import InputError
from restore_cli.io.frames import count_frames
from restore_cli.io.read import read_image, read_size
from tests.io.helpers import levels, needs, picture, png, saved

COLOURS = [(255, 0, 0), (0, 0, 255), (0, 128, 0)]


def frames_of(path: Path, name: str, **options: object) -> Path:
    frames = [PillowImage.new("RGB", (32, 24), colour) for colour in COLOURS]
    return saved(path, frames[0], name, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("GIF", {}),
        ("WEBP", {"lossless": True}),
        ("PNG", {}),
        ("TIFF", {}),
        ("AVIF", {"quality": 100}),
    ],
)
def test_each_frame_is_read_by_its_number(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    needs(name)
    path = frames_of(tmp_path / "a", name, **options)
    assert count_frames(path) == 3
    for number, colour in enumerate(COLOURS):
        image = read_image(path, number)
        assert read_size(path, number) == (24, 32)
        np.testing.assert_allclose(image.pixels, np.broadcast_to(np.float32(colour) / 255, (24, 32, 3)), atol=0.02)
    with pytest.raises(InputError, match="has no picture 3; it has 3"):
        read_image(path, 3)


def test_heif_starts_with_its_primary_picture(tmp_path: Path) -> None:
    needs("HEIF")
    import pillow_heif

    file = pillow_heif.HeifFile()
    for colour in COLOURS:
        file.add_from_pillow(PillowImage.new("RGB", (32, 24), colour))
    file.save(tmp_path / "a.heic", quality=-1, chroma=444, primary_index=1)
    assert count_frames(tmp_path / "a.heic") == 3
    shown = [read_image(tmp_path / "a.heic", number).pixels[0, 0].round(1).tolist() for number in range(3)]
    assert shown == [[0, 0, 1], [1, 0, 0], [0, 0.5, 0]]


def test_differences_come_out_as_whole_pictures(tmp_path: Path) -> None:
    base, other = PillowImage.new("RGB", (32, 24), "red"), PillowImage.new("RGB", (32, 24), "red")
    other.paste((0, 0, 255), (4, 4, 8, 8))
    path = saved(tmp_path / "a.gif", base, "GIF", save_all=True, append_images=[other])
    second = read_image(path, 1)
    np.testing.assert_array_equal(second.pixels[0, 0], [1, 0, 0])
    np.testing.assert_array_equal(second.pixels[5, 5], [0, 0, 1])


def test_pages_keep_their_own_size_and_depth_and_previews_do_not_count(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.zeros((4, 4), np.uint8), subfiletype=1)
        writer.write(np.full((8, 9), 65535, np.uint16))
        writer.write(np.full((5, 6, 3), 0.5, np.float32), photometric="rgb")
    assert count_frames(tmp_path / "a.tif") == 2
    first, second = (read_image(tmp_path / "a.tif", number) for number in range(2))
    assert (first.pixels.shape, first.bit_depth) == ((8, 9, 1), 16)
    assert (second.pixels.shape, second.bit_depth) == ((5, 6, 3), 32)
    assert read_size(tmp_path / "a.tif", 1) == (5, 6)


def test_one_picture_is_one(tmp_path: Path) -> None:
    from restore_cli.io.write import write_image

    for name in ("PNG", "JPEG", "PPM", "BMP"):
        write_image(picture(), tmp_path / name, format=name)
        assert count_frames(tmp_path / name) == 1


def test_a_png_whose_default_picture_is_no_frame_counts_it_first(tmp_path: Path) -> None:
    frames = [PillowImage.new("RGB", (32, 24), colour) for colour in COLOURS]
    path = saved(tmp_path / "a.png", frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True)
    assert count_frames(path) == 3
    np.testing.assert_array_equal(read_image(path).pixels[0, 0], [1, 0, 0])
    np.testing.assert_array_equal(read_image(path, 1).pixels[0, 0], [0, 0, 1])


def test_a_page_damaged_behind_the_first_costs_only_itself(tmp_path: Path) -> None:
    pixels = (levels(24, 32, 3, 8) * 255).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", np.stack([pixels, pixels]), photometric="rgb", metadata=None)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "b.tif").write_bytes(data[: len(data) - len(pixels.tobytes()) // 2])
    np.testing.assert_allclose(read_image(tmp_path / "b.tif").pixels * 255, pixels, atol=1e-3)


def test_a_png_has_no_more_frames_than_it_holds_whatever_it_says(tmp_path: Path) -> None:
    rows = bytes(4 * 13)
    control, frame = (b"acTL", struct.pack(">II", 0xFFFFFFFF, 0)), (b"fcTL", bytes(26))
    (tmp_path / "a.png").write_bytes(png(4, 4, 8, 2, rows, control, frame))
    assert count_frames(tmp_path / "a.png") == 1


def test_pages_that_follow_each_other_in_a_circle_come_once(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 5, 4, 3), np.uint8), photometric="rgb", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        first, last = file.pages[0], file.pages[-1]
    data = bytearray((tmp_path / "a.tif").read_bytes())
    link = last.offset + 2 + 12 * len(last.tags)
    assert data[link : link + 4] == bytes(4)
    data[link : link + 4] = struct.pack("<I", first.offset)
    (tmp_path / "a.tif").write_bytes(data)
    assert count_frames(tmp_path / "a.tif") == 2
    assert read_image(tmp_path / "a.tif").height == 5
