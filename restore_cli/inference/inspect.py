"""What happens inside a network: feature magnitudes, channel entropy, and how equivariant it is.

The diagnostics of the i-LN poster (under LayerNorm the features of restoration transformers grow by
orders of magnitude and few channels carry everything) and of the WNE paper (the equivariance
defect), for any network this package can load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import log2

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from restore_cli.inference.restorer import Restorer

__all__ = ["FP16_MAX", "BlockStatistics", "as_batch", "block_statistics", "equivariance_defect", "watched_blocks"]

FP16_MAX = 65504.0
DRAWS = 8


@dataclass(frozen=True)
class BlockStatistics:
    """Of the features that a block hands on.

    Attributes:
        block: its name in the network.
        max_magnitude: largest absolute value.
        channel_entropy_bits: Shannon entropy of the channels' shares of the mean absolute value:
            log2(channels) when all carry alike, near 0 when one carries everything.
        channels: their number.
    """

    block: str
    max_magnitude: float
    channel_entropy_bits: float
    channels: int

    @property
    def full_entropy_bits(self) -> float:
        """The entropy if all channels carried alike."""
        return log2(self.channels)

    @property
    def near_fp16_limit(self) -> bool:
        """Whether the features come within a factor of four of overflowing half precision."""
        return self.max_magnitude > FP16_MAX / 4


def as_batch(pixels: NDArray[np.float32], channels: int) -> Tensor:
    """(H, W, C) as a batch of one for a network of so many channels: grey is repeated, colour averaged."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    if picture.shape[1] == channels:
        return picture
    return picture.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1)


def block_statistics(restorer: Restorer, picture: Tensor, **hints: float | None) -> list[BlockStatistics]:
    """Statistics after each block, see `watched_blocks`, from one run over the whole picture.

    Args:
        restorer: without tiles and ensemble; device, precision and WNE as it has them.
        picture: (1, C, H, W) in nominal [0, 1].
        **hints: `sigma_255`, `quality_factor` for a network that must be told.

    Raises:
        ValueError: the restorer cuts pictures or averages over turns.
    """
    if restorer.policy.tile_px is not None or restorer.tta:
        raise ValueError("statistics need one run over the whole picture: tile_px=0, no ensemble")
    with watched_blocks(restorer.model.network.module) as found:
        restorer(picture, **hints)
    return found


@contextmanager
def watched_blocks(network: nn.Module) -> Iterator[list[BlockStatistics]]:
    """Statistics after each block, in the order they are computed, of every run of `network` inside the `with`.

    A block is an item of a `ModuleList` or `Sequential` that stands directly in the network or in
    another such item: what the papers call a block, stage or group, not every convolution.
    """
    found: list[BlockStatistics] = []

    def watched(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            features = output[0] if isinstance(output, tuple) and output else output
            if isinstance(features, Tensor) and features.is_floating_point() and features.ndim >= 3:
                found.append(_statistics(name, module, features))

        return hook

    handles = [module.register_forward_hook(watched(name)) for name, module in _blocks(network)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def equivariance_defect(restore: Callable[[Tensor], Tensor], picture: Tensor, seed: int = 0) -> float:
    """Mean relative distance of f(a*y + b) from a*f(y) + b over eight draws of contrast and brightness.

    Convention: the WNE paper's: a uniform in [0.5, 1.5], b in [-0.25, 0.25], norms over the picture.

    Args:
        restore: f, on (1, C, H, W).
        picture: y.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    restored = restore(picture)
    defects = []
    for _ in range(DRAWS):
        contrast = 0.5 + torch.rand((), generator=generator).item()
        brightness = -0.25 + 0.5 * torch.rand((), generator=generator).item()
        expected = contrast * restored + brightness
        distance: Tensor = (restore(contrast * picture + brightness) - expected).norm()
        defects.append(float(distance / (expected.norm() + 1e-6)))
    return sum(defects) / len(defects)


def _blocks(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Items of containers, two levels deep at most, and only those with parameters of their own."""
    blocks: list[tuple[str, nn.Module]] = []

    def visit(module: nn.Module, prefix: str, depth: int) -> None:
        for name, child in module.named_children():
            full = f"{prefix}{name}"
            if isinstance(module, (nn.ModuleList, nn.Sequential)):
                if any(True for _ in child.parameters()):
                    blocks.append((full, child))
                if depth < 2:
                    visit(child, f"{full}.", depth + 1)
            elif depth < 2:
                visit(child, f"{full}.", depth)

    visit(network, "", 0)
    return blocks


def _statistics(name: str, block: nn.Module, features: Tensor) -> BlockStatistics:
    magnitude = features.detach().float().abs()
    share = magnitude.movedim(_channel_axis(block, features), 0).flatten(1).mean(dim=1)
    share = share / share.sum().clamp_min(torch.finfo(torch.float32).tiny)
    entropy = -(share * share.clamp_min(1e-30).log2()).sum()
    return BlockStatistics(name, magnitude.max().item(), entropy.item(), share.numel())


def _channel_axis(block: nn.Module, features: Tensor) -> int:
    """Pictures are (N, C, H, W), tokens (N, L, C) or (N, H, W, C): the widths inside the block tell which."""
    if features.ndim != 4:
        return -1
    widths = {getattr(part, "out_channels", getattr(part, "out_features", None)) for part in block.modules()}
    return -1 if features.shape[1] not in widths and features.shape[-1] in widths else 1
