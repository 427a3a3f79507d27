"""Hi-IR, columnar: transformer layers that pass information on in three levels, for super-resolution.

Source: Li et al., "Hierarchical Information Flow for Generalized Efficient Image Restoration", arXiv
2411.18588, which has no public code; `hi_ir_layers.py` says what the paper states of the layers, what
was recovered and what we chose. The frame around them is SwinIR's (Liang et al., ICCV Workshops
2021), with the stages' "conv3" after the body too. The key names are ours.

Where the paper contradicts itself: its Table 17 gives the large network 8 stages of 8 layers, but the
sizes it prints for it, 39.07, 39.26 and 39.22 M, are those of 10 stages of 10 layers at the base
width, to the digit, and of no 8 by 8 (25.39 M at that width; nearest with 224 channels and 8 heads, 38.89
M). `hi-ir-l-*` follows the sizes, `hi-ir-l-table17-*` the table.

Parameters 14,681,780 / 14,866,420 / 14,829,492 for x2 / x3 / x4. Compute at 3x128x128 and x4, 287.204 G:
multiply-accumulates of convolutions, linear layers and both products of attention, plus one for
each element that the gates average, as the published 287.20 counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt, prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.blocks import count_items
from restore_cli.archs.hi_ir_layers import LayerPlan, Stage, heads_of, mean_view, plan_of, stage_convolution
from restore_cli.archs.norms import plain_norm

__all__ = ["VARIANTS", "HiIR"]

_LARGE: dict[str, dict[str, int]] = {
    "b": {},
    "l": {"stages": 10, "depth": 10},
    "l-table17": {"stages": 8, "depth": 8, "width": 224, "heads": 8},
}
# Constructor arguments of the published networks.
VARIANTS: dict[str, dict[str, Any]] = {
    f"hi-ir-{size}-x{scale}": {**config, "scale": scale} for size, config in _LARGE.items() for scale in (2, 3, 4)
}
# Enlargement steps of a scale.
UPSAMPLING = {1: (), 2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
UPSAMPLING_WIDTH = 64
# Of DIV2K, as in SwinIR. Other numbers of channels are not shifted.
RGB_MEAN = (0.4488, 0.4371, 0.4040)


class HiIR(nn.Module):
    """`(N, views * channels, H, W)` in nominal [0, 1] -> `(N, channels, scale*H, scale*W)`, not clamped.

    H and W must be multiples of `region`; the pad wrapper sees to it. The gates of L3 average over the
    whole picture, so there is no bound on the receptive field; tiles that start at multiples of the
    region keep every window where it is in the whole picture.

    Args:
        channels: picture channels, 1 (grey) or 3 (RGB).
        views: pictures of the same scene stacked along the channels; 2 for a dual-pixel sensor's.
        scale: enlargement, 1, 2, 3, 4 or 8; at 1 the network predicts a change of the picture, or of the
            mean of its views.
        width: feature channels.
        heads: of each attention.
        stages: number of stages.
        depth: layers in each.
        window: side of the patches of L1, and of the grid of pixels that L2 picks.
        region: side of the region L2 picks from, in pixels.
        flow, attention, logit_scale, stage_conv, l3_conv, norm: of `hi_ir_layers.LayerPlan`; the
            ablations of the paper.
    """

    signature_keys: ClassVar = (
        "stem.weight",
        "stages.0.layers.0.flows.0.levels.l1.qkv.weight",
        "stages.0.layers.0.l3.expand.weight",
        "to_picture.weight",
    )
    # fp16 is closer still with random weights, but nobody has published trained ones to measure, and
    # trained relatives with LayerNorm (SwinIR, HAT) overflow it.
    precisions: ClassVar = ("bf16",)
    receptive_radius = None
    overlap_px = 64
    mean: Tensor

    def __init__(
        self,
        channels: int = 3,
        views: int = 1,
        scale: int = 1,
        width: int = 180,
        heads: int = 6,
        stages: int = 6,
        depth: int = 6,
        window: int = 16,
        region: int = 64,
        flow: str = "v3",
        attention: str = "dot",
        logit_scale: bool = True,
        stage_conv: str = "conv3",
        l3_conv: bool = True,
        norm: str = "layernorm",
    ) -> None:
        super().__init__()
        if scale not in UPSAMPLING:
            raise ValueError(f"scale must be one of {', '.join(map(str, UPSAMPLING))}, not {scale}")
        plan = LayerPlan(
            width=width,
            heads=heads,
            l1_window=window,
            l2_window=window,
            region=region,
            flow=flow,
            attention=attention,
            logit_scale=logit_scale,
            stage_conv=stage_conv,
            l3_conv=l3_conv,
            norm=norm,
        )
        self.channels = channels * views
        self.output_channels = channels
        self.views = views
        self.scale = scale
        self.size_multiple = self.minimum_size = region
        mean = torch.tensor(RGB_MEAN if channels == 3 else (0.0,) * channels)
        self.register_buffer("mean", mean.view(1, channels, 1, 1), persistent=False)
        self.stem = nn.Conv2d(self.channels, width, 3, padding=1)
        self.stem_norm = plain_norm(norm, width)
        self.stages = nn.ModuleList(Stage(plan, depth) for _ in range(stages))
        self.body_norm = plain_norm(norm, width)
        self.body_conv = stage_convolution(stage_conv, width)
        if scale == 1:
            self.to_picture = nn.Conv2d(width, channels, 3, padding=1)
        else:
            narrow = UPSAMPLING_WIDTH
            self.before_subpixels = nn.Conv2d(width, narrow, 3, padding=1)
            self.to_subpixels = nn.ModuleList(
                nn.Conv2d(narrow, narrow * step**2, 3, padding=1) for step in UPSAMPLING[scale]
            )
            self.to_picture = nn.Conv2d(narrow, channels, 3, padding=1)

    @staticmethod
    def config_of(state_dict: Mapping[str, Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from.

        Keys and shapes tell all but `window` (default 16), `region` (64), `attention` ("dot") and whether
        a norm like LayerNorm's is instance norm, which `stated` may.
        """
        width, stacked = state_dict["stem.weight"].shape[:2]
        channels = state_dict["to_picture.weight"].shape[0]
        steps = [
            isqrt(state_dict[f"to_subpixels.{step}.weight"].shape[0] // UPSAMPLING_WIDTH)
            for step in range(count_items(state_dict, "to_subpixels"))
        ]
        return {
            "channels": channels,
            "views": stacked // channels,
            "scale": prod(steps),
            "width": width,
            "heads": heads_of(state_dict, "stages.0"),
            "stages": count_items(state_dict, "stages"),
            "depth": count_items(state_dict, "stages.0.layers"),
            "window": stated.get("window", 16),
            "region": stated.get("region", 64),
            **plan_of(state_dict, "stages.0", stated),
        }

    def forward(self, picture: Tensor) -> Tensor:
        stem = self.stem(picture - self.mean.repeat(1, self.views, 1, 1))
        features = _channels_last(self.stem_norm, stem)
        for stage in self.stages:
            features = stage(features)
        features = self.body_conv(_channels_last(self.body_norm, features)) + stem
        if self.scale == 1:
            restored: Tensor = mean_view(picture, self.views) + self.to_picture(features)
            return restored
        features = functional.leaky_relu(self.before_subpixels(features))
        for step, conv in zip(UPSAMPLING[self.scale], self.to_subpixels, strict=True):
            features = functional.pixel_shuffle(conv(features), step)
        enlarged: Tensor = self.to_picture(features)
        return enlarged + self.mean


def _channels_last(norm: nn.Module, features: Tensor) -> Tensor:
    normalized: Tensor = norm(features.permute(0, 2, 3, 1))
    return normalized.permute(0, 3, 1, 2)
