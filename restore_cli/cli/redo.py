"""`restore redo`: the run that made a picture, once more."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.cli._params import OUTPUT, AsJson, Models, Offline, Quiet
from restore_cli.cli.show import record_in
from restore_cli.errors import InputError, OutputError, RestoreError, UsageError

__all__ = ["EPILOG", "redo"]

EPILOG = "restore redo out.png --check   |   restore redo out.png --input scans/ -o again.png"
ADDED = "_redo"  # to the name of the new result


def redo(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A result that says how it was made.")],
    input: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The original, or a folder with it. Default: beside FILE, or here."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Default: FILE's name with _redo.", rich_help_panel=OUTPUT),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Keep no result; only say whether it is FILE.", rich_help_panel=OUTPUT)
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a result that exists.", rich_help_panel=OUTPUT)
    ] = False,
    model: Models = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Repeat the run that made a picture, bit for bit on the same machine."""
    if check and (output is not None or overwrite):
        raise UsageError("--check keeps no result.", "Leave out --output and --overwrite.")
    display = Display(quiet=quiet, as_json=as_json)
    record = record_in(file)
    with ExitStack() as stack:
        if check:
            target = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="restore-")), file.name)
        else:
            target = _target(file, output, overwrite=overwrite)

        from restore_cli.batch.redo import compare, differences, find_named, reopen, repetition
        from restore_cli.batch.run import restore_file
        from restore_cli.options import Existing

        step = record.steps[-1]
        places = [file.parent, Path()] if input is None else _places(input)
        source = find_named(step.input, places, "input", "Name it, or a folder with it: --input PATH.")
        work = reopen(
            step,
            [source.parent, *places],
            model or (),
            existing=Existing.OVERWRITE if overwrite else Existing.FAIL,
            sidecar=record.sidecar is not None,
            offline=offline,
            observer=display,
            progress=display.download,
        )
        changed = differences(step, work)
        for difference in changed:
            display.note(f"not as it was: {difference}")
        for note in step.notes:
            display.note(f"the first run noted: {note}")
        outcome = restore_file(repetition(step, source, target), work)
        if outcome.trace:
            display.trace(outcome.trace)
        if outcome.status != "done":
            raise RestoreError(outcome.message, outcome.hint)
        comparison = compare(file, target)
    if not check:
        display.note(f"{source} -> {target}")
    display.data(f"{file}: {comparison.verdict}")
    display.document(
        {
            "file": str(file),
            "input": str(source),
            "output": None if check else str(target),
            "verdict": comparison.verdict,
            "same": comparison.same,
            "same_pixels": comparison.same_pixels,
            "not_as_it_was": changed,
        }
    )
    raise typer.Exit(int(check and not comparison.same))


def _target(file: Path, output: Path | None, *, overwrite: bool) -> Path:
    """Where the new result goes; raises UsageError or OutputError where it cannot."""
    from restore_cli.io.formats import format_for
    from restore_cli.io.paths import check_target, is_same_file

    target = file.with_name(f"{file.stem}{ADDED}{file.suffix}") if output is None else output
    if target.is_dir():
        target = target / file.name
    if format_for(target) is not format_for(file):
        raise UsageError(f"{target} would not be the same: {file} is {format_for(file).name}.", "Keep the suffix.")
    if is_same_file(target, file):
        raise OutputError(f"{target} is the picture to repeat.", "Give another --output, or --check.")
    check_target(target, overwrite=overwrite)
    return target


def _places(input: Path) -> list[Path]:
    """The file, or the folder and all below it."""
    if not input.exists():
        raise InputError(f"There is no file {input}.", "Check --input.")
    return [Path(folder) for folder, _, _ in sorted(os.walk(input))] if input.is_dir() else [input]
