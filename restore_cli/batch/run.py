"""One file from disk to disk, in three steps that may overlap with those of others: load, restore, save.

What goes wrong with a file is its outcome, never an exception: a bad one neither stops nor hides the rest.
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from restore_cli.batch.manifest import Standing
from restore_cli.batch.plan import Job
from restore_cli.batch.record import record_of
from restore_cli.batch.work import Outcome, Work
from restore_cli.errors import InputError, OutputError, RestoreError
from restore_cli.inference.engine import check_mask_size, check_raw, restore_image
from restore_cli.inference.memory import estimate
from restore_cli.inference.restorer import hearing, naming
from restore_cli.io.digest import sha256_of
from restore_cli.io.formats import check_output_limits, format_for
from restore_cli.io.image import Image
from restore_cli.io.paths import check_target, is_same_file
from restore_cli.io.provenance import Provenance, embed, embedded, room_for, sidecar_path, write_sidecar
from restore_cli.io.read import Header, read_header, read_image, read_size
from restore_cli.io.write import write_image
from restore_cli.options import Existing

__all__ = [
    "CHANNELS",
    "Loaded",
    "Outcome",
    "Work",
    "attempt",
    "check_job",
    "is_skipped",
    "load",
    "restore",
    "restore_file",
    "save",
]

P = ParamSpec("P")
T = TypeVar("T")

CHANNELS = 3  # taken for granted before the picture is decoded


@dataclass(frozen=True)
class Loaded:
    """A picture between two steps.

    Attributes:
        image: as read, then as restored.
        clean: its reference, when it is to be scored.
        input_sha256: "" where nobody will ask.
        standing: of the result, as the manifest knew it.
        provenance: of the result, once there is one.
        seconds: of work so far.
    """

    job: Job
    image: Image
    clean: Image | None
    input_sha256: str
    standing: Standing
    seconds: float
    provenance: Provenance | None = None


def restore_file(job: Job, work: Work) -> Outcome:
    """Restore one file, from reading to scoring, and say what became of it. Raises nothing but an interrupt."""
    result: Loaded | Outcome = attempt(job, load, job, work)
    if isinstance(result, Loaded):
        result = attempt(job, restore, result, work)
    return attempt(job, save, result, work) if isinstance(result, Loaded) else result


def attempt(job: Job, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Outcome:
    """What `step` returns, or the failure it ends in."""
    try:
        return step(*args, **kwargs)
    except RestoreError as error:
        return Outcome(job, "failed", error.message, error.hint)
    except MemoryError:
        message = f"{job.source.path}: not enough memory{_of_size(job.source.path)}."
        return Outcome(job, "failed", message, "Close other programs or cut it up.")
    except Exception as error:
        # A bug that one picture brings out must not cost the others.
        message = f"{job.source.path}: internal error ({type(error).__name__}: {error})."
        hint = "Please report it with the trace below."
        return Outcome(job, "failed", message, hint, trace=traceback.format_exc())


def load(job: Job, work: Work) -> Loaded | Outcome:
    """The picture, once everything that can be checked before the work has been; or that it is not needed.

    Raises:
        InputError, OutputError: as `check_job`, or the picture cannot be decoded.
    """
    started = time.perf_counter()
    if is_skipped(job, work):
        return Outcome(job, "skipped", f"{job.target} exists")
    source, standing, input_sha256 = job.source.path, Standing.FOREIGN, ""
    read_size(source, job.source.index)  # refuses what could not be hashed either: a pipe would never end
    if work.manifest is not None or work.settings is not None:
        input_sha256 = _sha256_of(source)
    if work.manifest is not None:
        standing = work.manifest.standing(job.target, _identity(job, input_sha256))
        if standing is Standing.FINISHED and _lacks_sidecar(job, work):
            standing = Standing.BROKEN
        if standing is Standing.FINISHED:
            return Outcome(job, "skipped", f"{job.target} was done before", input_sha256=input_sha256)
    check_job(job, work, standing)
    image = read_image(source, job.source.index)
    reference = _reference(job, work)
    clean = None if reference is None else read_image(reference)
    with _about(source):
        check_output_limits(job.target, image.height, image.width, image.has_transparency, icc=image.icc_profile)
    return Loaded(job, image, clean, input_sha256, standing, time.perf_counter() - started)


def restore(loaded: Loaded, work: Work) -> Loaded:
    """The same with its picture restored."""
    started = time.perf_counter()
    image, source = loaded.image, loaded.job.source.path
    is_grey = image.is_grey
    with _about(source), hearing() as heard:
        work, said = work.at_its_level(image, source)
        restorer = work.grey_restorer if work.grey_restorer is not None and is_grey else work.restorer
        if said:
            with naming(str(source)):
                restorer.note(said)
        restored = restore_image(image, restorer, work.task, work.hints, work.finish, name=str(source))
    provenance = None
    if work.settings is not None:
        provenance = record_of(
            loaded.job.source, loaded.input_sha256, work, work.settings, is_grey=is_grey, heard=heard
        )
    seconds = loaded.seconds + time.perf_counter() - started
    return replace(loaded, image=restored, provenance=provenance, seconds=seconds)


def save(restored: Loaded, work: Work) -> Outcome:
    """Write the result, tell the manifest, and score the file if there is a reference."""
    started = time.perf_counter()
    job, image, target, input_sha256 = restored.job, restored.image, restored.job.target, restored.input_sha256
    if work.manifest is not None:
        work.manifest.begin(job, _identity(job, input_sha256), restored.standing)
    try:
        message = _write(restored, work)
    except Exception:
        if work.manifest is not None:
            work.manifest.give_up(job, _identity(job, input_sha256))
        raise
    # Where this fails the result is there, begun and not given up: a resumed run makes both again.
    _write_sidecar(restored, work)
    written_bytes = os.stat(target).st_size
    if work.manifest is not None:
        work.manifest.finish(job, _identity(job, input_sha256), written_bytes)
    seconds = restored.seconds + time.perf_counter() - started
    scores = None
    if restored.clean is not None:
        # The file as written, so that the figure holds for what the user has.
        written = read_image(target)
        scores = work.protocol.score(written.pixels, restored.clean.pixels, work.restorer.scale)
    size = (image.width, image.height)
    return Outcome(
        job,
        "done",
        message,
        size=size,
        seconds=seconds,
        input_sha256=input_sha256,
        bytes=written_bytes,
        scores=scores,
    )


def _write(restored: Loaded, work: Work) -> str:
    """Returns what there is to say about it, as a rule nothing."""
    image, target, step = restored.image, restored.job.target, restored.provenance
    message = ""
    if step is not None and work.settings is not None and work.settings.provenance and not work.encoding.strip:
        packet, room = embed(image.xmp, step), room_for(format_for(target).name)
        if packet != image.xmp and (room is None or len(packet) <= room):
            image = replace(image, xmp=packet)
        elif room != 0:
            message = f"{target} does not say how it was made: the XMP it had is damaged, or leaves no room for that"
    write_image(image, target, overwrite=_may_replace(work, restored.standing), encoding=work.encoding)
    return message


def _write_sidecar(restored: Loaded, work: Work) -> None:
    target, step = restored.job.target, restored.provenance
    if step is None or work.settings is None or not work.settings.sidecar:
        return
    try:
        write_sidecar(target, *embedded(restored.image.xmp), step)
    except OSError as error:
        raise OutputError(
            f"Cannot write {sidecar_path(target)}: {error.strerror or error}.",
            "The result is there without it; make room and add --resume.",
        ) from error


def _identity(job: Job, input_sha256: str) -> str:
    """Of a picture: its file's content and, beyond the first, its number there."""
    return f"{input_sha256}#{job.source.index}" if job.source.index else input_sha256


