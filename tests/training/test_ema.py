from __future__ import annotations

import torch

from restore_cli.training.ema import AveragedWeights


def test_the_average_follows_the_network():
    network = torch.nn.Conv2d(1, 1, 1)
    average = AveragedWeights(network, decay=0.5)
    with torch.no_grad():
        network.weight.add_(1)
    before = average.network.weight.clone()
    average.update(network, step=100)
    torch.testing.assert_close(average.network.weight, before + 0.5)
