"""The layers of Hi-IR, which its columnar and its U-shaped network share.

Source: Li et al., "Hierarchical Information Flow for Generalized Efficient Image Restoration", arXiv
2411.18588 (again as Fractal-IR, 2503.17825). Its authors published no code. The paper states the
three levels: L1 attends within a patch, L2 among pixels spread evenly over a larger region, L3 is a
feed-forward network with a 3x3 convolution, which joins what the regions keep apart. No window is
shifted. What the paper leaves out was recovered from the 30 sizes and the operation counts it prints,
which leave hardly another reading:

    recovered   biases everywhere; a second LayerNorm; 256 tokens a window in both attentions; a
                position bias made by a small network (2, 512, heads); L3 of twice the width, its
                convolution depthwise, with a squeeze-excite gate that the paper never mentions (the first
                author's LocalViT has it); the bottleneck "conv3" of the stages; in v2 one more LayerNorm
    chosen      region of 64 pixels (32 to 128 fit); GELU; a sigmoid gate; no stochastic depth; torch's
                initialisation; how the position network's offsets are spaced and its values bounded (as
                in Swin v2); that attention uses its learned scales also where it is a dot product, as
                the temperature of each head; in v2 a shortcut around each attention

Its ablation "v4", v3 with one more level, is left out: the paper does not describe it.

Features are `(N, C, H, W)` between stages and tokens `(N, H, W, C)` inside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.norms import norm_scheme_of, residual_norm

__all__ = [
    "LayerPlan",
    "Stage",
    "heads_of",
    "mean_view",
    "merge_groups",
    "partition_groups",
    "plan_of",
    "stage_convolution",
]

# For each version what its layers hold, in turn: residual branches of attention levels.
FLOWS = {
    "v1": ((("l1",),), (("l2",),)),
    "v2": ((("l1",), ("l2",)),),
    "v3": ((("l1", "l2"),),),
}
ATTENTIONS = ("dot", "cosine")
STAGE_CONVS = ("conv1", "linear", "conv3")

EXPANSION = 2  # width of L3 over that of the tokens
GATE_REDUCTION = 4
BOTTLENECK_REDUCTION = 4
POSITION_WIDTH = 512
POSITION_LIMIT = 8.0  # of the magnitude of a position bias
COSINE_SCALE_START = 10.0
SCALE_LIMIT = 100.0
# Fused attention kernels want query, key and value of one width, a multiple of this.
KERNEL_WIDTH = 8


@dataclass(frozen=True)
class LayerPlan:
    """What the layers of a stage are like; sides of windows and regions in tokens.

    Attributes:
        width: channels C, a multiple of `2 * heads`.
        heads: of both attentions.
        l1_window: side of the patches within which L1 attends.
        l2_window: pixels along a side that L2 picks from a region; it attends among their square.
        region: side of the regions, a multiple of both windows; heights and widths must be multiples of it.
        flow: "v3" has L1, L2 in one branch with halved queries and keys and nothing between them; "v2" a
            whole attention for each, one after the other; "v1" one of them in each layer, by turns.
        attention: "dot" or "cosine" (queries and keys of unit length).
        logit_scale: whether each head learns its scale; otherwise the scale stays what it starts from.
        stage_conv: "conv3" (bottleneck of three), "conv1" (one 3x3) or "linear" (one 1x1).
        l3_conv: whether L3 has its convolution and gate; without them it is a plain MLP of two layers.
        norm: one of `norms.NORM_SCHEMES`.
    """

    width: int
    heads: int
    l1_window: int = 16
    l2_window: int = 16
    region: int = 64
    flow: str = "v3"
    attention: str = "dot"
    logit_scale: bool = True
    stage_conv: str = "conv3"
    l3_conv: bool = True
    norm: str = "layernorm"

    def __post_init__(self) -> None:
        for name, known in (("flow", FLOWS), ("attention", ATTENTIONS), ("stage_conv", STAGE_CONVS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not '{getattr(self, name)}'")
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of twice the {self.heads} heads")
        if self.region % self.l1_window or self.region % self.l2_window:
            raise ValueError(
                f"region {self.region} must be a multiple of the windows, {self.l1_window} and {self.l2_window}"
            )

    @property
    def query_width(self) -> int:
        """Channels of all heads' queries, and of their keys."""
        return self.width // 2 if self.flow == "v3" else self.width


