"""The diagnostics show what they claim to show."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest
import torch
from torch import nn

from restore_cli.inference.inspect import as_batch, block_statistics, equivariance_defect
from restore_cli.inference.restorer import Restorer
from restore_cli.models.build import Model
from restore_cli.models.registry import Network
from restore_cli.options import RunOptions
from restore_cli.wrappers.pad import SizeRule
from tests.networks import small_network


class Peaky(nn.Module):
    """Two blocks: in the first all channels are alike, in the second one carries everything."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)])
        nn.init.zeros_(self.layers[0].weight)
        nn.init.constant_(self.layers[0].bias, 2.0)
        nn.init.zeros_(self.layers[1].weight)
        nn.init.zeros_(self.layers[1].bias)
        with torch.no_grad():
            self.layers[1].bias[3] = 5e4

    def forward(self, picture):
        return picture + 0 * self.layers[1](self.layers[0](picture))[:, :3]


def restorer(module, **options):
    network = Network(module.eval(), "test", 1, 3, SizeRule())
    return Restorer(Model("test", network), RunOptions("cpu", **{"tile_px": 0} | options))


def test_magnitude_and_entropy_of_known_features():
    even, peaky = block_statistics(restorer(Peaky()), torch.rand(1, 3, 6, 5))
    assert (even.block, peaky.block) == ("layers.0", "layers.1")
    assert even.max_magnitude == pytest.approx(2)
    assert even.channel_entropy_bits == pytest.approx(log2(8), abs=1e-5)
    assert peaky.max_magnitude == pytest.approx(5e4)
    assert peaky.channel_entropy_bits == pytest.approx(0, abs=1e-5)
    assert peaky.near_fp16_limit
    assert not even.near_fp16_limit


def test_blocks_are_those_of_the_network_in_order():
    blocks = block_statistics(restorer(small_network("resnet", depth=3).float()), torch.rand(1, 3, 8, 8))
    assert [block.block for block in blocks] == ["blocks.0", "blocks.1", "blocks.2"]
    assert {block.channels for block in blocks} == {8}


def test_watching_leaves_no_hooks_behind():
    ready = restorer(small_network("unet").float())
    block_statistics(ready, torch.rand(1, 3, 8, 8))
    assert not any(module._forward_hooks for module in ready.model.network.module.modules())


def test_tiles_would_mix_the_statistics_and_are_refused():
    with pytest.raises(ValueError, match="tile_px=0"):
        block_statistics(restorer(Peaky(), tile_px=16), torch.rand(1, 3, 8, 8))


def test_wne_removes_the_equivariance_defect():
    network, picture = small_network("unet").float(), torch.rand(1, 3, 16, 16)
    bare = equivariance_defect(restorer(network), picture)
    wrapped = equivariance_defect(restorer(network, wne=True), picture)
    assert bare > 1e-3
    assert wrapped < 1e-6


def test_grey_is_repeated_and_colour_averaged_to_fit():
    grey = np.random.default_rng(0).random((4, 5, 1), dtype=np.float32)
    assert as_batch(grey, 3).shape == (1, 3, 4, 5)
    assert torch.equal(as_batch(grey, 3)[0, 0], as_batch(grey, 3)[0, 2])
    colour = np.repeat(grey, 3, axis=2)
    torch.testing.assert_close(as_batch(colour, 1), as_batch(grey, 1))