def _lacks_sidecar(job: Job, work: Work) -> bool:
    """Whether a run ended between a result and the record that belongs beside it."""
    return work.settings is not None and work.settings.sidecar and not sidecar_path(job.target).exists()


def _may_replace(work: Work, standing: Standing) -> bool:
    return work.existing is Existing.OVERWRITE or standing is Standing.BROKEN


def is_skipped(job: Job, work: Work) -> bool:
    """Whether the result is there already and the user wants it left alone."""
    return work.existing is Existing.SKIP and os.path.lexists(job.target)


def check_job(job: Job, work: Work, standing: Standing = Standing.FOREIGN) -> Header:
    """The input's header, after refusing whatever headers and folders show to be hopeless.

    Args:
        job: one of the batch's.
        work: what is done to all of them.
        standing: of the result; a broken one may be replaced whatever `work.existing` says.

    Raises:
        InputError: the input, mask or reference cannot be read, or their sizes do not fit.
        OutputError: the result cannot be written, or would replace the mask or the reference.
        DeviceMemoryError: there is not enough memory for it.
    """
    source, target, scale = job.source.path, job.target, work.restorer.scale
    check_target(target, overwrite=_may_replace(work, standing))
    header = read_header(source, job.source.index)
    height, width = header.height, header.width
    with _about(source):
        if header.format == "RAW":
            check_raw(work.task)
        check_output_limits(target, height * scale, width * scale, encoding=work.encoding)
        source_format, target_format = header.format, format_for(target).name
        needed = estimate(
            work.restorer, height, width, CHANNELS, source_format=source_format, target_format=target_format
        )
        needed.check()
    reference, mask = _reference(job, work), work.finish.mask
    if mask is not None:
        check_mask_size(mask, read_size(mask), (height, width))
    if reference is not None:
        size = read_size(reference)
        with _about(reference):
            work.protocol.check_sizes((height * scale, width * scale), size, scale)
    for used in (mask, reference):
        if used is not None and is_same_file(used, target):
            raise OutputError(f"{source}: the result would replace {used}.", "Choose another --output.")
    return header


def _reference(job: Job, work: Work) -> Path | None:
    return work.references.find(job.source.path, job.source.relative) if work.references else None


def _of_size(source: Path) -> str:
    with contextlib.suppress(RestoreError):
        height, width = read_size(source)
        return f" for a picture of {width}x{height}"
    return ""


def _sha256_of(source: Path) -> str:
    try:
        return sha256_of(source)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}.") from error


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    """Deeper code knows what went wrong, but not with which file."""
    try:
        yield
    except RestoreError as error:
        raise type(error)(f"{path}: {error.message}", error.hint) from error
