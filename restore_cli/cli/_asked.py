"""The options of `restore eval`, and what of them contradicts itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

import typer

from restore_cli.cli._params import (
    OUTPUT,
    AsJson,
    CommercialOk,
    Crops,
    Device,
    DryRun,
    LocalStatistics,
    Models,
    NetworkPrecision,
    Offline,
    Quiet,
    RandomCrops,
    Tile,
    TileOverlap,
    Tta,
    Wne,
    WneEps,
)
from restore_cli.errors import UsageError
from restore_cli.options import Cfa, Precision, RunOptions, parse_tile
from restore_cli.tasks import TASKS

__all__ = ["Asked"]

PICTURES, SCORES = "Pictures", "Scores"
# The 1.32 dB trap and its relatives, side by side.
ALL_CHANNELS = ("psnr_y", "psnr_y_full", "psnr_rgb", "psnr_channels", "ssim_y", "ssim_y_full", "ssim_rgb")
# What makes the input, and what runs models on it.
MAKING = ("degrade", "sigma", "quality", "cfa", "seed")
RUNNING = (
    *("model", "tta", "wne", "wne_eps", "offline", "commercial_ok", "tile", "tile_overlap", "crops", "random_crops"),
    *("local_statistics", "device", "precision", "output", "resume", "paper"),
)


@dataclass(frozen=True)
class Asked:
    """Arguments and options of the command; each field is a parameter."""

    task: Annotated[str, typer.Argument(metavar="TASK", help=f"One of {', '.join(TASKS)}.")]
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET", help="Folder of a test set in one of the usual layouts, or of clean pictures."
        ),
    ] = None
    pairs: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="RESTORED REFERENCE",
            help="Score pictures that are restored already; nothing is run.",
            rich_help_panel=PICTURES,
        ),
    ] = None
    input: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Degraded pictures, with --reference.", rich_help_panel=PICTURES),
    ] = None
    reference: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Clean pictures, with --input; paired by name.", rich_help_panel=PICTURES),
    ] = None
    clean: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Clean pictures, of which the input is made.", rich_help_panel=PICTURES),
    ] = None
    degrade: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RECIPE", help="How: a kind or TOML file of `restore degrade`; repeat.", rich_help_panel=PICTURES
        ),
    ] = None
    sigma: Annotated[
        list[float] | None,
        typer.Option(
            help="Noise the denoising papers add, in 8-bit units; repeat. Also told to models that must know.",
            rich_help_panel=PICTURES,
        ),
    ] = None
    quality: Annotated[
        list[int] | None, typer.Option(help="JPEG quality, by OpenCV's encoder; repeat.", rich_help_panel=PICTURES)
    ] = None
    scale: Annotated[
        int | None,
        typer.Option("-s", "--scale", help="Enlargement. Default: the model's, else 4.", rich_help_panel=PICTURES),
    ] = None
    cfa: Annotated[
        list[Cfa] | None,
        typer.Option(help="Bayer pattern; repeat with --clean. Default: rggb.", rich_help_panel=PICTURES),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of noise and recipes. Default: 0, as in the papers.", rich_help_panel=PICTURES),
    ] = None
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Leave out pictures without partner.", rich_help_panel=PICTURES),
    ] = False
    model: Models = None
    tta: Tta = False
    wne: Wne = None
    wne_eps: WneEps = 0.0
    offline: Offline = False
    commercial_ok: CommercialOk = False
    metrics: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="More metrics beside the protocol's, such as psnr_y,lpips.", rich_help_panel=SCORES
        ),
    ] = None
    all_channels: Annotated[
        bool,
        typer.Option(
            "--all-channels", help="Also Y in limited and full range, RGB and each channel.", rich_help_panel=SCORES
        ),
    ] = False
    paper: Annotated[
        bool,
        typer.Option(
            "--paper",
            help="Compare with the card's published figure, and find the convention that explains a gap.",
            rich_help_panel=SCORES,
        ),
    ] = False
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="DIR", help="Keep pictures and a journal here.", rich_help_panel=OUTPUT),
    ] = None
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the journal in --output.", rich_help_panel=OUTPUT)
    ] = False
    csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write every score here.", rich_help_panel=OUTPUT)
    ] = None
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Write a page (HTML) with pictures.", rich_help_panel=OUTPUT),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist.", rich_help_panel=OUTPUT)
    ] = False
    tile: Tile = "auto"
    tile_overlap: TileOverlap = None
    crops: Crops = None
    random_crops: RandomCrops = 0
    local_statistics: LocalStatistics = None
    device: Device = "auto"
    precision: NetworkPrecision = Precision.AUTO
    dry_run: DryRun = False
    as_json: AsJson = False
    quiet: Quiet = False

    def __post_init__(self) -> None:
        for name in ("dataset", "input", "reference", "clean", "output", "csv", "report", "device", "metrics"):
            if getattr(self, name) == "" or "" in (self.model or ()):
                raise UsageError("A name is empty.", "Check the variable it came from.")
        ways = (self.dataset, self.pairs, self.input or self.reference, self.clean)
        if sum(way is not None for way in ways) != 1 or (self.input is None) != (self.reference is None):
            raise UsageError(
                "Say in one way which pictures to take.",
                "DATASET, --pairs RESTORED REFERENCE, --input DEGRADED --reference CLEAN, or --clean DIR.",
            )
        if self.pairs is not None:
            self.refuse((*MAKING, *RUNNING), "--pairs, which runs nothing")
        if self.resume and self.output is None:
            raise UsageError("--resume needs the folder of the run.", "Name it with -o.")
        if self.resume and self.overwrite:
            raise UsageError("--resume and --overwrite contradict each other.", "Choose one.")
        if len(set(self.model or ())) < len(self.model or ()):
            raise UsageError("--model names one model twice.", "Name each once.")

    def refuse(self, names: Sequence[str], reason: str) -> None:
        """Raises UsageError for the first of these options that was given."""
        for each in fields(self):
            if each.name in names and getattr(self, each.name) not in (each.default, []):
                option = "-o" if each.name == "output" else f"--{each.name.replace('_', '-')}"
                raise UsageError(f"{option} has no meaning with {reason}.", "Leave it out.")

    def run_options(self) -> RunOptions:
        """How to run networks; raises UsageError for values that make no sense."""
        return RunOptions(
            device=self.device,
            precision=self.precision,
            tile_px=parse_tile(self.tile),
            overlap_px=self.tile_overlap,
            tta=self.tta,
            wne=self.wne,
            wne_eps=self.wne_eps,
            crops_px=self.crops,
            random_crops=self.random_crops,
            local_statistics_px=self.local_statistics,
        )

    def more_metrics(self) -> tuple[str, ...]:
        """Beside the protocol's own."""
        named = [name.strip() for name in (self.metrics or "").split(",") if name.strip()]
        return tuple(dict.fromkeys((*named, *(ALL_CHANNELS if self.all_channels else ()))))
