"""Ensembles: the mean over the eight flips and rotations of a picture, and over several networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from restore_cli.wrappers import canvases

__all__ = ["Average", "Ensemble"]


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
                view = canvases.turned(picture, quarter_turns, flip_first=flipped)
                restored = canvases.turned(self.inner(view, **conditioning), -quarter_turns, flip_last=flipped)
                if total is None:
                    total = restored
                else:
                    canvases.add(total, restored)
        assert total is not None  # eight runs
        return canvases.by_rows(lambda band: band / 8, total)


class Average(nn.Module):
    """The mean of what several networks make of a picture; they share its channels and their scale."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, picture: torch.Tensor, **conditioning: torch.Tensor) -> torch.Tensor:
        total = sum(member(picture, **conditioning) for member in self.members)
        return torch.as_tensor(total) / len(self.members)
