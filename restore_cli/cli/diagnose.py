"""`restore diagnose`: what is wrong with pictures, how sure that is, and what to type to mend it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import RestoreError

if TYPE_CHECKING:
    from restore_cli.diagnosis.diagnose import Diagnosis

__all__ = ["EPILOG", "diagnose_pictures"]

EPILOG = "restore diagnose in.jpg   |   restore diagnose scans/ -r --json   |   restore diagnose 'raw/*.tif'"


def diagnose_pictures(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Pictures, folders or quoted patterns such as 'scans/*.tif'."),
    ],
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Also the subfolders.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Leave out the pictures with nothing wrong.")] = False,
) -> None:
    """Say what is wrong with pictures (noise, JPEG, blur, size), how sure that is, and the command to mend it."""
    from restore_cli.diagnosis.diagnose import diagnose
    from restore_cli.io.paths import find_sources
    from restore_cli.io.read import read_image

    display = Display(quiet=quiet, as_json=as_json)
    records: list[dict[str, Any]] = []
    sources = find_sources(inputs, recursive=recursive)
    with display.batch(len(sources)):
        for source in sources:
            path = source.path
            display.file_started(path)
            try:
                diagnosis = diagnose(read_image(path), path)
            except RestoreError as error:
                records.append({"input": str(path), "error": error.message, "hint": error.hint})
                display.error(error.message, error.hint)
            else:
                records.append({"input": str(path)} | diagnosis.as_record(str(path)))
                if diagnosis.findings or not quiet:
                    _print(display, path, diagnosis)
            display.file_finished()
    display.document({"pictures": records})
    raise typer.Exit(int(any("error" in record for record in records)))


def _print(display: Display, path: Path, diagnosis: Diagnosis) -> None:
    if not diagnosis.findings:
        display.data(f"{path}: nothing wrong found")
        return
    display.data(f"{path}:")
    for finding in diagnosis.findings:
        sure = "certain" if finding.confidence == 1 else f"{100 * finding.confidence:.0f} % sure"
        display.data(f"  {finding.message} ({sure})")
        display.data(f"    -> {finding.command(str(path))}")
