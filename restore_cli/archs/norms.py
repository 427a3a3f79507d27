"""Norm schemes for transformer blocks: i-LN, and those it was compared with.

Source of i-LN: the poster "Image Restoration Tailored LayerNorm" and its official code, which exists for
HAT alone. LayerNorm looks at one token at a time, so it forgets how strongly tokens differ, and its
branch forgets the contrast of the picture; features then grow until half precision overflows. i-LN
normalises all tokens of a picture together and multiplies the branch by the deviation it divided by.

Tokens are (B, ..., C), channels last. A norm in front of a residual branch returns two things,

    normalized, rescale = norm(tokens)
    tokens = tokens + rescale * branch(normalized)

and a norm without a residual (after the first convolution, before the last) only the tokens.

    scheme       statistics over            rescale                  parameters
    layernorm    channels of a token        1                        weight, bias
    iln          tokens and channels        deviation of the sample  gamma, beta
    rmsnorm      channels of a token        1                        weight
    layerscale   as layernorm               learned, per channel     weight, bias, gain
    rezero       none                       learned, one number      gain
    instance     tokens, per channel        1                        weight, bias
    batch        batch and tokens           1                        weight, bias, running statistics
    none         none                       1                        none

Chosen by us: LayerScale is Touvron et al.'s (CaiT, ICCV 2021), a gain on the branch of a LayerNorm: the
poster's table marks it as not spatially holistic, as it would not if nothing were normalised. ReZero is
Bachlechner et al.'s (UAI 2021), without any normalisation. Instance norm keeps no running statistics,
so that training and evaluation compute the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["NORM_SCHEMES", "ImageLayerNorm", "norm_scheme_of", "plain_norm", "residual_norm"]

NORM_SCHEMES = ("layernorm", "iln", "rmsnorm", "layerscale", "rezero", "instance", "batch", "none")
# Inside the root. i-LN's is its authors' value, the rest are customary.
DEFAULT_EPS = {"layernorm": 1e-5, "iln": 1e-4, "rmsnorm": 1e-6, "layerscale": 1e-5, "instance": 1e-5, "batch": 1e-5}
LAYER_SCALE_START = 1e-5

Normalized = tuple[Tensor, Tensor | float]


def residual_norm(scheme: str, channels: int, eps: float | str | None = None) -> nn.Module:
    """The norm in front of a residual branch: tokens -> (normalized, rescale).

    Args:
        scheme: one of NORM_SCHEMES.
        channels: C.
        eps: added to the variance inside the root; None for the scheme's own. Text is parsed, because
            the authors' option files write 1e-4, which YAML reads as a string.

    Raises:
        ValueError: an unknown scheme.
    """
    return _build(_RESIDUAL, scheme, channels, eps)


def plain_norm(scheme: str, channels: int, eps: float | str | None = None) -> nn.Module:
    """The norm where there is no residual to carry what it removes: tokens -> tokens.

    For i-LN a pure per-channel affine, as its authors do: nothing behind it could restore the
    statistics. Takes and raises what `residual_norm` does.
    """
    return _build(_PLAIN, scheme, channels, eps)


def norm_scheme_of(state_dict: Mapping[str, Tensor], prefix: str, stated: Mapping[str, Any]) -> str:
    """The scheme of the norm in front of a residual branch whose keys start with `prefix` ('....norm1').

    Keys tell all but instance norm from LayerNorm, for which `stated` may have an entry 'norm'.
    """
    has = {name for name in ("gamma", "gain", "running_mean", "weight", "bias") if f"{prefix}.{name}" in state_dict}
    if "gamma" in has:
        return "iln"
    if "gain" in has:
        return "layerscale" if "weight" in has else "rezero"
    if "running_mean" in has:
        return "batch"
    if "weight" in has:
        return str(stated.get("norm", "layernorm")) if "bias" in has else "rmsnorm"
    return "none"


class _GammaBeta(nn.Module):
    """The affine part of i-LN, gamma * tokens + beta, that refuses the weights of a LayerNorm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        if f"{prefix}weight" in state_dict:
            # Renamed they would load, and restore nothing. An exception, not an entry in the list of
            # missing keys, which would bury the reason.
            raise RuntimeError(
                f"'{prefix}weight' belongs to a LayerNorm; a network with i-LN computes something else with it "
                "and must be trained with i-LN"
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


class ImageLayerNorm(_GammaBeta):
    """i-LN: mean and deviation of all tokens and channels of a sample, and the deviation as the rescale.

    Keeps nothing between calls and is the same in training and evaluation. Differs from the authors'
    code: no attribute that holds the last deviation and no global eps, so that networks may share a
    process and calls may be nested.

    Statistics are in float32 or better whatever the tokens are; results have the parameters' dtype,
    float32 under autocast, as torch's own LayerNorm has.
    """

    def __init__(self, channels: int, eps: float = DEFAULT_EPS["iln"]) -> None:
        super().__init__(channels)
        self.eps = eps

    def forward(self, tokens: Tensor) -> Normalized:
        exact = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        centred, variance = _centred(exact, tuple(range(1, tokens.ndim)))
        deviation = (variance + self.eps).sqrt()
        normalized = centred * (self.gamma / deviation) + self.beta
        return normalized.to(self.gamma.dtype), deviation.to(self.gamma.dtype)


class ChannelAffine(_GammaBeta):
    """i-LN where there is no residual: gamma * tokens + beta."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma + self.beta


class RMSNorm(nn.Module):
    """Each token divided by the root of its mean square (Zhang & Sennrich, NeurIPS 2019)."""

    def __init__(self, channels: int, eps: float = DEFAULT_EPS["rmsnorm"]) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, tokens: Tensor) -> Tensor:
        exact = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        mean_square = exact.square().mean(dim=-1, keepdim=True)
        return (exact * (mean_square + self.eps).rsqrt() * self.weight).to(self.weight.dtype)


class InstanceNorm(nn.Module):
    """Each channel of each sample normalised over its tokens."""

    def __init__(self, channels: int, eps: float = DEFAULT_EPS["instance"]) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, tokens: Tensor) -> Tensor:
        exact = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
        centred, variance = _centred(exact, tuple(range(1, tokens.ndim - 1)))
        normalized = centred * (self.weight * (variance + self.eps).rsqrt()) + self.bias
        return normalized.to(self.weight.dtype)


class BatchNorm(nn.BatchNorm1d):
    """Each channel normalised over batch and tokens; by running statistics in evaluation."""

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens.flatten(0, -2)).view(tokens.shape)


class LayerScale(nn.LayerNorm):
    """LayerNorm whose branch is weighted by a learned gain per channel, small at first."""

    def __init__(self, channels: int, eps: float = DEFAULT_EPS["layerscale"]) -> None:
        super().__init__(channels, eps)
        self.gain = nn.Parameter(torch.full((channels,), LAYER_SCALE_START))

    def forward(self, tokens: Tensor) -> Normalized:  # type: ignore[override]
        return super().forward(tokens), self.gain


class ReZero(nn.Module):
    """No normalisation; the branch is weighted by one learned number, zero at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, tokens: Tensor) -> Normalized:
        return tokens, self.gain


