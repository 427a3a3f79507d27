"""The command line. Nothing below this package imports torch before a command has been chosen."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import Annotated

import typer

from restore_cli import __version__
from restore_cli.cli import bench, compare, degrade, diagnose, doctor, eval, inspect, models, redo, restore, show, train
from restore_cli.cli._shell import guarded

__all__ = ["app", "main"]

app = typer.Typer(
    name="restore",
    help="Restore pictures: enlarge, denoise, deblur, derain, repair JPEG, demosaic, clear weather.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name, command in restore.COMMANDS.items():
    app.command(name, epilog=restore.EPILOGS[name], no_args_is_help=True)(guarded(command))
app.command("degrade", epilog=degrade.EPILOG, no_args_is_help=True)(guarded(degrade.degrade))
app.command("eval", epilog=eval.EPILOG, no_args_is_help=True)(guarded(eval.evaluate_task))
app.command("compare", epilog=compare.EPILOG, no_args_is_help=True)(guarded(compare.compare))
app.command("train", epilog=train.EPILOG, no_args_is_help=True)(guarded(train.train_recipe))
app.command("inspect", epilog=inspect.EPILOG, no_args_is_help=True)(guarded(inspect.inspect_network))
app.command("show", epilog=show.EPILOG, no_args_is_help=True)(guarded(show.show))
app.command("redo", epilog=redo.EPILOG, no_args_is_help=True)(guarded(redo.redo))
app.command("diagnose", epilog=diagnose.EPILOG, no_args_is_help=True)(guarded(diagnose.diagnose_pictures))
app.command("doctor", epilog=doctor.EPILOG)(guarded(doctor.doctor))
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script."""
    # Other people's warnings are for developers: torch's and spandrel's say nothing a user could act on.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    if sys.stderr is not None:
        with contextlib.suppress(OSError):  # no standard error
            # File descriptor 2 belongs to the decoders, which are kept quiet by turning it away for a moment
            # (`io.tiff_parts.quiet_stderr`). What other threads say meanwhile must not be lost.
            ours = os.dup(2)
            sys.stderr = open(ours, "w", 1, sys.stderr.encoding, sys.stderr.errors, closefd=False)  # noqa: SIM115
    app()
