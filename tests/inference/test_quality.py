"""One estimate a picture, of patches from all over it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from restore_cli.inference.quality import estimated_quality, spread_patches
from restore_cli.inference.restorer import Restorer
from restore_cli.models.build import Model
from restore_cli.models.registry import Network
from restore_cli.options import RunOptions
from restore_cli.wrappers.pad import SizeRule


class MeanAsQuality(nn.Module):
    def forward(self, pictures):
        return 100 * pictures.mean(dim=(1, 2, 3))


class Told(nn.Module):
    """Paints the quality it is told."""

    def forward(self, picture, quality=None):
        assert quality is not None
        return torch.zeros_like(picture) + quality / 100


def test_a_picture_of_moderate_size_is_looked_at_as_a_whole():
    picture = torch.rand(1, 3, 512, 100)
    (patch,) = spread_patches(picture)
    assert torch.equal(patch, picture)


@pytest.mark.parametrize(("height", "width", "count"), [(513, 512, 3), (600, 1001, 9), (100, 5000, 3)])
def test_a_large_one_at_patches_that_reach_from_edge_to_edge_at_whole_blocks(height, width, count):
    places = torch.arange(height * width).view(1, 1, height, width)
    patches = spread_patches(places)
    assert len(patches) == count
    starts = [divmod(int(patch[0, 0, 0, 0]), width) for patch in patches]
    assert all(row % 8 == 0 and column % 8 == 0 for row, column in starts)
    last_row, last_column = divmod(int(patches[-1][0, 0, -1, -1]), width)
    assert (height - last_row, width - last_column) <= (8, 8)


def test_each_picture_of_a_batch_has_its_own_and_absurd_ones_are_brought_into_range():
    batch = torch.stack([torch.full((3, 16, 16), level) for level in (0.3, 0.8, -2.0, 7.0)])
    found = estimated_quality(batch, MeanAsQuality())
    assert found.shape == (4, 1, 1, 1)
    assert found.flatten().tolist() == pytest.approx([30, 80, 1, 100])


def test_all_tiles_of_a_picture_are_restored_with_the_same_estimate_and_it_is_said_once():
    facts = {"arch": "FBCNN", "scale": 1, "channels": 3, "size_rule": SizeRule(), "accepts": ("quality",)}
    network = Network(Told(), quality_estimator=MeanAsQuality(), overlap_px=8, **facts)
    notes = []
    observer = SimpleNamespace(note=notes.append, tiles=lambda *_: None)
    restorer = Restorer(Model("fbcnn", network), RunOptions("cpu", tile_px=32), observer)
    uneven = torch.linspace(0, 1, 96).expand(1, 3, 64, 96)
    restored = restorer(uneven)
    torch.testing.assert_close(restored, torch.full_like(uneven, 0.5))
    assert notes == ["fbcnn estimates JPEG quality 50; --quality-factor tells it another."]
    assert restorer(uneven, quality_factor=20).mean().item() == pytest.approx(0.2)
    assert len(notes) == 1
