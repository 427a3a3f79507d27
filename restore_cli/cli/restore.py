"""`restore sr|denoise|deblur|derain|jpeg|demosaic|weather`: seven thin commands over one road."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.log import Log
from restore_cli.cli._elsewhere import check_elsewhere, choose_runner, find_far, is_elsewhere
from restore_cli.cli._models_chosen import choose_models
from restore_cli.cli._output import Display
from restore_cli.cli._params import MODEL, Shared, with_shared_options
from restore_cli.cli._pipes import Piped, piped
from restore_cli.cli._report import print_plan, run_and_report
from restore_cli.errors import UsageError
from restore_cli.options import Cfa, Hints, parse_frames
from restore_cli.tasks import TASKS, Task

if TYPE_CHECKING:
    from restore_cli.batch.plan import Job
    from restore_cli.batch.work import Work

__all__ = ["COMMANDS", "EPILOGS"]


@with_shared_options
def sr(
    shared: Shared,
    scale: Annotated[
        int | None,
        typer.Option("-s", "--scale", help="Enlargement. Default: the model's, else 4.", rich_help_panel=MODEL),
    ] = None,
) -> None:
    """Enlarge pictures by super-resolution."""
    _run(TASKS["sr"], shared, scale=scale)


@with_shared_options
def denoise(
    shared: Shared,
    sigma: Annotated[
        float | None,
        typer.Option(help="Noise level in 8-bit units, for models that must be told.", rich_help_panel=MODEL),
    ] = None,
) -> None:
    """Remove noise."""
    _run(TASKS["denoise"], shared, sigma_255=sigma)


@with_shared_options
def deblur(
    shared: Shared,
    second_view: Annotated[
        Path | None,
        typer.Option(help="The other view of a dual-pixel picture, for models that take both.", rich_help_panel=MODEL),
    ] = None,
) -> None:
    """Remove camera shake and defocus blur."""
    _run(TASKS["deblur"], shared, second_view=second_view)


@with_shared_options
def derain(shared: Shared) -> None:
    """Remove rain streaks."""
    _run(TASKS["derain"], shared)


@with_shared_options
def jpeg(
    shared: Shared,
    quality_factor: Annotated[
        float | None,
        typer.Option(
            help="JPEG quality the picture was saved with, for models that must be told.", rich_help_panel=MODEL
        ),
    ] = None,
) -> None:
    """Remove JPEG compression artifacts."""
    _run(TASKS["jpeg"], shared, quality_factor=quality_factor)


@with_shared_options
def demosaic(
    shared: Shared,
    cfa: Annotated[
        Cfa, typer.Option(help="Bayer pattern of the top left 2x2 pixels, row by row.", rich_help_panel=MODEL)
    ] = Cfa.RGGB,
) -> None:
    """Turn Bayer mosaics into colour pictures."""
    _run(TASKS["demosaic"], shared, cfa=cfa)


@with_shared_options
def weather(shared: Shared) -> None:
    """Remove snow, raindrops, or rain with fog."""
    _run(TASKS["weather"], shared)


COMMANDS = {
    "sr": sr,
    "denoise": denoise,
    "deblur": deblur,
    "derain": derain,
    "jpeg": jpeg,
    "demosaic": demosaic,
    "weather": weather,
}

EPILOGS = {
    "sr": "restore sr --scale 4 in.png   |   restore sr scans/ -r -o large/   |   restore sr in.png -n model.pth",
    "denoise": "restore denoise in.jpg   |   restore denoise in.png --strength 0.7   |   restore denoise 'raw/*.tif'",
    "deblur": "restore deblur in.jpg   |   restore deblur in.png -n nafnet-gopro-width64",
    "derain": "restore derain in.jpg   |   restore derain in.png -n model.pth",
    "jpeg": "restore jpeg in.jpg -f png   |   restore jpeg in.jpg -n fbcnn-color -f png",
    "demosaic": "restore demosaic mosaic.png --cfa grbg",
    "weather": "restore weather in.jpg   |   restore weather in.png -n model.pth",
}


def _run(
    task: Task,
    shared: Shared,
    *,
    scale: int | None = None,
    sigma_255: float | None = None,
    quality_factor: float | None = None,
    cfa: Cfa = Cfa.RGGB,
    second_view: Path | None = None,
) -> None:
    """Check, plan, load, restore, report: the order in which things can be refused cheaply."""
    hints = Hints(sigma_255, quality_factor, cfa, second_view)
    display = Display(quiet=shared.quiet, as_json=shared.as_json)
    check_elsewhere(shared)
    with Interrupts() as interrupts, ExitStack() as stack:
        with interrupts.harmless():
            pipes = stack.enter_context(piped(shared, display))
            log = None if shared.log is None or shared.dry_run else stack.enter_context(Log(Path(shared.log)))
            if log is not None:
                display.on_note = log.note
            batch = _prepared(task, pipes, hints, scale, display, stack)
        if batch is None:
            return
        jobs, work = batch
        code = run_and_report(display, jobs, work, interrupts, log, choose_runner(shared, display.note))
        if code == 0:
            pipes.deliver(jobs[0].target)
    raise typer.Exit(code)


def _prepared(
    task: Task, pipes: Piped, hints: Hints, scale: int | None, display: Display, stack: ExitStack
) -> tuple[list[Job], Work] | None:
    """The jobs and what is done to each; None where the plan was all that was wanted."""
    shared = pipes.shared
    run, output, finish = shared.run_options(), shared.output_options(), shared.finish_options()
    finish.check_task(task)
    frame = parse_frames(shared.frames)
    if not shared.model_names():
        task.default_model(scale)

    # What the files themselves make hopeless is said before torch is imported or a model downloaded.
    from restore_cli.batch.plan import check_output, jobs_for, plan_jobs
    from restore_cli.evaluation.pairs import References
    from restore_cli.io.atomic import remove_leftovers
    from restore_cli.io.paths import find_sources
    from restore_cli.io.read import read_size

    far = find_far(shared, output)
    if far is not None:
        output, sources = far.output, far.sources
        for path, url in far.places.roots:
            display.call(path, url)
    else:
        sources = find_sources(shared.inputs, recursive=shared.recursive, output=output.output)
    pipes.check(len(sources))
    check_output(output, len(sources))
    reference = None if shared.reference is None else Path(shared.reference)
    if reference is not None:
        References(reference)
    for companion in (finish.mask, hints.second_view):
        if companion is not None:
            read_size(companion)
    if hints.second_view is not None and len(sources) > 1:
        raise UsageError(f"--second-view names one picture, but there are {len(sources)} inputs.", "Give one input.")

    from restore_cli.batch.forecast import check_room, forecast, room_for
    from restore_cli.batch.manifest import Manifest, common_folder
    from restore_cli.batch.record import formats_without_room
    from restore_cli.batch.settings import Settings
    from restore_cli.inference.device import check_devices, choose_device
    from restore_cli.inference.levels import foreseen
    from restore_cli.models.build import locate
    from restore_cli.models.download import is_cached

    check_devices(shared.device_names())
    chosen = choose_models(task, shared, scale, hints, choose_device(run.device).type)
    for text in chosen.news:
        display.note(text)
    first = hints if far is not None else foreseen(chosen.names, hints, sources[0].path)
    for name in chosen.opened(first):
        location = locate(name)
        if shared.commercial_ok:
            location.check_commercial()
        if location.card:
            task.check_scale(scale, location.card.scale, name)
        if shared.dry_run and not shared.offline and location.remote and not is_cached(location.remote):
            display.data(
                f"{name}: would first be downloaded from {location.remote.address}; then the plan can be made."
            )
            display.document({"model": name, "dry_run": True, "download": location.remote.address})
            return None
    settings = Settings(
        task=task.name,
        models=chosen.names,
        grey_model=chosen.grey,
        scale=scale,
        run=run,
        hints=hints,
        finish=finish,
        encoding=output.encoding,
        existing=output.existing,
        reference=reference,
        offline=shared.offline,
        sidecar=shared.sidecar,
    )
    work = settings.open(display, display.download, first)
    if far is not None:
        jobs = jobs_for(sources, task, work.restorer.scale, output, frame=frame)
    else:
        jobs = plan_jobs(shared.inputs, task, work.restorer.scale, output, recursive=shared.recursive, frame=frame)
    if not pipes.to_stdout:
        for name in formats_without_room(jobs, settings):
            display.note(f"{name} has no place for how it was made; --sidecar writes that beside it.")
    if pipes.to_stdout:
        display.call(jobs[0].target, "standard output")
    elif shared.resume or ((len(jobs) > 1 or is_elsewhere(shared)) and not shared.dry_run):
        folder = output.output or common_folder([job.target for job in jobs])
        if len(jobs) == 1 and not folder.is_dir():
            folder = common_folder([job.target for job in jobs])
        digest = settings.digest(work)
        manifest: Manifest
        if far is not None:
            manifest = far.manifest(folder, digest, resume=shared.resume)
        else:
            manifest = Manifest(folder, digest, resume=shared.resume, dry=shared.dry_run)
        work = replace(work, manifest=stack.enter_context(manifest))
        if not shared.dry_run:
            for each in {job.target.parent for job in jobs}:
                remove_leftovers(each)
    previews = forecast(jobs, work) if far is None else []  # the rest is found out where the pictures are
    rooms = room_for(previews)
    several = sum(preview.frames > 1 for preview in previews) if shared.frames == "first" else 0
    if several:
        files = "1 file holds" if several == 1 else f"{several} files hold"
        display.note(f"{files} several pictures, of which the first is restored; --frames all takes every one.")
    if shared.dry_run:
        raise typer.Exit(print_plan(display, previews, rooms, work))
    check_room(rooms)
    for text in chosen.advice:
        display.note(text)
    return jobs, work
