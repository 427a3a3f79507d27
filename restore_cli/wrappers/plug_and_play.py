"""Plug-and-play demosaicing: a denoiser that knows nothing of mosaics restores one, a little at a time.

Source: Zhang et al., "Plug-and-Play Image Restoration with Deep Denoiser Prior" (DPIR), TPAMI 2021,
arXiv 2008.13751; the settings are those of the authors' demosaicing program (github cszn/DPIR, MIT). The
start is Malvar, He & Cutler, "High-quality linear interpolation for demosaicing of Bayer-patterned color
images", ICASSP 2004. Published with DRUNet: Kodak 42.68 dB, McMaster 39.39 dB.

Half-quadratic splitting of  |mask * x - mosaic|^2 / (2 s^2) + prior(x)  takes two steps in turn:

    data     x = (mosaic + rho * z) / (mask + rho)     where nothing was measured z stays as it is
    prior    z = denoiser(x, sigma)                    rho = 0.23 (s / sigma)^2

with sigma falling from 49 to 0.6 (of 255) in 40 equal ratios, s = 0.255. Each time the denoiser sees the
picture turned or mirrored in the next of eight ways (periodic geometric self-ensemble: the gain of an
ensemble without its cost). At last what was measured is put back as it was.

Differs from the authors' program: any Bayer phase; values above 1 are not cut off where the mosaic itself
has such; pictures too large for the memory are denoised in tiles that fade, not in four quarters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.wrappers import canvases

__all__ = ["MINIMUM_PX", "PlugAndPlayDemosaic", "bayer_cells", "interpolate_linearly", "measured", "noise_schedule"]

ITERATIONS = 40
FIRST_SIGMA_255 = 49.0
LAST_SIGMA_255 = 0.6
MOSAIC_SIGMA_255 = 0.255
PRIOR_WEIGHT = 0.23
# (quarter turns, then mirrored), in the authors' order, which decides which one comes last.
ORIENTATIONS = ((0, False), (3, True), (2, True), (3, False), (0, True), (1, False), (2, False), (1, True))
# How far the interpolation sees, and the sides it needs, since it reflects as much about the border.
REACH_PX = 2
MINIMUM_PX = 3


class PlugAndPlayDemosaic(nn.Module):
    """`(N, 3, H, W)` sparse Bayer mosaic -> RGB picture of the same shape.

    Each value of the mosaic stands in its own colour's channel, with zeros elsewhere; any of the four
    phases, found for each picture. H and W at least `MINIMUM_PX`. What was measured comes out unchanged.

    Args:
        denoiser: called as `denoiser(picture, sigma=level)` with (N, 3, H, W) in nominal [0, 1] and the
            level (1, 1, 1, 1) in the same units; returns the same shape. Any H and W.
        iterations: 40 is published.
    """

    def __init__(self, denoiser: nn.Module, iterations: int = ITERATIONS) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.iterations = iterations

    def forward(self, sparse: Tensor) -> Tensor:
        cells = bayer_cells(sparse)
        low, high = min(0.0, float(sparse.min())), max(1.0, float(sparse.max()))
        picture = interpolate_linearly(sparse, cells)
        for step, sigma in enumerate(noise_schedule(self.iterations)):
            rho = PRIOR_WEIGHT * (MOSAIC_SIGMA_255 / 255 / sigma) ** 2
            for rows in canvases.rows_of(picture):
                part, seen = picture[..., rows, :], sparse[..., rows, :]
                # The data step above, in a form that leaves the unmeasured exactly as it is.
                part.add_(measured(cells, part, rows.start) * (seen - part), alpha=1 / (1 + rho)).clamp_(low, high)
            picture = self._denoised(picture, sigma, *ORIENTATIONS[step % len(ORIENTATIONS)])
        for rows in canvases.rows_of(picture):
            part, seen = picture[..., rows, :], sparse[..., rows, :]
            part.copy_(torch.where(measured(cells, part, rows.start), seen, part))
        return picture

    def _denoised(self, picture: Tensor, sigma: float, quarter_turns: int, mirrored: bool) -> Tensor:
        """A picture of its own, whatever the denoiser returns."""
        turned = canvases.turned(picture, quarter_turns, flip_last=mirrored)
        denoised: Tensor = self.denoiser(turned, sigma=picture.new_full((1, 1, 1, 1), sigma))
        return canvases.turned(denoised, -quarter_turns, flip_first=mirrored)


def noise_schedule(iterations: int = ITERATIONS) -> list[float]:
    """The denoiser's level at each iteration, for pictures in [0, 1]: falling by equal ratios."""
    ratio = LAST_SIGMA_255 / FIRST_SIGMA_255
    return [FIRST_SIGMA_255 / 255 * ratio ** (step / max(iterations - 1, 1)) for step in range(iterations)]


