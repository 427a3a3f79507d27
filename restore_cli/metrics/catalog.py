"""Every metric by the name that scores, reports and options use, with its convention."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from restore_cli.errors import UsageError
from restore_cli.metrics import perceptual, psnr_b
from restore_cli.metrics.mae import mae
from restore_cli.metrics.psnr import psnr
from restore_cli.metrics.ssim import UNIFORM_PX, WINDOW_PX, ssim, ssim_downsampled, ssim_uniform, ssim_volume

__all__ = ["METRICS", "Metric", "check_metrics", "find_metric"]


Compute = Callable[[NDArray[Any], NDArray[Any]], float]


@dataclass(frozen=True)
class Metric:
    """A number for a restored picture, given its reference.

    Attributes:
        name: key of scores. One of `channels` 'each' scores as 'name.0', 'name.1', ...
        label: heading of a column.
        convention: for people: what exactly is computed.
        compute: (restored, reference) -> the number; both (H, W) or (H, W, C), floating, [0, 1].
        channels: what it looks at: 'y' (limited-range luma), 'y_rounded' (the same in 8 bits), 'y_full'
            (full-range luma), 'all', 'each' (one score a channel), or '' for those of the protocol.
        unit: 'dB' or none.
        decimals: worth printing.
        higher_is_better: false for distances.
        min_side_px: of a picture that can be scored.
        prepare: loads what it needs beside the package, or says what is missing; None where nothing is needed.
    """

    name: str
    label: str
    convention: str
    compute: Compute
    channels: str = ""
    unit: str = ""
    decimals: int = 4
    higher_is_better: bool = True
    min_side_px: int = 1
    prepare: Callable[[], object] | None = None


def find_metric(key: str) -> Metric:
    """The metric of a key of scores, such as 'ssim' or 'psnr_channels.0'.

    Raises:
        UsageError: no such metric.
    """
    name = key.partition(".")[0]
    if name not in METRICS:
        raise UsageError(f"No metric is called '{key}'.", f"There are {', '.join(METRICS)}.")
    return METRICS[name]


def check_metrics(names: Iterable[str]) -> None:
    """Before long work: raises UsageError for unknown names, and whatever `prepare` finds missing."""
    for name in names:
        if name not in METRICS:
            find_metric(name)  # the error names what there is
            raise UsageError(f"'{name}' is one score of '{name.partition('.')[0]}'.", "Ask for that.")
        if prepare := METRICS[name].prepare:
            prepare()


def _psnr(name: str, label: str, convention: str, channels: str = "") -> Metric:
    return Metric(name, label, convention, psnr, channels, unit="dB", decimals=2)


def _psnr_b(name: str, label: str, convention: str, compute: Compute = psnr_b.psnr_b, channels: str = "") -> Metric:
    return Metric(name, label, convention, compute, channels, unit="dB", decimals=2, min_side_px=psnr_b.MIN_SIDE_PX)


def _ssim(name: str, label: str, convention: str, channels: str = "") -> Metric:
    return Metric(name, label, convention, ssim, channels, min_side_px=WINDOW_PX)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _psnr("psnr", "PSNR", "squared error over all pixels and channels together"),
        _ssim("ssim", "SSIM", "Wang et al. 2004: Gaussian window 11x11, sigma 1.5, inside only; channels averaged"),
        Metric("mae", "MAE", "mean absolute error of values in [0, 1]", mae, higher_is_better=False),
        _psnr_b(
            "psnr_b", "PSNR-B", "Yim & Bovik 2011, 8x8 grid; in colour: error over RGB, blocks of limited-range luma"
        ),
        _psnr("psnr_rgb", "PSNR (RGB)", "as psnr, over all channels whatever the protocol's", "all"),
        _psnr("psnr_y", "PSNR (Y)", "as psnr, on BT.601 luma in limited range", "y"),
        _psnr("psnr_y_rounded", "PSNR (Y, 8 bits)", "as psnr_y, with Y rounded to 8 bits as MATLAB does", "y_rounded"),
        _psnr("psnr_y_full", "PSNR (Y, full)", "as psnr, on BT.601 luma in full range: 1.32 dB lower", "y_full"),
        _psnr("psnr_channels", "PSNR (channel)", "as psnr, of each channel alone", "each"),
        _ssim("ssim_rgb", "SSIM (RGB)", "as ssim, over all channels whatever the protocol's", "all"),
        _ssim("ssim_y", "SSIM (Y)", "as ssim, on BT.601 luma in limited range", "y"),
        _ssim("ssim_y_full", "SSIM (Y, full)", "as ssim, on BT.601 luma in full range", "y_full"),
        Metric(
            "ssim_uniform",
            "SSIM (7x7)",
            "scikit-image's defaults: uniform window 7x7, sample covariance",
            ssim_uniform,
            min_side_px=UNIFORM_PX,
        ),
        Metric(
            "ssim_downsampled",
            "SSIM (reduced)",
            "Wang's full program: pictures first reduced to about 256 pixels, then as ssim",
            ssim_downsampled,
            min_side_px=WINDOW_PX,
        ),
        Metric(
            "ssim_volume",
            "SSIM (volume)",
            "MATLAB's ssim() of RGB as a volume, window 11x11x11; HINet's and NAFNet's",
            ssim_volume,
            "all",
            min_side_px=WINDOW_PX,
        ),
        _psnr_b("psnr_b_y", "PSNR-B (Y)", "as psnr_b, on BT.601 luma in limited range", channels="y"),
        _psnr_b("psnr_b_mean", "PSNR-B (mean)", "SwinIR's: PSNR-B of each channel, then mean", psnr_b.psnr_b_mean),
        Metric(
            "lpips",
            "LPIPS",
            "Zhang et al. 2018, v0.1 on AlexNet",
            perceptual.lpips,
            "all",
            higher_is_better=False,
            min_side_px=perceptual.MIN_SIDE_PX,
            prepare=perceptual.prepare_lpips,
        ),
        Metric(
            "dists",
            "DISTS",
            "Ding et al. 2020, on VGG16, not resized",
            perceptual.dists,
            "all",
            higher_is_better=False,
            min_side_px=perceptual.MIN_SIDE_PX,
            prepare=perceptual.prepare_dists,
        ),
        Metric(
            "niqe",
            "NIQE",
            "Mittal et al. 2013, of the restored picture alone, by pyiqa",
            lambda restored, reference: perceptual.niqe(restored),
            "all",
            higher_is_better=False,
            min_side_px=perceptual.NIQE_MIN_SIDE_PX,
            prepare=perceptual.prepare_niqe,
        ),
    )
}
