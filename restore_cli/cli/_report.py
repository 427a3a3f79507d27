"""What a restoring command says: the plan of a dry run, each file's outcome, the summary."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from restore_cli.cli._output import Display
from restore_cli.errors import RestoreError

if TYPE_CHECKING:
    from restore_cli.batch.plan import Job
    from restore_cli.batch.run import Outcome, Work
    from restore_cli.inference.restorer import Restorer

__all__ = ["print_plan", "report", "say_outcome"]


def print_plan(display: Display, jobs: list[Job], work: Work) -> int:
    """Say what would be done with each file; returns the exit code: 1 if some would fail."""
    from restore_cli.batch.run import check_job, is_skipped

    restorer = work.restorer
    scale, card = restorer.scale, restorer.model.card
    licence = f"licence {card.licence.name}" if card else "licence unknown"
    display.data(f"model {restorer.model.name} ({restorer.model.network.arch}, {licence})")
    if work.grey_restorer is not None:
        display.data(f"grey pictures: {work.grey_restorer.model.name}")
    display.data(f"on {restorer.device} in {restorer.precision.value}, tiles of at most {_tile_text(restorer)}")
    records: list[dict[str, Any]] = []
    for job in jobs:
        source, target = job.source.path, job.target
        record: dict[str, Any] = {"input": str(source), "output": str(target)}
        records.append(record)
        if is_skipped(job, work):
            record["status"] = "would skip"
            display.data(f"{source}: {target} exists, would be skipped")
            continue
        try:
            height, width = check_job(job, work)
        except RestoreError as error:
            record |= {"status": "would fail", "message": error.message, "hint": error.hint}
            display.error(error.message, error.hint)
            continue
        tiles = restorer.pieces(height, width)
        record |= {"status": "planned", "width": width * scale, "height": height * scale, "tiles": tiles}
        sizes = f"{source} ({width}x{height}) -> {target} ({width * scale}x{height * scale})"
        display.data(f"{sizes}, {tiles} {'tile' if tiles == 1 else 'tiles'}")
    display.document({**_facts(work), "dry_run": True, "files": records})
    return int(any(record["status"] == "would fail" for record in records))


def say_outcome(display: Display, outcome: Outcome, number: int, total: int) -> None:
    """One line for a finished file, and the trace of a bug."""
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


def report(display: Display, outcomes: list[Outcome], work: Work) -> None:
    """The scores and counts of a run, or its JSON document."""
    counts = {status: sum(each.status == status for each in outcomes) for status in ("done", "skipped", "failed")}
    scored = [(each.job.source.path, each.scores) for each in outcomes if each.scores is not None]
    protocol = work.protocol.describe(work.restorer.scale) if scored else None
    mean: dict[str, float] = {}
    if scored:
        for source, scores in scored:
            display.data(f"{source}: {_score_text(scores.psnr, scores.ssim)}")
        shared = [name for name in scored[0][1].values if all(name in scores.values for _, scores in scored)]
        mean = {name: math.fsum(scores.values[name] for _, scores in scored) / len(scored) for name in shared}
        display.data(f"mean of {len(scored)}: {_score_text(mean['psnr'], mean.get('ssim'))} ({protocol})")
    if len(outcomes) > 1:
        display.note(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    files = [each.as_record() for each in outcomes]
    display.document({**_facts(work), "protocol": protocol, "files": files, "mean": mean, **counts})


def _facts(work: Work) -> dict[str, Any]:
    restorer, grey = work.restorer, work.grey_restorer
    return {
        "task": work.task.name,
        "model": restorer.model.name,
        **({} if grey is None else {"grey_model": grey.model.name}),
        "scale": restorer.scale,
        "device": str(restorer.device),
        "precision": restorer.precision.value,
    }


def _tile_text(restorer: Restorer) -> str:
    policy, crops = restorer.policy, restorer.crops
    if crops is not None:
        return f"{crops.crop_px} px, overlaps averaged"
    return "the whole picture" if policy.tile_px is None else f"{policy.tile_px} px, {policy.overlap_px} shared"


def _score_text(psnr: float, ssim: float | None) -> str:
    return f"PSNR {psnr:.2f} dB" + ("" if ssim is None else f", SSIM {ssim:.4f}")
