"""DRCT: densely connected groups of Swin layers; with any norm scheme.

Source: Hsu et al., "DRCT: Saving Image Super-Resolution away from Information Bottleneck", CVPR
workshops 2024; key names and configurations are those of the authors' code. Published checkpoints,
which have LayerNorm, are loaded by spandrel. i-LN's authors compare DRCT, but published neither its
code nor the configuration they call DRCT-1: that each layer of a group, being of another width, has a
norm of that width, and that the 1x1 convolutions and the factor 0.2 stay as they are, is our reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.attention import (
    SwinLayer,
    WindowTransformer,
    convolve,
    differs_from_published,
    drop_rates,
    heads_of,
    skeleton_config,
    training_size,
    window_size_of,
)
from restore_cli.archs.blocks import count_items

__all__ = ["DRCT", "VARIANTS"]

FIRST_LAYER = "layers.0.swin1"
SHIFTED_LAYER = "layers.0.swin2"
_COMMON_KEYS = (
    "conv_first.weight",
    f"{FIRST_LAYER}.attn.relative_position_bias_table",
    "layers.0.adjust5.weight",
)
LAYERS_PER_GROUP = 5


class DRCT(WindowTransformer):
    """`(N, in_chans, H, W)` in nominal [0, 1] -> `(N, in_chans, upscale*H, upscale*W)`, not clamped.

    H and W must be multiples of the window; the pad wrapper sees to it.

    Args:
        img_size: side of the training pictures in pixels. It matters in two ways only: a network
            trained on a single window never shifts, and state dicts carry a mask of this size.
        in_chans: picture channels.
        embed_dim: feature channels.
        depths: one number a group. A group always has five layers; the authors' numbers (6) say how
            stochastic depth is spread.
        num_heads: attention heads of the first layer of each group; the others have as many as divide
            their width by the authors' rule.
        window_size: side of the windows.
        mlp_ratio: hidden width over width in the first three layers of a group; 1 in the others.
        gc: channels that each of the first four layers of a group adds for the next ones to see.
        upscale, img_range, upsampler, resi_connection, num_feat: of the skeleton, `WindowTransformer`;
            the authors know 'pixelshuffle', and '1conv' and 'identity'.
        norm: scheme of `norms.NORM_SCHEMES`.
        eps: of the norms; None for the scheme's own.
        stdnorm: divide colours by their deviation as well.
        drop_path_rate: stochastic depth of the last layer, rising from 0 at the first; the authors
            train with 0.1. Zero here, so that training and evaluation compute the same.
    """

    signature_keys: ClassVar = (*_COMMON_KEYS, f"{FIRST_LAYER}.norm1.gamma")

    def __init__(
        self,
        img_size: int = 64,
        in_chans: int = 3,
        embed_dim: int = 180,
        depths: Sequence[int] = (6, 6, 6, 6, 6, 6),
        num_heads: Sequence[int] = (6, 6, 6, 6, 6, 6),
        window_size: int = 16,
        mlp_ratio: float = 2.0,
        gc: int = 32,
        upscale: int = 4,
        img_range: float = 1.0,
        upsampler: str = "pixelshuffle",
        resi_connection: str = "1conv",
        num_feat: int = 64,
        norm: str = "layernorm",
        eps: float | str | None = None,
        stdnorm: bool = False,
        drop_path_rate: float = 0.0,
    ) -> None:
        shift = window_size // 2 if img_size > window_size else 0
        groups = []
        for heads, rates in zip(num_heads, drop_rates(drop_path_rate, depths), strict=True):
            layers = []
            for number in range(LAYERS_PER_GROUP):
                width = embed_dim + number * gc
                layers.append(
                    SwinLayer(
                        width,
                        heads - width % heads,
                        window_size,
                        shift if number % 2 else 0,
                        mlp_ratio if number < 3 else 1,
                        img_size,
                        norm,
                        eps,
                        rates[0],
                    )
                )
            groups.append(DenseGroup(layers, embed_dim, gc))
        super().__init__(
            groups,
            in_chans=in_chans,
            embed_dim=embed_dim,
            window_size=window_size,
            img_size=img_size,
            upscale=upscale,
            img_range=img_range,
            upsampler=upsampler,
            resi_connection=resi_connection,
            num_feat=num_feat,
            norm=norm,
            eps=eps,
            stdnorm=stdnorm,
        )

    @staticmethod
    def config_of(state_dict: Mapping[str, Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from.

        Shapes tell all but `depths`, which the network does not depend on, `eps`, `stdnorm` and `img_range`.
        """
        window_size = window_size_of(state_dict, f"{FIRST_LAYER}.attn")
        groups = count_items(state_dict, "layers")
        return {
            **skeleton_config(state_dict, FIRST_LAYER, stated),
            "img_size": training_size(state_dict, SHIFTED_LAYER, window_size),
            "window_size": window_size,
            "depths": [6] * groups,
            "num_heads": [heads_of(state_dict, f"layers.{group}.swin1.attn") for group in range(groups)],
            "gc": len(state_dict["layers.0.adjust1.weight"]),
        }

    @classmethod
    def recognises(cls, state_dict: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
        """Whether these are weights of a DRCT that only this class computes as `settings` say."""
        return all(key in state_dict for key in _COMMON_KEYS) and differs_from_published(
            state_dict, FIRST_LAYER, settings
        )


class DenseGroup(nn.Module):
    """RDG: five Swin layers, each of which sees the input and what a 1x1 convolution keeps of those before it.

    Args:
        layers: five, of widths `channels`, `channels + growth`, ...
        channels: C of the group's tokens, `(B, H, W, C)`.
        growth: channels that each of the first four adds.
    """

    def __init__(self, layers: Sequence[SwinLayer], channels: int, growth: int) -> None:
        super().__init__()
        self.swin1, self.swin2, self.swin3, self.swin4, self.swin5 = layers
        self.adjust1, self.adjust2, self.adjust3, self.adjust4 = (
            nn.Conv2d(channels + number * growth, growth, 1) for number in range(LAYERS_PER_GROUP - 1)
        )
        self.adjust5 = nn.Conv2d(channels + (LAYERS_PER_GROUP - 1) * growth, channels, 1)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        seen = tokens
        for layer, adjust in (
            (self.swin1, self.adjust1),
            (self.swin2, self.adjust2),
            (self.swin3, self.adjust3),
            (self.swin4, self.adjust4),
        ):
            added = functional.leaky_relu(convolve(adjust, layer(seen, mask)), 0.2)
            seen = torch.cat([seen, added], dim=-1)
        return tokens + 0.2 * convolve(self.adjust5, self.swin5(seen, mask))


_LARGE = {"depths": (6,) * 12, "num_heads": (6,) * 12}
_ILN = {"norm": "iln", "stdnorm": True}
VARIANTS: dict[str, dict[str, Any]] = {
    f"drct{size}-x{scale}{suffix}": {**config, "upscale": scale, **norm}
    for size, config in (("", {}), ("-l", _LARGE))
    for suffix, norm in (("", {}), ("-iln", _ILN))
    for scale in (2, 3, 4)
}
