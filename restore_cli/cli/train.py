"""`restore train`: a recipe and pictures in, a model out."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import UsageError

__all__ = ["EPILOG", "train_recipe"]

EPILOG = "restore train resnet-sr-x4 --data pictures/ --minutes 60 --export models/"


def train_recipe(
    recipe: Annotated[Path, typer.Argument(help="Recipe file, or the name of one that the package carries.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder that holds the recipe's picture folders. Without it a finished run is exported."),
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Run folder. Default: runs/NAME.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Budget, resumed time included. Default: the recipe's.", min=0)
    ] = None,
    device: Annotated[str, typer.Option(metavar="cpu|cuda[:n]", help="Where to train.")] = "cpu",
    processes: Annotated[
        int, typer.Option(help="Share each batch among so many processes, on cuda a GPU each.", min=1)
    ] = 1,
    compiled: Annotated[
        bool | None, typer.Option("--compile/--no-compile", help="Use torch.compile. Default: on cuda.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run folder's checkpoint.")] = False,
    export: Annotated[
        Path | None, typer.Option(help="Then write the model's weights and card into this folder.")
    ] = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No bar.")] = False,
) -> None:
    """Train a network as a recipe says."""
    if minutes is not None and minutes <= 0:
        raise UsageError(f"--minutes {minutes:g}: no time at all.", "Give a positive number.")
    if data is None and export is None:
        raise UsageError("Nothing to do.", "Name the pictures with --data, or a folder to --export a finished run to.")
    if data is None and (resume or minutes is not None):
        raise UsageError("Nothing to train on.", "Add --data, or leave out --resume and --minutes to export as it is.")

    from restore_cli.inference.device import choose_device
    from restore_cli.training.config import read_recipe
    from restore_cli.training.export import check_export, export_model
    from restore_cli.training.loop import Budget, train
    from restore_cli.training.processes import Team, check_processes, run_team
    from restore_cli.training.record import CHECKPOINT_NAME

    display = Display(quiet=quiet)
    read = read_recipe(recipe)
    run_dir = out or Path("runs") / read.name
    checkpoint = run_dir / CHECKPOINT_NAME
    if data is not None:
        chosen = choose_device(device)
        check_processes(processes, chosen, read.data.batch)
        if export is not None:
            check_export(read, export)
        # Where its compiler of kernels is missing, as on Windows, a GPU trains without.
        can_compile = chosen.type == "cuda" and find_spec("triton") is not None
        work = partial(
            train,
            read,
            data,
            run_dir,
            budget=Budget(minutes or read.optimizer.minutes, read.optimizer.steps),
            compile_backend="inductor" if (can_compile if compiled is None else compiled) else None,
            resume=resume,
            show_progress=not quiet,
        )
        try:
            if processes > 1:
                run_team(processes, chosen, work)
            else:
                work(team=Team(chosen))
        except KeyboardInterrupt:
            if checkpoint.exists():
                given = {"data": data, "out": run_dir, "minutes": minutes, "device": device, "processes": processes}
                command = _resuming(recipe, compiled, {**given, "export": export})
                display.note(f"Stopped; {checkpoint} is kept. Go on with: {command}")
            raise
        display.note(f"Trained: {checkpoint}, log in {run_dir / 'log.csv'}, plot in {run_dir / 'log.png'}")
    if export is not None:
        replaced = (export / f"{read.name}.toml").exists()
        card = export_model(read, checkpoint, export)
        display.note(f"Exported: {card}" + (", in place of the one that was there" if replaced else ""))


def _resuming(recipe: Path, compiled: bool | None, options: Mapping[str, object]) -> str:
    """The command line that goes on where this one stopped."""
    words = [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]
    if compiled is not None:
        words.append("--compile" if compiled else "--no-compile")
    return shlex.join(["restore", "train", str(recipe), *words, "--resume"])