def plan_of(state_dict: Mapping[str, Tensor], stage: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a network that its stage `stage` ('stages.0') tells, all but widths, heads and sizes.

    Whether attention takes the cosine does not show in the weights: `stated` may say, else it does not.
    """
    flow = f"{stage}.layers.0.flows.0"
    version = "v3" if f"{flow}.levels.l2.qkv.weight" in state_dict else "v1"
    if f"{stage}.layers.0.flows.1.proj.weight" in state_dict:
        version = "v2"
    convolution = "conv3"
    if f"{stage}.conv.weight" in state_dict:
        convolution = "conv1" if state_dict[f"{stage}.conv.weight"].shape[-1] == 3 else "linear"
    return {
        "flow": version,
        "attention": stated.get("attention", "dot"),
        "logit_scale": f"{flow}.levels.l1.logit_scale" in state_dict,
        "stage_conv": convolution,
        "l3_conv": f"{stage}.layers.0.l3.depthwise.weight" in state_dict,
        "norm": norm_scheme_of(state_dict, f"{flow}.norm", stated),
    }


def heads_of(state_dict: Mapping[str, Tensor], stage: str) -> int:
    """The heads of the attentions in `stage`, which the last layer of a position network has one row each for."""
    return state_dict[f"{stage}.layers.0.flows.0.levels.l1.position.2.weight"].shape[0]


def partition_groups(tokens: Tensor, window: int, dilation: int = 1) -> Tensor:
    """Groups of `window * window` tokens that lie `dilation` apart, `(B, H, W, C)` -> `(groups, window**2, C)`.

    Each group is inside one region of `window * dilation` tokens squared, which has `dilation**2` of
    them. A dilation of 1 makes plain windows (L1), a larger one dispersed pixels (L2).
    """
    batch, height, width, channels = tokens.shape
    region = window * dilation
    grid = tokens.reshape(batch, height // region, window, dilation, width // region, window, dilation, channels)
    return grid.permute(0, 1, 4, 3, 6, 2, 5, 7).reshape(-1, window * window, channels)


def merge_groups(groups: Tensor, window: int, dilation: int, height: int, width: int) -> Tensor:
    """The inverse of `partition_groups`: `(groups, window**2, C)` -> `(B, height, width, C)`."""
    region, channels = window * dilation, groups.shape[-1]
    grid = groups.reshape(-1, height // region, width // region, dilation, dilation, window, window, channels)
    return grid.permute(0, 1, 5, 3, 2, 6, 4, 7).reshape(-1, height, width, channels)


def mean_view(picture: Tensor, views: int) -> Tensor:
    """The mean of stacked views, `(N, views * channels, H, W)` -> `(N, channels, H, W)`.

    The two views of a dual-pixel sensor have each seen half of the lens; their mean is the picture
    an ordinary sensor would have taken, so that no third, centre view is needed.
    """
    return picture if views == 1 else picture.unflatten(1, (views, -1)).mean(dim=1)


class LevelAttention(nn.Module):
    """Multi-head attention within groups of tokens, without an output projection: one level of the flow.

    Args:
        plan: of the layer.
        window: the square of it is the size of a group.
        dilation: spacing of the tokens of a group.
    """

    offsets: Tensor

    def __init__(self, plan: LayerPlan, window: int, dilation: int) -> None:
        super().__init__()
        self.heads = plan.heads
        self.window = window
        self.dilation = dilation
        self.cosine = plan.attention == "cosine"
        self.widths = [plan.query_width, plan.query_width, plan.width]
        self.qkv = nn.Linear(plan.width, sum(self.widths))
        self.position = nn.Sequential(
            nn.Linear(2, POSITION_WIDTH), nn.ReLU(), nn.Linear(POSITION_WIDTH, plan.heads, bias=False)
        )
        start = COSINE_SCALE_START if self.cosine else (plan.query_width // plan.heads) ** -0.5
        logit_scale = torch.full((plan.heads, 1, 1), log(start))
        if plan.logit_scale:
            self.logit_scale = nn.Parameter(logit_scale)
        else:
            self.register_buffer("logit_scale", logit_scale, persistent=False)
        self.register_buffer("offsets", _log_spaced_offsets(window), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        height, width = tokens.shape[1:3]
        groups = self.qkv(partition_groups(tokens, self.window, self.dilation))
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in groups.split(self.widths, dim=-1)
        )
        if self.cosine:
            query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        query = query * self.logit_scale.clamp(max=log(SCALE_LIMIT)).exp()
        # Autocast widens what it normalises; attention wants one dtype.
        attended = _attend(query.to(value.dtype), key.to(value.dtype), value, self.position_bias().to(value.dtype))
        return merge_groups(attended.transpose(1, 2).flatten(2), self.window, self.dilation, height, width)

    def position_bias(self) -> Tensor:
        """What is added to the logits of each pair (query, key) of a group, `(heads, window**2, window**2)`."""
        # Swin v2's 16 * sigmoid(x) is this plus 8, which softmax does not see but half precision would.
        table = POSITION_LIMIT * torch.tanh(self.position(self.offsets) / 2)
        # Sliding a window over the offsets lists, for each query, those to its keys, the last key first.
        sliding = table.permute(2, 0, 1).unfold(1, self.window, 1).unfold(2, self.window, 1)
        return sliding.flip(3, 4).reshape(self.heads, self.window**2, self.window**2)


class InformationFlow(nn.Module):
    """A residual branch of one attention level or of several in a row: norm, levels, one projection.

    Args:
        plan: of the layer.
        levels: "l1", "l2" or both.
    """

    def __init__(self, plan: LayerPlan, levels: tuple[str, ...]) -> None:
        super().__init__()
        sizes = {"l1": (plan.l1_window, 1), "l2": (plan.l2_window, plan.region // plan.l2_window)}
        self.norm = residual_norm(plan.norm, plan.width)
        self.levels = nn.ModuleDict({level: LevelAttention(plan, *sizes[level]) for level in levels})
        self.proj = nn.Linear(plan.width, plan.width)

    def forward(self, tokens: Tensor) -> Tensor:
        changed, rescale = self.norm(tokens)
        for level in self.levels.values():
            changed = level(changed)
        change: Tensor = rescale * self.proj(changed)
        return tokens + change


class FeedForward(nn.Module):
    """L3, a residual branch: 1x1, depthwise 3x3, gate, 1x1; or, without convolution and gate, a plain MLP."""

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        hidden = EXPANSION * plan.width
        self.norm = residual_norm(plan.norm, plan.width)
        self.expand = nn.Linear(plan.width, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden) if plan.l3_conv else None
        self.gate = ChannelGate(hidden) if plan.l3_conv else None
        self.reduce = nn.Linear(hidden, plan.width)

    def forward(self, tokens: Tensor) -> Tensor:
        changed, rescale = self.norm(tokens)
        changed = functional.gelu(self.expand(changed))
        if self.depthwise is not None and self.gate is not None:
            features = functional.gelu(self.depthwise(changed.permute(0, 3, 1, 2)))
            changed = self.gate(features).permute(0, 2, 3, 1)
        change: Tensor = rescale * self.reduce(changed)
        return tokens + change


class ChannelGate(nn.Module):
    """Squeeze and excite, `(N, C, H, W)` to the same: channels weighted by what their means over the picture say.

    Because of it no bound on the receptive field holds, and a tile is restored a little differently
    from the same place in the whole picture. The mean is a pooling layer, and what follows it works
    at each pixel, so that `wrappers.local_stats` can make it the mean of a window.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Conv2d(width, width // GATE_REDUCTION, 1)
        self.excite = nn.Conv2d(width // GATE_REDUCTION, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        return features * torch.sigmoid(self.excite(torch.relu(self.squeeze(self.mean(features)))))


class Layer(nn.Module):
    """One Hi-IR layer, `(N, H, W, C)` to the same: the attention levels of its turn, then L3."""

    def __init__(self, plan: LayerPlan, index: int) -> None:
        super().__init__()
        turns = FLOWS[plan.flow]
        self.flows = nn.ModuleList(InformationFlow(plan, levels) for levels in turns[index % len(turns)])
        self.l3 = FeedForward(plan)

    def forward(self, tokens: Tensor) -> Tensor:
        for flow in self.flows:
            tokens = flow(tokens)
        merged: Tensor = self.l3(tokens)
        return merged


class Stage(nn.Module):
    """`depth` layers and a convolution, plus the input: `(N, C, H, W)` to the same."""

    def __init__(self, plan: LayerPlan, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(plan, index) for index in range(depth))
        self.conv = stage_convolution(plan.stage_conv, plan.width)

    def forward(self, features: Tensor) -> Tensor:
        tokens = features.permute(0, 2, 3, 1)
        for layer in self.layers:
            tokens = layer(tokens)
        change: Tensor = self.conv(tokens.permute(0, 3, 1, 2))
        return features + change


def stage_convolution(kind: str, width: int) -> nn.Module:
    """The convolution at the end of a stage; one of STAGE_CONVS.

    "conv3" narrows, mixes and widens: 3x3, 1x1, 3x3 (its sizes rule out 1x1, 3x3, 1x1).
    """
    if kind == "conv1":
        return nn.Conv2d(width, width, 3, padding=1)
    if kind == "linear":
        return nn.Conv2d(width, width, 1)
    narrow = width // BOTTLENECK_REDUCTION
    return nn.Sequential(
        nn.Conv2d(width, narrow, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(narrow, narrow, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(narrow, width, 3, padding=1),
    )


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """softmax(query key^T + bias) value; all `(groups, heads, tokens, width)`, the bias without groups."""
    width = value.shape[-1]
    # Zeros change no product and let the kernels run that never hold the logits of all groups at once. On
    # the meta device nothing runs: there operations are counted, and the zeros would count.
    if value.device.type != "meta":
        aligned = -(-max(width, query.shape[-1]) // KERNEL_WIDTH) * KERNEL_WIDTH
        query, key, value = (functional.pad(part, (0, aligned - part.shape[-1])) for part in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias[None], scale=1.0)[..., :width]


def _log_spaced_offsets(window: int) -> Tensor:
    """Row and column offsets in a window, sign(x) * log2(1 + 8 |x|) / 3 for x in [-1, 1], `(2w-1, 2w-1, 2)`.

    Convention: Swin v2's (Liu et al., CVPR 2022).
    """
    offset = torch.arange(1 - window, window) / max(window - 1, 1)
    spaced = torch.sign(offset) * torch.log2(1 + 8 * offset.abs()) / 3
    return torch.stack(torch.meshgrid(spaced, spaced, indexing="ij"), dim=-1)
