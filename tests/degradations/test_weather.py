"""Fog, rain, snow and raindrops: that they behave as weather does."""

from __future__ import annotations

import numpy as np
import pytest

from restore_cli.degradations.air import depth_field
from restore_cli.degradations.fog import Fog
from restore_cli.degradations.rain import Rain, RainFog
from restore_cli.degradations.raindrops import Raindrops
from restore_cli.degradations.snow import Snow
from restore_cli.errors import RecipeError
from tests.degradations.pictures import clean_picture, flat, psnr


def rng(seed=0):
    return np.random.default_rng(seed)


def test_fog_lowers_contrast_the_more_the_denser_it_is():
    clean = clean_picture(100, 100)
    contrasts = [Fog(density=(d, d), airlight=(0.8, 0.8))(clean, rng()).std() for d in (0.0, 0.3, 0.8, 1.5, 3.0, 6.0)]
    assert contrasts[0] == pytest.approx(clean.std(), rel=1e-5)
    assert contrasts == sorted(contrasts, reverse=True)


def test_in_the_densest_fog_only_the_air_is_seen():
    np.testing.assert_allclose(
        Fog(density=(20, 20), airlight=(0.8, 0.8))(clean_picture(channels=1), rng()), 0.8, atol=0.02
    )


def test_fog_draws_every_value_towards_the_air():
    clean = clean_picture(80, 80, 1)
    foggy = Fog(airlight=(0.8, 0.8))(clean, rng())
    assert ((foggy - clean) * (0.8 - clean) >= 0).all()
    assert (np.abs(foggy - 0.8) <= np.abs(clean - 0.8) + 1e-6).all()


def test_scenes_are_near_below_and_far_above_and_patches_are_pieces_of_them():
    scenes = np.mean([depth_field((400, 500), rng(seed)) for seed in range(40)], axis=0)
    rows = scenes.mean(axis=1)
    assert rows[:40].mean() > 2 * rows[-40:].mean()
    patches = [depth_field((64, 64), rng(seed)) for seed in range(300)]
    means = [patch.mean() for patch in patches]
    assert np.mean(means) == pytest.approx(scenes.mean(), rel=0.15)
    assert max(means) > 3 * min(means)
    assert min(patch.min() for patch in patches) > 0


def streaks(**settings):
    still = {"haze": (0, 0), "brightness": (1, 1), "opacity": (0.6, 0.6)}
    return Rain(**{**still, **settings})


def test_rain_hides_dark_behind_bright_and_leaves_the_bright_sky():
    assert (streaks()(flat(0.0), rng()) >= 0).all()
    assert streaks()(flat(0.0), rng()).mean() > 0.01
    np.testing.assert_allclose(streaks()(flat(1.0, channels=1), rng()), 1.0, atol=1e-6)


@pytest.mark.parametrize("angle", [-40, 0, 30])
def test_streaks_are_drawn_out_along_their_angle(angle):
    rain = streaks(angle_deg=(angle, angle), length_px=(50, 50))(flat(0.0, 300, 300, 1), rng())[:, :, 0]
    rain = rain - rain.mean()

    def correlation(along, steps=8):
        right, down = (round(steps * each) for each in (np.sin(np.deg2rad(along)), np.cos(np.deg2rad(along))))
        rolled = np.roll(rain, (down, right), (0, 1))
        return (rain * rolled)[20:-20, 20:-20].mean() / rain.var()

    # Positive slants to the right going down.
    turned = {each: correlation(angle + each) for each in (-50, 0, 50)}
    assert turned[0] > 0.3
    assert turned[0] > 3 * max(abs(turned[-50]), abs(turned[50]))


@pytest.mark.parametrize(
    ("make", "amounts"),
    [
        (lambda amount: Rain(density=(amount, amount), haze=(0, 0)), (0, 20, 80, 320)),
        (lambda amount: Rain(density=(0, 0), haze=(amount, amount)), (0, 0.1, 0.3)),
        (lambda amount: Snow(coverage=(amount, amount), veil=(0, 0)), (0, 0.05, 0.15, 0.5)),
        (lambda amount: Raindrops(coverage=(amount, amount)), (0, 0.1, 0.3, 0.6)),
        (lambda amount: RainFog(fog_density=(amount, amount)), (0, 0.2, 0.6)),
    ],
    ids=["rain", "haze", "snow", "raindrops", "rain-fog"],
)
def test_more_of_it_is_worse_and_none_of_it_changes_nothing(make, amounts):
    clean = clean_picture(250, 250)
    levels = [psnr(make(amount)(clean, rng()), clean) for amount in amounts[1:]]
    assert levels == sorted(levels, reverse=True)
    if not isinstance(make(0), RainFog):
        np.testing.assert_allclose(make(0)(clean, rng()), clean, atol=1e-6)


