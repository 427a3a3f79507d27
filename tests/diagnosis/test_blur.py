import cv2
import numpy as np
import pytest

from restore_cli.degradations.canvas import convolve, disc_kernel
from restore_cli.diagnosis.blur import estimate_blur
from tests.diagnosis.pictures import noisy, rounded, scene


def line(length_px, across):
    kernel = np.zeros((length_px, length_px), np.float32)
    kernel[length_px // 2] = 1 / length_px
    return kernel if across else kernel.T


def test_a_sharp_picture_has_the_spread_of_its_pixels():
    assert 0.1 < estimate_blur([rounded(scene())]).spread_px < 0.9


@pytest.mark.parametrize("sigma_px", [1.0, 2.0, 3.5])
def test_a_gaussians_deviation_is_found(sigma_px):
    found = estimate_blur([rounded(cv2.GaussianBlur(scene(), (0, 0), sigma_px))])
    assert found.spread_px == pytest.approx(np.hypot(sigma_px, 0.4), rel=0.2)
    assert found.ratio < 1.5


def test_a_discs_is_half_its_radius():
    found = estimate_blur([rounded(convolve(scene(), disc_kernel(4)))])
    assert found.spread_px == pytest.approx(2.05, rel=0.2)


@pytest.mark.parametrize("across", [True, False])
def test_a_movement_is_told_with_its_direction(across):
    found = estimate_blur([rounded(cv2.filter2D(scene(), -1, line(9, across)))])
    assert found.ratio > 1.5
    assert found.direction_deg == (0 if across else 90)


def test_noise_does_not_pass_for_edges():
    soft = cv2.GaussianBlur(scene(), (0, 0), 6)
    assert estimate_blur([noisy(soft, 30)], sigma_255=30).spread_px == 0


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (200, 9), (100, 100)])
def test_without_edges_nothing_is_told(size):
    assert estimate_blur([np.full((*size, 3), 77, np.float32)]).spread_px == 0
