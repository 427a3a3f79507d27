from __future__ import annotations

import numpy as np
import pytest

from restore_cli.degradations.blur import Defocus, MotionBlur, motion_kernel, shake_path
from restore_cli.degradations.canvas import to_linear
from restore_cli.errors import RecipeError
from tests.degradations.pictures import clean_picture, flat, psnr


def rng(seed=0):
    return np.random.default_rng(seed)


def paths():
    straight = np.linspace(-1, 1, 50) * np.exp(0.7j)
    return [straight, np.zeros(10, complex), *(shake_path(rng(seed)) for seed in range(30))]


@pytest.mark.parametrize("length_px", [0.0, 5.0, 24.5])
def test_a_motion_kernel_sums_to_1_and_has_its_centre_of_gravity_in_its_middle(length_px):
    for path in paths():
        kernel = motion_kernel(path, length_px)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1, abs=1e-5)
        reach = kernel.shape[0] // 2
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        # Evenly spaced in time, the points of a path are not evenly spaced along it.
        assert abs((kernel * rows).sum()) < 0.3 and abs((kernel * columns).sum()) < 0.3
        assert np.hypot(rows, columns)[kernel > 0].max() <= length_px / 2 + 1.5


def test_a_straight_kernel_is_as_long_as_it_says_and_even():
    kernel = motion_kernel(np.linspace(0, 3, 40, dtype=complex), 20)
    assert np.flatnonzero(kernel.sum(axis=1)).size == 1
    line = kernel.sum(axis=0)
    assert np.flatnonzero(line > 0.01 / 20).size in (20, 21)
    assert line[5:-5].max() / line[5:-5].min() < 1.1


def test_shaken_paths_are_curved_and_differ():
    bends = []
    for seed in range(40):
        path = shake_path(rng(seed))
        bends.append(np.abs(np.diff(path)).sum() / np.ptp(np.abs(path - path[0])))
    assert max(bends) > 3  # a scribble
    assert min(bends) < 1.3  # nearly a line


def test_a_margin_cut_off_a_shaken_patch_shows_what_the_whole_picture_shows():
    blur, clean = MotionBlur(), clean_picture(120, 140)
    margin = blur.margin_px
    for seed in range(8):
        whole = blur(clean, rng(seed))[30 + margin : 100 - margin, 20 + margin : 110 - margin]
        patch = blur(clean[30:100, 20:110], rng(seed))[margin:-margin, margin:-margin]
        np.testing.assert_allclose(patch, whole, atol=2e-4)
    assert MotionBlur(length_px=(0, 40)).margin_px > margin


def test_a_margin_cut_off_a_defocused_patch_shows_what_the_whole_picture_shows():
    blur, clean = Defocus(variation=0), clean_picture(120, 140)
    margin = blur.margin_px
    whole = blur(clean, rng())[30 + margin : 100 - margin, 20 + margin : 110 - margin]
    patch = blur(clean[30:100, 20:110], rng())[margin:-margin, margin:-margin]
    np.testing.assert_allclose(patch, whole, atol=2e-4)
    assert Defocus(radius_px=(0, 12)).margin_px >= 12


@pytest.mark.parametrize("blur", [MotionBlur(), Defocus()], ids=["motion", "defocus"])
def test_blur_moves_light_about_and_makes_none(blur):
    np.testing.assert_allclose(blur(flat(0.4, 60, 60), rng()), 0.4, atol=1e-4)
    lamp = np.zeros((81, 81, 1), np.float32)
    lamp[39:42, 39:42] = 1
    blurred = blur(lamp, rng(1))
    assert blurred.max() < 1
    # Its kernel is not quite the same all over the picture.
    assert to_linear(blurred).sum() == pytest.approx(9, rel=0.15)


def test_a_lamp_leaves_a_brighter_trail_than_display_values_would():
    lamp = np.zeros((41, 41, 1), np.float32)
    lamp[20, 20] = 1
    trail = MotionBlur(length_px=(10, 10), linear=1.0)(lamp, rng())
    assert trail.sum() > 2 * lamp.sum()


def test_the_radius_of_defocus_varies_over_the_picture():
    dots = np.zeros((400, 400, 1), np.float32)
    dots[20::40, 20::40] = 1
    light = to_linear(Defocus(radius_px=(4, 4), variation=0.4)(dots, rng(3)))
    peaks = light.reshape(10, 40, 10, 40).max(axis=(1, 3))
    radii = np.sqrt(1 / (np.pi * peaks))
    assert radii.max() > 1.5 * radii.min()
    steady = to_linear(Defocus(radius_px=(4, 4), variation=0.0)(dots, rng(3))).reshape(10, 40, 10, 40).max(axis=(1, 3))
    np.testing.assert_allclose(np.sqrt(1 / (np.pi * steady)), 4, atol=0.3)


def test_longer_is_worse_and_0_is_nothing():
    clean = clean_picture(80, 80)
    for kind, key in ((MotionBlur, "length_px"), (Defocus, "radius_px")):
        levels = [psnr(kind(**{key: (size, size)})(clean, rng()), clean) for size in (2, 4, 8, 16)]
        assert levels == sorted(levels, reverse=True)
        np.testing.assert_allclose(kind(**{key: (0, 0)})(clean, rng()), clean, atol=1e-3)


def test_noise_follows_the_blur():
    noisy = MotionBlur(sigma_255=(5, 5))(flat(0.5), rng())
    assert noisy.std() * 255 == pytest.approx(5, rel=0.03)


def test_impossible_settings_are_refused():
    for kind, settings in (
        (MotionBlur, {"length_px": (9, 3)}),
        (MotionBlur, {"linear": 2}),
        (Defocus, {"variation": -1}),
    ):
        with pytest.raises(RecipeError, match="out of range"):
            kind(**settings)
