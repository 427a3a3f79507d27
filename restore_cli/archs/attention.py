"""What HAT, SwinIR and DRCT share: attention inside windows, the Swin layer, and the skeleton around it.

Sources: Liu et al., "Swin Transformer", ICCV 2021; Liang et al., "SwinIR", ICCV workshops 2021, whose
skeleton HAT and DRCT took over with its key names. What we changed: the norms are of any scheme of
`norms.py`; feature maps stay `(B, H, W, C)` throughout; the position bias and the mask of shifted
windows go into torch's fused attention; pictures must already have sides that are multiples of the
window, which is the pad wrapper's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.norms import norm_scheme_of, plain_norm, residual_norm
from restore_cli.archs.windows import (
    merge_windows,
    partition_windows,
    relative_position_index,
    shifted_window_mask,
)

__all__ = [
    "DropPath",
    "FeedForward",
    "ResidualGroup",
    "SwinLayer",
    "WindowAttention",
    "WindowTransformer",
    "attend",
    "convolve",
    "differs_from_published",
    "drop_rates",
    "heads_of",
    "position_bias",
    "skeleton_config",
    "training_size",
    "window_size_of",
]

RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K
RGB_DEVIATION = (0.2842, 0.2701, 0.2920)
GREY_DEVIATION = 0.2842
UPSAMPLERS = ("", "pixelshuffle", "pixelshuffledirect", "nearest+conv")
# What a file may say about itself that other loaders of LayerNorm checkpoints take for granted.
TAKEN_FOR_GRANTED = {"norm": "layernorm", "stdnorm": False, "conv_scale": 0.01, "img_range": 1.0}


def convolve(convolution: nn.Module, tokens: Tensor) -> Tensor:
    """`convolution`, which wants channels first, on `(B, H, W, C)`; the result is channels last again."""
    result: Tensor = convolution(tokens.permute(0, 3, 1, 2))
    return result.permute(0, 2, 3, 1)


def position_bias(table: Tensor, index: Tensor) -> Tensor:
    """What to add to the logits for the offset of each pair: table (R, heads), index (Q, K) -> (1, heads, Q, K)."""
    return table[index].permute(2, 0, 1)[None]


def attend(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Multi-head attention inside windows.

    Args:
        queries: (windows, Q, C); C is divided among the heads.
        keys, values: (windows, K, C).
        bias: added to the logits of every window, (1, heads, Q, K).

    Returns:
        (windows, Q, C).
    """
    q, k, v = (part.unflatten(-1, (bias.shape[1], -1)).transpose(1, 2) for part in (queries, keys, values))
    attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
    return attended.transpose(1, 2).flatten(2)


