"""The command line. Nothing below this package imports torch before a command has been chosen."""

from __future__ import annotations

from typing import Annotated

import typer

from restore_cli import __version__
from restore_cli.cli import models, restore, train
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
app.command("train")(guarded(train.train_recipe))
app.add_typer(models.app, name="models")


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
    app()
