"""Checkpoints of the published shapes with random weights, small on disk and quick to make.

The shapes come from the networks themselves, built on the meta device, or, for those whose code is not here,
from their papers' configurations. The values are overlapping views of a few short random pools, so that a
network of a hundred million weights is a file of a few megabytes; `torch.load` and strict loading take them
for what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from math import log2, sqrt
from typing import Any

import torch
from torch import Tensor

# Long enough that neighbouring rows of the largest matrix here do not run out of it.
POOL = 2**18
STRIDES = (61, 37, 5, 1)

TWO_VIEWS = 6  # channels of a dual-pixel picture

Shapes = Mapping[str, tuple[int, ...]]


def random_state(shapes: Shapes) -> dict[str, Tensor]:
    """Random values of these shapes, scaled so that signals neither vanish nor explode."""
    return {key: _values(key, shape) for key, shape in shapes.items()}


def shapes_of(kind: type, **config: Any) -> Shapes:
    """Of the state dict of a network that has no buffers whose values matter."""
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in kind(**config).state_dict().items()}


@cache
def _pool(scale: float) -> Tensor:
    return torch.randn(POOL, generator=torch.Generator().manual_seed(0)) * scale


def _values(key: str, shape: tuple[int, ...]) -> Tensor:
    if not key.endswith(("weight", "bias")) and torch.Size(shape).numel() <= POOL:
        return _pool(0.125)[: torch.Size(shape).numel()].reshape(shape) + 1  # a gain or a temperature
    if len(shape) < 2:
        few = _pool(0.125)[: shape[0] if shape else 1].reshape(shape)
        is_gain = key.endswith("weight")
        return 1 + few if is_gain else few
    fan_in = torch.Size(shape[1:]).numel()
    # By powers of two, so that there are few pools.
    pool = _pool(2.0 ** round(log2(0.5 / sqrt(fan_in))))
    strides = STRIDES[-len(shape) :] if len(shape) > 2 else STRIDES[:2]
    # Where in the pool a tensor starts depends on its name: equal shapes get other values.
    start = sum(key.encode()) % 1000
    last = start + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    assert last < POOL, f"{key} {shape} needs a longer pool"
    return pool.as_strided(shape, strides, start)


def drunet(channels: int = 3) -> dict[str, Tensor]:
    """DRUNet, colour or grey: 32.6 million weights."""
    from spandrel.architectures.DRUNet.__arch.network_unet import DRUNet

    return random_state(shapes_of(DRUNet, in_nc=channels + 1, out_nc=channels, nc=[64, 128, 256, 512], nb=4))


def fbcnn(channels: int = 3) -> dict[str, Tensor]:
    """FBCNN, colour or grey: 71.9 million weights."""
    from spandrel.architectures.FBCNN import FBCNN

    return random_state(shapes_of(FBCNN, in_nc=channels, out_nc=channels))


def nafnet_gopro(width: int = 64) -> dict[str, Tensor]:
    """NAFNet for GoPro and REDS."""
    from spandrel.architectures.NAFNet import NAFNet

    config = {"middle_blk_num": 1, "enc_blk_nums": [1, 1, 1, 28], "dec_blk_nums": [1, 1, 1, 1]}
    return random_state(shapes_of(NAFNet, width=width, **config))


def swinir(variant: str) -> dict[str, Tensor]:
    """A SwinIR of `restore_cli.archs.swinir.VARIANTS`; its masks and indices have their true values."""
    from restore_cli.archs.swinir import VARIANTS, SwinIR

    torch.manual_seed(0)
    return SwinIR(**VARIANTS[variant]).state_dict()


def histoformer() -> dict[str, Tensor]:
    """Histoformer as published: 16,615,100 weights."""
    from restore_cli.archs.histoformer import Histoformer

    return random_state(shapes_of(Histoformer))


def restormer(channels: int = 3, biased_norms: bool = True) -> dict[str, Tensor]:
    """Restormer as published: 26.1 million weights; from the paper, because its code is not ours to have."""
    return random_state(dict(_restormer_shapes(channels, biased_norms)))


def promptir() -> dict[str, Tensor]:
    """PromptIR: Restormer's keys, prompts, and blocks that mix them in."""
    shapes = dict(_restormer_shapes(3, True))
    for level, (prompt, size, features) in enumerate([(64, 64, 96), (128, 32, 192), (320, 16, 384)], start=1):
        shapes |= {
            f"prompt{level}.prompt_param": (1, 5, prompt, size, size),
            f"prompt{level}.linear_layer.weight": (5, features),
            f"prompt{level}.linear_layer.bias": (5,),
            f"prompt{level}.conv3x3.weight": (prompt, prompt, 3, 3),
            f"chnl_reduce{level}.weight": (min(prompt, 256), prompt, 1, 1),
        }
    for level, (width, out) in enumerate([(160, 96), (320, 192), (704, 192)], start=1):
        shapes |= dict(_restormer_block(f"noise_level{level}", width, 4, True))
        shapes[f"reduce_noise_level{level}.weight"] = (out, width, 1, 1)
    return {key: torch.zeros(shape) if len(shape) > 4 else _values(key, shape) for key, shape in shapes.items()}


