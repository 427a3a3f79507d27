"""Histoformer: a U-Net of transformers whose attention groups pixels by brightness instead of by place.

Source: Sun et al., "Restoring Images in Adverse Weather Conditions via Histogram Transformer", ECCV 2024.
Rain, snow and drops dim or whiten pixels alike wherever they are, so pixels of like value, which a sort
puts side by side, attend to each other. Key names and arguments are those of the authors' code (MIT), and
so is what the paper leaves open: the norms have no parameters, the softmax has a one in its denominator,
and a sequence that the heads do not divide is extended by zeros.

What is left out: the authors' argument for two views, which their `forward` never looks at.

It sorts over the whole picture, so tiles do not see what the whole sees. The authors train on crops of at
most a few hundred pixels and test on whole pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.blocks import count_items

__all__ = ["VARIANTS", "Histoformer"]

NORM_EPS = 1e-5
LEVELS = 4
PUBLISHED_FFN_FACTORS = (2.667, 2.66)
PICTURE_CHANNELS = 3


class Histoformer(nn.Module):
    """`(N, 3, H, W)` in nominal [0, 1] -> the same shape, not clamped.

    H and W must be multiples of `size_multiple`; the pad wrapper sees to it.

    Args:
        dim: feature channels at full resolution; doubled at each of three steps down.
        num_blocks: transformer blocks of each of the four levels.
        num_refinement_blocks: of those at full resolution that come last.
        heads: attention heads of each level; also into how many bins its pixels are sorted.
        ffn_expansion_factor: hidden channels of the feed-forward part over a level's width.
        bias: whether convolutions within blocks and between levels have biases.
        LayerNorm_type: 'WithBias', or 'BiasFree', which divides by the deviation without centring.
    """

    signature_keys: ClassVar = (
        "patch_embed.proj.weight",
        "skip_patch_embed1.proj.1.weight",
        "encoder_level1.0.attn_g.temperature",
        "encoder_level1.0.ffn.dwconv_dilated2_1.weight",
    )
    # Sorting is not continuous: rounding puts pixels into other places.
    precisions: ClassVar = ()
    tiling_advice: ClassVar = "tiles fade over 64 px; --tile off sorts over the whole picture, as the authors test"
    overlap_px = 64
    receptive_radius = None
    channels = PICTURE_CHANNELS
    scale = 1
    size_multiple = 2 ** (LEVELS - 1)
    minimum_size = size_multiple

    def __init__(
        self,
        dim: int = 36,
        num_blocks: Sequence[int] = (4, 4, 6, 8),
        num_refinement_blocks: int = 4,
        heads: Sequence[int] = (1, 2, 4, 8),
        ffn_expansion_factor: float = PUBLISHED_FFN_FACTORS[0],
        bias: bool = False,
        LayerNorm_type: str = "WithBias",  # noqa: N803 - the authors' name
    ) -> None:
        super().__init__()
        if len(num_blocks) != LEVELS or len(heads) != LEVELS:
            raise ValueError(f"num_blocks and heads are of {LEVELS} levels, not {len(num_blocks)} and {len(heads)}")
        if LayerNorm_type not in ("WithBias", "BiasFree"):
            raise ValueError(f"LayerNorm_type is WithBias or BiasFree, not {LayerNorm_type}")
        centred = LayerNorm_type == "WithBias"
        widths = [dim << level for level in range(LEVELS)]

        def stage(level: int, count: int, width: int | None = None) -> nn.Sequential:
            width = width or widths[level]
            hidden = int(width * ffn_expansion_factor)
            return nn.Sequential(*(HistogramBlock(width, heads[level], hidden, bias, centred) for _ in range(count)))

        def pointwise(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 1, bias=bias)

        self.patch_embed = Projection(nn.Conv2d(PICTURE_CHANNELS, dim, 3, padding=1, bias=False))
        self.encoder_level1 = stage(0, num_blocks[0])
        self.down1_2 = Resampling(widths[0], widths[0] // 2, nn.PixelUnshuffle(2))
        self.encoder_level2 = stage(1, num_blocks[1])
        self.down2_3 = Resampling(widths[1], widths[1] // 2, nn.PixelUnshuffle(2))
        self.encoder_level3 = stage(2, num_blocks[2])
        self.down3_4 = Resampling(widths[2], widths[2] // 2, nn.PixelUnshuffle(2))
        self.latent = stage(3, num_blocks[3])
        self.up4_3 = Resampling(widths[3], 2 * widths[3], nn.PixelShuffle(2))
        self.reduce_chan_level3 = pointwise(widths[3], widths[2])
        self.decoder_level3 = stage(2, num_blocks[2])
        self.up3_2 = Resampling(widths[2], 2 * widths[2], nn.PixelShuffle(2))
        self.reduce_chan_level2 = pointwise(widths[2], widths[1])
        self.decoder_level2 = stage(1, num_blocks[1])
        self.up2_1 = Resampling(widths[1], 2 * widths[1], nn.PixelShuffle(2))
        # At full resolution what comes up and what was skipped stay side by side: twice the width.
        self.decoder_level1 = stage(0, num_blocks[0], widths[1])
        self.refinement = stage(0, num_refinement_blocks, widths[1])
        self.skip_patch_embed1 = _shrunken_picture()
        self.skip_patch_embed2 = _shrunken_picture()
        self.skip_patch_embed3 = _shrunken_picture()
        self.reduce_chan_level_1 = pointwise(widths[1] + PICTURE_CHANNELS, widths[1])
        self.reduce_chan_level_2 = pointwise(widths[2] + PICTURE_CHANNELS, widths[2])
        self.reduce_chan_level_3 = pointwise(widths[3] + PICTURE_CHANNELS, widths[3])
        self.output = nn.Conv2d(widths[1], PICTURE_CHANNELS, 3, padding=1, bias=bias)

    @staticmethod
    def config_of(state_dict: Mapping[str, Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from.

        Shapes tell all but LayerNorm_type, whose layers have no parameters, and how the factor of the
        feed-forward part was rounded, which makes no difference.
        """
        stages = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")
        dim = state_dict["patch_embed.proj.weight"].shape[0]
        hidden = [state_dict[f"{stage}.0.ffn.project_out.weight"].shape[1] for stage in stages]
        return {
            "dim": dim,
            "num_blocks": [count_items(state_dict, stage) for stage in stages],
            "num_refinement_blocks": count_items(state_dict, "refinement"),
            "heads": [state_dict[f"{stage}.0.attn_g.temperature"].shape[0] for stage in stages],
            "ffn_expansion_factor": _ffn_factor(dim, hidden),
            "bias": "encoder_level1.0.attn_g.qkv.bias" in state_dict,
            "LayerNorm_type": stated.get("LayerNorm_type", "WithBias"),
        }

    def forward(self, picture: Tensor) -> Tensor:
        half = self.skip_patch_embed1(picture)
        quarter = self.skip_patch_embed2(half)
        eighth = self.skip_patch_embed3(quarter)
        level1 = self.encoder_level1(self.patch_embed(picture))
        level2 = self.encoder_level2(self.reduce_chan_level_1(_beside(self.down1_2(level1), half)))
        level3 = self.encoder_level3(self.reduce_chan_level_2(_beside(self.down2_3(level2), quarter)))
        features = self.latent(self.reduce_chan_level_3(_beside(self.down3_4(level3), eighth)))
        features = self.decoder_level3(self.reduce_chan_level3(_beside(self.up4_3(features), level3)))
        features = self.decoder_level2(self.reduce_chan_level2(_beside(self.up3_2(features), level2)))
        features = self.decoder_level1(_beside(self.up2_1(features), level1))
        change: Tensor = self.output(self.refinement(features))
        return picture + change


