"""SwinIR: groups of Swin layers between convolutions; here with any norm scheme, above all i-LN.

Source: Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCV workshops 2021; key names
and configurations are those of the authors' code. Published checkpoints, which have LayerNorm, are
loaded by spandrel. i-LN's authors compare SwinIR too, but published code for HAT alone: that the two
norms without a residual become affines here as there is our reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from restore_cli.archs.attention import (
    ResidualGroup,
    SwinLayer,
    WindowTransformer,
    differs_from_published,
    drop_rates,
    heads_of,
    skeleton_config,
    training_size,
    window_size_of,
)
from restore_cli.archs.blocks import count_items

__all__ = ["VARIANTS", "SwinIR"]

FIRST_LAYER = "layers.0.residual_group.blocks.0"
SHIFTED_LAYER = "layers.0.residual_group.blocks.1"
_COMMON_KEYS = ("conv_first.weight", f"{FIRST_LAYER}.attn.relative_position_index")


class SwinIR(WindowTransformer):
    """`(N, in_chans, H, W)` in nominal [0, 1] -> `(N, in_chans, upscale*H, upscale*W)`, not clamped.

    H and W must be multiples of the window; the pad wrapper sees to it.

    Args:
        img_size: side of the training pictures in pixels. It matters in two ways only: a network
            trained on a single window never shifts, and state dicts carry a mask of this size.
        in_chans: picture channels.
        embed_dim: feature channels.
        depths: Swin layers of each group; every second one is shifted by half a window.
        num_heads: attention heads of each group.
        window_size: side of the windows.
        mlp_ratio: hidden width of the feed-forward parts over `embed_dim`.
        upscale, img_range, upsampler, resi_connection, num_feat: of the skeleton, `WindowTransformer`.
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
        window_size: int = 8,
        mlp_ratio: float = 2.0,
        upscale: int = 1,
        img_range: float = 1.0,
        upsampler: str = "",
        resi_connection: str = "1conv",
        num_feat: int = 64,
        norm: str = "layernorm",
        eps: float | str | None = None,
        stdnorm: bool = False,
        drop_path_rate: float = 0.0,
    ) -> None:
        shift = window_size // 2 if img_size > window_size else 0
        groups = [
            ResidualGroup(
                SwinLayers(
                    SwinLayer(
                        embed_dim,
                        heads,
                        window_size,
                        shift if number % 2 else 0,
                        mlp_ratio,
                        img_size,
                        norm,
                        eps,
                        drop_path,
                    )
                    for number, drop_path in enumerate(rates)
                ),
                embed_dim,
                resi_connection,
            )
            for heads, rates in zip(num_heads, drop_rates(drop_path_rate, depths), strict=True)
        ]
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

        Shapes tell all but `eps`, `stdnorm` and `img_range`; for JPEG repair, whose windows alone have
        7 pixels to match the 8-pixel blocks with an offset, the authors' range is 255.
        """
        window_size = window_size_of(state_dict, f"{FIRST_LAYER}.attn")
        groups = range(count_items(state_dict, "layers"))
        config = {
            **skeleton_config(state_dict, FIRST_LAYER, stated),
            "img_size": training_size(state_dict, SHIFTED_LAYER, window_size),
            "window_size": window_size,
            "depths": [count_items(state_dict, f"layers.{group}.residual_group.blocks") for group in groups],
            "num_heads": [heads_of(state_dict, f"layers.{group}.residual_group.blocks.0.attn") for group in groups],
        }
        if "img_range" not in stated and window_size == 7:
            config["img_range"] = 255.0
        return config

    @classmethod
    def recognises(cls, state_dict: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
        """Whether these are weights of a SwinIR that only this class computes as `settings` say.

        iiTransformer has the same keys and must be asked first.
        """
        return all(key in state_dict for key in _COMMON_KEYS) and differs_from_published(
            state_dict, FIRST_LAYER, settings
        )


class SwinLayers(nn.Module):
    """The Swin layers of a group, one after another."""

    def __init__(self, layers: Iterable[SwinLayer]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(layers)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, mask)
        return tokens


_MEDIUM_SR = {"upsampler": "pixelshuffle", "img_size": 48}
_LIGHT = {"embed_dim": 60, "depths": (6,) * 4, "num_heads": (6,) * 4}
_ILN = {"norm": "iln", "stdnorm": True}
_PUBLISHED: dict[str, dict[str, Any]] = {
    **{f"swinir-m-x{scale}": {**_MEDIUM_SR, "upscale": scale} for scale in (2, 3, 4)},
    "swinir-m-denoise": {"img_size": 128},
    "swinir-m-denoise-grey": {"img_size": 128, "in_chans": 1},
    "swinir-m-jpeg": {"img_size": 126, "window_size": 7, "img_range": 255.0},
    "swinir-m-jpeg-grey": {"img_size": 126, "window_size": 7, "img_range": 255.0, "in_chans": 1},
    "swinir-m-real-x4": {"upsampler": "nearest+conv", "upscale": 4},
    "swinir-l-real-x4": {
        "embed_dim": 240,
        "depths": (6,) * 9,
        "num_heads": (8,) * 9,
        "upsampler": "nearest+conv",
        "upscale": 4,
        "resi_connection": "3conv",
    },
    **{f"swinir-s-x{scale}": {**_LIGHT, "upsampler": "pixelshuffledirect", "upscale": scale} for scale in (2, 3, 4)},
    # The backbone of the WNE paper, "SwinIR-lite".
    "swinir-lite-denoise-grey": {**_LIGHT, "in_chans": 1},
}
VARIANTS: dict[str, dict[str, Any]] = {
    **_PUBLISHED,
    **{f"{name}-iln": {**config, **_ILN} for name, config in _PUBLISHED.items()},
}
