"""A result is written whole or not at all, and what stands in the way is named."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from restore_cli.errors import OutputError
from restore_cli.io.atomic import replacing
from restore_cli.io.formats import (
    READABLE_SUFFIXES,
    WRITABLE_FORMATS,
    WRITABLE_SUFFIXES,
    check_output_limits,
    format_for,
    sniff,
)
from restore_cli.io.image import Image
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.io.helpers import needs, picture


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), MemoryError()]
)
def test_a_failure_while_writing_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"earlier")

    def fails(_: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OutputError if isinstance(failure, OSError) else type(failure)) as caught:
        write_image(picture(), path, overwrite=True)
    assert listing(tmp_path) == ["a.png"]
    assert path.read_bytes() == b"earlier"
    if isinstance(failure, OSError):
        assert "disk is full" in str(caught.value)


def test_a_real_limit_of_the_system_leaves_nothing_behind(tmp_path: Path) -> None:
    program = """
import resource, sys
import numpy as np
from pathlib import Path
from restore_cli.errors import OutputError
from restore_cli.io.image import Image
from restore_cli.io.write import write_image
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0).random((200, 200, 3), dtype=np.float32)
try:
    write_image(Image(noise, None, 8, "PNG", "RGB"), Path(sys.argv[1]))
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert "larger than the system allows" in done.stdout
    assert done.stderr == ""
    assert listing(tmp_path) == []


def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"earlier")
    with pytest.raises(OutputError, match="exists"):
        write_image(picture(), path)
    assert path.read_bytes() == b"earlier"
    path.chmod(0o600)
    write_image(picture(), path, overwrite=True)
    assert read_image(path).width == 7
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert listing(tmp_path) == ["a.png"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:  # as on some network and camera-card file systems

        def no_links(*_: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a"
    with pytest.raises(FileExistsError), replacing(path, overwrite=False) as stream:
        stream.write(b"new")
        path.write_bytes(b"meanwhile")
    assert path.read_bytes() == b"meanwhile"
    assert listing(tmp_path) == ["a"]
    path.unlink()
    with replacing(path, overwrite=False) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    assert listing(tmp_path) == ["a"]


def test_a_new_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_image(picture(), tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(b"earlier")
    (tmp_path / "link.png").symlink_to("real.png")
    write_image(picture(), tmp_path / "link.png", overwrite=True)
    assert (tmp_path / "link.png").is_symlink()
    assert read_image(tmp_path / "real.png").width == 7


def test_missing_folders_are_created(tmp_path: Path) -> None:
    write_image(picture(), tmp_path / "a" / "b" / "c.png")
    assert read_image(tmp_path / "a" / "b" / "c.png").width == 7


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_bytes(b"")
    cases = {
        tmp_path / "folder.png": "folder",
        tmp_path / "file" / "a.png": "a file, not a folder",
        tmp_path / "file" / "deeper" / "a.png": "a file, not a folder",
        tmp_path / ("x" * 300 + ".png"): "too long",
        Path("null\0byte.png"): "null",
        tmp_path / "a.xyz": "xyz",
        tmp_path / "a": "no suffix",
        tmp_path / "a.gif": "gif",
    }
    for path, found in cases.items():
        for overwrite in (True, False):
            with pytest.raises(OutputError, match=found) as caught:
                write_image(picture(), path, overwrite=overwrite)
            assert "\n" not in str(caught.value)
    assert listing(tmp_path) == ["file", "folder.png"]


def test_a_pipe_or_device_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(OutputError, match="not an ordinary file"):
        write_image(picture(), tmp_path / "pipe.png", overwrite=True)
    assert (tmp_path / "pipe.png").is_fifo()


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # the tests may run as root, whom nothing is denied
    with pytest.raises(OutputError, match="permission denied"):
        write_image(picture(), tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp", "a.ppm"])
def test_transparency_is_never_lost_silently(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"transparent.*--format png"):
        write_image(picture(alpha=True), tmp_path / name)
    opaque = Image(picture().pixels, np.full((5, 7), 0.9999, np.float32), 8, "PNG", "RGBA")
    write_image(opaque, tmp_path / name)
    assert read_image(tmp_path / name).alpha is None


def test_opaque_alpha_is_kept_where_there_is_room(tmp_path: Path) -> None:
    opaque = picture().with_pixels(picture().pixels, np.ones((5, 7), np.float32))
    write_image(opaque, tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").alpha is not None


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_results_that_are_no_numbers_are_not_written(tmp_path: Path, wrong: float) -> None:
    pixels = picture().pixels.copy()
    pixels[1, 1] = wrong
    with pytest.raises(OutputError, match="3 samples"):
        write_image(picture().with_pixels(pixels), tmp_path / "a.png")


def test_sizes_no_format_holds_are_refused_before_computing() -> None:
    with pytest.raises(OutputError, match=r"WEBP.*16383.*--format png"):
        check_output_limits("webp", 16_384, 10)
    with pytest.raises(OutputError, match=r"JPEG.*65535"):
        check_output_limits("out.jpeg", 10, 65_536)
    with pytest.raises(OutputError, match=r"--format tiff"):
        check_output_limits("png", 10, 2_000_000)
    with pytest.raises(OutputError, match="transparent"):
        check_output_limits("jpg", 10, 10, has_alpha=True)
    check_output_limits("webp", 16_383, 16_383, has_alpha=True)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("png", "PNG"),
        (".JPG", "JPEG"),
        ("Jpeg", "JPEG"),
        ("tif", "TIFF"),
        ("out/a.b.TIFF", "TIFF"),
        (Path("x.webp"), "WEBP"),
        ("x.pgm", "PPM"),
    ],
)
def test_a_format_is_found_by_name_suffix_or_path(given: str | Path, name: str) -> None:
    assert format_for(given).name == name


@pytest.mark.parametrize("given", ["pgn", "a.pgn", Path("a.pgn"), Path("a"), "folder/a", "", "gif"])
def test_an_unknown_format_lists_the_known_ones(given: str | Path) -> None:
    with pytest.raises(OutputError, match="Accepted: png, jpg, tif, webp, bmp, ppm"):
        format_for(given)


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(OutputError, match="Did you mean jp"):
        format_for("jepg")


def test_the_tables_agree() -> None:
    assert WRITABLE_SUFFIXES < READABLE_SUFFIXES
    for spec in WRITABLE_FORMATS.values():
        assert format_for(spec.suffix) is spec
        assert spec.depth_for(8) == spec.bit_depths[0]
        assert spec.depth_for(32) == spec.bit_depths[-1]


@pytest.mark.parametrize("name", WRITABLE_FORMATS)
def test_every_written_format_is_recognised_by_its_content(tmp_path: Path, name: str) -> None:
    needs(name)
    write_image(picture(), tmp_path / name, format=name)
    assert sniff((tmp_path / name).read_bytes()[:64]) == name
