"""`restore sr|denoise|deblur|derain|jpeg|demosaic|weather`: seven thin commands over one road."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.cli._params import MODEL, Shared, with_shared_options
from restore_cli.cli._report import print_plan, report, say_outcome
from restore_cli.cli._shell import INTERRUPTED
from restore_cli.errors import UsageError
from restore_cli.options import Cfa, Hints
from restore_cli.tasks import TASKS, Task

if TYPE_CHECKING:
    from restore_cli.batch.run import Outcome

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
    run, output, finish = shared.run_options(), shared.output_options(), shared.finish_options()
    finish.check_task(task)
    hints = Hints(sigma_255, quality_factor, cfa, second_view)
    names = shared.model_names() or [task.default_model(scale)]
    display = Display(quiet=shared.quiet, as_json=shared.as_json)

    # What the files themselves make hopeless is said before torch is imported or a model downloaded.
    from restore_cli.batch.plan import check_output, plan_jobs
    from restore_cli.evaluation.pairs import References
    from restore_cli.io.paths import find_sources
    from restore_cli.io.read import read_size

    sources = find_sources(shared.inputs, recursive=shared.recursive, output=output.output)
    check_output(output, len(sources))
    references = None if shared.reference is None else References(Path(shared.reference))
    for companion in (finish.mask, second_view):
        if companion is not None:
            read_size(companion)
    if second_view is not None and len(sources) > 1:
        raise UsageError(f"--second-view names one picture, but there are {len(sources)} inputs.", "Give one input.")

    from restore_cli.batch.run import Work, run_jobs
    from restore_cli.inference.device import choose_device
    from restore_cli.inference.restorer import Restorer
    from restore_cli.models.build import average_models, build_model, locate
    from restore_cli.models.hub import is_cached

    choose_device(run.device)
    for name in names:
        location = locate(name)
        if shared.commercial_ok:
            location.check_commercial()
        if location.card:
            task.check_scale(scale, location.card.scale, name)
        if shared.dry_run and not shared.offline and location.hub and not is_cached(location.hub):
            display.data(f"{name}: would first be downloaded from {location.hub.address}; then the plan can be made.")
            display.document({"model": name, "dry_run": True, "download": location.hub.address})
            return
    models = [build_model(name, offline=shared.offline, progress=display.download) for name in names]
    model = models[0] if len(models) == 1 else average_models(models)
    task.check_scale(scale, model.network.scale, model.name)
    jobs = plan_jobs(shared.inputs, task, model.network.scale, output, recursive=shared.recursive)
    restorer = Restorer(model, run, display)
    restorer.check(hints)
    grey = None
    if task.grey_model and not shared.model_names():
        grey = Restorer(build_model(task.grey_model, offline=shared.offline), run)
    work = Work(task, restorer, hints, finish, output.existing, references, grey, output.encoding)
    if shared.dry_run:
        raise typer.Exit(print_plan(display, jobs, work))

    outcomes: list[Outcome] = []
    interrupted = False
    try:
        with display.batch(len(jobs)):
            for outcome in run_jobs(jobs, work, on_start=lambda job: display.file_started(job.source.path)):
                outcomes.append(outcome)
                display.file_finished()
                say_outcome(display, outcome, len(outcomes), len(jobs))
    except KeyboardInterrupt:
        interrupted = True
        display.error(f"interrupted; {len(jobs) - len(outcomes)} of {len(jobs)} files were not done.")
    report(display, outcomes, work)
    failed = any(outcome.status == "failed" for outcome in outcomes)
    raise typer.Exit(INTERRUPTED if interrupted else int(failed))
