import numpy as np
import pytest

from restore_cli.diagnosis.tiles import GRID_PX, spread_tiles
from restore_cli.io import icc
from tests.diagnosis.pictures import image


def test_a_small_picture_is_looked_at_whole_and_in_8_bit_units():
    pixels = np.random.default_rng(0).uniform(0, 255, (30, 50, 3)).astype(np.float32)
    (tile,) = spread_tiles(image(pixels))
    np.testing.assert_allclose(tile, pixels, atol=1e-3)


@pytest.mark.parametrize("size", [(1600, 2200), (40, 50_000), (1201, 1400)])
def test_of_a_large_one_a_megapixel_on_the_grid(size):
    rows, columns = np.mgrid[: size[0], : size[1]]
    places = np.stack([rows % GRID_PX, columns % GRID_PX, columns // GRID_PX], axis=2).astype(np.float32)
    tiles = spread_tiles(image(places))
    assert 0.001 < sum(tile.shape[0] * tile.shape[1] for tile in tiles) / 1e6 < 1.7
    assert all(tile[0, 0, 0] < 1e-3 and tile[0, 0, 1] < 1e-3 for tile in tiles)
    # The far end is looked at too, but for less than a block.
    assert max(tile[..., 2].max() for tile in tiles) >= (size[1] - GRID_PX) // GRID_PX - 1


def test_colour_without_colour_is_grey():
    grey = np.random.default_rng(0).uniform(0, 255, (30, 50, 1)).astype(np.float32)
    assert spread_tiles(image(np.repeat(grey, 3, axis=2)))[0].shape[2] == 1


def test_what_is_transparent_is_not_looked_at():
    pixels, alpha = np.zeros((1280, 1280, 3), np.float32), np.ones((1280, 1280), np.float32)
    pixels[:, :512, 0], alpha[:, :512] = 200, 0
    assert all(tile.max() == 0 for tile in spread_tiles(image(pixels, alpha=alpha)))
    assert len(spread_tiles(image(pixels, alpha=0 * alpha))) == 25


def test_light_is_encoded_as_networks_see_it():
    light = image(np.full((20, 20, 3), 0.2 * 255, np.float32), bit_depth=32, icc_profile=icc.linear_profile())
    assert spread_tiles(light)[0].mean() == pytest.approx(123.6, abs=1)
    assert spread_tiles(light, as_encoded=True)[0].mean() == pytest.approx(51, abs=0.1)
