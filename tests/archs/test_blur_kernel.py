"""The kernel of a shaken camera, found and undone."""

import cmath
import math

import numpy as np
import pytest
import torch

from restore_cli.archs.blur_kernel import find_kernel, undo_kernel
from restore_cli.degradations.blur import motion_kernel, shake_path
from restore_cli.degradations.canvas import convolve

STRAIGHT = np.linspace(-1, 1, 96) * cmath.rect(1, math.pi / 5)
CURVED = shake_path(np.random.default_rng(4))


def sheets_of_paper(side=192, count=300):
    """Brightness (side, side): rectangles of any tone over each other, slightly soft as a lens leaves them."""
    rng = np.random.default_rng(1)
    scene = np.full((side, side), 0.5, np.float32)
    for _ in range(count):
        top, left = rng.integers(-20, side, 2)
        height, width = rng.integers(6, 60, 2)
        scene[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = rng.uniform(0.1, 0.9)
    return convolve(scene[:, :, None], np.full((2, 2), 0.25, np.float32))[:, :, 0]


def blurred(scene, path, length_px):
    kernel = motion_kernel(path, length_px)
    picture = convolve(scene[:, :, None], kernel)[:, :, 0]
    return torch.from_numpy(np.round(picture * 255).astype(np.float32) / 255), torch.from_numpy(kernel)


def likeness(found, true):
    """Cosine between two kernels, the larger one cut or padded about its middle; at the best shift of a pixel or so."""
    side = max(found.shape[-1], true.shape[-1]) + 4
    found, true = (torch.nn.functional.pad(each, ((side - each.shape[-1]) // 2,) * 4) for each in (found, true))
    shifted = [found.roll((down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float((each * true).sum() / (each.norm() * true.norm())) for each in shifted)


@pytest.mark.parametrize("path", [STRAIGHT, CURVED], ids=["straight", "curved"])
@pytest.mark.parametrize(("length_px", "size_px"), [(6.0, 9), (13.0, 17)])
def test_the_kernel_is_found_from_the_blurred_picture_alone(path, length_px, size_px):
    picture, true = blurred(sheets_of_paper(), path, length_px)
    found = find_kernel(picture[None], size_px)[0]
    assert found.shape == (size_px, size_px)
    assert likeness(found, true) > 0.8


def test_a_kernel_is_a_share_of_light_about_its_centre_of_gravity():
    picture, _ = blurred(sheets_of_paper(), CURVED, 11.0)
    found = find_kernel(picture[None], 13)[0]
    place = torch.arange(13.0) - 6
    assert found.min() >= 0
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert abs((found.sum(0) * place).sum()) < 0.1
    assert abs((found.sum(1) * place).sum()) < 0.1


@pytest.mark.parametrize("path", [STRAIGHT, CURVED], ids=["straight", "curved"])
def test_undoing_the_true_kernel_restores_the_scene(path):
    scene = sheets_of_paper()
    picture, true = blurred(scene, path, 12.0)
    restored = undo_kernel(picture[None, None], true[None], [3e-3])[0][0, 0]

    def mean_square(values):
        return float((values - torch.from_numpy(scene))[16:-16, 16:-16].square().mean())

    assert 10 * math.log10(mean_square(picture) / mean_square(restored)) > 6


def test_a_flat_picture_has_the_kernel_of_one_point():
    kernel = find_kernel(torch.full((1, 64, 64), 0.4), 9)[0]
    assert kernel[4, 4] > 0.99
    picture = torch.full((1, 3, 64, 64), 0.4)
    torch.testing.assert_close(undo_kernel(picture, kernel[None], [1e-2])[0], picture, atol=1e-3, rtol=0)


def test_each_picture_of_a_batch_has_its_own_kernel():
    pictures = torch.stack([blurred(sheets_of_paper(), path, 8.0)[0] for path in (STRAIGHT, CURVED)])
    together = find_kernel(pictures, 9)
    alone = torch.cat([find_kernel(each[None], 9) for each in pictures])
    torch.testing.assert_close(together, alone, atol=2e-3, rtol=0)
    assert likeness(*together) < 0.95


@pytest.mark.parametrize("size", [(1, 1), (2, 70), (9, 5)])
def test_a_picture_smaller_than_a_kernel_does_no_harm(size):
    assert torch.isfinite(find_kernel(torch.rand(1, *size), 17)).all()
