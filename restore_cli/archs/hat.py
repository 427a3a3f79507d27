"""HAT: window attention beside channel attention, and attention to overlapping windows; with any norm scheme.

Source: Chen et al., "Activating More Pixels in Image Super-Resolution Transformer", CVPR 2023; key
names and configurations are those of the authors' code. Published checkpoints, which have LayerNorm,
are loaded by spandrel. With `norm="iln"` this is the network of i-LN's authors, key by key:

- The rescale covers the whole first branch of a block, convolutions included, and both branches of the
  overlapping block.
- The norms behind the first convolution and before the last are affines.
- eps is 1e-4, and the authors set `stdnorm`. Their baselines with LayerNorm do not have it, so their
  comparison changes two things at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.attention import (
    DropPath,
    FeedForward,
    ResidualGroup,
    WindowAttention,
    WindowTransformer,
    attend,
    convolve,
    differs_from_published,
    drop_rates,
    heads_of,
    position_bias,
    skeleton_config,
    window_size_of,
)
from restore_cli.archs.blocks import count_items
from restore_cli.archs.norms import residual_norm
from restore_cli.archs.windows import merge_windows, partition_windows, relative_position_index

__all__ = ["HAT", "VARIANTS"]

FIRST_LAYER = "layers.0.residual_group.blocks.0"
FIRST_OVERLAP = "layers.0.residual_group.overlap_attn"
_COMMON_KEYS = (
    "relative_position_index_SA",
    f"{FIRST_LAYER}.conv_block.cab.0.weight",
    f"{FIRST_OVERLAP}.relative_position_bias_table",
)


class HAT(WindowTransformer):
    """`(N, in_chans, H, W)` in nominal [0, 1] -> `(N, in_chans, upscale*H, upscale*W)`, not clamped.

    H and W must be multiples of the window; the pad wrapper sees to it.

    Args:
        img_size: side of the training pictures in pixels; matters only in that a network trained on a
            single window never shifts.
        in_chans: picture channels.
        embed_dim: feature channels.
        depths: hybrid blocks of each group; every second one is shifted by half a window.
        num_heads: attention heads of each group.
        window_size: side of the windows.
        compress_ratio: `embed_dim` over the width between a block's convolutions.
        squeeze_factor: `embed_dim` over the width inside its channel attention.
        conv_scale: weight of a block's convolutions beside its attention.
        overlap_ratio: by how much the windows of keys are larger than those of queries.
        mlp_ratio: hidden width of the feed-forward parts over `embed_dim`.
        upscale, img_range, upsampler, resi_connection, num_feat: of the skeleton, `WindowTransformer`;
            the authors know 'pixelshuffle', and '1conv' and 'identity'.
        norm: scheme of `norms.NORM_SCHEMES`.
        eps: of the norms; None for the scheme's own.
        stdnorm: divide colours by their deviation as well.
        drop_path_rate: stochastic depth of the last block, rising from 0 at the first; the authors
            train with 0.1. Zero here, so that training and evaluation compute the same.
    """

    signature_keys: ClassVar = (*_COMMON_KEYS, f"{FIRST_LAYER}.norm1.gamma")

    relative_position_index_SA: Tensor  # noqa: N815 - the published name
    relative_position_index_OCA: Tensor  # noqa: N815

    def __init__(
        self,
        img_size: int = 64,
        in_chans: int = 3,
        embed_dim: int = 180,
        depths: Sequence[int] = (6, 6, 6, 6, 6, 6),
        num_heads: Sequence[int] = (6, 6, 6, 6, 6, 6),
        window_size: int = 16,
        compress_ratio: int = 3,
        squeeze_factor: int = 30,
        conv_scale: float = 0.01,
        overlap_ratio: float = 0.5,
        mlp_ratio: float = 2.0,
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
        overlapping_size = window_size + int(window_size * overlap_ratio + 1e-6)
        groups = []
        for heads, rates in zip(num_heads, drop_rates(drop_path_rate, depths), strict=True):
            blocks = [
                HybridBlock(
                    embed_dim,
                    WindowAttention(embed_dim, heads, window_size, shift if number % 2 else 0, keeps_index=False),
                    ConvolutionBranch(embed_dim, embed_dim // compress_ratio, embed_dim // squeeze_factor),
                    conv_scale,
                    mlp_ratio,
                    norm,
                    eps,
                    drop_path,
                )
                for number, drop_path in enumerate(rates)
            ]
            overlap = OverlappingBlock(embed_dim, heads, window_size, overlapping_size, mlp_ratio, norm, eps)
            groups.append(ResidualGroup(HybridBlocks(blocks, overlap), embed_dim, resi_connection))
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
        self.register_buffer("relative_position_index_SA", relative_position_index(window_size))
        self.register_buffer("relative_position_index_OCA", overlapping_index(window_size, overlapping_size))

    @staticmethod
    def config_of(state_dict: Mapping[str, Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from.

        Shapes tell all but `img_size`, `conv_scale`, `eps`, `stdnorm` and `img_range`.
        """
        config = skeleton_config(state_dict, FIRST_LAYER, stated)
        window_size = window_size_of(state_dict, f"{FIRST_LAYER}.attn")
        overlap = isqrt(len(state_dict[f"{FIRST_OVERLAP}.relative_position_bias_table"])) + 1 - 2 * window_size
        convolutions = f"{FIRST_LAYER}.conv_block.cab"
        compressed = len(state_dict[f"{convolutions}.0.weight"])
        squeezed = len(state_dict[f"{convolutions}.3.attention.1.weight"])
        groups = range(count_items(state_dict, "layers"))
        return {
            **config,
            "img_size": int(stated.get("img_size", 64)),
            "window_size": window_size,
            "depths": [count_items(state_dict, f"layers.{group}.residual_group.blocks") for group in groups],
            "num_heads": [heads_of(state_dict, f"layers.{group}.residual_group.blocks.0.attn") for group in groups],
            # The largest ratio that gives the width, should several do.
            "compress_ratio": config["embed_dim"] // compressed,
            "squeeze_factor": config["embed_dim"] // squeezed,
            "conv_scale": float(stated.get("conv_scale", 0.01)),
            "overlap_ratio": overlap / window_size,
        }

    @classmethod
    def recognises(cls, state_dict: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
        """Whether these are weights of a HAT that only this class computes as `settings` say."""
        return all(key in state_dict for key in _COMMON_KEYS) and differs_from_published(
            state_dict, FIRST_LAYER, settings
        )

    def _context(self) -> tuple[Tensor, ...]:
        return self.relative_position_index_SA, self.relative_position_index_OCA


class HybridBlocks(nn.Module):
    """The hybrid blocks of a group and the overlapping one behind them."""

    def __init__(self, blocks: Sequence[HybridBlock], overlap: OverlappingBlock) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.overlap_attn = overlap

    def forward(self, tokens: Tensor, mask: Tensor, index: Tensor, overlapping: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, mask, index)
        result: Tensor = self.overlap_attn(tokens, overlapping)
        return result


class HybridBlock(nn.Module):
    """HAB: window attention and convolutions side by side, then the feed-forward part; `(B, H, W, C)` -> the same."""

    def __init__(
        self,
        channels: int,
        attention: WindowAttention,
        convolutions: ConvolutionBranch,
        conv_scale: float,
        mlp_ratio: float,
        norm: str,
        eps: float | str | None,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.conv_scale = conv_scale
        self.norm1 = residual_norm(norm, channels, eps)
        self.attn = attention
        self.conv_block = convolutions
        self.drop_path = DropPath(drop_path)
        self.norm2 = residual_norm(norm, channels, eps)
        self.mlp = FeedForward(channels, mlp_ratio)

    def forward(self, tokens: Tensor, mask: Tensor, index: Tensor) -> Tensor:
        normalized, rescale = self.norm1(tokens)
        convolved = convolve(self.conv_block, normalized)
        branch = self.drop_path(self.attn(normalized, mask, index)) + self.conv_scale * convolved
        tokens = tokens + rescale * branch
        normalized, rescale = self.norm2(tokens)
        tokens = tokens + rescale * self.drop_path(self.mlp(normalized))
        return tokens


class OverlappingBlock(nn.Module):
    """OCAB: windows of queries attend to larger, overlapping windows of keys; then the feed-forward part.

    Args:
        channels: C.
        heads: attention heads.
        window_size: side of the windows of queries.
        overlapping_size: side of those of keys, with the same centres. Beyond the map keys and values
            are zero.
        mlp_ratio: hidden width of the feed-forward part over C.
        norm, eps: of `norms.residual_norm`.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window_size: int,
        overlapping_size: int,
        mlp_ratio: float,
        norm: str,
        eps: float | str | None,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.overlapping_size = overlapping_size
        self.norm1 = residual_norm(norm, channels, eps)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.relative_position_bias_table = nn.Parameter(torch.empty((window_size + overlapping_size - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.proj = nn.Linear(channels, channels)
        self.norm2 = residual_norm(norm, channels, eps)
        self.mlp = FeedForward(channels, mlp_ratio)

    def forward(self, tokens: Tensor, index: Tensor) -> Tensor:
        height, width = tokens.shape[1:3]
        normalized, rescale = self.norm1(tokens)
        queries, keys, values = self.qkv(normalized).chunk(3, dim=-1)
        attended = attend(
            partition_windows(queries, self.window_size),
            self._overlapping_windows(keys),
            self._overlapping_windows(values),
            position_bias(self.relative_position_bias_table, index),
        )
        tokens = tokens + rescale * self.proj(merge_windows(attended, self.window_size, height, width))
        normalized, rescale = self.norm2(tokens)
        tokens = tokens + rescale * self.mlp(normalized)
        return tokens

    def _overlapping_windows(self, tokens: Tensor) -> Tensor:
        """`(B, H, W, C)` -> `(B * nW, overlapping_size**2, C)`."""
        added = self.overlapping_size - self.window_size
        before, after = added // 2, added - added // 2
        padded = functional.pad(tokens, (0, 0, before, after, before, after))
        rows = padded.unfold(1, self.overlapping_size, self.window_size)
        windows = rows.unfold(2, self.overlapping_size, self.window_size)  # (B, nH, nW, C, side, side)
        return windows.permute(0, 1, 2, 4, 5, 3).flatten(3, 4).flatten(0, 2)


class ConvolutionBranch(nn.Module):
    """CAB: two 3x3 convolutions around a bottleneck, weighted by attention over channels."""

    def __init__(self, channels: int, compressed: int, squeezed: int) -> None:
        super().__init__()
        self.cab = nn.Sequential(
            nn.Conv2d(channels, compressed, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(compressed, channels, 3, padding=1),
            ChannelAttention(channels, squeezed),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.cab(features)
        return result


class ChannelAttention(nn.Module):
    """Each channel weighted by a number in (0, 1) that follows from the means of all channels over the picture."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            nn.ReLU(),
            nn.Conv2d(squeezed, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        weights: Tensor = self.attention(features)
        return features * weights


def overlapping_index(window_size: int, overlapping_size: int) -> Tensor:
    """For each pair (query, key) the row of the bias table, `(window_size**2, overlapping_size**2)` int64.

    As published: offsets are key - query, the other way round than inside windows, and counted from
    `window_size - overlapping_size + 1`, so that some are negative; as rows they count from the
    table's end, which gives each offset a row of its own all the same.
    """
    offset = torch.arange(overlapping_size)[None, :] - torch.arange(window_size)[:, None]
    offset = offset + window_size - overlapping_size + 1
    rows = offset[:, None, :, None] * (window_size + overlapping_size - 1)
    return (rows + offset[None, :, None, :]).reshape(window_size**2, overlapping_size**2)


_MINI = {"embed_dim": 96, "compress_ratio": 24, "squeeze_factor": 24}
_SMALL = {"embed_dim": 144, "compress_ratio": 24, "squeeze_factor": 24}
_LARGE = {"depths": (6,) * 12, "num_heads": (6,) * 12}
_ILN = {"norm": "iln", "stdnorm": True}
# HAT-1 ("HAT-mini") is i-LN's own small configuration; the rest are HAT's.
VARIANTS: dict[str, dict[str, Any]] = {
    f"hat{size}-x{scale}{suffix}": {**config, "upscale": scale, **norm}
    for size, config in (("-1", _MINI), ("-s", _SMALL), ("", {}), ("-l", _LARGE))
    for suffix, norm in (("", {}), ("-iln", _ILN))
    for scale in (2, 3, 4)
}
