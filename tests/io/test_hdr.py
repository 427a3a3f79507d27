"""Radiance HDR."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from restore_cli.errors import InputError
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from tests.io.helpers import picture


@pytest.fixture
def light(tmp_path: Path) -> tuple[Path, np.ndarray]:
    values = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32) * 30
    (tmp_path / "a.hdr").write_bytes(cv2.imencode(".hdr", values[..., ::-1])[1].tobytes())
    return tmp_path / "a.hdr", values


def test_light_comes_and_goes_to_a_part_in_a_hundred(tmp_path: Path, light: tuple[Path, np.ndarray]) -> None:
    path, values = light
    image = read_image(path)
    assert (image.source_format, image.bit_depth, image.lossless) == ("HDR", 32, False)
    assert read_size(path) == (40, 50)
    peak = values.max(axis=2, keepdims=True)
    assert np.abs(image.pixels - values).max() < 30 / 128
    assert (np.abs(image.pixels - values) / peak).max() < 1 / 100
    write_image(image, tmp_path / "b.hdr")
    np.testing.assert_array_equal(read_image(tmp_path / "b.hdr").pixels, image.pixels)


def test_grey_and_dark_pictures_become_light(tmp_path: Path) -> None:
    write_image(picture(30, 40, grey=True), tmp_path / "a.hdr")
    again = read_image(tmp_path / "a.hdr")
    assert np.ptp(again.pixels, axis=2).max() == 0


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_file_cut_short_is_refused_in_silence(
    light: tuple[Path, np.ndarray], share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path, _ = light
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="damaged"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_pictures_that_do_not_lie_upright_or_hold_xyz_are_refused(light: tuple[Path, np.ndarray]) -> None:
    path, _ = light
    data = path.read_bytes()
    path.write_bytes(data.replace(b"-Y 40 +X 50", b"+Y 40 +X 50"))
    with pytest.raises(InputError, match="does not lie upright"):
        read_image(path)
    path.write_bytes(data.replace(b"rle_rgbe", b"rle_xyze"))
    with pytest.raises(InputError, match="XYZ"):
        read_image(path)


def test_a_bomb_is_refused_by_its_header(light: tuple[Path, np.ndarray]) -> None:
    path, _ = light
    path.write_bytes(path.read_bytes().replace(b"-Y 40 +X 50", b"-Y 400000 +X 500000"))
    with pytest.raises(InputError, match="400000 pixels, more than"):
        read_image(path)
