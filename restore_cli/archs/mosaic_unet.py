"""MosaicUNet: the convolutional U-Net, for Bayer mosaics.

It sees the mosaic twice, as it is and interpolated, and corrects the interpolation: to learn what
bilinear interpolation does already would cost it capacity and most of its training. That residual
form is that of Tan et al., "Color Image Demosaicking via Deep Residual Learning", ICME 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from restore_cli.archs.unet import UNet

__all__ = ["MosaicUNet", "interpolate"]


class MosaicUNet(UNet):
    """`(N, 3, H, W)` sparse mosaic in nominal [0, 1] -> RGB picture of the same shape, not clamped.

    Each value stands in its own colour's channel, with zeros elsewhere; any of the four Bayer phases.
    H and W must be multiples of `size_multiple`; the pad wrapper sees to it.

    Args:
        widths, blocks, body_blocks: as `UNet` has them.
    """

    signature_keys: ClassVar = ("mosaic_stem.weight", "downs.0.weight", "body.0.conv1.weight", "to_picture.weight")

    def __init__(self, widths: Sequence[int] = (40, 80, 160), blocks: int = 2, body_blocks: int = 4) -> None:
        super().__init__(3, widths, blocks, body_blocks)
        del self.stem
        self.mosaic_stem = nn.Conv2d(6, widths[0], 3, padding=1)

    @staticmethod
    def config_of(state_dict: Mapping[str, torch.Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from; shapes tell them all."""
        config = UNet.config_of({"stem.weight": state_dict["mosaic_stem.weight"], **state_dict}, stated)
        return {name: value for name, value in config.items() if name not in ("channels", "unshuffle")}

    @property
    def receptive_radius(self) -> int:
        """Input pixels on each side that an output pixel depends on, at most."""
        return super().receptive_radius + 1  # interpolation

    def forward(self, sparse: torch.Tensor) -> torch.Tensor:
        picture = interpolate(sparse)
        return picture + self.change(self.mosaic_stem(torch.cat([picture, sparse], dim=1)))


def interpolate(sparse: torch.Tensor) -> torch.Tensor:
    """`(N, 3, H, W)` sparse Bayer mosaic -> the same shape, interpolated bilinearly; H and W at least 2.

    One kernel a colour does it for all phases: where zeros stand for what was not seen, the weights of
    what was seen sum to one at every pixel. Reflection about the border pixel keeps the pattern.
    """
    across = torch.tensor([0.5, 1, 0.5], dtype=sparse.dtype, device=sparse.device)
    red_and_blue = across[:, None] * across
    green = red_and_blue.clone()
    green[::2, ::2] = 0
    green[1, ::2] = green[::2, 1] = 0.25
    kernels = torch.stack([red_and_blue, green, red_and_blue])[:, None]
    return functional.conv2d(functional.pad(sparse, (1, 1, 1, 1), mode="reflect"), kernels, groups=3)
