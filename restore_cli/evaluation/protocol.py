"""How a restored picture is scored, as named objects: a number without its protocol means nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import InputError
from restore_cli.metrics.catalog import METRICS, find_metric
from restore_cli.metrics.color import luma_full, luma_limited, luma_rounded

__all__ = ["PROTOCOLS", "Protocol", "Scores"]

_Pixels = NDArray[Any]
_LUMAS = {"y": luma_limited, "y_rounded": luma_rounded, "y_full": luma_full}
_CHANNELS = {"y": "Y (BT.601, limited range)", "all": "RGB (grey where the reference is)"}


@dataclass(frozen=True)
class Scores:
    """Of one picture.

    Attributes:
        values: by metric, in the order asked for. A picture too small for a metric goes without it.
    """

    values: dict[str, float]

    @property
    def psnr(self) -> float:
        """In dB; infinite for identical pictures."""
        return self.values["psnr"]

    @property
    def ssim(self) -> float | None:
        """None for pictures too small for its window."""
        return self.values.get("ssim")


@dataclass(frozen=True)
class Protocol:
    """A way to score.

    Attributes:
        name: that of the task.
        source: who scores so.
        degradation: how they make the input.
        channels: 'y' (limited-range luma) or 'all' that the reference has.
        crop: 'scale' leaves out a border of `scale` pixels, 'none' nothing.
        rounded: both pictures are clipped to [0, 1] and rounded to 8 bits first; else neither.
        metrics: keys of `METRICS` that are always given, 'psnr' first.
        averaging: of pictures.
    """

    name: str
    source: str
    degradation: str
    channels: str = "all"
    crop: str = "none"
    rounded: bool = True
    metrics: tuple[str, ...] = ("psnr", "ssim")
    averaging: str = "mean over pictures of the scores"

    def describe(self, scale: int) -> str:
        """One line for people: everything that changes the number."""
        border = f"border of {self._border_px(scale)} px cropped" if self._border_px(scale) else "no border cropped"
        rounding = "rounded to 8 bits" if self.rounded else "neither clipped nor rounded"
        return f"{self.name}: {_CHANNELS[self.channels]}, {border}, {rounding}, {self.averaging}"

    def as_record(self, scale: int) -> dict[str, Any]:
        """For JSON and pages: every choice by its name, and the line for people."""
        return {
            "name": self.name,
            "description": self.describe(scale),
            "source": self.source,
            "degradation": self.degradation,
            "channels": _CHANNELS[self.channels],
            "border_px": self._border_px(scale),
            "rounding": "clipped and rounded to 8 bits" if self.rounded else "neither clipped nor rounded",
            "metrics": {name: METRICS[name].convention for name in self.metrics},
            "averaging": self.averaging,
        }

    def score(self, restored: _Pixels, reference: _Pixels, scale: int = 1, more: Sequence[str] = ()) -> Scores:
        """Score one picture.

        Grey against colour: for luma, grey counts as RGB with three equal channels, as in the tools that
        read every file as colour. For all channels, a colour picture whose three are equal counts as the
        grey one it is; any other against a grey one is an error, as no paper says what that would mean.

        Args:
            restored: (H, W, 1 or 3) floating in nominal [0, 1].
            reference: (H', W', 1 or 3), H' and W' up to `scale - 1` pixels larger, which are cut off:
                test sets are enlarged from pictures whose sides the scale does not divide.
            scale: enlargement; the border to leave out.
            more: keys of `METRICS` to give beside the protocol's own. They see the same rounding and border.

        Raises:
            InputError: sizes or channels do not fit, nothing is left inside the border, or a picture holds
                values that are not numbers.
            UsageError: no such metric.
        """
        restored, reference = self._prepared(restored, reference, scale)
        values: dict[str, float] = {}
        for name in dict.fromkeys((*self.metrics, *more)):
            metric = find_metric(name)
            if min(restored.shape[:2]) < metric.min_side_px:
                continue
            if metric.channels == "each":
                for channel in range(reference.shape[2]):
                    values[f"{name}.{channel}"] = metric.compute(restored[:, :, channel], reference[:, :, channel])
                continue
            luma = _LUMAS.get(metric.channels or self.channels)
            seen = (luma(restored), luma(reference)) if luma else (restored, reference)
            values[name] = metric.compute(*seen)
        return Scores(values)

    def check_sizes(self, restored: tuple[int, ...], reference: tuple[int, ...], scale: int) -> None:
        """Raises InputError unless pictures of these (height, width) can be scored, see `score`."""
        surplus = [theirs - ours for ours, theirs in zip(restored, reference, strict=True)]
        if not all(0 <= extra < max(scale, 1) for extra in surplus):
            raise InputError(
                f"the reference is {reference[1]}x{reference[0]}, the restored picture {restored[1]}x{restored[0]}.",
                "A reference has the size of the result.",
            )
        border = self._border_px(scale)
        if min(restored) <= 2 * border:
            raise InputError(
                f"nothing of {restored[1]}x{restored[0]} pixels is left to score inside a border of {border}.",
                "Leave it out: it is too small for this scale.",
            )

    def _prepared(self, restored: _Pixels, reference: _Pixels, scale: int) -> tuple[_Pixels, _Pixels]:
        """Both in one size and one number of channels, finite, rounded where that is due, without the border."""
        for name, picture in (("restored picture", restored), ("reference", reference)):
            if picture.ndim != 3 or picture.shape[2] not in (1, 3):
                raise InputError(f"the {name} has the shape {picture.shape}, not (height, width, 1 or 3).")
            # Before clipping, which makes infinity a 1.
            if wrong := int(picture.size - np.isfinite(picture).sum()):
                raise InputError(f"the {name} holds {wrong} values that are not numbers or infinite.")
        height, width = restored.shape[:2]
        self.check_sizes((height, width), reference.shape[:2], scale)
        restored, reference = self._in_same_channels(restored, reference[:height, :width])
        if self.rounded:
            restored, reference = (np.floor(np.clip(each, 0, 1) * 255 + 0.5) / 255 for each in (restored, reference))
        if border := self._border_px(scale):
            restored, reference = (each[border:-border, border:-border] for each in (restored, reference))
        return restored, reference

    def _in_same_channels(self, restored: _Pixels, reference: _Pixels) -> tuple[_Pixels, _Pixels]:
        if restored.shape[2] == reference.shape[2]:
            return restored, reference
        if all((each == each[:, :, :1]).all() for each in (restored, reference)):
            return restored[:, :, :1], reference[:, :, :1]
        if self.channels == "all":
            kinds = ["grey" if each.shape[2] == 1 else "in colour" for each in (reference, restored)]
            raise InputError(
                f"the reference is {kinds[0]}, the restored picture {kinds[1]}.",
                "Convert one of them, so that it is clear what is compared.",
            )
        # Luma takes grey for RGB with equal channels; so do the metrics asked for beside it.
        first, second = (np.broadcast_to(each, (*each.shape[:2], 3)) for each in (restored, reference))
        return first, second

    def _border_px(self, scale: int) -> int:
        return scale if self.crop == "scale" and scale > 1 else 0


# Where the papers of a task disagree, `source` names who does otherwise, and METRICS has their numbers.
PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "sr",
            source="EDSR, RCAN, SwinIR, HAT (MATLAB scripts also round Y to 8 bits)",
            degradation="the clean picture, cut to a multiple of the scale, reduced by MATLAB's imresize "
            "(bicubic, antialiased) and rounded to 8 bits",
            channels="y",
            crop="scale",
        ),
        Protocol(
            "denoise",
            source="DnCNN, DRUNet, SwinIR; grey: Set12, BSD68; colour: CBSD68, Kodak24, McMaster "
            "(their programs round the results to 8 bits, the inputs not)",
            degradation="Gaussian noise of sigma / 255, drawn anew for each picture by numpy's RandomState(0), "
            "neither clipped nor rounded",
            rounded=False,
        ),
        Protocol(
            "deblur",
            source="MPRNet, NAFNet on GoPro, HIDE, RealBlur (SSIM as ssim_volume); DPDNet, Restormer on "
            "DPDD's defocus (not rounded, SSIM as ssim_uniform, and LPIPS)",
            degradation="photographs, as the test set holds them",
            metrics=("psnr", "ssim", "mae"),
        ),
        Protocol(
            "derain",
            source="MPRNet, HINet, Restormer on Rain100, Test100 and the like (their MATLAB also rounds Y to 8 bits)",
            degradation="rendered rain, as the test set holds it",
            channels="y",
        ),
        Protocol(
            "jpeg",
            source="ARCNN, DnCNN, SwinIR in grey: classic5, LIVE1's luma; FBCNN in colour: LIVE1, BSDS500",
            degradation="OpenCV's JPEG encoder at the given quality, colour with its default of halved chroma",
            metrics=("psnr", "ssim", "psnr_b"),
        ),
        Protocol(
            "demosaic",
            source="CPSNR as RSTCANet has it on McMaster, Kodak, Urban100 (DPIR and older work leave out 10 pixels)",
            degradation="Bayer mosaic of the clean 8-bit picture, without noise",
        ),
        Protocol(
            "weather",
            source="deblurring's; on the weather sets WeatherDiffusion scores psnr_y, TransWeather psnr_y_full",
            degradation="rendered or photographed, as the test set holds it",
        ),
    )
}
