"""Geometric self-ensemble: the mean over the eight flips and rotations of the picture."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """Restores each of the eight orientations of a picture with `inner`, turns them back, averages.

    Source: Timofte et al., "Seven ways to improve example-based single image super resolution",
    CVPR 2016. Costs eight runs; the result is equivariant to flips and quarter turns.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, picture: torch.Tensor, **conditioning: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor | None = None
        for quarter_turns in range(4):
            for flipped in (False, True):
                turned = torch.rot90(picture.flip(-1) if flipped else picture, quarter_turns, (-2, -1))
                restored = torch.rot90(self.inner(turned, **conditioning), -quarter_turns, (-2, -1))
                restored = restored.flip(-1) if flipped else restored
                total = restored if total is None else total + restored
        assert total is not None  # eight runs
        return total / 8
