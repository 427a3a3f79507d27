"""Square windows of a feature map: what every network that attends inside windows shares.

Feature maps are channels last, `(B, H, W, C)`; H and W are multiples of the window's side. The
scheme is that of Liu et al., "Swin Transformer", ICCV 2021: a bias for each offset inside a window,
and windows shifted by rolling the map, with a mask for the pixels that rolling made neighbours.
"""

from __future__ import annotations

import torch

__all__ = ["MASKED", "merge_windows", "partition_windows", "relative_position_index", "shifted_window_mask"]

# Added to the logits of pairs that must not see each other. Finite, as in every published network of
# this family: weights trained with it have learned what it leaves of a very large logit.
MASKED = -100.0


def partition_windows(tokens: torch.Tensor, size: int) -> torch.Tensor:
    """`(B, H, W, C)` -> `(B * H/size * W/size, size * size, C)`, pictures and windows in reading order."""
    batch, height, width, channels = tokens.shape
    grid = tokens.view(batch, height // size, size, width // size, size, channels)
    return grid.transpose(2, 3).reshape(-1, size * size, channels)


def merge_windows(windows: torch.Tensor, size: int, height: int, width: int) -> torch.Tensor:
    """The inverse of `partition_windows`: `(B * H/size * W/size, size * size, C)` -> `(B, H, W, C)`."""
    channels = windows.shape[-1]
    grid = windows.view(-1, height // size, width // size, size, size, channels)
    return grid.transpose(2, 3).reshape(-1, height, width, channels)


def relative_position_index(size: int) -> torch.Tensor:
    """For each pair (query, key) of a window's pixels the row of the bias table, `(size**2, size**2)` int64.

    The table has one row for each offset query - key, `(2 * size - 1)**2` in reading order.
    """
    position = torch.arange(size)
    offset = position[:, None] - position[None, :] + size - 1  # of one axis, from 0 on
    rows = offset[:, None, :, None] * (2 * size - 1)
    return (rows + offset[None, :, None, :]).reshape(size**2, size**2)


def shifted_window_mask(
    height: int, width: int, size: int, shift: int, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """What to add to the logits after rolling a map by `(-shift, -shift)`, `(nW, size**2, size**2)`.

    Zero where two pixels of a window come from the same piece of the map, `MASKED` where only the
    rolling brought them together. All zero for `shift` 0.
    """
    row, column = (_piece(side, size, shift, device) for side in (height, width))
    pieces = partition_windows((3 * row[:, None] + column[None, :])[None, ..., None], size).squeeze(-1)
    apart = pieces[:, :, None] != pieces[:, None, :]
    return torch.zeros(apart.shape, device=device, dtype=dtype).masked_fill_(apart, MASKED)


def _piece(side: int, size: int, shift: int, device: torch.device) -> torch.Tensor:
    """Per row of the rolled map: 0 ordinary, 1 in the last window but not wrapped, 2 wrapped round."""
    position = torch.arange(side, device=device)
    return (position >= side - size).long() + (position >= side - shift).long()