def adair() -> dict[str, Tensor]:
    """AdaIR: Restormer's keys, and blocks that mix frequencies."""
    shapes = dict(_restormer_shapes(3, True))
    for level, width in enumerate((384, 192, 96), start=1):
        shapes |= {
            f"fre{level}.para1": (width, 1, 1),
            f"fre{level}.para2": (width, 1, 1),
            f"fre{level}.conv1.weight": (width, 3, 3, 3),
            f"fre{level}.score_gen.weight": (2, 2, 7, 7),
            f"fre{level}.score_gen.bias": (2,),
        }
    return random_state(shapes)


def _restormer_shapes(channels: int, biased_norms: bool) -> Iterable[tuple[str, tuple[int, ...]]]:
    width, blocks, heads = 48, (4, 6, 6, 8), (1, 2, 4, 8)
    yield "patch_embed.proj.weight", (width, channels, 3, 3)
    stages = [(f"encoder_level{level}", level, width << (level - 1)) for level in (1, 2, 3)]
    stages += [("latent", 4, 8 * width), ("decoder_level3", 3, 4 * width), ("decoder_level2", 2, 2 * width)]
    stages += [("decoder_level1", 1, 2 * width)]
    for name, level, features in stages:
        for number in range(blocks[level - 1]):
            yield from _restormer_block(f"{name}.{number}", features, heads[level - 1], biased_norms)
    for number in range(4):
        yield from _restormer_block(f"refinement.{number}", 2 * width, 1, biased_norms)
    for level in (1, 2, 3):
        features = width << (level - 1)
        yield f"down{level}_{level + 1}.body.0.weight", (features // 2, features, 3, 3)
        yield f"up{level + 1}_{level}.body.0.weight", (4 * features, 2 * features, 3, 3)
    for level in (2, 3):
        yield f"reduce_chan_level{level}.weight", (width << (level - 1), width << level, 1, 1)
    yield "output.weight", (min(channels, 3), 2 * width, 3, 3)
    if channels == TWO_VIEWS:
        yield "skip_conv.weight", (2 * width, width, 1, 1)


def _restormer_block(prefix: str, width: int, heads: int, biased_norms: bool) -> Iterable[tuple[str, tuple[int, ...]]]:
    hidden = int(width * 2.66)
    yield f"{prefix}.attn.temperature", (heads, 1, 1)
    yield f"{prefix}.attn.qkv.weight", (3 * width, width, 1, 1)
    yield f"{prefix}.attn.qkv_dwconv.weight", (3 * width, 1, 3, 3)
    yield f"{prefix}.attn.project_out.weight", (width, width, 1, 1)
    for norm in ("norm1", "norm2"):
        yield f"{prefix}.{norm}.body.weight", (width,)
        if biased_norms:
            yield f"{prefix}.{norm}.body.bias", (width,)
    yield f"{prefix}.ffn.project_in.weight", (2 * hidden, width, 1, 1)
    yield f"{prefix}.ffn.dwconv.weight", (2 * hidden, 1, 3, 3)
    yield f"{prefix}.ffn.project_out.weight", (width, hidden, 1, 1)
