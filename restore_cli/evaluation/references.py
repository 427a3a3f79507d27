"""What others reach on our test sets: published checkpoints, which are measured, and figures, which are quoted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restore_cli.models.card import Score

__all__ = [
    "CHECKPOINTS",
    "QUOTED",
    "PublishedCheckpoint",
    "Quoted",
    "checkpoints_for",
    "missing_checkpoints",
    "quoted_for",
]


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A file that other people trained.

    Attributes:
        name: in tables.
        file: in the folder of checkpoints.
        task, datasets: where it is measured.
        condition: for which it was trained: the start of a benchmark's condition, or its scale ('x4').
    """

    name: str
    file: str
    task: str
    datasets: tuple[str, ...]
    condition: str


@dataclass(frozen=True)
class Quoted:
    """A figure that a paper prints, on the same pictures by the same protocol.

    Attributes:
        name: of the method.
        task, dataset: what was measured.
        condition: the start of a benchmark's condition, or its scale ('x4').
        psnr: dB.
        source: where it is printed.
    """

    name: str
    task: str
    dataset: str
    condition: str
    psnr: float
    source: str


CHECKPOINTS = (
    # github Amazingren/NTIRE2024_ESR, model_zoo/team34_craft.pth
    PublishedCheckpoint("CRAFT checkpoint", "craft_x4.pth", "sr", ("Set5", "Set14"), "x4"),
    # github cszn/KAIR (MIT), model_zoo/dncnn_25.pth
    PublishedCheckpoint("DnCNN checkpoint", "dncnn_25.pth", "denoise", ("Set12",), "sigma 25"),
)

_HI_IR = "Li et al., Hi-IR, arXiv 2411.18588"
_SR = f"{_HI_IR}, table 8"
_IIT = "Kang et al., iiTransformer, BMVC 2022, table 2, which retrained it"
_NOISE = f"{_HI_IR}, table 21"
_JPEG_GREY = f"{_HI_IR}, table 10"
_JPEG_COLOR = f"{_HI_IR}, table 11"
_MOSAIC = f"{_HI_IR}, table 16"

QUOTED = (
    Quoted("EDSR", "sr", "Set5", "x4", 32.46, _SR),
    Quoted("EDSR", "sr", "Set14", "x4", 28.80, _SR),
    Quoted("SwinIR", "sr", "Set5", "x2", 38.25, _IIT),
    Quoted("SwinIR", "sr", "Set5", "x3", 34.82, _IIT),
    Quoted("DnCNN", "denoise", "CBSD68", "sigma 15", 33.90, _NOISE),
    Quoted("DnCNN", "denoise", "CBSD68", "sigma 25", 31.24, _NOISE),
    Quoted("DnCNN", "denoise", "CBSD68", "sigma 50", 27.95, _NOISE),
    Quoted("DRUNet", "denoise", "CBSD68", "sigma 15", 34.30, _NOISE),
    Quoted("DRUNet", "denoise", "CBSD68", "sigma 25", 31.69, _NOISE),
    Quoted("DRUNet", "denoise", "CBSD68", "sigma 50", 28.51, _NOISE),
    Quoted("FBCNN", "jpeg", "LIVE1", "quality 10", 27.77, _JPEG_COLOR),
    Quoted("FBCNN", "jpeg", "LIVE1", "quality 40", 32.34, _JPEG_COLOR),
    Quoted("DnCNN-3", "jpeg", "classic5", "quality 10", 29.40, _JPEG_GREY),
    Quoted("DnCNN-3", "jpeg", "classic5", "quality 40", 33.77, _JPEG_GREY),
    Quoted("DRUNet", "jpeg", "classic5", "quality 10", 30.16, _JPEG_GREY),
    Quoted("DRUNet", "jpeg", "classic5", "quality 40", 34.41, _JPEG_GREY),
    # The paper does not say which of the four phases, between which ours differ by less than 0.1 dB.
    Quoted("Matlab", "demosaic", "McMaster", "rggb", 34.43, _MOSAIC),
    Quoted("DeepJoint", "demosaic", "McMaster", "rggb", 39.14, _MOSAIC),
    Quoted("Hi-IR", "demosaic", "McMaster", "rggb", 40.78, _MOSAIC),
)


def checkpoints_for(task: str, dataset: str, condition: str, scale: int, folder: Path) -> dict[str, Path]:
    """Name and file in `folder` of every checkpoint that does this; those that are not there are left out."""
    where = condition or f"x{scale}"
    return {
        each.name: folder / each.file
        for each in CHECKPOINTS
        if each.task == task and dataset in each.datasets and where.startswith(each.condition)
        if (folder / each.file).is_file()
    }


def missing_checkpoints(folder: Path) -> set[str]:
    """Names of those that are not in `folder`."""
    return {each.name for each in CHECKPOINTS if not (folder / each.file).is_file()}


def quoted_for(task: str, dataset: str, condition: str, scale: int) -> list[Score]:
    """What papers print for this, as rows of a card."""
    where = condition or f"x{scale}"
    return [
        Score(task, dataset, each.name, each.psnr, condition=condition, source=each.source)
        for each in QUOTED
        if (each.task, each.dataset) == (task, dataset) and where.startswith(each.condition)
    ]
