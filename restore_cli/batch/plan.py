"""Everything that can be known before the first pixel is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from restore_cli.io.formats import WRITABLE_FORMATS, format_for
from restore_cli.io.paths import Source, find_sources, plan_outputs
from restore_cli.options import OutputOptions
from restore_cli.tasks import Task

__all__ = ["Job", "plan_jobs"]

FALLBACK_SUFFIX = ".png"  # for inputs whose format we can read but not write


@dataclass(frozen=True)
class Job:
    """One picture: where it comes from and where its result goes."""

    source: Source
    target: Path


def plan_jobs(inputs: Sequence[str], task: Task, scale: int, output: OutputOptions, *, recursive: bool) -> list[Job]:
    """A job for every picture that `inputs` name.

    Raises:
        InputError: a folder or pattern without pictures.
        OutputError: two results would get one name, or a result an input's; an unknown format.
        UsageError: one output file for several inputs.
    """
    suffix = task.suffix.format(scale=scale) if output.suffix is None else output.suffix
    sources = find_sources(inputs, recursive=recursive, made_suffix=suffix)
    extensions = [_extension(source.path, output.format) for source in sources]
    targets = plan_outputs(sources, output.output, suffix, extensions)
    return [Job(source, target) for source, target in zip(sources, targets, strict=True)]


def _extension(source: Path, wanted_format: str | None) -> str:
    if wanted_format is not None:
        return format_for(wanted_format).suffix
    writable = {suffix for held in WRITABLE_FORMATS.values() for suffix in held.suffixes}
    return source.suffix if source.suffix.lower() in writable else FALLBACK_SUFFIX
