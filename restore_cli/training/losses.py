"""Losses between restored and clean batches, both (N, C, H, W); each returns a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LOSS_FUNCTIONS", "charbonnier_loss", "psnr_loss"]


def charbonnier_loss(restored: Tensor, clean: Tensor, eps: float = 1e-3) -> Tensor:
    """Mean of sqrt(difference**2 + eps**2): L1 with a smooth bottom (Charbonnier et al., ICIP 1994)."""
    return (restored - clean).square().add(eps**2).sqrt().mean()


def psnr_loss(restored: Tensor, clean: Tensor) -> Tensor:
    """Minus the PSNR in dB of each picture at peak 1, averaged (HINet, CVPRW 2021); -80 when identical."""
    mean_square = (restored - clean).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(mean_square + 1e-8).mean()


LOSS_FUNCTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "charbonnier": charbonnier_loss,
    "l1": functional.l1_loss,
    "mse": functional.mse_loss,
    "psnr": psnr_loss,
}
