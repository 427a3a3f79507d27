from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from restore_cli.degradations.jpeg import Jpeg, compress
from restore_cli.errors import InputError, RecipeError
from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from tests.degradations.pictures import clean_picture, psnr


def rng(seed=0):
    return np.random.default_rng(seed)


def jpeg(quality, **others):
    return Jpeg((quality, quality), **others)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_what_another_encoder_of_the_same_library_makes(channels):
    clean = clean_picture(64, 80, channels)
    pixels = np.floor(clean * 255 + 0.5).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(stream, "JPEG", quality=30, subsampling="4:2:0")
    theirs = np.atleast_3d(np.asarray(Image.open(stream)))
    ours = jpeg(30)(clean, rng()) * 255
    assert ours.shape == clean.shape
    assert np.abs(ours - theirs).mean() < 0.5
    np.testing.assert_allclose(ours, np.round(ours), atol=1e-3)


def test_lower_qualities_lose_more_and_all_of_a_range_are_drawn():
    clean = clean_picture(64, 64)
    levels = [psnr(jpeg(quality)(clean, rng()), clean) for quality in (5, 10, 20, 40, 80, 95)]
    assert levels == sorted(levels)
    several = {round(psnr(Jpeg((10, 13))(clean, rng(seed)), clean), 6) for seed in range(40)}
    assert several == {round(psnr(jpeg(quality)(clean, rng()), clean), 6) for quality in range(10, 14)}


def test_blocks_begin_at_the_corner_and_are_eight_pixels_wide():
    clean = clean_picture(64, 64, 1)
    across = np.abs(np.diff(jpeg(5)(clean, rng())[:, :, 0], axis=1)).mean(axis=0)
    at_edges, within = across[7::8].mean(), np.delete(across, np.arange(7, 63, 8)).mean()
    assert at_edges > 1.3 * within


def test_a_patch_on_the_grid_is_compressed_as_it_is_within_its_picture():
    clean = clean_picture(64, 96, 1)
    whole = jpeg(20)(clean, rng())
    assert np.array_equal(jpeg(20)(clean[16:48, 32:80], rng()), whole[16:48, 32:80])


def test_twice_differs_from_once_and_its_first_grid_does_not_meet_the_second():
    clean = clean_picture(64, 64)
    once, twice = (jpeg(10, twice=share)(clean, rng(2)) for share in (0.0, 1.0))
    assert not np.array_equal(once, twice)
    assert psnr(twice, clean) < psnr(once, clean)
    # On one grid a second compression of the same quality changes next to nothing.
    eight_bit = np.floor(once * 255 + 0.5).astype(np.uint8)
    again = np.abs(compress(eight_bit, 10).astype(np.float32) / 255 - once)
    assert again.mean() < 0.2 * np.abs(twice - once).mean()


def test_twice_is_a_share_of_the_pictures():
    clean = clean_picture(32, 32)
    changed = sum(
        not np.array_equal(jpeg(30, twice=0.3)(clean, rng(seed)), jpeg(30)(clean, rng(seed))) for seed in range(200)
    )
    assert 35 < changed < 85


@pytest.mark.parametrize("settings", [{"quality": (0, 10)}, {"quality": (50, 40)}, {"twice": 1.5}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(RecipeError, match=f"Jpeg: {next(iter(settings))} = .* out of range"):
        Jpeg(**settings)


def test_more_pixels_a_side_than_the_format_holds_are_refused():
    with pytest.raises(InputError, match="70000x1 pixels"):
        jpeg(10)(np.zeros((1, 70000, 1), np.float32), rng())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "quality", "table"),
    [("LIVE1", 10, 25.69), ("LIVE1", 40, 30.28), ("classic5", 10, 27.82), ("classic5", 40, 32.43)],
)
def test_the_level_is_that_of_the_papers_tables(shared, folder, quality, table):
    paths = find_pictures(shared / "data/test" / folder, recursive=True)
    assert len(paths) == {"LIVE1": 29, "classic5": 5}[folder]
    levels = [psnr(jpeg(quality)(clean, rng()), clean) for clean in (read_image(path).pixels for path in paths)]
    assert np.mean(levels) == pytest.approx(table, abs=0.01)
