"""Plug-and-play demosaicing with denoisers whose answers are known, and with one of ours."""

from __future__ import annotations

from math import log

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from restore_cli.archs.mosaic_unet import interpolate
from restore_cli.degradations.mosaic import BAYER_PATTERNS, Mosaic
from restore_cli.inference.restorer import Restorer, load_model
from restore_cli.models.build import Model
from restore_cli.models.registry import PLUG_AND_PLAY, Network
from restore_cli.options import RunOptions
from restore_cli.wrappers import canvases
from restore_cli.wrappers.pad import SizeRule
from restore_cli.wrappers.plug_and_play import (
    MINIMUM_PX,
    PlugAndPlayDemosaic,
    bayer_cells,
    interpolate_linearly,
    measured,
    noise_schedule,
)


class Same(nn.Module):
    """No denoising; counts its calls and keeps the levels."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[float] = []

    def forward(self, picture: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        self.levels.append(sigma.item())
        return picture


class Oracle(nn.Module):
    """Knows the clean picture in all its orientations and goes some of the way to the one that is nearest."""

    def __init__(self, clean: torch.Tensor, share: float = 1.0) -> None:
        super().__init__()
        flipped = (clean, clean.flip(-2))
        self.views = [torch.rot90(view, turns, (-2, -1)) for view in flipped for turns in range(4)]
        self.share = share
        self.errors: list[float] = []

    def forward(self, picture: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        fitting = [view for view in self.views if view.shape == picture.shape]
        clean = min(fitting, key=lambda view: float((view - picture).norm()))
        self.errors.append(float((clean - picture).square().mean()))
        return picture + self.share * (clean - picture)


def scene(height=24, width=32, seed=0):
    """(1, 3, H, W): soft colours with edges."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(rng.random((height, width, 3)).astype(np.float32), (0, 0), 3)
    soft = 0.1 + 0.8 * (soft - soft.min()) / np.ptp(soft)
    soft[height // 3 :, width // 2 :] *= 0.4
    return torch.from_numpy(soft).permute(2, 0, 1)[None].contiguous()


def mosaic_of(clean, pattern="rggb"):
    values = [
        Mosaic((pattern,))(each.permute(1, 2, 0).numpy(), np.random.default_rng(0)).transpose(2, 0, 1) for each in clean
    ]
    return torch.from_numpy(np.stack(values))


def mask_of(sparse):
    return measured(bayer_cells(sparse), sparse)


def start_of(sparse):
    return interpolate_linearly(sparse, bayer_cells(sparse))


def psnr(found, clean, border=8):
    inside = (..., slice(border, -border), slice(border, -border))
    return float(-10 * torch.log10((found.clamp(0, 1) - clean)[inside].square().mean()))


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_what_was_measured_comes_out_bit_for_bit(pattern):
    sparse = mosaic_of(scene(), pattern)
    restored = PlugAndPlayDemosaic(Oracle(torch.zeros_like(sparse)), iterations=3)(sparse)
    mask = mask_of(sparse)
    assert torch.equal(restored[mask], sparse[mask])
    assert mask.sum() == sparse.shape[-1] * sparse.shape[-2]


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_masks_are_those_of_the_pattern_also_where_measured_values_are_zero(pattern):
    ones = mosaic_of(torch.ones(1, 3, 9, 12), pattern) > 0
    dark = mosaic_of(scene(9, 12), pattern)
    dark[..., :5, :] = 0
    assert torch.equal(mask_of(dark), ones)


def test_pictures_of_a_batch_may_have_different_patterns():
    first, second = scene(seed=1), scene(seed=2)
    batch = torch.cat([mosaic_of(first, "rggb"), mosaic_of(second, "gbrg")])
    together = PlugAndPlayDemosaic(Same(), iterations=2)(batch)
    for number in range(2):
        assert torch.equal(together[number : number + 1], PlugAndPlayDemosaic(Same(), 2)(batch[number : number + 1]))


def test_a_black_mosaic_and_a_flat_one_stay_what_they_are():
    black = torch.zeros(1, 3, 8, 8)
    assert torch.equal(PlugAndPlayDemosaic(Same())(black), black)
    flat = torch.full((1, 3, 10, 12), 0.25)
    torch.testing.assert_close(PlugAndPlayDemosaic(Same())(mosaic_of(flat, "grbg")), flat)


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_without_a_denoiser_the_start_is_the_answer(pattern):
    # The data step changes only what was measured, and the start has that already.
    sparse = mosaic_of(scene(), pattern)
    start = start_of(sparse).clamp(0, 1)
    torch.testing.assert_close(PlugAndPlayDemosaic(Same())(sparse), start, atol=1e-6, rtol=0)


def test_with_a_perfect_denoiser_the_answer_is_the_clean_picture():
    clean = scene()
    restored = PlugAndPlayDemosaic(Oracle(clean))(mosaic_of(clean))
    torch.testing.assert_close(restored, clean, atol=1e-6, rtol=0)


def test_with_a_denoiser_that_goes_a_tenth_of_the_way_the_error_falls_at_every_step():
    clean = scene()
    oracle = Oracle(clean, share=0.1)
    restored = PlugAndPlayDemosaic(oracle)(mosaic_of(clean))
    assert len(oracle.errors) == 40
    assert all(later < earlier for earlier, later in zip(oracle.errors, oracle.errors[1:], strict=False))
    # Nothing but the denoiser moves what was not measured: by 0.9 at each of forty steps.
    start = start_of(mosaic_of(clean)).clamp(0, 1)
    torch.testing.assert_close(restored - clean, 0.9**40 * (start - clean), atol=1e-6, rtol=0)


def test_the_data_step_is_the_closed_form_minimum():
    """|mask x - mosaic|^2 / s^2 + 0.23 |x - z|^2 / sigma^2 has no slope at what the denoiser is shown."""
    sparse = mosaic_of(scene(8, 8)).double()
    mask, shown = mask_of(sparse), []

    class Shows(nn.Module):
        def forward(self, picture, sigma):
            shown.append(picture)
            return 0.5 + 0 * picture  # so that the next z is known

    PlugAndPlayDemosaic(Shows(), iterations=2)(sparse)
    # The second step is seen turned and mirrored: a transposition, which is its own inverse.
    x = torch.rot90(shown[1].flip(-2), -1, (-2, -1)).clone().requires_grad_()
    sigma = noise_schedule(2)[1]
    data = (mask * x - sparse).square().sum() / 0.001**2
    (0.5 * data + 0.5 * 0.23 * (x - 0.5).square().sum() / sigma**2).backward()
    stiffness = 1 / 0.001**2
    assert x.grad is not None
    assert float(x.grad.abs().max()) < 1e-9 * stiffness


def test_levels_fall_from_49_to_0_6_by_equal_ratios():
    levels = np.array(noise_schedule()) * 255
    assert (len(levels), levels[0], levels[-1]) == (40, pytest.approx(49), pytest.approx(0.6))
    np.testing.assert_allclose(np.diff(np.log(levels)), log(0.6 / 49) / 39)
    denoiser = Same()
    PlugAndPlayDemosaic(denoiser)(mosaic_of(scene(8, 8)))
    np.testing.assert_allclose(np.array(denoiser.levels) * 255, levels, rtol=1e-5)


def test_eight_steps_in_a_row_show_the_picture_in_its_eight_orientations():
    sparse = mosaic_of(scene(8, 8))
    shown = []

    class Shows(nn.Module):
        def forward(self, picture, sigma):
            shown.append(picture)
            return picture

    PlugAndPlayDemosaic(Shows(), iterations=8)(sparse)
    assert len({tuple((view * 1e4).round().flatten().tolist()) for view in shown}) == 8
    # As published: as it is, transposed, upside down, ...
    torch.testing.assert_close(shown[1], shown[0].transpose(-2, -1))
    torch.testing.assert_close(shown[2], shown[0].flip(-2))


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_the_start_reproduces_a_plane_whatever_the_pattern(pattern):
    rows, columns = torch.meshgrid(torch.arange(12.0), torch.arange(14.0), indexing="ij")
    plane = torch.stack([0.1 + 0.02 * rows, 0.2 + 0.02 * columns, 0.6 - 0.01 * rows + 0.02 * columns])[None]
    found = start_of(mosaic_of(plane, pattern))
    torch.testing.assert_close(found[..., 2:-2, 2:-2], plane[..., 2:-2, 2:-2])


def test_the_start_has_the_weights_of_malvars_figure_2():
    """What one sample of 8 does to its surroundings is a filter in eighths."""
    cells = bayer_cells(mosaic_of(torch.ones(1, 3, 9, 9), "rggb"))

    def spread(channel, row, column):
        impulse = torch.zeros(1, 3, 9, 9)
        impulse[0, channel, row, column] = 8
        return interpolate_linearly(impulse, cells)[0]

    red, green, blue = spread(0, 4, 4)
    assert red[4].tolist() == [0, 0, 0, 4, 8, 4, 0, 0, 0]
    assert green[4].tolist() == [0, 0, -1, 0, 4, 0, -1, 0, 0]
    assert blue[4].tolist() == [0, 0, -1.5, 0, 6, 0, -1.5, 0, 0]
    assert red[3, 3] == 2
    # A green sample of a red row: red lies at its sides, blue above and below.
    red, green, blue = spread(1, 4, 5)
    assert red[4].tolist() == [0, 0, 0, -1, 0, 5, 0, -1, 0]
    assert blue[4].tolist() == [0, 0, 0, 0.5, 0, 5, 0, 0.5, 0]
    assert (red[2, 5], blue[2, 5], green[3, 5], red[3, 4], blue[3, 4]) == (0.5, -1, 2, -1, -1)


def test_a_picture_too_large_for_memory_is_restored_band_by_band_to_the_same(monkeypatch):
    sparse = mosaic_of(scene(23, 20), "gbrg")
    whole = PlugAndPlayDemosaic(Oracle(scene(23, 20), share=0.3))(sparse)
    bands = [slice(start, min(start + 5, 23)) for start in range(0, 23, 5)]
    rows_of = canvases.rows_of
    monkeypatch.setattr(canvases, "rows_of", lambda each: bands if each.shape[-2] == 23 else rows_of(each))
    assert torch.equal(PlugAndPlayDemosaic(Oracle(scene(23, 20), share=0.3))(sparse), whole)


def test_the_mosaic_itself_is_not_changed():
    sparse = mosaic_of(scene())
    before = sparse.clone()
    PlugAndPlayDemosaic(Same(), iterations=2)(sparse)
    assert torch.equal(sparse, before)


def test_values_above_one_are_kept_where_the_mosaic_has_such():
    clean = 3 * scene()
    torch.testing.assert_close(PlugAndPlayDemosaic(Oracle(clean))(mosaic_of(clean)), clean, atol=1e-5, rtol=0)


# As a model


def as_model(module, **facts):
    network = Network(module, "DRUNet", 1, 3, SizeRule(8, 8), procedure=PLUG_AND_PLAY, **facts)
    return Model("dpir", network)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 5), (MINIMUM_PX, MINIMUM_PX), (17, 23)])