@pytest.mark.parametrize("kind", [Rain, Snow, Raindrops, RainFog])
def test_a_patch_has_as_much_of_it_as_a_piece_of_a_large_picture(kind):
    """Also at its border, where streaks and drops reach in from outside."""
    settings = {name: (mean, mean) for name, mean in FIXED[kind].items()}
    degradation = kind(**settings)

    def change(side, seeds):
        return np.mean(
            [np.abs(degradation(flat(0.2, side, side, 1), rng(seed)) - 0.2) for seed in range(seeds)], axis=0
        )

    large, patches = change(400, 6).mean(), change(64, 200)
    assert patches.mean() == pytest.approx(large, rel=0.15)
    border = np.concatenate(
        [patches[:6].ravel(), patches[-6:].ravel(), patches[:, :6].ravel(), patches[:, -6:].ravel()]
    )
    assert border.mean() == pytest.approx(large, rel=0.25)


FIXED = {
    Rain: {"density": 100, "opacity": 0.6, "haze": 0, "length_px": 40, "width_px": 2, "angle_deg": 20},
    Snow: {"coverage": 0.15, "radius_px": 6, "motion": 2, "opacity": 0.8, "veil": 0},
    Raindrops: {"coverage": 0.2, "radius_px": 8, "edge_px": 2},
    RainFog: {"density": 50, "opacity": 0.6, "haze": 0, "length_px": 40, "width_px": 2, "fog_density": 0},
}


def test_flakes_come_in_sizes_and_are_drawn_out_by_motion():
    def width_of(snow, seed=0):
        picture = snow(flat(0.0, 300, 300, 1), rng(seed))[:, :, 0]
        picture = picture - picture.mean()
        across = (picture[:, 4:] * picture[:, :-4]).mean() / picture.var()
        down = (picture[4:] * picture[:-4]).mean() / picture.var()
        return across, down

    fixed = {"coverage": (0.2, 0.2), "veil": (0, 0), "angle_deg": (0, 0)}
    small = width_of(Snow(radius_px=(3, 3), motion=(0, 0), **fixed))
    large = width_of(Snow(radius_px=(9, 9), motion=(0, 0), **fixed))
    assert large[0] > small[0] + 0.1
    moving = width_of(Snow(radius_px=(6, 6), motion=(4, 4), **fixed))
    still = width_of(Snow(radius_px=(6, 6), motion=(0, 0), **fixed))
    assert abs(still[0] - still[1]) < 0.1 < moving[1] - moving[0]


def test_snow_is_white_and_never_darkens():
    clean = clean_picture(100, 100) * np.float32(0.8)
    assert (Snow(brightness=(0.9, 1.0))(clean, rng()) >= clean - 0.02).all()


def test_outside_its_drops_the_picture_is_untouched():
    clean = clean_picture(300, 300)
    touched = np.any(Raindrops(coverage=(0.2, 0.2))(clean, rng()) != clean, axis=2).mean()
    assert 0.1 < touched < 0.45


def test_a_drop_shows_the_scene_upside_down_and_shrunk():
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, 400, dtype=np.float32)[:, None, None], (400, 400, 1))
    steady = {"coverage": (0.05, 0.05), "radius_px": (20, 20), "view": (4, 4), "edge_px": (1, 1)}
    dropped = Raindrops(**steady)(ramp, rng(1))[:, :, 0]
    slope = np.gradient(dropped, axis=0) / np.gradient(ramp[:, :, 0], axis=0)
    slopes = slope[np.abs(slope - 1) > 1e-3]
    assert np.median(slopes) < -1
    assert slopes.size > 0.02 * slope.size


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Rain, {"opacity": (0.5, 1.5)}),
        (Rain, {"density": (-1, 5)}),
        (RainFog, {"fog_density": (1, 0)}),
        (RainFog, {"haze": (0, 2)}),
        (Snow, {"radius_px": (0, 3)}),
        (Raindrops, {"coverage": (0, 1)}),
        (Fog, {"airlight": (0, float("nan"))}),
    ],
)
def test_impossible_settings_are_refused_by_name(kind, settings):
    with pytest.raises(RecipeError, match=f"{kind.__name__}: {next(iter(settings))} = .* out of range"):
        kind(**settings)
