"""Hi-IR, U-shaped: the layers of Hi-IR at four resolutions, for restoration at the same size.

Source: Li et al., "Hierarchical Information Flow for Generalized Efficient Image Restoration", arXiv
2411.18588; see `hi_ir_layers.py`. Of this network the paper states seven stages (three down, a latent
one, three up) of six layers, 22.33 M parameters and 153.66 G at 3x256x256; millions of designs near
those two numbers were tried and none stands out. So the frame is our choice: Restormer's (Zamir et
al., CVPR 2022), whose convolutions have no biases and whose topmost decoder keeps the channels of
both that are joined. It has 22,283,712 parameters (22,282,920 without logit scales; 0.21 % fewer
than published) and, counted as in `hi_ir.py`, 152.41 G (0.8 % less). Windows are 16 tokens wide but for
L1 at full resolution, 8: with 16 there too it would be 168.7 G. The key names are ours.

The regions of L2 get smaller further down, so that each resolution's divide the same 128 pixels. A
larger one where a picture's size happens to allow it would make the network another at every size,
and another on a tile than on the whole picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import lcm
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.blocks import count_items
from restore_cli.archs.hi_ir_layers import LayerPlan, Stage, heads_of, mean_view, plan_of

__all__ = ["VARIANTS", "HiIRUNet"]

# Constructor arguments of the published networks: colour, grey, and defocus from two views.
VARIANTS: dict[str, dict[str, Any]] = {
    "hi-ir-unet": {},
    "hi-ir-unet-gray": {"channels": 1},
    "hi-ir-unet-dual-pixel": {"views": 2},
}
L1_WINDOWS = (8, 16, 16, 16)
L2_WINDOWS = (16, 16, 16, 16)
REGIONS = (64, 64, 32, 16)


class HiIRUNet(nn.Module):
    """`(N, views * channels, H, W)` in nominal [0, 1] -> `(N, channels, H, W)`, not clamped.

    H and W must be multiples of `size_multiple`, 128 as published; the pad wrapper sees to it. The gates of
    L3 average over the whole picture, so there is no bound on the receptive field.

    Args:
        channels: picture channels, 1 (grey) or 3 (RGB).
        views: pictures of the same scene stacked along the channels; 2 for a dual-pixel sensor's. The
            network predicts a change of their mean.
        widths: feature channels of each level; each level halves the resolution of the one before.
        heads: of each attention, for each level.
        depth: layers of each stage.
        l1_windows: side of the patches of L1, in tokens, for each level.
        l2_windows: side of the grid of tokens that L2 picks.
        regions: side of the region L2 picks from, in tokens of the level.
        flow, attention, logit_scale, stage_conv, l3_conv, norm: of `hi_ir_layers.LayerPlan`; the
            ablations of the paper.
    """

    signature_keys: ClassVar = (
        "stem.weight",
        "encoders.0.layers.0.flows.0.levels.l1.qkv.weight",
        "latent.layers.0.l3.expand.weight",
        "to_picture.weight",
    )
    # fp16 is closer still with random weights, but nobody has published trained ones to measure, and
    # trained relatives with LayerNorm (SwinIR, HAT) overflow it.
    precisions: ClassVar = ("bf16",)
    scale = 1
    receptive_radius = None
    overlap_px = 64

    def __init__(
        self,
        channels: int = 3,
        views: int = 1,
        widths: Sequence[int] = (48, 96, 192, 384),
        heads: Sequence[int] = (3, 6, 12, 24),
        depth: int = 6,
        l1_windows: Sequence[int] = L1_WINDOWS,
        l2_windows: Sequence[int] = L2_WINDOWS,
        regions: Sequence[int] = REGIONS,
        flow: str = "v3",
        attention: str = "dot",
        logit_scale: bool = True,
        stage_conv: str = "conv3",
        l3_conv: bool = True,
        norm: str = "layernorm",
    ) -> None:
        super().__init__()
        self.channels = channels * views
        self.output_channels = channels
        self.views = views
        self.size_multiple = lcm(*(2**level * region for level, region in enumerate(regions)))
        self.minimum_size = self.size_multiple
        sizes = list(zip(widths, heads, l1_windows, l2_windows, regions, strict=True))

        def stage(level: int, widening: int = 1) -> Stage:
            width, heads, l1_window, l2_window, region = sizes[level]
            plan = LayerPlan(
                width=width * widening,
                heads=heads,
                l1_window=l1_window,
                l2_window=l2_window,
                region=region,
                flow=flow,
                attention=attention,
                logit_scale=logit_scale,
                stage_conv=stage_conv,
                l3_conv=l3_conv,
                norm=norm,
            )
            return Stage(plan, depth)

        def convolution(width_in: int, width: int, side: int = 3) -> nn.Conv2d:
            return nn.Conv2d(width_in, width, side, padding=side // 2, bias=False)

        steps = list(pairwise(widths))
        above = range(len(steps))  # all levels but the lowest
        self.stem = convolution(self.channels, widths[0])
        self.encoders = nn.ModuleList(stage(level) for level in above)
        # Pixel unshuffle makes four channels of one, and pixel shuffle one of four.
        self.downs = nn.ModuleList(convolution(wide, deep // 4) for wide, deep in steps)
        self.latent = stage(len(steps))
        self.ups = nn.ModuleList(convolution(deep, 4 * wide) for wide, deep in steps)
        self.merges = nn.ModuleList(
            convolution(2 * wide, wide, side=1) if level else nn.Identity() for level, (wide, _) in enumerate(steps)
        )
        self.decoders = nn.ModuleList(stage(level, widening=1 if level else 2) for level in above)
        self.to_picture = convolution(2 * widths[0], channels)

    @staticmethod
    def config_of(state_dict: Mapping[str, Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from.

        Keys and shapes tell all but `l1_windows`, `l2_windows`, `regions` (default: the published ones),
        `attention` ("dot") and whether a norm like LayerNorm's is instance norm, which `stated` may.
        """
        channels = state_dict["to_picture.weight"].shape[0]
        stages = [f"encoders.{level}" for level in range(count_items(state_dict, "encoders"))] + ["latent"]
        sizes = {
            name: tuple(stated.get(name, published[: len(stages)]))
            for name, published in (("l1_windows", L1_WINDOWS), ("l2_windows", L2_WINDOWS), ("regions", REGIONS))
        }
        return {
            "channels": channels,
            "views": state_dict["stem.weight"].shape[1] // channels,
            "widths": tuple(state_dict[f"{stage}.layers.0.flows.0.proj.weight"].shape[0] for stage in stages),
            "heads": tuple(heads_of(state_dict, stage) for stage in stages),
            "depth": count_items(state_dict, "latent.layers"),
            **sizes,
            **plan_of(state_dict, "latent", stated),
        }

    def forward(self, picture: Tensor) -> Tensor:
        features = self.stem(picture)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            features = encoder(features)
            skips.append(features)
            features = functional.pixel_unshuffle(down(features), 2)
        features = self.latent(features)
        for level in reversed(range(len(skips))):
            enlarged = functional.pixel_shuffle(self.ups[level](features), 2)
            features = self.merges[level](torch.cat([enlarged, skips[level]], dim=1))
            features = self.decoders[level](features)
        restored: Tensor = mean_view(picture, self.views) + self.to_picture(features)
        return restored
