"""How a restored picture is scored, as named objects: a number without its protocol means nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import InputError
from restore_cli.metrics.color import luma_limited
from restore_cli.metrics.psnr import psnr
from restore_cli.metrics.ssim import WINDOW_PX, ssim

__all__ = ["PROTOCOLS", "Protocol", "Scores"]


@dataclass(frozen=True)
class Scores:
    """Of one picture. `ssim` is None for pictures too small for its window."""

    psnr: float
    ssim: float | None


@dataclass(frozen=True)
class Protocol:
    """A way to score.

    Attributes:
        name: in reports.
        channels: 'y' (limited-range luma) or 'rgb' (all channels).
        crop: 'scale' leaves out a border of `scale` pixels, 'none' nothing.
        rounded: both pictures are clipped to [0, 1] and rounded to 8 bits first; else neither.
        source: who scores so.
    """

    name: str
    channels: str
    crop: str
    rounded: bool
    source: str

    def describe(self, scale: int) -> str:
        """One line for people: everything that changes the number."""
        channels = "Y (BT.601, limited range)" if self.channels == "y" else "RGB"
        border = f"border of {scale} px cropped" if self.crop == "scale" else "no border cropped"
        rounding = "rounded to 8 bits" if self.rounded else "neither clipped nor rounded"
        return f"{self.name}: {channels}, {border}, {rounding}, mean over pictures"

    def score(self, restored: NDArray[Any], reference: NDArray[Any], scale: int = 1) -> Scores:
        """Score one picture.

        Args:
            restored: (H, W, C) floating in nominal [0, 1].
            reference: (H', W', C'), H' and W' up to `scale - 1` pixels larger, which are cut off:
                test sets are enlarged from pictures whose sides the scale does not divide.
            scale: enlargement; the border to leave out.

        Raises:
            InputError: the sizes do not fit, or nothing is left inside the border.
        """
        height, width = restored.shape[:2]
        self.check_sizes((height, width), reference.shape[:2], scale)
        reference = reference[:height, :width]
        if self.rounded:
            restored, reference = (np.floor(np.clip(each, 0, 1) * 255 + 0.5) / 255 for each in (restored, reference))
        if self.channels == "y":
            restored, reference = (luma_limited(each) for each in (restored, reference))
        elif restored.shape[2] != reference.shape[2]:
            restored, reference = (np.broadcast_to(each, (*each.shape[:2], 3)) for each in (restored, reference))
        if border := self._border_px(scale):
            restored, reference = (each[border:-border, border:-border] for each in (restored, reference))
        large_enough = min(restored.shape[:2]) >= WINDOW_PX
        return Scores(psnr(restored, reference), ssim(restored, reference) if large_enough else None)

    def check_sizes(self, restored: tuple[int, ...], reference: tuple[int, ...], scale: int) -> None:
        """Raises InputError unless pictures of these (height, width) can be scored, see `score`."""
        surplus = [theirs - ours for ours, theirs in zip(restored, reference, strict=True)]
        if not all(0 <= extra < max(scale, 1) for extra in surplus):
            raise InputError(
                f"the reference is {reference[1]}x{reference[0]}, the restored picture {restored[1]}x{restored[0]}.",
                "A reference has the size of the result.",
            )
        if min(restored) <= 2 * self._border_px(scale):
            raise InputError(
                f"nothing of {restored[1]}x{restored[0]} pixels is left to score inside a border of {scale}.",
                "Leave out --reference.",
            )

    def _border_px(self, scale: int) -> int:
        return scale if self.crop == "scale" and scale > 1 else 0


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("sr", "y", "scale", rounded=True, source="SRCNN, EDSR, SwinIR and after"),
        Protocol("derain", "y", "none", rounded=True, source="MPRNet, HINet, Restormer (MATLAB script)"),
        Protocol("rgb", "rgb", "none", rounded=True, source="GoPro, LIVE1 colour: NAFNet, SwinIR"),
        Protocol("denoise", "rgb", "none", rounded=False, source="DnCNN, DRUNet"),
    )
}
