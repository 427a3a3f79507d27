"""Everything that can be known before the first pixel is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from restore_cli.errors import InputError, OutputError, UsageError
from restore_cli.io.formats import WRITABLE_SUFFIXES, format_for
from restore_cli.io.frames import count_frames
from restore_cli.io.paths import Source, find_sources, names_file, plan_outputs
from restore_cli.options import OutputOptions
from restore_cli.tasks import Task

__all__ = ["Job", "check_output", "jobs_for", "plan_jobs"]

FALLBACK_SUFFIX = ".png"  # for inputs whose format we can read but not write


@dataclass(frozen=True)
class Job:
    """One picture: where it comes from and where its result goes."""

    source: Source
    target: Path


def check_output(output: OutputOptions, inputs: int) -> None:
    """Refuse what can be refused knowing only how many inputs there are; `plan_jobs` does the rest.

    Raises:
        OutputError: no format for results.
        UsageError: an option that the name of the one result would leave without effect.
    """
    path = output.output
    wanted = None if output.format is None else format_for(output.format)
    if path is None or not names_file(path, inputs):
        return
    try:
        named = format_for(path)
    except OutputError as error:
        raise OutputError(error.message, f"{error.hint} If a folder is meant, make it first.") from error
    if wanted is not None and wanted is not named:
        raise UsageError(f"--format {output.format} contradicts --output {path}.", "Leave one of them out.")
    if output.suffix is not None:
        raise UsageError(f"--suffix has no meaning with a file as --output ({path}).", "Leave one of them out.")


def plan_jobs(
    inputs: Sequence[str], task: Task, scale: int, output: OutputOptions, *, recursive: bool, frame: int | None = 0
) -> list[Job]:
    """A job for every picture that `inputs` name.

    Args:
        inputs: as typed.
        task, scale: name the results.
        output: where they go.
        recursive: also look into folders' subfolders.
        frame: of files that hold several pictures, which one, from 0; None takes them all.

    Raises:
        InputError: a folder or pattern without pictures.
        OutputError: two results would get one name, or a result an input's; an unknown format.
        UsageError: one output file for several inputs, or one whose name contradicts other options.
    """
    suffix = task.suffix.format(scale=scale) if output.suffix is None else output.suffix
    sources = find_sources(inputs, recursive=recursive, made_suffix=suffix, output=output.output)
    return jobs_for(sources, task, scale, output, frame=frame)


def jobs_for(
    sources: list[Source], task: Task, scale: int, output: OutputOptions, *, frame: int | None = 0
) -> list[Job]:
    """The same for sources that have been found; raises what `plan_jobs` does, but for want of pictures."""
    suffix = task.suffix.format(scale=scale) if output.suffix is None else output.suffix
    if frame != 0:
        sources = [each for source in sources for each in _frames_of(source, frame)]
    check_output(output, len(sources))
    extensions = [_extension(source.path, task, output.format) for source in sources]
    renamed = output.suffix is not None
    targets = plan_outputs(sources, output.output, suffix, extensions, suffix_in_folder=renamed)
    return [Job(source, target) for source, target in zip(sources, targets, strict=True)]


def _frames_of(source: Source, frame: int | None) -> list[Source]:
    if frame is not None:
        return [replace(source, frame=frame)]
    try:
        count = count_frames(source.path)
    except InputError:
        return [source]  # it fails when its turn comes
    return [source] if count == 1 else [replace(source, frame=each) for each in range(count)]


def _extension(source: Path, task: Task, wanted_format: str | None) -> str:
    if wanted_format is not None:
        return format_for(wanted_format).suffix
    if task.input == "mosaic" and source.suffix.lower() == ".pgm":
        return ".ppm"  # a PGM is grey by name, and the result is not
    return source.suffix if source.suffix.lower() in WRITABLE_SUFFIXES else FALLBACK_SUFFIX
