"""Batches depend on seed and step alone, show what is worth seeing, and treat both halves of a pair alike."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.resize import Bicubic
from restore_cli.errors import InputError
from restore_cli.training.corpus import Scene
from restore_cli.training.patches import PatchSampler, patch_batches

NOISE = GaussianNoise((10, 30))


def noise_picture(height=40, width=50):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def same(first, second):
    return all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_batches_depend_on_seed_and_step_alone():
    sampler = PatchSampler([Scene(noise_picture())], 16, 1, NOISE)
    late = next(patch_batches(sampler, 2, seed=3, first_step=5))
    assert same(late, sampler.batch(2, (3, 5)))
    assert not same(late, sampler.batch(2, (3, 6)))
    assert not same(late, sampler.batch(2, (4, 5)))


# More workers than cores, and a fork beside torch's threads (from Python 3.12): fine here, and said.
@pytest.mark.filterwarnings("ignore:This DataLoader will create", "ignore:.*fork:DeprecationWarning")
def test_worker_processes_make_the_same_batches_in_the_same_order():
    sampler = PatchSampler([Scene(noise_picture())], 16, 1, NOISE)
    made = list(islice(patch_batches(sampler, 2, seed=3, first_step=5, workers=2), 5))
    assert all(same(batch, sampler.batch(2, (3, 5 + index))) for index, batch in enumerate(made))


def test_the_parts_of_a_batch_make_up_the_whole():
    sampler = PatchSampler([Scene(noise_picture())], 16, 1, NOISE)
    parts = [sampler.batch(2, (0, 1), first_patch=first) for first in (0, 2)]
    whole = sampler.batch(4, (0, 1))
    assert same([torch.cat(halves) for halves in zip(*parts, strict=True)], whole)


def test_detailed_places_are_drawn_more_often_than_flat_ones():
    picture = np.zeros((64, 256, 3), np.uint8)
    picture[:, 128:] = noise_picture(64, 128)
    _, clean = PatchSampler([Scene(picture)], 16, 1, NOISE).batch(200, (0, 0))
    busy = (clean.std(dim=(1, 2, 3)) > 0.05).float().mean()
    assert 0.8 < busy < 1


def test_stretched_colours_keep_their_grey_and_stay_within_range():
    scene = Scene(np.random.default_rng(0).integers(90, 160, (40, 50, 3), dtype=np.uint8))
    plain, stretched = (
        PatchSampler([scene], 16, 1, None, saturation=factors).batch(4, (0, 0))[1] for factors in ((1, 1), (1.5, 2.5))
    )
    luma = torch.tensor([0.299, 0.587, 0.114])
    grey_before, grey_after = (torch.einsum("nchw,c->nhw", each, luma) for each in (plain, stretched))
    torch.testing.assert_close(grey_after, grey_before, atol=1e-5, rtol=0)
    ratio = (stretched - grey_after[:, None]) / (plain - grey_before[:, None])
    each = ratio.flatten(1).nanmedian(dim=1).values
    assert ((each > 1.5) & (each < 2.5)).all()
    assert len(each.round(decimals=3).unique()) == 4
    loud = PatchSampler([Scene(noise_picture())], 16, 1, None, saturation=(5, 5)).batch(4, (0, 0))[1]
    assert loud.min() == 0
    assert loud.max() == 1


def test_a_picture_of_one_colour_can_be_drawn_from():
    _, clean = PatchSampler([Scene(np.full((20, 20, 3), 51, np.uint8))], 16, 1, NOISE).batch(3, (0, 0))
    assert torch.equal(clean, torch.full((3, 3, 16, 16), 0.2))


def test_pictures_smaller_than_a_patch_are_left_out_until_none_is_left():
    small, large = Scene(noise_picture(15, 50)), Scene(noise_picture())
    assert PatchSampler([small, large], 16, 1, NOISE).scenes == [large]
    with pytest.raises(InputError, match="held-out pictures are all smaller than a patch of 16"):
        PatchSampler([small], 16, 1, NOISE, name="held-out")


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_both_halves_of_a_pair_are_cut_turned_and_mirrored_alike(scale):
    degraded = noise_picture()
    clean = degraded.repeat(scale, axis=0).repeat(scale, axis=1)
    patches, wanted = PatchSampler([Scene(clean, degraded)], 16, scale).batch(40, (0, 0))
    assert patches.shape == (40, 3, 16, 16)
    assert torch.equal(patches.repeat_interleave(scale, 2).repeat_interleave(scale, 3), wanted)
    # All eight ways of turning and mirroring occur: seen by the corner in which a gradient begins and runs.
    ramp = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16, 1)
    turned = PatchSampler([Scene(ramp, ramp)], 16, 1).batch(80, (0, 0))[0]
    assert len({tuple(patch[0, 0, :2].tolist()) for patch in turned}) == 8


def test_a_patch_made_from_a_clean_one_is_what_the_degradation_makes_of_its_surroundings():
    picture = noise_picture(120, 120)
    degraded, clean = PatchSampler([Scene(picture)], 20, 2, Bicubic(2)).batch(4, (0, 0))
    assert (degraded.shape, clean.shape) == ((4, 3, 20, 20), (4, 3, 40, 40))
    for small, large in zip(degraded, clean, strict=True):
        again = Bicubic(2)(large.permute(1, 2, 0).numpy(), np.random.default_rng())
        inner = slice(4, -4)  # nearer the border the kernel reaches out of the patch
        assert np.array_equal(again[inner, inner], small.permute(1, 2, 0).numpy()[inner, inner])


def test_a_share_of_the_patches_is_grey_and_of_a_pair_both_halves():
    picture = noise_picture()
    degraded, clean = PatchSampler([Scene(picture, picture)], 16, 1, grey_share=0.25).batch(200, (0, 0))
    is_grey = (clean == clean[:, :1]).flatten(1).all(1)
    assert 0.15 < is_grey.float().mean() < 0.35
    assert torch.equal(degraded, clean)