class WindowAttention(nn.Module):
    """Attention among the tokens of each window, with a learned bias for each offset between two of them.

    Args:
        channels: C.
        heads: number of heads, a divisor of C.
        window_size: side of the windows in pixels.
        shift: pixels by which the map is rolled up and left before it is cut, and back afterwards.
        keeps_index: hold the index of the bias table as a buffer, under the published name; otherwise
            every call is given it.
    """

    relative_position_index: Tensor

    def __init__(
        self, channels: int, heads: int, window_size: int, shift: int = 0, *, keeps_index: bool = True
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.shift = shift
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window_size - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        if keeps_index:
            self.register_buffer("relative_position_index", relative_position_index(window_size))

    def forward(self, tokens: Tensor, mask: Tensor, index: Tensor | None = None) -> Tensor:
        """`(B, H, W, C)` -> the same.

        Args:
            tokens: the map.
            mask: of its windows, (nW, size**2, size**2), as `shifted_window_mask` gives it for the map
                or for whole rows of windows of a larger one; used where windows are shifted.
            index: of the bias table, where it is not kept.
        """
        height, width = tokens.shape[1:3]
        bias = position_bias(
            self.relative_position_bias_table, self.relative_position_index if index is None else index
        )
        if self.shift:
            tokens = tokens.roll((-self.shift, -self.shift), (1, 2))
        queries, keys, values = self.qkv(partition_windows(tokens, self.window_size)).chunk(3, dim=-1)
        if self.shift:
            attended = _attend_by_kind(queries, keys, values, bias, mask, width // self.window_size)
        else:
            attended = attend(queries, keys, values, bias)
        tokens = merge_windows(self.proj(attended), self.window_size, height, width)
        return tokens.roll((self.shift, self.shift), (1, 2)) if self.shift else tokens


class FeedForward(nn.Module):
    """Linear, GELU, Linear on each token; `ratio` is that of the hidden width to `channels`."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        # A ratio found by dividing two widths may fall short of the width by a rounding.
        hidden = int(channels * ratio + 1e-6)
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        result: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return result


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., ECCV 2016): in training a sample skips the branch with probability `rate`."""

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return branch
        kept = torch.rand((len(branch),) + (1,) * (branch.ndim - 1), device=branch.device) >= self.rate
        return branch * kept / (1 - self.rate)


def drop_rates(last: float, depths: Iterable[int]) -> list[list[float]]:
    """Rates that rise evenly from 0 to `last` over all layers, as one list a group of `depths` layers."""
    depths = list(depths)
    layers = max(sum(depths), 2)
    rates = (last * number / (layers - 1) for number in range(layers))
    return [[next(rates) for _ in range(depth)] for depth in depths]


class SwinLayer(nn.Module):
    """Norm, window attention, skip; norm, feed-forward, skip. `(B, H, W, C)` -> the same.

    The published networks keep the mask of the training size in each shifted layer, `attn_mask`. It
    follows from sizes alone, so here it is computed per call, written into state dicts for the sake
    of other programs, and ignored when read.

    Args:
        channels: C.
        heads: attention heads.
        window_size: side of the windows in pixels.
        shift: by how many pixels they are shifted, or 0.
        mlp_ratio: hidden width of the feed-forward part over C.
        img_size: side of the training pictures, for the mask in the state dict.
        norm, eps: of `norms.residual_norm`.
        drop_path: rate of stochastic depth.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window_size: int,
        shift: int,
        mlp_ratio: float,
        img_size: int,
        norm: str = "layernorm",
        eps: float | str | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.img_size = img_size
        self.norm1 = residual_norm(norm, channels, eps)
        self.attn = WindowAttention(channels, heads, window_size, shift)
        self.drop_path = DropPath(drop_path)
        self.norm2 = residual_norm(norm, channels, eps)
        self.mlp = FeedForward(channels, mlp_ratio)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        normalized, rescale = self.norm1(tokens)
        tokens = tokens + rescale * self.drop_path(self.attn(normalized, mask))
        normalized, rescale = self.norm2(tokens)
        tokens = tokens + rescale * self.drop_path(self.mlp(normalized))
        return tokens

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.attn.shift:
            weight = self.attn.proj.weight
            sides = (self.img_size // self.attn.window_size * self.attn.window_size,) * 2
            destination[f"{prefix}attn_mask"] = shifted_window_mask(
                *sides, self.attn.window_size, self.attn.shift, weight.device, weight.dtype
            )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        state_dict.pop(f"{prefix}attn_mask", None)  # from the caller's copy
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ResidualGroup(nn.Module):
    """A group of layers, a convolution, and a skip over both: SwinIR's RSTB and HAT's RHAG.

    Args:
        layers: the group, a module from `(B, H, W, C)` and whatever else it needs to `(B, H, W, C)`.
        channels: C.
        resi_connection: '1conv', '3conv' or 'identity'.
    """

    def __init__(self, layers: nn.Module, channels: int, resi_connection: str) -> None:
        super().__init__()
        self.residual_group = layers
        self.conv = _residual_convolution(channels, resi_connection)

    def forward(self, tokens: Tensor, *context: Tensor) -> Tensor:
        return tokens + convolve(self.conv, self.residual_group(tokens, *context))


class WindowTransformer(nn.Module):
    """The skeleton: normalise colours, convolve, groups of layers, convolve, skip, enlarge.

    Args:
        groups: modules from `(B, H, W, C)`, the mask of shifted windows and whatever `_context` gives to
            `(B, H, W, C)`.
        in_chans: picture channels, 1 (grey) or 3 (RGB).
        embed_dim: C, feature channels.
        window_size: side of the windows in pixels.
        img_size: side of the training pictures; a network trained on one window never shifts.
        upscale: enlargement.
        img_range: by how much pictures in [0, 1] are multiplied on the way in, and divided on the way out.
        upsampler: 'pixelshuffle', 'pixelshuffledirect' (one convolution), 'nearest+conv', or '' to
            add a correction to the picture at the same size.
        resi_connection: convolution behind the groups: '1conv', '3conv' (a bottleneck) or 'identity'.
        num_feat: feature channels while enlarging.
        norm, eps: norm scheme of `norms.NORM_SCHEMES` and its epsilon.
        stdnorm: divide by the deviation of colours, too, after subtracting their mean; as the i-LN
            authors do in their own networks, and not in those they compare with.
    """

    overlap_px = 32
    # Global statistics, or shifted windows and the groups' convolutions, which together reach very far.
    receptive_radius = None

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        groups: Iterable[nn.Module],
        *,
        in_chans: int,
        embed_dim: int,
        window_size: int,
        img_size: int,
        upscale: int,
        img_range: float,
        upsampler: str,
        resi_connection: str,
        num_feat: int,
        norm: str,
        eps: float | str | None,
        stdnorm: bool,
    ) -> None:
        super().__init__()
        if upsampler not in UPSAMPLERS:
            raise ValueError(f"upsampler '{upsampler}' is unknown; known: {', '.join(map(repr, UPSAMPLERS))}")
        if upsampler == "" and upscale != 1:
            raise ValueError(f"without an upsampler the scale is 1, not {upscale}")
        if img_size < window_size:
            raise ValueError(f"img_size {img_size} is smaller than a window of {window_size} pixels")
        self.channels = in_chans
        self.scale = upscale
        self.window_size = window_size
        self.img_range = img_range
        self.upsampler = upsampler
        self.norm_scheme = norm

        rgb = in_chans == 3
        mean = torch.tensor(RGB_MEAN if rgb else (0.0,)).view(1, -1, 1, 1)
        deviation = torch.tensor(RGB_DEVIATION if rgb else (GREY_DEVIATION,)).view(1, -1, 1, 1)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation if stdnorm else torch.ones(1, 1, 1, 1), persistent=False)

        self.conv_first = nn.Conv2d(in_chans, embed_dim, 3, padding=1)
        self.patch_embed = nn.ModuleDict({"norm": plain_norm(norm, embed_dim, eps)})
        self.layers = nn.ModuleList(groups)
        self.norm = plain_norm(norm, embed_dim, eps)
        self.conv_after_body = _residual_convolution(embed_dim, resi_connection)
        self._make_head(embed_dim, num_feat)
        self.apply(_initialize)
        if upsampler == "pixelshuffledirect":
            self._start_from_nearest()

    @property
    def size_multiple(self) -> int:
        return self.window_size

    @property
    def minimum_size(self) -> int:
        return self.window_size

    @property
    def precisions(self) -> tuple[str, ...]:
        # Measured with weights scaled up until features pass 65504: float16 then fails with every scheme,
        # and is right to 4e-4 of the range below. LayerNorm's features do grow that large in training
        # (SwinIR issues 103 and 180), i-LN's, which its authors ran in float16, stay bounded. bfloat16
        # never failed where float32 did not, at 3e-3.
        return ("fp16", "bf16") if self.norm_scheme == "iln" else ("bf16",)

    def forward(self, picture: Tensor) -> Tensor:
        normalized = (picture - self.mean) * (self.img_range / self.deviation)
        shallow = self.conv_first(normalized)
        features = self.conv_after_body(self._deep(shallow)) + shallow
        return self._reconstruct(features, normalized) * (self.deviation / self.img_range) + self.mean

    def _deep(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        tokens: Tensor = self.patch_embed["norm"](features.permute(0, 2, 3, 1))
        mask = shifted_window_mask(
            height, width, self.window_size, self.window_size // 2, features.device, features.dtype
        )
        for group in self.layers:
            tokens = group(tokens, mask, *self._context())
        tokens = self.norm(tokens)
        return tokens.permute(0, 3, 1, 2)

    @torch.no_grad()
    def _start_from_nearest(self) -> None:
        """Let the first channels carry the picture to its subpixels: nothing that training need spend its time on.

        Enlarging by one convolution has no skip from picture to picture, which the other heads at one size have.
        """
        convolutions = [layer for layer in self.conv_after_body.modules() if isinstance(layer, nn.Conv2d)]
        enlarge = self.upsample[0]
        if not convolutions or not isinstance(enlarge, nn.Conv2d):
            return
        for layer, rows in ((self.conv_first, self.channels), (convolutions[-1], self.channels), (enlarge, None)):
            layer.weight[:rows] = 0
            if layer.bias is not None:
                layer.bias[:rows] = 0
        square = self.scale**2
        for channel in range(self.channels):
            self.conv_first.weight[channel, channel, 1, 1] = 1
            enlarge.weight[channel * square : (channel + 1) * square, channel, 1, 1] = 1

    def _context(self) -> tuple[Tensor, ...]:
        """What the groups need beside the tokens and the mask."""
        return ()

    def _make_head(self, embed_dim: int, num_feat: int) -> None:
        if self.upsampler == "":
            self.conv_last = nn.Conv2d(embed_dim, self.channels, 3, padding=1)
            return
        if self.upsampler == "pixelshuffledirect":
            self.upsample = nn.Sequential(*_subpixels(embed_dim, self.channels, self.scale))
            return
        self.conv_before_upsample = nn.Sequential(nn.Conv2d(embed_dim, num_feat, 3, padding=1), nn.LeakyReLU())
        steps = _upsampling_steps(self.scale)
        if self.upsampler == "pixelshuffle":
            self.upsample = nn.Sequential(*(part for step in steps for part in _subpixels(num_feat, num_feat, step)))
        else:
            if any(step != 2 for step in steps):
                raise ValueError(f"'nearest+conv' enlarges by powers of 2, not by {self.scale}")
            self.doublings = len(steps)
            for number in range(1, self.doublings + 1):
                self.add_module(f"conv_up{number}", nn.Conv2d(num_feat, num_feat, 3, padding=1))
            self.conv_hr = nn.Conv2d(num_feat, num_feat, 3, padding=1)
        self.conv_last = nn.Conv2d(num_feat, self.channels, 3, padding=1)

    def _reconstruct(self, features: Tensor, normalized: Tensor) -> Tensor:
        if self.upsampler == "":
            correction: Tensor = self.conv_last(features)
            return normalized + correction
        if self.upsampler == "pixelshuffledirect":
            direct: Tensor = self.upsample(features)
            return direct
        features = self.conv_before_upsample(features)
        if self.upsampler == "pixelshuffle":
            features = self.upsample(features)
        else:
            for number in range(1, self.doublings + 1):
                doubled = functional.interpolate(features, scale_factor=2, mode="nearest")
                features = functional.leaky_relu(getattr(self, f"conv_up{number}")(doubled), 0.2)
            features = functional.leaky_relu(self.conv_hr(features), 0.2)
        restored: Tensor = self.conv_last(features)
        return restored


def skeleton_config(state_dict: Mapping[str, Tensor], first_layer: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The skeleton's constructor arguments, of the network that `state_dict` came from.

    Args:
        state_dict: weights by the published names.
        first_layer: prefix of the first attention layer.
        stated: what the file says about itself. Of the arguments that no shape tells it may have `norm`
            (needed for instance norm alone), `eps`, `stdnorm` and `img_range`.
    """
    embed_dim, in_chans = state_dict["conv_first.weight"].shape[:2]
    norm = norm_scheme_of(state_dict, f"{first_layer}.norm1", stated)
    config: dict[str, Any] = {
        "in_chans": in_chans,
        "embed_dim": embed_dim,
        "mlp_ratio": state_dict[f"{first_layer}.mlp.fc1.weight"].shape[0] / embed_dim,
        **_head_config(state_dict, in_chans),
        "resi_connection": _residual_connection(state_dict),
        "norm": norm,
        # Both as the i-LN authors train: their own networks with it, those they compare with without.
        "stdnorm": bool(stated.get("stdnorm", norm == "iln")),
        "img_range": float(stated.get("img_range", 1.0)),
    }
    if stated.get("eps") is not None:
        config["eps"] = float(stated["eps"])
    return config


def window_size_of(state_dict: Mapping[str, Tensor], attention: str) -> int:
    """Side of the windows of the attention layer with the prefix `attention`, from the rows of its bias table."""
    return (isqrt(len(state_dict[f"{attention}.relative_position_bias_table"])) + 1) // 2


def heads_of(state_dict: Mapping[str, Tensor], attention: str) -> int:
    """Heads of the attention layer with the prefix `attention`, from the columns of its bias table."""
    return state_dict[f"{attention}.relative_position_bias_table"].shape[1]


def training_size(state_dict: Mapping[str, Tensor], shifted_layer: str, window_size: int) -> int:
    """`img_size`, from the mask in a layer that is shifted unless the training size was one window."""
    mask = state_dict.get(f"{shifted_layer}.attn_mask")
    return window_size if mask is None else isqrt(len(mask)) * window_size


def differs_from_published(state_dict: Mapping[str, Tensor], first_layer: str, settings: Mapping[str, Any]) -> bool:
    """Whether other loaders, which know the published LayerNorm form alone, would build another network.

    Args:
        state_dict: weights by the published names.
        first_layer: prefix of the first attention layer.
        settings: what the file says about itself, and the caller over it.
    """
    if norm_scheme_of(state_dict, f"{first_layer}.norm1", settings) != "layernorm":
        return True
    return any(settings.get(name, usual) != usual for name, usual in TAKEN_FOR_GRANTED.items())


def _attend_by_kind(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, mask: Tensor, columns: int) -> Tensor:
    """Attention inside shifted windows, `columns` in a row of them.

    Rolling wraps pixels round into the last row and the last column of windows alone, so that windows
    are of four kinds at most, each with one mask, at the corners of the map. Adding a mask to each
    window's bias by itself, as the published code does, takes more memory than everything else.
    """
    masks = mask.unflatten(0, (-1, columns))
    q, k, v = (part.unflatten(0, (-1, len(masks), columns)) for part in (queries, keys, values))

    def kinds(count: int) -> list[tuple[slice, int]]:
        """All but the last of `count` rows or columns, and the last, each with where to find its mask."""
        last = (slice(-1, None), -1)
        return [(slice(None, -1), 0), last] if count > 1 else [last]

    bands = []
    for rows, row in kinds(len(masks)):
        pieces = []
        for cols, column in kinds(columns):
            windows = [part[:, rows, cols] for part in (q, k, v)]
            queries, keys, values = (part.flatten(0, 2) for part in windows)
            pieces.append(attend(queries, keys, values, bias + masks[row, column]).view(windows[0].shape))
        bands.append(torch.cat(pieces, dim=2))
    return torch.cat(bands, dim=1).flatten(0, 2)


def _head_config(state_dict: Mapping[str, Tensor], in_chans: int) -> dict[str, Any]:
    if "conv_before_upsample.0.weight" not in state_dict:
        if "upsample.0.weight" not in state_dict:
            return {"upsampler": "", "upscale": 1}
        return {
            "upsampler": "pixelshuffledirect",
            "upscale": isqrt(len(state_dict["upsample.0.weight"]) // in_chans),
        }
    num_feat = len(state_dict["conv_before_upsample.0.weight"])
    if "conv_hr.weight" in state_dict:
        doublings = sum(f"conv_up{number}.weight" in state_dict for number in range(1, 9))
        return {"upsampler": "nearest+conv", "upscale": 2**doublings, "num_feat": num_feat}
    upscale = 1
    for step in range(0, 16, 2):  # every other module has weights
        if (weight := state_dict.get(f"upsample.{step}.weight")) is not None:
            upscale *= isqrt(len(weight) // num_feat)
    return {"upsampler": "pixelshuffle", "upscale": upscale, "num_feat": num_feat}


def _residual_connection(state_dict: Mapping[str, Tensor]) -> str:
    if "conv_after_body.weight" in state_dict:
        return "1conv"
    return "3conv" if "conv_after_body.0.weight" in state_dict else "identity"


def _residual_convolution(channels: int, kind: str) -> nn.Module:
    if kind == "1conv":
        return nn.Conv2d(channels, channels, 3, padding=1)
    if kind == "3conv":
        return nn.Sequential(
            nn.Conv2d(channels, channels // 4, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels // 4, channels // 4, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels // 4, channels, 3, padding=1),
        )
    if kind == "identity":
        return nn.Identity()
    raise ValueError(f"resi_connection '{kind}' is unknown; known: '1conv', '3conv', 'identity'")


def _upsampling_steps(scale: int) -> list[int]:
    """Factors of the pixel shuffles one after another: 3 alone, or 2 as often as it takes."""
    if scale == 3:
        return [3]
    if scale < 1 or scale & (scale - 1):
        raise ValueError(f"upscale {scale} is neither 3 nor a power of 2")
    return [2] * (scale.bit_length() - 1)


def _subpixels(channels: int, out_channels: int, scale: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, out_channels * scale**2, 3, padding=1), nn.PixelShuffle(scale)]


def _initialize(module: nn.Module) -> None:
    """As in all of this family: narrow normal weights and no bias in linear layers, torch's defaults elsewhere."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