class _Unscaled:
    """Turns a plain norm into one for a residual, with the same keys and nothing to restore."""

    def forward(self, tokens: Tensor) -> Normalized:
        return super().forward(tokens), 1.0  # type: ignore[misc]


class _ResidualLayerNorm(_Unscaled, nn.LayerNorm):  # type: ignore[misc]
    pass


class _ResidualRMSNorm(_Unscaled, RMSNorm):  # type: ignore[misc]
    pass


class _ResidualInstanceNorm(_Unscaled, InstanceNorm):  # type: ignore[misc]
    pass


class _ResidualBatchNorm(_Unscaled, BatchNorm):  # type: ignore[misc]
    pass


class _ResidualIdentity(_Unscaled, nn.Identity):  # type: ignore[misc]
    pass


_RESIDUAL: dict[str, type[nn.Module]] = {
    "layernorm": _ResidualLayerNorm,
    "iln": ImageLayerNorm,
    "rmsnorm": _ResidualRMSNorm,
    "layerscale": LayerScale,
    "rezero": ReZero,
    "instance": _ResidualInstanceNorm,
    "batch": _ResidualBatchNorm,
    "none": _ResidualIdentity,
}
_PLAIN: dict[str, type[nn.Module]] = {
    "layernorm": nn.LayerNorm,
    "iln": ChannelAffine,
    "rmsnorm": RMSNorm,
    "layerscale": nn.LayerNorm,
    "rezero": nn.Identity,
    "instance": InstanceNorm,
    "batch": BatchNorm,
    "none": nn.Identity,
}
_WITHOUT_EPS = (ChannelAffine, ReZero, nn.Identity)


def _centred(values: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """`values` less their mean over `axes`, and their population variance; six times as fast as torch.var_mean."""
    centred = values - values.mean(dim=axes, keepdim=True)
    return centred, centred.square().mean(dim=axes, keepdim=True)


def _build(kinds: Mapping[str, type[nn.Module]], scheme: str, channels: int, eps: float | str | None) -> nn.Module:
    if scheme not in kinds:
        raise ValueError(f"norm '{scheme}' is unknown; known: {', '.join(NORM_SCHEMES)}")
    kind = kinds[scheme]
    if issubclass(kind, _WITHOUT_EPS):
        return kind(channels)
    return kind(channels, eps=DEFAULT_EPS[scheme] if eps is None else float(eps))
