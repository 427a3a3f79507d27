"""UNet: a plain convolutional residual U-Net for restoration at the same size.

Source: the backbone of DRUNet (Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser
Prior", TPAMI 2021), itself a U-Net with residual blocks, strided convolutions down and transposed
ones up, and skips that add. What we changed: biases, no noise-map channel (ours are blind), a
skip from the picture to the output, and few, narrow levels, which a CPU likes. Where a wide view
matters more than the finest detail (blur), it may see 2x2 pixels as one of four times the channels
(pixel unshuffling: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
Sub-Pixel Convolutional Neural Network", CVPR 2016, the other way round).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from restore_cli.archs.blocks import ResidualBlock, count_items

__all__ = ["UNet"]


class UNet(nn.Module):
    """`(N, channels, H, W)` in nominal [0, 1] -> the same shape, not clamped.

    H and W must be multiples of `size_multiple`; the pad wrapper sees to it.

    Args:
        channels: picture channels, 1 (grey) or 3 (RGB).
        widths: feature channels of each level; each level halves the resolution of the one before.
        blocks: residual blocks of each level on the way down, and again on the way up.
        body_blocks: residual blocks at the lowest level.
        unshuffle: side of the square of pixels that the network sees as one; a power of 2.
    """

    signature_keys: ClassVar = ("stem.weight", "downs.0.weight", "body.0.conv1.weight", "to_picture.weight")

    precisions: ClassVar = ("fp16", "bf16")
    overlap_px = 0

    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (40, 80, 160),
        blocks: int = 2,
        body_blocks: int = 4,
        unshuffle: int = 1,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.unshuffle = unshuffle
        seen = channels * unshuffle**2
        self.scale = 1
        self.blocks = blocks
        self.body_blocks = body_blocks
        steps = list(pairwise(widths))
        self.stem = nn.Conv2d(seen, widths[0], 3, padding=1)
        self.encoders = nn.ModuleList(_residual_stack(wide, blocks) for wide, _ in steps)
        self.downs = nn.ModuleList(nn.Conv2d(wide, deep, 2, stride=2) for wide, deep in steps)
        self.body = _residual_stack(widths[-1], body_blocks)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(deep, wide, 2, stride=2) for wide, deep in steps)
        self.decoders = nn.ModuleList(_residual_stack(wide, blocks) for wide, _ in steps)
        self.to_picture = nn.Conv2d(widths[0], seen, 3, padding=1)

    @staticmethod
    def config_of(state_dict: Mapping[str, torch.Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from; shapes tell them all."""
        levels = count_items(state_dict, "downs")
        widths = [state_dict["stem.weight"].shape[0]]
        widths += [state_dict[f"downs.{level}.weight"].shape[0] for level in range(levels)]
        seen = state_dict["to_picture.weight"].shape[0]
        channels = 3 if seen % 3 == 0 else 1
        return {
            "channels": channels,
            "widths": widths,
            "blocks": count_items(state_dict, "encoders.0"),
            "body_blocks": count_items(state_dict, "body"),
            "unshuffle": math.isqrt(seen // channels),
        }

    @property
    def size_multiple(self) -> int:
        return int(self.unshuffle * 2 ** len(self.downs))

    @property
    def minimum_size(self) -> int:
        return self.size_multiple

    @property
    def receptive_radius(self) -> int:
        """Input pixels on each side that an output pixel depends on, at most."""
        radius = 2  # stem, to_picture
        for level in range(len(self.downs)):
            # Down and up again; and a pixel shares its 2x2 cell with neighbours up to one away.
            radius += 2**level * (2 * self.blocks * ResidualBlock.receptive_radius + 1)
        lowest = int(2 ** len(self.downs))
        radius += lowest * self.body_blocks * ResidualBlock.receptive_radius
        return self.unshuffle * radius + self.unshuffle - 1

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        seen = functional.pixel_unshuffle(picture, self.unshuffle)
        restored: torch.Tensor = picture + functional.pixel_shuffle(self.change(self.stem(seen)), self.unshuffle)
        return restored

    def change(self, features: torch.Tensor) -> torch.Tensor:
        """What is added to what the network sees, `(N, channels, H, W)` if not unshuffled, from the stem's features."""
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        features = self.body(features)
        for level in reversed(range(len(skips))):
            features = self.decoders[level](self.ups[level](features) + skips[level])
        change: torch.Tensor = self.to_picture(features)
        return change


def _residual_stack(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))
