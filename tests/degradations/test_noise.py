from __future__ import annotations

import numpy as np
import pytest

from restore_cli.degradations.noise import CorrelatedNoise, GaussianNoise, PoissonGaussianNoise
from tests.degradations.pictures import flat


def rng():
    return np.random.default_rng(0)


def test_noise_has_the_stated_deviation_and_is_not_clipped():
    noisy = GaussianNoise((25, 25))(flat(0), rng())
    assert noisy.std() * 255 == pytest.approx(25, rel=0.01)
    assert noisy.min() < -0.2


def test_noise_levels_cover_their_range():
    chance = rng()
    levels = [GaussianNoise((5, 50))(flat(0, 64, 64, 1), chance).std() * 255 for _ in range(200)]
    assert 4.5 < min(levels) < 10
    assert 45 < max(levels) < 53


@pytest.mark.parametrize("value", [0.0, 0.2, 1.0])
def test_the_variance_of_photons_grows_with_the_light_and_that_of_reading_does_not(value):
    noisy = PoissonGaussianNoise(photons=(100, 100), sigma_255=(5, 5))(flat(value), rng())
    assert noisy.mean() == pytest.approx(value, abs=2e-3)
    assert noisy.var() == pytest.approx(value / 100 + (5 / 255) ** 2, rel=0.03)


@pytest.mark.parametrize("grain_px", [0.8, 1.5])
def test_grain_has_the_stated_deviation_and_correlation_up_to_the_border(grain_px):
    grain = CorrelatedNoise(sigma_255=(30, 30), grain_px=(grain_px, grain_px))(flat(0.5, 400, 400, 1), rng()) - 0.5
    assert grain.std() * 255 == pytest.approx(30, rel=0.03)
    assert np.concatenate([grain[:2].ravel(), grain[:, -2:].ravel()]).std() * 255 == pytest.approx(30, rel=0.1)
    for distance in (1, 2):
        correlation = np.mean(grain[distance:] * grain[:-distance]) / grain.var()
        assert correlation == pytest.approx(np.exp(-(distance**2) / (4 * grain_px**2)), abs=0.04)
