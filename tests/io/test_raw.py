"""Camera raws: a mosaic as networks know it, and its colours once it is a picture."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from restore_cli.degradations.mosaic import BAYER_PATTERNS
from restore_cli.errors import InputError
from restore_cli.io.icc import SRGB_CURVE
from restore_cli.io.read import read_image, read_size
from restore_cli.io.sensor import Sensor, developed
from restore_cli.io.write import write_image
from restore_cli.options import Cfa
from tests.io.helpers import dng, exif_of, needs, saved

BLACK, WHITE = 512, 16383
NEUTRAL = (0.5, 1.0, 0.625)
MATRIX = np.array([[0.6, -0.1, -0.05], [-0.4, 1.2, 0.2], [-0.05, 0.15, 0.6]])


@pytest.fixture(autouse=True)
def _rawpy() -> None:
    needs("RAW")


def sensed(colours: NDArray[np.float64]) -> NDArray[np.uint16]:
    """What the sensor stores of sRGB samples, whose primaries are its own."""
    return np.round(SRGB_CURVE.light(colours) * NEUTRAL * (WHITE - BLACK) + BLACK).astype(np.uint16)


def scene(height: int = 24, width: int = 32) -> NDArray[np.float64]:
    down, across = np.mgrid[0:height, 0:width] / 32
    return np.stack([0.1 + 0.8 * across, 0.9 - 0.5 * down, 0.2 + 0.3 * down + 0.3 * across], axis=-1)


def mosaic_of(colours: NDArray, pattern: str) -> NDArray:
    mosaic = np.empty(colours.shape[:2], colours.dtype)
    for place, channel in enumerate(BAYER_PATTERNS[pattern]):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = colours[row::2, column::2, channel]
    return mosaic


def turned(values: NDArray, orientation: int) -> NDArray:
    values = values.swapaxes(0, 1) if orientation >= 5 else values
    values = values[:, ::-1] if orientation in (2, 3, 6, 7) else values
    return values[::-1] if orientation in (3, 4, 7, 8) else values


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
@pytest.mark.parametrize(("height", "width"), [(24, 32), (23, 31)])
def test_a_mosaic_is_levelled_balanced_encoded_and_turned(
    tmp_path: Path, pattern: str, orientation: int, height: int, width: int
) -> None:
    colours = scene(height, width)
    path = dng(tmp_path / "a.dng", mosaic_of(sensed(colours), pattern), pattern=pattern, orientation=orientation)
    image = read_image(path)
    assert (image.source_format, image.source_mode, image.bit_depth, image.is_grey) == ("RAW", "mosaic;16", 16, True)
    assert read_size(path) == image.pixels.shape[:2]
    # By the pattern it states, the turned mosaic has every sample in its own colour.
    wanted = mosaic_of(turned(colours, orientation), image.sensor.cfa.value)
    np.testing.assert_allclose(image.pixels[..., 0], wanted, atol=0.002)


def test_the_matrix_turns_the_sensors_colours_into_srgb(tmp_path: Path) -> None:
    path = dng(tmp_path / "a.dng", np.full((24, 32), 5000, np.uint16), matrix=MATRIX)
    to_srgb = np.array(read_image(path).sensor.to_srgb)
    np.testing.assert_allclose(to_srgb.sum(axis=1), 1, atol=1e-6)
    # CIE XYZ of sRGB under D65, as its standard has it.
    xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    from_srgb = MATRIX @ xyz
    np.testing.assert_allclose(to_srgb, np.linalg.inv(from_srgb / from_srgb.sum(axis=1, keepdims=True)), atol=1e-4)


def test_what_is_blown_out_is_white(tmp_path: Path) -> None:
    image = read_image(dng(tmp_path / "a.dng", np.full((24, 32), WHITE, np.uint16)))
    np.testing.assert_array_equal(image.pixels, 1)
    full = developed(np.ones((2, 2, 3), np.float32), image.sensor)
    np.testing.assert_allclose(full, 1, atol=1e-5)


def test_black_goes_below_zero_where_noise_does(tmp_path: Path) -> None:
    image = read_image(dng(tmp_path / "a.dng", np.full((24, 32), BLACK - 20, np.uint16)))
    assert np.all(image.pixels < 0)


def test_a_linear_raw_is_a_picture(tmp_path: Path) -> None:
    image = read_image(dng(tmp_path / "a.dng", sensed(scene())))
    assert image.sensor is None
    np.testing.assert_allclose(image.pixels, scene(), atol=0.004)


def test_what_the_file_says_is_kept(tmp_path: Path) -> None:
    image = read_image(dng(tmp_path / "a.dng", mosaic_of(sensed(scene()), "rggb"), orientation=6))
    write_image(image, tmp_path / "a.tif")
    fields = exif_of(read_image(tmp_path / "a.tif").exif)
    assert (fields[0x010F], fields[0x0110]) == ("Test", "Test Camera")
    assert fields.get(0x0112, 1) == 1


def test_developing_is_the_matrix_in_light() -> None:
    rows = ((1.5, -0.4, -0.1), (-0.2, 1.4, -0.2), (0.0, -0.5, 1.5))
    pixels = np.random.default_rng(0).random((5, 7, 3)).astype(np.float32)
    light = SRGB_CURVE.light(developed(pixels, Sensor(Cfa.RGGB, rows)).astype(np.float64))
    np.testing.assert_allclose(light, SRGB_CURVE.light(pixels.astype(np.float64)) @ np.array(rows).T, atol=1e-5)


@pytest.mark.parametrize("cut", [200, 700, 1200])
def test_a_raw_cut_short_is_refused_in_one_line(tmp_path: Path, cut: int) -> None:
    path = dng(tmp_path / "a.dng", np.full((24, 32), 5000, np.uint16))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


def test_an_ordinary_tiff_is_none(tmp_path: Path) -> None:
    assert read_image(saved(tmp_path / "a.dng", np.zeros((8, 8), np.uint8), "TIFF")).source_format == "TIFF"
