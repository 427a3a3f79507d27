"""`restore train`: a recipe and pictures in, a model out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import UsageError

__all__ = ["EPILOG", "train_recipe"]

EPILOG = "restore train resnet-sr-x4 --data pictures/ --minutes 60 --export models/"


def train_recipe(
    recipe: Annotated[Path, typer.Argument(help="Recipe file, or the name of one that the package carries.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the recipe's picture folders.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Run folder. Default: runs/NAME.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget. Default: the recipe's.", min=0)] = None,
    device: Annotated[str, typer.Option(metavar="cpu|cuda[:n]", help="Where to train.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run folder's checkpoint.")] = False,
    export: Annotated[
        Path | None, typer.Option(help="Then write the model's weights and card into this folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No bar.")] = False,
) -> None:
    """Train a network as a recipe says."""
    from restore_cli.inference.device import choose_device
    from restore_cli.training.config import read_recipe
    from restore_cli.training.export import check_card, export_model
    from restore_cli.training.loop import Budget, train

    display = Display(quiet=quiet)
    device = str(choose_device(device))
    if minutes is not None and minutes <= 0:
        raise UsageError(f"--minutes {minutes:g}: no time at all.", "Give a positive number.")
    read = read_recipe(recipe)
    if export is not None:
        check_card(read)
    run_dir = out or Path("runs") / read.name
    budget = Budget(read.optimizer.minutes if minutes is None else minutes)
    checkpoint = train(read, data, run_dir, budget=budget, device=device, resume=resume, show_progress=not quiet)
    display.note(f"Trained: {checkpoint}, log in {run_dir / 'log.csv'}")
    if export is not None:
        display.note(f"Exported: {export_model(read, checkpoint, export)}")
