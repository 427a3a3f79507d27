"""HINet: two U-Nets in a row whose encoders normalise half of their channels per picture.

Source: Chen et al., "HINet: Half Instance Normalization Network for Image Restoration", CVPRW 2021,
and its official code, whose state-dict keys we keep. Where those two disagree: the paper recommends
the half normalisation at all five levels, but the published GoPro and REDS networks have it at the
lowest two only (the keys of a checkpoint tell). Both outputs are trained; `every_stage` gives them, and
the loss is the sum of `psnr_loss` over the two (SIDD's published networks were trained with L1).

Compute at 3x256x256, multiply-accumulates of all convolutions: 157.601 G at width 64, 39.542 G at
32. The published 170.71 and 42.88 count otherwise: a transposed convolution at its output positions
(four times its cost), one for each element that an ordinary convolution adds its bias to, two for
each that instance norm and one for each that an activation visits.

What is ours: pictures of any number of channels, and two switches for what the paper measured but
did not publish code for. `norm` is its table of normalisations (details it does not give: "ln" has
one mean and deviation a picture over channels and pixels, "gn" 16 channels a group, "ibn" instance
norm on the first half and batch norm on the second). `extra_blocks` with a doubled width is the form
that won the NTIRE 2021 challenge; we take its "two extra residual blocks" for blocks like those of
the decoder, one after another behind each of the five encoder and four decoder blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import gcd
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.blocks import count_items

__all__ = ["NORM_KINDS", "VARIANTS", "HINet"]

NORM_KINDS = ("hin", "in", "bn", "ln", "gn", "ibn", "none")
NEED_TWO_PIXELS = ("hin", "in", "ibn")
CHANNELS_PER_GROUP = 16
# Constructor arguments of the published networks; GoPro's and REDS's normalise at the lowest two levels only.
VARIANTS: dict[str, dict[str, Any]] = {
    "hinet-1x": {},
    "hinet-0.5x": {"width": 32},
    "hinet-1x-gopro": {"hin_position_left": 3},
    "hinet-0.5x-gopro": {"width": 32, "hin_position_left": 3},
    "hinet-1x-challenge": {"width": 128, "extra_blocks": 2},
}


class HINet(nn.Module):
    """`(N, channels, H, W)` in nominal [0, 1] -> the same shape, not clamped.

    H and W must be multiples of `size_multiple` and at least `minimum_size`: a single pixel at the
    lowest level has no deviation to be normalised by. (One side may be half the minimum, since two
    pixels are enough; the rule for both sides is the simpler one.)

    Instance statistics are of the whole picture, so no tiling is exact. The published results for GoPro,
    REDS and Rain13k are means over overlapping crops of the training size, 256 pixels
    (`wrappers.crops`); `wrappers.local_stats` is the other way to statistics of that size.

    Args:
        channels: picture channels (`in_chn`).
        width: feature channels of the first level (`wf`), even; each level has twice those of the one above.
        depth: levels of each U-Net, at least 2.
        relu_slope: of the leaky ReLUs below zero.
        hin_position_left: first level of the encoders with normalisation; 0 is the highest.
        hin_position_right: last such level, inclusive.
        norm: one of `NORM_KINDS`; "hin" normalises the first half of the channels, the others all.
        extra_blocks: further residual blocks in each encoder and decoder block.
    """

    signature_keys: ClassVar = (
        "conv_01.weight",
        "down_path_1.0.identity.weight",
        "sam12.conv3.weight",
        "cat12.weight",
    )
    tiling_advice: ClassVar = "--crops 256 (GoPro, REDS, Rain13k as published), --tile off, or --local-statistics 256"
    precisions: ClassVar = ("fp16", "bf16")
    scale = 1
    receptive_radius = None
    overlap_px = 64

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        depth: int = 5,
        relu_slope: float = 0.2,
        hin_position_left: int = 0,
        hin_position_right: int = 4,
        norm: str = "hin",
        extra_blocks: int = 0,
    ) -> None:
        super().__init__()
        if norm not in NORM_KINDS:
            raise ValueError(f"norm must be one of {', '.join(NORM_KINDS)}, not '{norm}'")
        self.channels = channels
        self.size_multiple: int = 2 ** (depth - 1)
        widths = [width * 2**level for level in range(depth)]
        norms = [norm if hin_position_left <= level <= hin_position_right else "none" for level in range(depth)]
        self.minimum_size = self.size_multiple * (2 if norms[-1] in NEED_TWO_PIXELS else 1)

        def encoder(crosses_stages: bool) -> nn.ModuleList:
            return nn.ModuleList(
                _Block(
                    widths[max(level - 1, 0)],
                    widths[level],
                    relu_slope,
                    norm=norms[level],
                    extra_blocks=extra_blocks,
                    crosses_stages=crosses_stages and level < depth - 1,
                    downsamples=level < depth - 1,
                )
                for level in range(depth)
            )

        def decoder() -> nn.ModuleList:
            return nn.ModuleList(_UpBlock(wide, relu_slope, extra_blocks) for wide in reversed(widths[:-1]))

        def skips() -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for wide in reversed(widths[:-1]))

        self.conv_01 = nn.Conv2d(channels, width, 3, padding=1)
        self.down_path_1 = encoder(crosses_stages=False)
        self.skip_conv_1 = skips()
        self.up_path_1 = decoder()
        self.sam12 = _SupervisedAttention(width, channels)
        self.conv_02 = nn.Conv2d(channels, width, 3, padding=1)
        self.cat12 = nn.Conv2d(2 * width, width, 1)
        self.down_path_2 = encoder(crosses_stages=True)
        self.skip_conv_2 = skips()
        self.up_path_2 = decoder()
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    @staticmethod
    def config_of(state_dict: Mapping[str, Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from.

        Shapes tell all but the slope of the ReLUs and, where the norms are not half ones, which
        of "in", "ln" and "gn" they are. `stated` may hold `relu_slope` (default 0.2) and `norm` ("in").
        """
        width, channels = state_dict["conv_01.weight"].shape[:2]
        depth = count_items(state_dict, "down_path_1")
        normalized = [
            level for level in range(depth) if any(key.startswith(f"down_path_1.{level}.norm.") for key in state_dict)
        ]
        return {
            "channels": channels,
            "width": width,
            "depth": depth,
            "relu_slope": float(stated.get("relu_slope", 0.2)),
            "hin_position_left": normalized[0] if normalized else 0,
            "hin_position_right": normalized[-1] if normalized else depth - 1,
            "norm": _norm_kind(state_dict, normalized[0], stated) if normalized else "none",
            "extra_blocks": count_items(state_dict, "down_path_1.0.extra"),
        }

    def forward(self, picture: Tensor) -> Tensor:
        return self.every_stage(picture)[1]

    def every_stage(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The pictures restored by the first stage and by the second, the answer; a loss takes both."""
        skips, decoded = _u_net(self.down_path_1, self.skip_conv_1, self.up_path_1, self.conv_01(picture))
        attended, first = self.sam12(decoded[0], picture)
        features = self.cat12(torch.cat([self.conv_02(picture), attended], dim=1))
        crossing = list(zip(skips, decoded, strict=True))
        _, decoded = _u_net(self.down_path_2, self.skip_conv_2, self.up_path_2, features, crossing)
        return first, self.last(decoded[0]) + picture


def _u_net(
    down_path: nn.ModuleList,
    skip_convs: nn.ModuleList,
    up_path: nn.ModuleList,
    features: Tensor,
    crossing: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> tuple[list[Tensor], list[Tensor]]:
    """What the encoder, and what the decoder made of `features` at each level but the lowest, highest first.

    Args:
        down_path: encoder blocks, highest level first; the last is the bottleneck.
        skip_convs: on the way from encoder to decoder; the two start at the lowest level.
        up_path: decoder blocks.
        features: (N, width, H, W).
        crossing: the same pairs of another stage.
    """
    *encoder, bottleneck = down_path
    skips = []
    for level, block in enumerate(encoder):
        features = block(features, crossing[level] if crossing else None)
        skips.append(features)
        features = cast(_Block, block).downsample(features)
    features = bottleneck(features)
    decoded = []
    for up, skip_conv, skip in zip(up_path, skip_convs, reversed(skips), strict=True):
        features = up(features, skip_conv(skip))
        decoded.append(features)
    return skips, decoded[::-1]


class _Block(nn.Module):
    """Two 3x3 convolutions, a norm between them, beside a 1x1 one: a residual block that may change the width.

    The activation comes before the addition and nothing after it. Encoders of the second stage add
    convolutions of what the first stage made at the same level (cross-stage feature fusion, CSFF).

    Args:
        width_in: channels taken.
        width: channels given.
        relu_slope: of the leaky ReLUs.
        norm: one of `NORM_KINDS`.
        extra_blocks: how many plain blocks follow.
        crosses_stages: whether it has the convolutions for the first stage's features.
        downsamples: whether it has the convolution that halves the resolution; the caller applies it.
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        relu_slope: float,
        *,
        norm: str = "none",
        extra_blocks: int = 0,
        crosses_stages: bool = False,
        downsamples: bool = False,
    ) -> None:
        super().__init__()
        self.relu_slope = relu_slope
        self.identity = nn.Conv2d(width_in, width, 1)
        self.conv_1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.conv_2 = nn.Conv2d(width, width, 3, padding=1)
        self.normalized = {"hin": width // 2, "none": 0}.get(norm, width)  # the first so many channels are
        if self.normalized:
            self.norm = _norm(norm, self.normalized)
        if crosses_stages:
            self.csff_enc = nn.Conv2d(width, width, 3, padding=1)
            self.csff_dec = nn.Conv2d(width, width, 3, padding=1)
        if downsamples:
            self.downsample = nn.Conv2d(width, width, 4, stride=2, padding=1, bias=False)
        self.extra = nn.ModuleList(_Block(width, width, relu_slope) for _ in range(extra_blocks))

    def forward(self, features: Tensor, crossing: tuple[Tensor, Tensor] | None = None) -> Tensor:
        changed = self._half_normalized(self.conv_1(features))
        changed = self.conv_2(functional.leaky_relu(changed, self.relu_slope))
        features = functional.leaky_relu(changed, self.relu_slope) + self.identity(features)
        if crossing is not None:
            encoded, decoded = crossing
            features = features + self.csff_enc(encoded) + self.csff_dec(decoded)
        for block in self.extra:
            features = block(features)
        return features

    def _half_normalized(self, features: Tensor) -> Tensor:
        if not self.normalized:
            return features
        first, rest = features[:, : self.normalized], features[:, self.normalized :]
        normalized: Tensor = self.norm(first)
        return torch.cat([normalized, rest], dim=1) if rest.shape[1] else normalized


class _UpBlock(nn.Module):
    """Twice the resolution and half the width, joined by the encoder's features, then a plain block."""

    def __init__(self, width: int, relu_slope: float, extra_blocks: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.conv_block = _Block(2 * width, width, relu_slope, extra_blocks=extra_blocks)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        joined: Tensor = self.conv_block(torch.cat([self.up(features), skip], dim=1))
        return joined


class _SupervisedAttention(nn.Module):
    """SAM: makes the first stage's picture, and from it a gate on the features for the second.

    Source: Zamir et al., MPRNet, CVPR 2021; HINet's has 3x3 convolutions with biases.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, channels, 3, padding=1)
        self.conv3 = nn.Conv2d(channels, width, 3, padding=1)

    def forward(self, features: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The gated features and the restored picture."""
        restored = self.conv2(features) + picture
        return features + self.conv1(features) * torch.sigmoid(self.conv3(restored)), restored


class _InstanceBatchNorm(nn.Module):
    """Instance norm on the first half of the channels, batch norm on the second (Pan et al., IBN-Net, ECCV 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.instance = nn.InstanceNorm2d(width // 2, affine=True)
        self.batch = nn.BatchNorm2d(width - width // 2)

    def forward(self, features: Tensor) -> Tensor:
        half = self.instance.num_features
        return torch.cat([self.instance(features[:, :half]), self.batch(features[:, half:])], dim=1)


def _norm(kind: str, width: int) -> nn.Module:
    if kind in ("hin", "in"):
        return nn.InstanceNorm2d(width, affine=True)
    if kind == "bn":
        return nn.BatchNorm2d(width)
    if kind == "ln":
        return nn.GroupNorm(1, width)
    if kind == "gn":
        return nn.GroupNorm(gcd(width, max(1, width // CHANNELS_PER_GROUP)), width)
    return _InstanceBatchNorm(width)


def _norm_kind(state_dict: Mapping[str, Tensor], level: int, stated: Mapping[str, Any]) -> str:
    """The kind of norm at `level` of the encoders, which has one."""
    prefix = f"down_path_1.{level}."
    if f"{prefix}norm.instance.weight" in state_dict:
        return "ibn"
    if f"{prefix}norm.running_mean" in state_dict:
        return "bn"
    if state_dict[f"{prefix}norm.weight"].shape[0] < state_dict[f"{prefix}conv_1.weight"].shape[0]:
        return "hin"
    norm = stated.get("norm", "in")
    return norm if norm in ("in", "ln", "gn") else "in"
