"""`restore show`: what a result says about how it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import InputError
from restore_cli.options import Encoding, FinishOptions, Hints, RunOptions

if TYPE_CHECKING:
    from restore_cli.io.provenance import NamedFile, Provenance, Record

__all__ = ["EPILOG", "record_in", "show"]

EPILOG = "restore show out.png   |   restore show out.png --json"
# What a run has unless it is told otherwise.
DEFAULTS = {
    "run": asdict(RunOptions()),
    "hints": asdict(Hints()),
    "finish": asdict(FinishOptions()),
    "encoding": asdict(Encoding()),
}
SHOWN_ELSEWHERE = ("task", "models", "provenance")


def show(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A result, or a picture with a .restore.json beside it.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Show how a picture was made: by which model, with which settings, from what."""
    display = Display(quiet=quiet, as_json=as_json)
    record = record_in(file)
    if not record.matches:
        display.note(f"{file} has changed since {record.sidecar} was written.")
    for step in record.steps:
        for line in _lines(step):
            display.data(line)
    display.document(
        {
            "file": str(file),
            "sidecar": None if record.sidecar is None else str(record.sidecar),
            "matches": record.matches,
            "steps": [asdict(step) for step in record.steps],
        }
    )


def record_in(file: Path) -> Record:
    """What is known of `file`; raises InputError if that is nothing."""
    from restore_cli.io.provenance import look_up, sidecar_path

    record = look_up(file)
    if not record.steps:
        raise InputError(
            f"{file} does not say how it was made.",
            f"Results do, unless made with --strip; those of --sidecar have {sidecar_path(file).name} beside them.",
        )
    return record


def _lines(step: Provenance) -> Iterator[str]:
    when = step.created.replace("T", " ").removesuffix("Z")
    yield f"{step.task}, {when} UTC, {step.tool} {step.version}"
    yield _file_line("input", step.input) + ("" if step.frame is None else f", picture {step.frame}")
    for option, companion in step.companions.items():
        yield _file_line(option.replace("_", "-"), companion)
    for model in step.models:
        yield _file_line("model", model)
    surroundings = ", ".join(f"{name} {value}" for name, value in step.environment.items())
    yield f"  {'on':<12}{step.device} in {step.precision}" + (f" ({surroundings})" if surroundings else "")
    changed = list(_changed(step.settings))
    yield f"  {'settings':<12}{', '.join(changed) or 'as they are by default'}"
    for note in step.notes:
        yield f"  {'noted':<12}{note}"


def _file_line(what: str, file: NamedFile) -> str:
    return f"  {what:<12}{file.name}  sha256 {file.sha256}"


def _changed(settings: Mapping[str, Any]) -> Iterator[str]:
    """Those that are not as by default."""
    for name, value in settings.items():
        if name in DEFAULTS and isinstance(value, Mapping):
            for option, given in value.items():
                if given != DEFAULTS[name].get(option):
                    yield f"{option} {given}"
        elif name not in SHOWN_ELSEWHERE and value is not None:
            yield f"{name} {value}"