def bayer_cells(sparse: Tensor) -> Tensor:
    """Where each colour was measured in the 2x2 cell that is repeated, bool, (N, 3, 2, 2).

    Of the four phases the one that accounts for most of what is not zero in `sparse`, (N, 3, H, W), so that
    measured zeros do no harm. A picture without any red, or any blue, fits several; they differ in nothing that
    was seen.
    """
    shares = [[sparse[:, :, row::2, column::2].abs().sum(dim=(-2, -1)) for column in (0, 1)] for row in (0, 1)]
    found = torch.stack([torch.stack(row, dim=-1) for row in shares], dim=-2)
    phases = torch.stack([_cell(row, column) for row in (0, 1) for column in (0, 1)]).to(sparse.device)
    explained = (found * phases[:, None]).sum(dim=(2, 3, 4))
    return phases[explained.argmax(dim=0)]


def measured(cells: Tensor, like: Tensor, first_row: int = 0) -> Tensor:
    """The cells repeated to the height and width of `like`, whose rows start at `first_row` of the picture."""
    height, width = like.shape[-2:]
    cells = cells.roll(-(first_row % 2), dims=-2)
    return cells.repeat(1, 1, -(-height // 2), -(-width // 2))[..., :height, :width]


def interpolate_linearly(sparse: Tensor, cells: Tensor) -> Tensor:
    """The mosaic interpolated by Malvar's 5x5 filters, not clamped; `cells` as `bayer_cells` finds them.

    A colour is interpolated from its own samples, and corrected by how much the colour that was measured
    there differs from its own surroundings.
    """
    batch, channels, height, width = sparse.shape
    picture = canvases.blank(sparse, height, width, batch=batch, channels=channels, dtype=sparse.dtype)
    for rows in canvases.rows_of(sparse):
        top, bottom = max(rows.start - REACH_PX, 0), min(rows.stop + REACH_PX, height)
        strip = sparse[..., top:bottom, :]
        interpolated = _interpolated(strip, measured(cells, strip, top))
        picture[..., rows, :] = interpolated[..., rows.start - top : rows.stop - top, :]
    return picture


def _interpolated(sparse: Tensor, mask: Tensor) -> Tensor:
    raw = functional.pad(sparse.sum(dim=1, keepdim=True), (REACH_PX,) * 4, mode="reflect")
    green, across, down, diagonal = functional.conv2d(raw, _malvar_filters(sparse)).split(1, dim=1)
    red_at, green_at, _ = mask.split(1, dim=1)
    # A green sample has its red neighbours at its sides in one row, above and below in the next.
    in_red_row = red_at.any(dim=-1, keepdim=True)
    red = torch.where(green_at, torch.where(in_red_row, across, down), diagonal)
    blue = torch.where(green_at, torch.where(in_red_row, down, across), diagonal)
    return torch.where(mask, sparse, torch.cat([red, green, blue], dim=1))


def _cell(red_row: int, red_column: int) -> Tensor:
    """(3, 2, 2): where each colour is measured if red is at this row and column."""
    cell = torch.zeros(3, 2, 2, dtype=torch.bool)
    cell[0, red_row, red_column] = True
    cell[1, red_row, 1 - red_column] = cell[1, 1 - red_row, red_column] = True
    cell[2, 1 - red_row, 1 - red_column] = True
    return cell


def _malvar_filters(like: Tensor) -> Tensor:
    """(4, 1, 5, 5): green at red or blue; a colour from its row, from its column, and from its diagonals."""
    green = torch.tensor([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]])
    across = torch.tensor(
        [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
    )
    diagonal = torch.tensor(
        [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]
    )
    return (torch.stack([green, across, across.T, diagonal])[:, None] / 8).to(like)
