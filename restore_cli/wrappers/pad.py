"""Padding to the sizes a network can run, undone afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

__all__ = ["Padded", "SizeRule"]


@dataclass(frozen=True)
class SizeRule:
    """Heights and widths a network accepts.

    Attributes:
        multiple: both sides must be divisible by this; 1 for any size.
        minimum: both sides must be at least this; 1 for any size.
        square: height and width must be equal.
    """

    multiple: int = 1
    minimum: int = 1
    square: bool = False

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """The smallest accepted size that holds `height` x `width`."""
        height, width = (self._padded(side) for side in (height, width))
        return (max(height, width),) * 2 if self.square else (height, width)

    def _padded(self, side: int) -> int:
        return -(-max(side, self.minimum) // self.multiple) * self.multiple


class Padded(nn.Module):
    """`inner` for any height and width: mirrors the picture at its right and bottom, crops the result.

    Args:
        inner: network from `(N, C, H, W)` to `(N, C', sH, sW)` for sizes that fit `rule`.
        rule: those sizes.
        scale: s.
    """

    def __init__(self, inner: nn.Module, rule: SizeRule, scale: int) -> None:
        super().__init__()
        self.inner = inner
        self.rule = rule
        self.scale = scale

    def forward(self, picture: torch.Tensor, **conditioning: torch.Tensor) -> torch.Tensor:
        height, width = picture.shape[-2:]
        padded_height, padded_width = self.rule.padded(height, width)
        padded = _extend(_extend(picture, padded_height, 2), padded_width, 3)
        restored: torch.Tensor = self.inner(padded, **conditioning)
        return restored[..., : height * self.scale, : width * self.scale]


def _extend(picture: torch.Tensor, length: int, axis: int) -> torch.Tensor:
    """Mirrored without repeating the edge, as often as it takes; a single row or column is repeated."""
    while (missing := length - picture.shape[axis]) > 0:
        available = picture.shape[axis] - 1
        added = min(missing, available) if available else missing
        pad = (0, 0, 0, added) if axis == 2 else (0, added, 0, 0)
        picture = functional.pad(picture, pad, mode="reflect" if available else "replicate")
    return picture
