"""Pieces that two or more of our networks share."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

__all__ = ["ResidualBlock", "count_items"]


class ResidualBlock(nn.Module):
    """conv3x3, ReLU, conv3x3, plus the input: a residual block without normalisation.

    Batch normalisation is left out because it fixes the range of the features, which restoration
    needs free (Lim et al., EDSR, CVPRW 2017). Widens the receptive field by 2 pixels on each side.
    """

    receptive_radius = 2

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        change: torch.Tensor = self.conv2(torch.relu(self.conv1(features)))
        return features + change


def count_items(keys: Iterable[str], prefix: str) -> int:
    """How many items the module list `prefix` has, to judge by state-dict keys such as 'blocks.7.conv1.weight'."""
    start = prefix + "."
    return len({key[len(start) :].split(".")[0] for key in keys if key.startswith(start)})