class HistogramBlock(nn.Module):
    """Attention among pixels of like value, then a feed-forward part of two scales, each with a residual."""

    def __init__(self, width: int, heads: int, hidden: int, bias: bool, centred: bool) -> None:
        super().__init__()
        self.centred = centred
        self.attn_g = HistogramAttention(width, heads, bias)
        self.ffn = TwoScaleFeedForward(width, hidden, bias)

    def forward(self, features: Tensor) -> Tensor:
        features = features + self.attn_g(_normalized(features, self.centred))
        restored: Tensor = features + self.ffn(_normalized(features, self.centred))
        return restored


class HistogramAttention(nn.Module):
    """Dynamic-range histogram self-attention.

    The first half of the channels is sorted down the columns and then along the rows, so that the
    convolutions which make queries, keys and values see pixels of like value as neighbours. Then all
    pixels are put in the order of their values, channel by channel, and cut into bins in two ways:

        by bins        each bin is a stretch of the order: pixels of like value attend together
        by frequency   each bin takes every so many-th pixel: every bin has the whole range

    The product of both goes back to where the pixels came from.
    """

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(width, 5 * width, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(5 * width, 5 * width, 3, padding=1, groups=5 * width, bias=bias)
        self.project_out = nn.Conv2d(width, width, 1, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        half = features.shape[1] // 2
        ordered, rows = features[:, :half].sort(dim=-2, stable=True)
        ordered, columns = ordered.sort(dim=-1, stable=True)
        mixed = self.qkv_dwconv(self.qkv(torch.cat([ordered, features[:, half:]], dim=1)))
        *queries_and_keys, values = mixed.flatten(2).chunk(5, dim=1)
        values, order = values.sort(dim=-1, stable=True)
        bin_queries, bin_keys, frequency_queries, frequency_keys = (each.gather(-1, order) for each in queries_and_keys)
        attended = self._attend(bin_queries, bin_keys, values, by_frequency=False) * self._attend(
            frequency_queries, frequency_keys, values, by_frequency=True
        )
        restored = self.project_out(_put_back(attended, order, -1).unflatten(-1, features.shape[-2:]))
        unsorted = _put_back(_put_back(restored[:, :half], columns, -1), rows, -2)
        return torch.cat([unsorted, restored[:, half:]], dim=1)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, *, by_frequency: bool) -> Tensor:
        """Attention between the bins of all channels of a head; (N, C, pixels) -> the same shape."""
        pixels = values.shape[-1]
        queries, keys, values = (self._bins(each, by_frequency) for each in (queries, keys, values))
        logits = functional.normalize(queries, dim=-1) @ functional.normalize(keys, dim=-1).transpose(-2, -1)
        weights = _softmax_plus_one(logits * self.temperature)
        attended: Tensor = (weights @ values).unflatten(-2, (-1, self.heads))
        if by_frequency:
            attended = attended.transpose(-2, -1)
        return attended.flatten(-2).flatten(1, 2)[..., :pixels]

    def _bins(self, sequence: Tensor, by_frequency: bool) -> Tensor:
        """(N, C, pixels) -> (N, heads, C / heads * bins, pixels of a bin), with as many bins as heads."""
        missing = -sequence.shape[-1] % self.heads
        sequence = functional.pad(sequence, (0, missing)).unflatten(1, (self.heads, -1))
        bins: Tensor
        if by_frequency:
            bins = sequence.unflatten(-1, (-1, self.heads)).transpose(-2, -1)
        else:
            bins = sequence.unflatten(-1, (self.heads, -1))
        return bins.flatten(2, 3)


class TwoScaleFeedForward(nn.Module):
    """Dual-scale gated feed-forward: at twice the resolution one branch sees 5 pixels densely, the other sparsely."""

    def __init__(self, width: int, hidden: int, bias: bool) -> None:
        super().__init__()
        quarter = hidden // 4
        self.project_in = nn.Conv2d(width, 2 * hidden, 1, bias=bias)
        self.dwconv_5 = nn.Conv2d(quarter, quarter, 5, padding=2, groups=quarter, bias=bias)
        self.dwconv_dilated2_1 = nn.Conv2d(quarter, quarter, 3, padding=2, dilation=2, groups=quarter, bias=bias)
        self.project_out = nn.Conv2d(hidden, width, 1, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        dense, sparse = functional.pixel_shuffle(self.project_in(features), 2).chunk(2, dim=1)
        gated = functional.mish(self.dwconv_dilated2_1(sparse)) * self.dwconv_5(dense)
        result: Tensor = self.project_out(functional.pixel_unshuffle(gated, 2))
        return result


class Projection(nn.Module):
    """One or several layers under the name that the authors' keys have for them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.proj = layers[0] if len(layers) == 1 else nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.proj(features)
        return result


class Resampling(nn.Module):
    """A convolution, and its channels shuffled into pixels or back: half or twice the resolution."""

    def __init__(self, inputs: int, outputs: int, shuffle: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), shuffle)

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = self.body(features)
        return result


def _shrunken_picture() -> Projection:
    """What is left of the picture at half the resolution, which every level gets to see."""
    channels = PICTURE_CHANNELS
    return Projection(
        nn.AvgPool2d(2),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
    )


def _normalized(features: Tensor, centred: bool) -> Tensor:
    """Each pixel's channels divided by their deviation, less their mean if `centred`; no parameters."""
    deviation = (features.var(dim=1, keepdim=True, correction=0) + NORM_EPS).sqrt()
    if centred:
        features = features - features.mean(dim=1, keepdim=True)
    return features / deviation


def _softmax_plus_one(logits: Tensor) -> Tensor:
    """exp(x) / (1 + sum of exp(x)): a row may attend to nothing. Cosines times a temperature do not overflow."""
    powers = logits.exp()
    return powers / (powers.sum(dim=-1, keepdim=True) + 1)


def _put_back(values: Tensor, order: Tensor, axis: int) -> Tensor:
    """`values` where they stood before a sort along `axis` that returned `order`."""
    return torch.zeros_like(values).scatter(axis, order, values)


def _beside(first: Tensor, second: Tensor) -> Tensor:
    return torch.cat([first, second], dim=1)


def _ffn_factor(dim: int, hidden: Sequence[int]) -> float:
    """A factor that gives each level its hidden channels: a published one where one does."""
    widths = [dim << level for level in range(LEVELS)]
    for factor in PUBLISHED_FFN_FACTORS:
        if [int(width * factor) for width in widths] == list(hidden):
            return factor
    # Between two whole numbers, so that rounding cannot fall below the first.
    return (hidden[-1] + 0.5) / widths[-1]


VARIANTS: dict[str, dict[str, Any]] = {"histoformer": {}}