def test_any_size_is_restored(size):
    sparse = mosaic_of(torch.full((1, 3, *size), 0.25))
    restored = Restorer(as_model(Same()), RunOptions("cpu"))(sparse)
    assert restored.shape == sparse.shape
    assert torch.equal(restored[sparse > 0], sparse[sparse > 0])


def test_tiles_are_of_the_denoiser_and_not_of_the_procedure():
    """A denoiser of bounded reach: tiled and whole agree, through all forty steps."""

    class Smooths(nn.Module):
        def forward(self, picture, sigma):
            return nn.functional.avg_pool2d(nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, 1)

    sparse = mosaic_of(scene(48, 56))
    whole, tiled = (
        Restorer(as_model(Smooths(), radius_px=1), RunOptions("cpu", tile_px=tile_px))(sparse) for tile_px in (0, 24)
    )
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_a_real_denoiser_beats_bilinear_and_malvars_interpolation():
    """The embedded denoiser, which finds the level by itself, in DRUNet's place, on a crop of an example."""
    picture = cv2.imread("examples/coffee_small.png", cv2.IMREAD_COLOR_RGB)[:64, :96].astype(np.float32) / 255
    clean = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()
    sparse = mosaic_of(clean, "grbg")
    embedded = load_model("unet-denoise-color", device="cpu")

    class Blind(nn.Module):
        def forward(self, picture, sigma):
            return embedded(picture)

    found = psnr(PlugAndPlayDemosaic(Blind(), iterations=16)(sparse), clean)
    assert found > psnr(interpolate(sparse), clean) + 4
    assert found > psnr(start_of(sparse), clean) + 1
