"""Whatever is wrong with a file: one `InputError`, one line, no other output."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from restore_cli.errors import InputError
from restore_cli.io import opened
from restore_cli.io.extras import missing_package
from restore_cli.io.image import Image
from restore_cli.io.opened import Metadata
from restore_cli.io.png import write_png
from restore_cli.io.quantise import quantise
from restore_cli.io.read import read_image, read_size
from restore_cli.io.tiff import write_tiff
from restore_cli.io.write import write_image
from tests.io.helpers import XMP, dng, exif, picture, png, png_chunk, saved

HOSTILE = Path(os.environ.get("RESTORE_DATA", Path(__file__).parents[3] / "shared" / "data")) / "hostile"


def refused(path: Path) -> str:
    """The one line a file is refused with."""
    with pytest.raises(InputError) as caught:
        read_image(path)
    text = str(caught.value)
    assert "\n" not in text
    assert path.name in text or repr(str(path)) in text
    return text


def samples() -> dict[str, bytes]:
    """One small file of each kind, noisy enough that every byte matters."""
    rng = np.random.default_rng(0)
    colours = np.cumsum(rng.integers(0, 9, (48, 40, 4), np.uint8), axis=0, dtype=np.uint8)
    rgba, rgb = PillowImage.fromarray(colours), PillowImage.fromarray(colours[..., :3])
    grey, palette = PillowImage.fromarray(colours[..., 0]), rgb.quantize(16)
    block = b"Exif\0\0" + exif(6)
    made: dict[str, tuple[PillowImage.Image, str, dict[str, Any]]] = {
        "jpeg": (rgb, "JPEG", {"exif": block}),
        "progressive": (rgb, "JPEG", {"progressive": True}),
        "cmyk": (rgb.convert("CMYK"), "JPEG", {}),
        "grey": (grey, "JPEG", {}),
        "png": (rgba, "PNG", {"exif": block}),
        "palette": (palette, "PNG", {"transparency": 3}),
        "webp": (rgba, "WEBP", {"lossless": True, "exif": block}),
        "lossy": (rgb, "WEBP", {}),
        "gif": (palette, "GIF", {}),
        "bmp": (rgb, "BMP", {}),
        "ppm": (rgb, "PPM", {}),
        "lzw": (rgb, "TIFF", {"compression": "tiff_lzw"}),
        "packbits": (rgb, "TIFF", {"compression": "packbits"}),
        "deflate": (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "raw": (rgb, "TIFF", {}),
        "jpeg-tiff": (rgb, "TIFF", {"compression": "jpeg"}),
        "fax": (grey.convert("1"), "TIFF", {"compression": "group4"}),
    }
    files = {}
    for name, (image, kind, options) in made.items():
        image.save(buffer := io.BytesIO(), kind, **options)
        files[name] = buffer.getvalue()
    for bit_depth in (16, 32):
        deep = (colours[..., :3] / 255).astype(np.float32)
        metadata = Metadata(exif=exif())
        write_tiff(buffer := io.BytesIO(), quantise(deep, bit_depth), False, metadata)
        files[f"tiff{bit_depth}"] = buffer.getvalue()
    write_png(buffer := io.BytesIO(), quantise(deep, 16), metadata)
    files["png16"] = buffer.getvalue()
    picture_of_all = Image(deep, None, 16, "PNG", "RGB", exif=exif(), xmp=XMP % 1)
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("AVIF", "HEIF", "JXL", "EXR", "HDR"):
            if not missing_package(kind):
                write_image(picture_of_all, Path(folder, kind), format=kind)
                files[kind.lower()] = Path(folder, kind).read_bytes()
        if not missing_package("RAW"):
            files["dng"] = dng(Path(folder, "dng"), colours[..., 0].astype(np.uint16) * 50 + 600).read_bytes()
    return files


FILES = samples()


@pytest.mark.parametrize("kind", FILES)
def test_a_file_cut_short_is_refused_or_whole(tmp_path: Path, kind: str) -> None:
    data = FILES[kind]
    path = tmp_path / "cut"
    path.write_bytes(data)
    whole = read_image(path).pixels
    for tenth in range(20):
        path.write_bytes(data[: len(data) * tenth // 20])
        refused(path)
    for missing in (1, 2, 4, 8):  # the last bytes may hold no pixels
        path.write_bytes(data[:-missing])
        try:
            np.testing.assert_array_equal(read_image(path).pixels, whole)
        except InputError as error:
            assert "\n" not in str(error)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_file_reads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    changes: list[tuple[float, int]],
) -> None:
    data = bytearray(FILES[kind])
    for where, value in changes:
        # Squared, for headers are where damage is interesting.
        data[int(where * where * (len(data) - 1))] = value
    path = tmp_path_factory.mktemp("damaged") / "a"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for read in (read_image, read_size):
            try:
                read(path)
            except InputError as error:
                assert "\n" not in str(error)
                assert len(str(error)) < 400


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"hello, world\n", "not a picture"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "not a picture"),
        (b"BM, the beginning of a letter", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "damaged header"),
        (b"\xff\xd8\xff\xe0", "damaged|cut short"),
        (b"II*\0", "damaged|cut short"),
        (b"P6\n3 3\n", "damaged header"),
        (b"P6\n0 3\n255\n", "0x3"),
        (b"P6\n3 3\n70000\n", "white level"),
        (b"P2\n2 1\n255\n1 x", "not a number"),
        (b"P5\n99999999 99999999\n255\n", "more than"),
        (png(0, 5, 8, 0, b""), "0x5"),
        (png(40_000, 40_000, 8, 2, b""), "more than"),
        (png(4, 4, 8, 1, b""), "colour type 1"),
        (png(4, 4, 8, 3, b"\0\0\0\0\0" * 4), "no palette"),
        (png(4, 4, 16, 2, b"\x09" + bytes(24)), "filter"),
        (png(4, 4, 16, 2, bytes(25)), "cut short"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=found):
        read_image(tmp_path / "a.png")
    refused(tmp_path / "a.png")


def test_missing_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    assert "no file" in refused(tmp_path / "missing.png")
    (tmp_path / "folder.png").mkdir()
    assert "folder" in refused(tmp_path / "folder.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert "not an ordinary file" in refused(tmp_path / "pipe.png")
    with pytest.raises(InputError):
        read_size(Path("null\0byte"))


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8), "PNG")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # the tests may run as root, whom nothing is denied
    with pytest.raises(InputError, match="permission denied"):
        read_image(path)


@pytest.mark.parametrize("name", ["späße 你好.png", "two\nlines.png", "-rf", "x" * 250 + ".png", "no suffix", "a.txt"])
def test_any_name_will_do_and_the_content_tells_the_format(tmp_path: Path, name: str) -> None:
    image = picture()
    write_image(image, tmp_path / name, format="png")
    again = read_image(tmp_path / name)
    assert again.source_format == "PNG"
    np.testing.assert_array_equal(again.pixels, image.pixels)


def test_a_jpeg_called_png_reads_as_the_jpeg_it_is(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8), "JPEG")).source_format == "JPEG"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers_are_counted(tmp_path: Path, wrong: float) -> None:
    values = np.zeros((6, 5, 3), np.float32)
    values[0, :2] = wrong
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb")
    assert "6 samples" in refused(tmp_path / "a.tif")


def test_too_many_pixels_are_refused_before_they_take_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "MAX_PIXELS", 100)
    for name in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM", "GIF"):
        path = saved(tmp_path / "a", np.zeros((11, 10, 3), np.uint8), name)
        assert "more than the 100" in refused(path)
        with pytest.raises(InputError):
            read_size(path)


def test_the_limits_of_pillow_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PillowImage, "MAX_IMAGE_PIXELS", 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "PPM", "GIF"):
            assert read_image(saved(tmp_path / "a", np.zeros((11, 10, 3), np.uint8), name)).height == 11
    assert PillowImage.MAX_IMAGE_PIXELS == 60


def test_a_bomb_is_refused_without_being_inflated(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    head = png(30_000, 30_000, 8, 2, b"")
    start = head.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(head[:start] + png_chunk(b"IDAT", bomb) + png_chunk(b"IEND", b""))
    before = time.monotonic()
    assert "cut short" in refused(tmp_path / "a.png")
    assert time.monotonic() - before < 2


def test_a_small_jpeg_cannot_claim_a_vast_picture(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", np.zeros((8, 8, 3), np.uint8), "JPEG")
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (30_000).to_bytes(2, "big") * 2
    path.write_bytes(data)
    assert "cut short" in refused(path)


@pytest.mark.parametrize("kind", ["gif", "hdr", "exr", "fax", "jpeg-tiff"])
def test_no_small_file_can_claim_a_vast_picture(tmp_path: Path, kind: str) -> None:
    if kind not in FILES:
        pytest.skip("its package is not installed")
    path, data = tmp_path / "a", FILES[kind]
    if kind == "hdr":
        data = data.replace(b"-Y 48 +X 40", b"-Y 20000 +X 20000")
    for side in (40, 48):
        if kind == "exr":
            data = data.replace(struct.pack("<I", side - 1), struct.pack("<I", 19_999))
        elif kind != "hdr":
            data = data.replace(struct.pack("<H", side), struct.pack("<H", 20_000))
    path.write_bytes(data)
    assert "claims 20000x20000 pixels in" in refused(path)


def test_nothing_reaches_standard_error(tmp_path: Path) -> None:
    # In a process of its own: the libraries write to the file descriptor, past Python.
    for kind in FILES:
        data = bytearray(FILES[kind])
        data[len(data) // 2 :: 7] = b"\xff" * len(data[len(data) // 2 :: 7])
        (tmp_path / kind).write_bytes(data)
    done = _read_all_elsewhere(tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.shared
@pytest.mark.skipif(not HOSTILE.is_dir(), reason=f"no hostile files: {HOSTILE} is absent (set RESTORE_DATA)")
def test_every_hostile_file_reads_or_is_refused_in_one_line() -> None:
    done = _read_all_elsewhere(HOSTILE)
    assert done.stderr == ""
    assert done.returncode == 0
    read, refused_files, megabytes = (int(word) for word in done.stdout.split())
    assert read > 150
    assert refused_files > 150
    assert megabytes < 600


def _read_all_elsewhere(folder: Path) -> subprocess.CompletedProcess[str]:
    program = """
import sys
from pathlib import Path
from restore_cli.errors import InputError
from restore_cli.io.read import read_image, read_size
counts = [0, 0]
for path in sorted(Path(sys.argv[1]).rglob("*")):
    if path.is_file():
        try:
            image = read_image(path)
            assert read_size(path) == image.pixels.shape[:2]
            counts[0] += 1
        except InputError as error:
            assert "\\n" not in str(error)
            counts[1] += 1
# Not ru_maxrss, which a child inherits from a large parent over fork and exec.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(*counts, int(peak.split()[1]) // 1024)
"""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
        check=False,
    )
