"""`restore sr|denoise|deblur|derain|jpeg|demosaic|weather`: seven thin commands over one road."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore_cli.cli._output import Display
from restore_cli.cli._params import MODEL, Shared, with_shared_options
from restore_cli.cli._shell import INTERRUPTED
from restore_cli.errors import InputError
from restore_cli.options import Hints
from restore_cli.tasks import TASKS, Task

if TYPE_CHECKING:
    from restore_cli.batch.plan import Job
    from restore_cli.batch.run import Outcome, Work
    from restore_cli.inference.restorer import Restorer

__all__ = ["COMMANDS", "EPILOGS"]


@with_shared_options
def sr(
    shared: Shared,
    scale: Annotated[
        int | None, typer.Option("-s", "--scale", help="Enlargement. Default: the model's, else 4.",
                                 rich_help_panel=MODEL)
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
def deblur(shared: Shared) -> None:
    """Remove motion blur."""
    _run(TASKS["deblur"], shared)


@with_shared_options
def derain(shared: Shared) -> None:
    """Remove rain streaks."""
    _run(TASKS["derain"], shared)


@with_shared_options
def jpeg(
    shared: Shared,
    quality_factor: Annotated[
        float | None,
        typer.Option(help="JPEG quality the picture was saved with, for models that must be told.",
                     rich_help_panel=MODEL),
    ] = None,
) -> None:
    """Remove JPEG compression artifacts."""
    _run(TASKS["jpeg"], shared, quality_factor=quality_factor)


@with_shared_options
def demosaic(
    shared: Shared,
    cfa: Annotated[
        str, typer.Option(metavar="rggb|bggr|grbg|gbrg", help="Bayer pattern of the top left 2x2 pixels.",
                          rich_help_panel=MODEL)
    ] = "rggb",
) -> None:
    """Turn Bayer mosaics into colour pictures."""
    _run(TASKS["demosaic"], shared, cfa=cfa)


@with_shared_options
def weather(shared: Shared) -> None:
    """Remove snow, raindrops, or rain with fog."""
    _run(TASKS["weather"], shared)


COMMANDS = {"sr": sr, "denoise": denoise, "deblur": deblur, "derain": derain, "jpeg": jpeg,
            "demosaic": demosaic, "weather": weather}

EPILOGS = {
    "sr": "restore sr --scale 4 in.png   |   restore sr scans/ -r -o large/   |   restore sr in.png -n model.pth",
    "denoise": "restore denoise in.jpg   |   restore denoise in.png --strength 0.7   |   restore denoise 'raw/*.tif'",
    "deblur": "restore deblur in.png -n nafnet-gopro-width64",
    "derain": "restore derain in.png -n model.pth",
    "jpeg": "restore jpeg in.jpg -n fbcnn-color -f png",
    "demosaic": "restore demosaic mosaic.png --cfa grbg -n model.pth",
    "weather": "restore weather in.png -n model.pth",
}


def _run(
    task: Task,
    shared: Shared,
    *,
    scale: int | None = None,
    sigma_255: float | None = None,
    quality_factor: float | None = None,
    cfa: str = "rggb",
) -> None:
    """Check, plan, load, restore, report: the order in which things can be refused cheaply."""
    run, output, finish = shared.run_options(), shared.output_options(), shared.finish_options()
    hints = Hints(sigma_255, quality_factor, cfa)
    display = Display(quiet=shared.quiet, as_json=shared.as_json)
    model_name = shared.model or task.default_model(scale)
    if finish.mask is not None and not finish.mask.is_file():
        raise InputError(f"--mask {finish.mask}: no such file.")

    # From here on torch is needed.
    from restore_cli.batch.plan import plan_jobs
    from restore_cli.batch.run import Work, run_jobs
    from restore_cli.evaluation.pairs import References
    from restore_cli.evaluation.protocol import PROTOCOLS
    from restore_cli.inference.restorer import Restorer
    from restore_cli.io.paths import find_sources
    from restore_cli.models.build import build_model

    find_sources(shared.inputs, recursive=shared.recursive)  # an empty folder is refused before a download
    references = References(shared.reference) if shared.reference else None
    model = build_model(model_name, offline=shared.offline, progress=display.download)
    task.check_scale(scale, model.network.scale, model.name)
    jobs = plan_jobs(shared.inputs, task, model.network.scale, output, recursive=shared.recursive)
    restorer = Restorer(model, run, display)
    if shared.dry_run:
        _print_plan(display, jobs, restorer)
        return

    work = Work(task, restorer, hints, finish, output.existing, references, PROTOCOLS[task.protocol])
    outcomes: list[Outcome] = []
    interrupted = False
    try:
        with display.batch(len(jobs)):
            for outcome in run_jobs(jobs, work, on_start=lambda job: display.file_started(job.source.path)):
                outcomes.append(outcome)
                display.file_finished()
                _say_outcome(display, outcome, len(outcomes), len(jobs))
    except KeyboardInterrupt:
        interrupted = True
        display.error(f"interrupted; {len(jobs) - len(outcomes)} of {len(jobs)} files were not done.")
    _report(display, outcomes, work)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def _print_plan(display: Display, jobs: list[Job], restorer: Restorer) -> None:
    from restore_cli.errors import RestoreError
    from restore_cli.io.formats import check_output_limits
    from restore_cli.io.read import read_size

    card = restorer.model.card
    licence = f"licence {card.licence.name}" if card else "licence unknown"
    display.data(f"model {restorer.model.name} ({restorer.model.network.arch}, {licence})")
    display.data(f"on {restorer.device} in {restorer.precision.value}, tiles of at most {_tile_text(restorer)}")
    records: list[dict[str, Any]] = []
    scale = restorer.scale
    for job in jobs:
        source, target = job.source.path, job.target
        record: dict[str, Any] = {"input": str(source), "output": str(target), "exists": target.exists()}
        try:
            height, width = read_size(source)
            check_output_limits(target, height * scale, width * scale)
        except RestoreError as error:
            record |= {"status": "would fail", "message": error.message, "hint": error.hint}
            display.error(error.message, error.hint)
        else:
            tiles = restorer.policy.count(height, width)
            record |= {"width": width * scale, "height": height * scale, "tiles": tiles, "status": "planned"}
            exists = ", exists" if target.exists() else ""
            display.data(f"{source} ({width}x{height}) -> {target} ({width * scale}x{height * scale}{exists}), {tiles} tiles")
        records.append(record)
    display.document({"model": restorer.model.name, "scale": scale, "device": str(restorer.device), "files": records})
    if any(record["status"] == "would fail" for record in records):
        raise typer.Exit(1)


def _tile_text(restorer: Restorer) -> str:
    policy = restorer.policy
    return "the whole picture" if policy.tile_px is None else f"{policy.tile_px} px, {policy.overlap_px} shared"


def _say_outcome(display: Display, outcome: Outcome, number: int, total: int) -> None:
    job = outcome.job
    place = f"[{number}/{total}] " if total > 1 else ""
    if outcome.status == "failed":
        display.error(outcome.message, outcome.hint)
        if outcome.trace:
            display.trace(outcome.trace)
    elif outcome.status == "skipped":
        display.note(f"{place}{job.target} exists, skipped")
    else:
        width, height = outcome.size or (0, 0)
        display.note(f"{place}{job.source.path} -> {job.target} ({width}x{height}, {outcome.seconds:.1f} s)")


def _report(display: Display, outcomes: list[Outcome], work: Work) -> None:
    counts = {status: sum(each.status == status for each in outcomes) for status in ("done", "skipped", "failed")}
    scored = [(each, each.scores) for each in outcomes if each.scores is not None]
    mean: dict[str, float] = {}
    if scored and work.protocol is not None:
        for outcome, scores in scored:
            display.data(f"{outcome.job.source.path}: {_score_text(scores.psnr, scores.ssim)}")
        similarities = [scores.ssim for _, scores in scored if scores.ssim is not None]
        mean["psnr"] = math.fsum(scores.psnr for _, scores in scored) / len(scored)
        if similarities:
            mean["ssim"] = math.fsum(similarities) / len(similarities)
        protocol = work.protocol.describe(work.restorer.scale)
        display.data(f"mean of {len(scored)}: {_score_text(mean['psnr'], mean.get('ssim'))} ({protocol})")
    if len(outcomes) > 1:
        display.note(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    display.document(
        {
            "task": work.task.name,
            "model": work.restorer.model.name,
            "scale": work.restorer.scale,
            "device": str(work.restorer.device),
            "precision": work.restorer.precision.value,
            "protocol": work.protocol.describe(work.restorer.scale) if work.protocol and scored else None,
            "files": [each.as_record() for each in outcomes],
            "mean": mean,
            **counts,
        }
    )


def _score_text(psnr: float, ssim: float | None) -> str:
    return f"PSNR {psnr:.2f} dB" + ("" if ssim is None else f", SSIM {ssim:.4f}")
