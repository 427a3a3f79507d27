"""Formats whose package is missing: one line that names what to install, before any work."""

import importlib.util
from pathlib import Path

import pytest

from restore_cli.errors import InputError, OutputError
from restore_cli.io import extras
from restore_cli.io.formats import WRITABLE_FORMATS, check_output_limits
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.io.helpers import dng, needs, picture

OPTIONAL = {"HEIF": "heif", "JXL": "jxl", "EXR": "exr"}


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no optional package were installed."""
    real = importlib.util.find_spec
    gone = {"imagecodecs", "pillow_jxl", "pillow_heif", "OpenEXR", "rawpy"}
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name in gone else real(name))


@pytest.mark.parametrize(("name", "extra"), OPTIONAL.items())
def test_writing_names_the_extra(bare: None, tmp_path: Path, name: str, extra: str) -> None:
    wanted = rf"{name} needs a package.*pip install 'restore-cli\[{extra}\]'"
    with pytest.raises(OutputError, match=wanted):
        check_output_limits(name, 5, 7)
    with pytest.raises(OutputError, match=wanted):
        write_image(picture(), tmp_path / "a", format=name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "extra"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heif"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
        (b"\xff\x0a\x00\x00", "jxl"),
        (b"v/1\x01\x02\0\0\0", "exr"),
        (b"FUJIFILMCCD-RAW 0201", "raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw"),
    ],
)
def test_reading_names_the_extra(bare: None, tmp_path: Path, content: bytes, extra: str) -> None:
    (tmp_path / "a").write_bytes(content.ljust(100, b"\0"))
    with pytest.raises(InputError, match=rf"pip install 'restore-cli\[{extra}\]'"):
        read_image(tmp_path / "a")


def test_a_dng_names_the_extra(bare: None, tmp_path: Path) -> None:
    import numpy as np

    with pytest.raises(InputError, match=r"pip install 'restore-cli\[raw\]'"):
        read_image(dng(tmp_path / "a.tif", np.zeros((8, 8), np.uint16)))


def test_a_deep_avif_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("AVIF of more than 8 bits")
    import imagecodecs
    import numpy as np

    (tmp_path / "a").write_bytes(imagecodecs.avif_encode(np.zeros((16, 16, 3), np.uint16), level=90, bitspersample=10))
    real = importlib.util.find_spec
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == "imagecodecs" else real(name))
    with pytest.raises(InputError, match=r"AVIF of more than 8 bits.*pip install 'restore-cli\[avif\]'"):
        read_image(tmp_path / "a")


def test_what_is_needed_by_default_is_there() -> None:
    for name in WRITABLE_FORMATS.keys() - OPTIONAL:
        assert extras.missing_package(name) == ""


def test_the_extras_exist() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    for extra in ("avif", "exr", "heif", "jxl", "raw"):
        assert f"\n{extra} = [" in project
