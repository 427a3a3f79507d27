"""OpenEXR and Radiance: light."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from restore_cli.errors import InputError, OutputError
from restore_cli.io import colour, icc
from restore_cli.io.read import read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import BitDepth, Encoding
from tests.io.helpers import adobe_rgb_profile, grey_ink_profile, needs, picture


@pytest.fixture(autouse=True)
def _openexr() -> None:
    needs("EXR")


def written(path: Path, channels: dict, **header: object) -> Path:
    import OpenEXR

    OpenEXR.File({"type": OpenEXR.scanlineimage, **header}, channels).write(str(path))
    return path


def test_light_reads_as_light(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).random((5, 7, 3)).astype(np.float32) * 20 - 1
    image = read_image(written(tmp_path / "a.exr", {"RGB": stored}))
    np.testing.assert_array_equal(image.pixels, stored)
    assert (image.bit_depth, image.icc_profile) == (32, icc.linear_profile())


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_floats_keep_their_size(tmp_path: Path, kind: type) -> None:
    import OpenEXR

    values = np.random.default_rng(0).random((5, 7, 3)).astype(kind)
    image = read_image(written(tmp_path / "a.exr", {"RGB": values}))
    write_image(image, tmp_path / "b.exr")
    again = OpenEXR.File(str(tmp_path / "b.exr")).channels()["RGB"].pixels
    assert again.dtype == kind
    np.testing.assert_array_equal(again, values)
    write_image(image, tmp_path / "c.exr", encoding=Encoding(bit_depth=BitDepth.FLOAT))
    assert OpenEXR.File(str(tmp_path / "c.exr")).channels()["RGB"].pixels.dtype == np.float32


def test_alpha_is_stored_multiplied_and_glow_survives(tmp_path: Path) -> None:
    stored = np.zeros((1, 3, 4), np.float32)
    stored[0, 0], stored[0, 1], stored[0, 2] = (0.25, 0.1, 0.05, 0.5), (2, 3, 4, 0), (0.5, 0.5, 0.5, 1)
    image = read_image(written(tmp_path / "a.exr", {"RGBA": stored}))
    np.testing.assert_allclose(image.pixels[0, 0], [0.5, 0.2, 0.1])
    write_image(image, tmp_path / "b.exr")
    import OpenEXR

    np.testing.assert_allclose(OpenEXR.File(str(tmp_path / "b.exr")).channels()["RGBA"].pixels, stored)


def test_primaries_words_and_density_are_kept(tmp_path: Path) -> None:
    aces = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
    values = np.random.default_rng(0).random((5, 7, 3)).astype(np.float32)
    path = written(tmp_path / "a.exr", {"RGB": values}, chromaticities=aces, owner="Zoë", xDensity=300.0)
    image = read_image(path)
    assert image.text == (("owner", "Zoë"),)
    assert image.dpi == (300, 300)
    write_image(image, tmp_path / "b.exr")
    import OpenEXR

    header = OpenEXR.File(str(tmp_path / "b.exr")).header()
    np.testing.assert_allclose(header["chromaticities"], aces, atol=2e-4)
    assert (header["owner"], header["xDensity"]) == ("Zoë", 300)
    np.testing.assert_array_equal(read_image(tmp_path / "b.exr").pixels, values)


def test_pictures_become_light_on_the_way_in_and_pictures_on_the_way_out(tmp_path: Path) -> None:
    image = picture(bit_depth=16, icc_profile=adobe_rgb_profile())
    write_image(image, tmp_path / "a.exr")
    light = read_image(tmp_path / "a.exr")
    np.testing.assert_allclose(light.pixels, image.pixels.astype(np.float64) ** (2 + 51 / 256), atol=1e-6)
    write_image(light, tmp_path / "b.png")
    again = read_image(tmp_path / "b.png")
    assert again.bit_depth == 16
    shown = [np.clip(colour.to_srgb(each.pixels, each.icc_profile), 0, 1) for each in (image, again)]
    np.testing.assert_allclose(shown[1], shown[0], atol=0.02)


def test_a_float_tiff_keeps_light_as_it_is(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((5, 7, 3)).astype(np.float32) * 9
    write_image(read_image(written(tmp_path / "a.exr", {"RGB": values})), tmp_path / "b.tif")
    again = read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.pixels, values)
    assert icc.parse(again.icc_profile).is_linear


def test_the_data_window_is_the_picture(tmp_path: Path) -> None:
    window = (np.array([3, 4], np.int32), np.array([9, 8], np.int32))
    values = np.zeros((5, 7, 3), np.float32)
    assert read_size(written(tmp_path / "a.exr", {"RGB": values}, dataWindow=window)) == (5, 7)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    depth = written(tmp_path / "a.exr", {"Z": np.zeros((5, 7), np.float32)})
    with pytest.raises(InputError, match="has no channels R, G, B or Y; it has Z"):
        read_image(depth)
    numbers = written(tmp_path / "b.exr", {"Y": np.zeros((5, 7), np.uint32)})
    with pytest.raises(InputError, match="channel Y of whole numbers"):
        read_image(numbers)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_file_cut_short_is_refused_in_one_line_and_silence(
    tmp_path: Path, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "a.exr", {"RGB": np.random.default_rng(0).random((50, 70, 3)).astype(np.float32)})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="damaged"):
        read_image(path)
    assert capfd.readouterr() == ("", "")


def test_a_profile_of_tables_is_refused(tmp_path: Path) -> None:
    table = replace(picture(), icc_profile=grey_ink_profile()[:16] + b"RGB " + grey_ink_profile()[20:])
    for name in ("EXR", "HDR", "PPM", "BMP"):
        with pytest.raises(OutputError, match=f"profile of tables, for which {name} has no place"):
            write_image(table, tmp_path / "a", format=name)
