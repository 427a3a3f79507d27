"""The input is made as the papers make it, and as `restore degrade` writes it."""

from __future__ import annotations

import numpy as np
import pytest

from restore_cli.degradations.picture import degrade_image
from restore_cli.degradations.recipes import DEGRADATIONS, generator_for, read_degradation
from restore_cli.errors import RecipeError
from restore_cli.evaluation.conditions import bayer, bicubic, by_recipe, gaussian_noise, jpeg
from restore_cli.evaluation.pixels import from_8_bit
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from tests.pictures import values, write

CLEAN = from_8_bit(values(40, 48))
NEEDED = {"bicubic": {"scale": 2}, "chain": {"steps": [{"kind": "jpeg"}]}, "choice": {"of": [{"kind": "jpeg"}]}}


def test_noise_is_the_same_draw_for_each_picture_and_not_clipped():
    noisy = gaussian_noise(50).degrade(CLEAN, "any")
    noise = np.random.RandomState(0).normal(0, 50 / 255, CLEAN.shape)
    np.testing.assert_allclose(noisy, CLEAN + noise, atol=1e-6)
    assert noisy.min() < 0 and noisy.max() > 1
    assert not np.array_equal(noisy, gaussian_noise(50, seed=1).degrade(CLEAN, "any"))


@pytest.mark.parametrize("condition", [jpeg(10), bicubic(4)])
def test_what_files_would_hold_has_8_bits(condition):
    degraded = condition.degrade(CLEAN, "any")
    np.testing.assert_allclose(degraded * 255, np.round(degraded * 255), atol=1e-4)
    assert degraded.shape == (40 // condition.scale, 48 // condition.scale, 3)


def test_a_mosaic_has_one_channel_of_values_of_the_picture():
    mosaic = bayer("grbg").degrade(CLEAN, "any")
    assert mosaic.shape == (40, 48, 1)
    assert mosaic[0, 0, 0] == CLEAN[0, 0, 1] and mosaic[0, 1, 0] == CLEAN[0, 1, 0]


@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_a_recipe_makes_what_restore_degrade_writes(tmp_path, kind):
    degradation = read_degradation({"kind": kind, **NEEDED.get(kind, {})}, "")
    image = read_image(write(tmp_path / "a.png", values(40, 48)))
    write_image(degrade_image(image, degradation, generator_for(7, "a")).image, tmp_path / "written.png")
    made = by_recipe(kind, degradation, seed=7).degrade(image.pixels, "a")
    np.testing.assert_allclose(made, read_image(tmp_path / "written.png").pixels, atol=1e-6)


def test_mosaics_of_several_patterns_are_refused_and_one_pattern_is_found():
    two = read_degradation({"kind": "mosaic", "patterns": ["rggb", "gbrg"]}, "")
    with pytest.raises(RecipeError, match="more than one pattern"):
        by_recipe("two", two)
    last = {"kind": "mosaic", "patterns": ["gbrg"]}
    chain = read_degradation({"kind": "chain", "steps": [{"kind": "gaussian-noise"}, last]}, "")
    assert by_recipe("one", chain).cfa == "gbrg"
