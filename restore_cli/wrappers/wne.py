"""WNE: a wrapper that makes any backbone exactly normalization-equivariant.

Source: Saied & Fleuret, "Normalization Equivariance for Arbitrary Backbones, with Application to
Image Denoising", arXiv 2605.08193. A restorer f is normalization-equivariant when
f(a*y + b) = a*f(y) + b for every contrast a > 0 and brightness b, and every such f has the form
f(y) = sd(y) * g((y - mu(y)) / sd(y)) + mu(y). Any network can serve as g.

Differs from the authors' code: the deviation is the population one, and a constant picture (sd = 0)
comes out as itself instead of as NaN. Statistics are scalars a picture, over channels and pixels
jointly; per-channel ones would impose another, larger symmetry and lose the ratio of the colours.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from restore_cli.wrappers import canvases

__all__ = ["NormalizationEquivariant", "Statistics"]


class Statistics(NamedTuple):
    """Mean and deviation of each picture, both (N, 1, 1, 1)."""

    mean: torch.Tensor
    deviation: torch.Tensor


class NormalizationEquivariant(nn.Module):
    """`backbone` wrapped; adds no parameters and no buffers.

    Args:
        backbone: any network from `(N, C, H, W)` to `(N, C', sH, sW)`.
        eps: added to the deviation; 0 is exact, the paper's 1e-5 nearly so.
    """

    def __init__(self, backbone: nn.Module, eps: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.eps = eps

    def statistics(self, picture: torch.Tensor) -> Statistics:
        """Of each picture of the batch on its own, in float32 or better."""
        bands = [picture[..., rows, :] for rows in canvases.rows_of(picture)]
        shares = [band.shape[-2] / picture.shape[-2] for band in bands]
        mean = sum(share * _mean(_exact(band)) for share, band in zip(shares, bands, strict=True))
        variance = torch.as_tensor(
            sum(share * _mean((_exact(band) - mean).square()) for share, band in zip(shares, bands, strict=True))
        )
        # The root of zero has an infinite gradient, so it is not taken.
        deviation = torch.where(variance > 0, variance, torch.ones_like(variance)).sqrt() * (variance > 0)
        return Statistics(torch.as_tensor(mean), deviation + self.eps)

    def forward(
        self, picture: torch.Tensor, *, statistics: Statistics | None = None, **conditioning: torch.Tensor
    ) -> torch.Tensor:
        """Restore `picture`.

        Args:
            picture: (N, C, H, W).
            statistics: of the whole picture, when `picture` is a part of it. A part normalized by
                its own statistics would be restored as if it had another noise level.
            conditioning: passed on; `sigma`, a noise level in the picture's units, (N, 1, 1, 1),
                is first divided by the deviation, as the noise itself is.
        """
        mean, deviation = statistics or self.statistics(picture)
        # A deviation of zero is replaced before dividing: `where` after it would leave NaN gradients.
        safe = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        if "sigma" in conditioning:
            conditioning = {**conditioning, "sigma": conditioning["sigma"] * (deviation > 0) / safe}
        normalized = canvases.by_rows(lambda band: ((band - mean) / safe).to(band.dtype), picture)
        restored: torch.Tensor = self.backbone(normalized, **conditioning)
        return canvases.by_rows(lambda band: (band * deviation + mean).to(picture.dtype), restored)


def _exact(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _mean(values: torch.Tensor) -> torch.Tensor:
    return values.mean(dim=(1, 2, 3), keepdim=True)
