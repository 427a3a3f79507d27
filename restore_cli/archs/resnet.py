"""ResNet: a plain convolutional residual network for super-resolution (or restoration at scale 1).

Source: the EDSR baseline of Lim et al., "Enhanced Deep Residual Networks for Single Image
Super-Resolution", CVPRW 2017. What we changed: one convolution makes all `scale**2` sub-pixels at
once (no ladder of x2 stages at full width), and its output is added to the input repeated to the
new size, so the network starts out as nearest-neighbour enlargement and learns the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from restore_cli.archs.blocks import ResidualBlock, count_items

__all__ = ["ResNet"]


class ResNet(nn.Module):
    """`(N, channels, H, W)` in nominal [0, 1] -> `(N, channels, scale*H, scale*W)`, not clamped.

    Args:
        channels: picture channels, 1 (grey) or 3 (RGB).
        width: feature channels.
        depth: number of residual blocks.
        scale: enlargement; 1 restores at the same size.
    """

    signature_keys: ClassVar = ("stem.weight", "blocks.0.conv1.weight", "fuse.weight", "to_subpixels.weight")
    precisions: ClassVar = ("fp16", "bf16")
    overlap_px = 0
    size_multiple = 1
    minimum_size = 1

    def __init__(self, channels: int = 3, width: int = 64, depth: int = 16, scale: int = 1) -> None:
        super().__init__()
        self.channels = channels
        self.scale = scale
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(depth))
        self.fuse = nn.Conv2d(width, width, 3, padding=1)
        self.to_subpixels = nn.Conv2d(width, channels * scale**2, 3, padding=1)

    @staticmethod
    def config_of(state_dict: Mapping[str, torch.Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from; shapes tell them all."""
        width, channels = state_dict["stem.weight"].shape[:2]
        subpixels = state_dict["to_subpixels.weight"].shape[0] // channels
        depth = count_items(state_dict, "blocks")
        return {"channels": channels, "width": width, "depth": depth, "scale": isqrt(subpixels)}

    @property
    def receptive_radius(self) -> int:
        """Input pixels on each side that an output pixel depends on."""
        single_convolutions = 3  # stem, fuse, to_subpixels
        return single_convolutions + ResidualBlock.receptive_radius * len(self.blocks)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        stem = self.stem(picture)
        features = stem
        for block in self.blocks:
            features = block(features)
        features = self.fuse(features) + stem
        # Channel c of the picture feeds sub-pixels c*scale**2 ... of the same pixel.
        nearest = picture.repeat_interleave(self.scale**2, dim=1)
        return functional.pixel_shuffle(self.to_subpixels(features) + nearest, self.scale)
