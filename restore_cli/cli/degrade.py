"""`restore degrade`: clean pictures in, pictures to restore out."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import OutputError, RecipeError, RestoreError, UsageError

if TYPE_CHECKING:
    from restore_cli.degradations.recipes import Degradation

__all__ = ["EPILOG", "degrade", "find_degradation"]

EPILOG = (
    "restore degrade rain in.jpg -o rainy.png   |   restore degrade jpeg photos/ -o damaged/ --set quality=10   |   "
    "restore degrade phone.toml in.png --seed 7"
)
SUFFIX = ".png"


def _print_kinds(wanted: bool) -> None:
    if not wanted:
        return
    from restore_cli.degradations.recipes import DEGRADATIONS

    for name, kind in DEGRADATIONS.items():
        typer.echo(f"{name}: {(kind.__doc__ or '').strip().splitlines()[0]}")
        for each in fields(kind):
            typer.echo(f"    {each.name} = {'(required)' if each.default is MISSING else json.dumps(each.default)}")
    raise typer.Exit()


def degrade(
    recipe: Annotated[str, typer.Argument(help="A kind of degradation (see --list), or a TOML file that says one.")],
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Pictures, folders or quoted patterns such as 'scans/*.tif'."),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="PATH", help="PNG file or folder for results; beside the inputs if left out."
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the chance in it; each picture's own follows from its name.")
    ] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting; a range is one number or a list of two."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave results that exist.")] = False,
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Also the subfolders; their tree is kept.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
    list_kinds: Annotated[
        bool,
        typer.Option("--list", callback=_print_kinds, is_eager=True, help="Print the kinds and their settings."),
    ] = False,
) -> None:
    """Degrade clean pictures: rain, blur, noise, JPEG and the like, to train on or to test with."""
    if overwrite and skip_existing:
        raise UsageError("--overwrite and --skip-existing contradict each other.", "Choose one.")
    display = Display(quiet=quiet, as_json=as_json)
    degradation, name = find_degradation(recipe, settings or [])

    records: list[dict[str, Any]] = []
    planned = _plan(inputs, output, f"_{name}", recursive)
    with display.batch(len(planned)):
        for number, (source, target) in enumerate(planned, 1):
            place = f"[{number}/{len(planned)}] " if len(planned) > 1 else ""
            record: dict[str, Any] = {"input": str(source), "output": str(target)}
            records.append(record)
            display.file_started(source)
            if skip_existing and os.path.lexists(target):
                record["status"] = "would skip" if dry_run else "skipped"
                display.note(f"{place}{target} exists, skipped")
            else:
                try:
                    record |= _degrade_file(source, target, degradation, seed, overwrite=overwrite, dry_run=dry_run)
                except RestoreError as error:
                    status = "would fail" if dry_run else "failed"
                    record |= {"status": status, "message": error.message, "hint": error.hint}
                    display.error(error.message, error.hint)
                else:
                    mosaic = f" (--cfa {record['cfa']})" if "cfa" in record else ""
                    (display.data if dry_run else display.note)(f"{place}{source} -> {target}{mosaic}")
            display.file_finished()
    display.document(
        {"recipe": recipe, "settings": asdict(degradation), "seed": seed, "dry_run": dry_run, "files": records}
    )
    raise typer.Exit(int(any("fail" in record["status"] for record in records)))


def find_degradation(recipe: str, overrides: list[str]) -> tuple[Degradation, str]:
    """The degradation, and what results are called after."""
    from restore_cli.degradations.recipes import DEGRADATIONS, read_degradation
    from restore_cli.tables import read_toml

    is_kind = recipe in DEGRADATIONS
    if is_kind and any(text.partition("=")[0].strip() == "kind" for text in overrides):
        raise UsageError(f"--set kind: the kind is {recipe}.", "Name the other in its place.")
    if not is_kind and not os.path.isfile(recipe):
        raise RecipeError(f"{recipe}: no such degradation.", f"A TOML file, or one of {', '.join(DEGRADATIONS)}.")
    table: dict[str, Any] = {"kind": recipe} if is_kind else read_toml(Path(recipe))
    for text in overrides:
        key, separator, value = text.partition("=")
        if not separator:
            raise UsageError(f"--set {text}: no value.", "Write KEY=VALUE; restore degrade --list shows the keys.")
        table[key.strip()] = _value(value.strip())
    return read_degradation(table, recipe), Path(recipe).stem


def _value(text: str) -> Any:  # noqa: ANN401 - whatever the user wrote
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plan(inputs: list[str], output: str | None, suffix: str, recursive: bool) -> list[tuple[Path, Path]]:
    from restore_cli.io.paths import find_sources, names_file, plan_outputs

    if output == "":
        raise UsageError("--output is empty.", "Check the variable it came from, or leave it out.")
    if "-" in (*inputs, output):
        raise UsageError("Pipes are not supported: '-' is no file.", "A file of that name is ./-.")
    place = None if output is None else Path(output)
    sources = find_sources(inputs, recursive=recursive, made_suffix=suffix, output=place)
    if place is not None and names_file(place, len(sources)) and place.suffix.lower() != SUFFIX:
        raise OutputError(f"--output {output}: results are PNG.", "Anything else would degrade them once more.")
    targets = plan_outputs(sources, place, suffix, [SUFFIX] * len(sources))
    return [(source.path, target) for source, target in zip(sources, targets, strict=True)]


def _degrade_file(
    source: Path, target: Path, degradation: Degradation, seed: int, *, overwrite: bool, dry_run: bool
) -> dict[str, Any]:
    """Degrade one file, or only find out whether it could be; what there is to record of it."""
    from restore_cli.degradations.picture import degrade_image
    from restore_cli.degradations.recipes import generator_for, scale_of
    from restore_cli.degradations.resize import check_reducible
    from restore_cli.io.paths import check_target
    from restore_cli.io.read import read_image, read_size
    from restore_cli.io.write import write_image

    check_target(target, overwrite=overwrite)
    if dry_run:
        height, width = read_size(source)
        with _named(source):
            check_reducible(height, width, scale_of(degradation))
        return {"status": "planned"}
    started = time.perf_counter()
    image = read_image(source)
    with _named(source):
        degraded = degrade_image(image, degradation, generator_for(seed, source.stem))
    write_image(degraded.image, target, overwrite=overwrite)
    record = {"status": "done", "width": degraded.image.width, "height": degraded.image.height}
    if degraded.cfa:
        record["cfa"] = degraded.cfa
    return {**record, "seconds": round(time.perf_counter() - started, 3)}


@contextlib.contextmanager
def _named(source: Path) -> Iterator[None]:
    """Errors of what knows pixels alone say whose they are."""
    try:
        yield
    except RestoreError as error:
        raise type(error)(f"{source}: {error.message}", error.hint) from error
