"""An exponential moving average of a network's weights, which restores better than the last step's."""

from __future__ import annotations

import copy

import torch
from torch import nn

__all__ = ["AveragedWeights"]


class AveragedWeights:
    """Keeps `network`, a float32 copy whose weights follow the trained one's.

    Args:
        network: the network being trained.
        decay: share of the average kept at each step. The first steps use less, so that the
            random start is forgotten quickly.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move the average towards `network`, which has just finished step number `step` (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages = self.network.state_dict()
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                averages[name].lerp_(value, 1 - decay)
            else:
                averages[name].copy_(value)
