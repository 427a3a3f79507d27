"""DeblurUNet: the convolutional U-Net, for blur, with first guesses at undoing it.

Small convolutions learn to invert a wide blur slowly. So the network is also shown what others make of the picture.
First, what its brightness becomes when one blur or another of a bank is undone by a regularised inverse filter
(Wiener's): discs of several radii, straight motions of several lengths and directions, for blur that varies over the
picture. Second, the picture with the kernel undone that explains it best as the shake of a camera, which is the same
all over it (`blur_kernel`). Which of them fits where, and how to take back what they overdo, is left to learn; the
filters stay. Deconvolution in front of a network is that of Dong et al., "Deep Wiener Deconvolution", NeurIPS 2020,
there for a known blur.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional

from restore_cli.archs.blur_kernel import find_kernel, undo_kernel
from restore_cli.archs.unet import UNet

__all__ = ["DeblurUNet", "inverse_filters"]

DISC_RADII_PX = (1.0, 1.75, 2.5, 3.25, 4.0)
MOTION_LENGTHS_PX = (4.0, 7.0, 10.0)
DIRECTIONS = 8
FILTER_PX = 41
NOISE_TO_SIGNAL = 0.03
KERNEL_SIZES_PX = (9, 17)  # what suits a short shake misses a long one, and the other way round
KERNEL_NOISE_TO_SIGNAL = (3e-3, 3e-2)
GUESSES = len(KERNEL_SIZES_PX) * len(KERNEL_NOISE_TO_SIGNAL)
ANSWERS = 3 + 1 + GUESSES  # a change of the colours, the shares of the picture and of each guess
LEAST_SIDE_PX = 64  # to find a kernel in
LUMA = (0.299, 0.587, 0.114)
GAMMA = 2.2
DARKEST = 1e-4  # of light; below, the slope of the display's curve has no bounds


class DeblurUNet(UNet):
    """`(N, 3, H, W)` blurred, in nominal [0, 1] -> the same shape, not clamped.

    H and W must be multiples of `size_multiple`; the pad wrapper sees to it.

    Args:
        widths, blocks, body_blocks, unshuffle: as `UNet` has them.
    """

    signature_keys: ClassVar = ("guess_stem.weight", "downs.0.weight", "body.0.conv1.weight", "to_picture.weight")

    overlap_px = 64

    def __init__(
        self,
        widths: Sequence[int] = (48, 96, 192),
        blocks: int = 2,
        body_blocks: int = 4,
        unshuffle: int = 2,
    ) -> None:
        super().__init__(3, widths, blocks, body_blocks, unshuffle)
        del self.stem
        filters = inverse_filters()
        self.inverses: torch.Tensor
        self.register_buffer("inverses", filters[:, None], persistent=False)
        self.guess_stem = nn.Conv2d((3 + len(filters) + 3 * GUESSES) * unshuffle**2, widths[0], 3, padding=1)
        self.to_picture = nn.Conv2d(widths[0], ANSWERS * unshuffle**2, 3, padding=1)

    @staticmethod
    def config_of(state_dict: Mapping[str, torch.Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from; shapes tell them all."""
        answers = state_dict["to_picture.weight"]
        colours = {
            "stem.weight": state_dict["guess_stem.weight"],
            "to_picture.weight": answers[: len(answers) * 3 // ANSWERS],
        }
        config = UNet.config_of({**state_dict, **colours}, stated)
        return {name: value for name, value in config.items() if name != "channels"}

    @property
    def minimum_size(self) -> int:
        return self.size_multiple * math.ceil(LEAST_SIDE_PX / self.size_multiple)

    @property
    def receptive_radius(self) -> None:  # type: ignore[override]
        """None: the whole picture tells how the camera shook."""
        return

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        guesses = by_kernels(picture)
        seen = functional.pixel_unshuffle(torch.cat([picture, self.by_bank(picture), *guesses], dim=1), self.unshuffle)
        answers = functional.pixel_shuffle(self.change(self.guess_stem(seen)), self.unshuffle)
        change, shares = answers.split([3, 1 + GUESSES], dim=1)
        # Each pixel is made of the picture and the guesses, in shares, so that no detail of theirs is lost on its way
        # through the network; and of a change beside them.
        mixed = (shares.softmax(dim=1)[:, :, None] * torch.stack([picture, *guesses], dim=1)).sum(dim=1)
        restored: torch.Tensor = mixed + change
        return restored

    def by_bank(self, picture: torch.Tensor) -> torch.Tensor:
        """(N, filters, H, W): how each of the bank changes the brightness of `picture`."""
        luma = _luma(picture)[:, None]
        border = FILTER_PX // 2
        extended = functional.pad(luma, (border, border, border, border), mode="replicate")
        return functional.conv2d(extended, self.inverses) - luma


@torch.no_grad()
def by_kernels(picture: torch.Tensor) -> list[torch.Tensor]:
    """`picture` (N, 3, H, W) with the kernel of each size undone, boldly and carefully."""
    with torch.autocast(picture.device.type, enabled=False):
        exact = picture.to(torch.promote_types(picture.dtype, torch.float32))  # half precision has no spectra
        light = exact.clamp(DARKEST, 1) ** GAMMA
        brightness = _luma(light) ** (1 / GAMMA)
        guesses = []
        for size_px in KERNEL_SIZES_PX:
            kernel = find_kernel(brightness, size_px)
            for sharp in undo_kernel(light, kernel, KERNEL_NOISE_TO_SIGNAL):
                guesses.append((sharp.clamp(DARKEST, 1) ** (1 / GAMMA)).to(picture.dtype))
        return guesses


def inverse_filters(filter_px: int = FILTER_PX, noise_to_signal: float = NOISE_TO_SIGNAL) -> torch.Tensor:
    """(filters, filter_px, filter_px): the bank's filters; each keeps a flat picture as it is.

    Args:
        filter_px: side, odd.
        noise_to_signal: Wiener's term; the larger, the less is amplified.
    """
    blurs = [_disc(radius, filter_px) for radius in DISC_RADII_PX]
    angles = [math.pi * index / DIRECTIONS for index in range(DIRECTIONS)]
    blurs += [_motion(length, angle, filter_px) for length in MOTION_LENGTHS_PX for angle in angles]
    kernels = torch.stack(blurs)
    # On a grid four times as wide, so that what a filter has beyond its edges does not fold back in.
    side = 4 * filter_px
    response = torch.fft.rfft2(kernels, s=(side, side))
    inverses = torch.fft.irfft2(response.conj() / (response.abs() ** 2 + noise_to_signal), s=(side, side))
    # A blur's centre is at filter_px // 2 from the corner, so its inverse's is as far on the other side.
    filters: torch.Tensor = inverses.roll((2 * (filter_px // 2),) * 2, dims=(-2, -1))[:, :filter_px, :filter_px]
    return (filters / filters.sum(dim=(-2, -1), keepdim=True)).to(torch.float32)


def _luma(picture: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) -> (N, H, W): BT.601."""
    return (picture * picture.new_tensor(LUMA)[:, None, None]).sum(dim=1)


def _disc(radius_px: float, side: int) -> torch.Tensor:
    """A disc whose edge falls off over a pixel, in the middle of a square; its sum is 1."""
    across = _across(side)
    distance = torch.hypot(across[:, None], across[None])
    disc = (radius_px + 0.5 - distance).clamp(0, 1)
    return disc / disc.sum()


def _motion(length_px: float, angle: float, side: int) -> torch.Tensor:
    """A straight line through the middle of a square, spread over the pixels it passes; its sum is 1."""
    across = _across(side)
    kernel = torch.zeros_like(across[:, None] * across[None])
    for step in range(101):
        place = length_px * (step / 100 - 0.5)
        rows = (1 - (across - place * math.sin(angle)).abs()).clamp(min=0)
        columns = (1 - (across - place * math.cos(angle)).abs()).clamp(min=0)
        kernel += rows[:, None] * columns[None]
    return kernel / kernel.sum()


def _across(side: int) -> torch.Tensor:
    """Distances of pixels from the middle one. On the CPU also where a network is only outlined."""
    return torch.arange(side, dtype=torch.float64, device="cpu") - side // 2
