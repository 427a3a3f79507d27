from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restore_cli.degradations.canvas import (
    convolve,
    disc_kernel,
    portions,
    smooth_field,
    soften,
    splat,
    to_display,
    to_linear,
)
from tests.degradations.pictures import clean_picture


@given(
    points=st.lists(st.tuples(st.floats(0, 8), st.floats(0, 5), st.floats(0.1, 3)), min_size=1, max_size=20),
)
@settings(deadline=None, max_examples=50)
def test_points_keep_their_weight_and_their_place(points):
    x, y, weights = np.array(points).T
    canvas = splat(x, y, weights, (6, 9))
    assert canvas.sum() == pytest.approx(weights.sum(), rel=1e-4)
    rows, columns = np.mgrid[:6, :9]
    assert (canvas * columns).sum() == pytest.approx((x * weights).sum(), rel=1e-3, abs=1e-4)
    assert (canvas * rows).sum() == pytest.approx((y * weights).sum(), rel=1e-3, abs=1e-4)


def test_points_outside_are_left_out_and_those_on_the_edge_count_by_their_share_within():
    x, y = np.array([-0.25, -5.0, 3.5, 1.0]), np.array([0.0, 1.0, 1.0, 99.0])
    canvas = splat(x, y, np.ones(4), (2, 4))
    assert canvas[0, 0] == pytest.approx(0.75)
    assert canvas[1, 3] == pytest.approx(0.5)
    assert canvas.sum() == pytest.approx(1.25)


@pytest.mark.parametrize("scale_px", [7.0, 40.0])
def test_a_field_has_mean_0_and_deviation_1_and_changes_slowly(scale_px):
    rng = np.random.default_rng(0)
    fields = np.stack([smooth_field((40, 60), rng, scale_px) for _ in range(300)])
    assert fields.shape == (300, 40, 60)
    assert fields.mean() == pytest.approx(0, abs=0.1)
    assert fields.std() == pytest.approx(1, abs=0.1)
    # The deviation is the same everywhere: no node of the grid shows.
    assert fields.std(axis=0).min() > 0.8 and fields.std(axis=0).max() < 1.2
    assert np.abs(np.diff(fields, axis=1)).max() < 6 / scale_px


@pytest.mark.parametrize("radius_px", [0.0, 0.7, 3.0, 6.25])
def test_a_disc_sums_to_1_and_covers_its_area(radius_px):
    disc = disc_kernel(radius_px)
    assert disc.sum() == pytest.approx(1, abs=1e-5)
    assert disc.min() >= 0
    assert np.array_equal(disc, disc.T) and np.array_equal(disc, disc[::-1, ::-1])
    if radius_px >= 3:
        assert 1 / disc.max() == pytest.approx(np.pi * radius_px**2, rel=0.05)


def test_a_point_becomes_the_kernel_and_not_its_reflection():
    point = np.zeros((9, 9, 1), np.float32)
    point[4, 4] = 1
    kernel = np.arange(9, dtype=np.float32).reshape(3, 3)
    np.testing.assert_allclose(convolve(point, kernel)[3:6, 3:6, 0], kernel, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_operations_keep_the_shape(channels):
    picture = clean_picture(5, 7, channels)
    kernel = np.full((3, 3), 1 / 9, np.float32)
    for result in (convolve(picture, kernel), soften(picture, 1.0), to_linear(picture), to_display(picture)):
        assert (result.shape, result.dtype) == (picture.shape, np.float32)
    np.testing.assert_allclose(to_display(to_linear(picture)), picture, atol=1e-5)


@given(count=st.integers(0, 5_000_000), points=st.integers(1, 3_000_000))
@settings(deadline=None, max_examples=50)
def test_portions_are_all_of_them_and_small(count, points):
    split = portions(count, points) if count * points < 1e10 else portions(1, points)
    assert sum(split) == (count if count * points < 1e10 else 1)
    assert all(some == 1 or some * points <= 1_000_000 for some in split)
