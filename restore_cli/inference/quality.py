"""The JPEG quality that a network takes a picture for: once a picture, not once a tile.

A network that pools over what it is shown finds another quality in every tile, and its tiles would differ
where they meet. A JPEG file has one quality, so patches from all over the picture are asked and agree on one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["estimated_quality", "spread_patches"]

# Sides up to the first are looked at as a whole, longer ones at three patches. Starts are at whole blocks of
# JPEG, so that its grid falls in a patch where it falls in the picture.
WHOLE_PX = 512
PATCH_PX = 256
PATCHES_A_SIDE = 3
BLOCK_PX = 8


def estimated_quality(picture: Tensor, estimator: nn.Module) -> Tensor:
    """The quality of each picture of a batch, 1 to 100, as (N, 1, 1, 1).

    Args:
        picture: (N, C, H, W) in nominal [0, 1].
        estimator: from (N, C, h, w) of any size to (N,).
    """
    estimates = torch.stack([estimator(patch) for patch in spread_patches(picture)])
    return estimates.mean(dim=0).clamp(1, 100).view(-1, 1, 1, 1)


def spread_patches(picture: Tensor) -> list[Tensor]:
    """`picture`, (N, C, H, W), or up to nine patches spread evenly over it."""
    rows, columns = (_spans(side) for side in picture.shape[-2:])
    return [picture[..., top:bottom, left:right] for top, bottom in rows for left, right in columns]


def _spans(side: int) -> list[tuple[int, int]]:
    if side <= WHOLE_PX:
        return [(0, side)]
    steps = PATCHES_A_SIDE - 1
    starts = [(side - PATCH_PX) * step // steps // BLOCK_PX * BLOCK_PX for step in range(PATCHES_A_SIDE)]
    return [(start, start + PATCH_PX) for start in starts]
