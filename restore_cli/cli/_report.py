"""What a restoring command says: the plan of a dry run, each file's outcome, the summary."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from restore_cli import __version__
from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.log import Log
from restore_cli.cli._elsewhere import Runner
from restore_cli.cli._output import Display, json_ready
from restore_cli.cli._shell import INTERRUPTED
from restore_cli.errors import RestoreError
from restore_cli.options import Hints

if TYPE_CHECKING:
    from restore_cli.batch.forecast import Preview, Room
    from restore_cli.batch.plan import Job
    from restore_cli.batch.work import Outcome, Work
    from restore_cli.inference.restorer import Restorer

__all__ = ["print_plan", "report", "run_and_report", "say_outcome"]

ON_A_SCREEN = 20  # of more files than these, the failures are named again at the end


def print_plan(display: Display, previews: list[Preview], rooms: list[Room], work: Work) -> int:
    """Say what would be done with each file, and what it would take; returns the exit code: 1 if some would fail."""
    from restore_cli.batch.forecast import check_room, measure_speed, memory_for, seconds_for
    from restore_cli.inference.memory import available_memory

    restorer = work.restorer
    scale, card = restorer.scale, restorer.model.card
    licence = f"licence {card.licence.name}" if card else "licence unknown"
    display.data(f"model {_model_name(work)} ({restorer.model.network.arch}, {licence})")
    if work.grey_restorer is not None:
        display.data(f"grey pictures: {work.grey_restorer.model.name}")
    display.data(f"on {restorer.device} in {restorer.precision.value}, tiles of at most {_tile_text(restorer)}")
    for conditioning in work.estimated:
        display.data(f"{conditioning.option}: estimated from each picture")
    records: list[dict[str, Any]] = []
    for preview in previews:
        source, target, tiles = preview.job.source.path, preview.job.target, preview.tiles
        record: dict[str, Any] = {"input": str(source), "output": str(target), "status": preview.status}
        records.append(record)
        if preview.status == "would skip":
            display.data(f"{source}: {preview.message}")
        elif preview.status == "would fail":
            record |= {"message": preview.message, "hint": preview.hint}
            display.error(preview.message, preview.hint)
        else:
            width, height = preview.width, preview.height
            record |= {"width": width * scale, "height": height * scale, "tiles": tiles}
            sizes = f"{source} ({width}x{height}) -> {target} ({width * scale}x{height * scale})"
            display.data(f"{sizes}, {tiles} {'tile' if tiles == 1 else 'tiles'}")
    planned = [preview for preview in previews if preview.status == "planned"]
    needs: dict[str, Any] = {}
    code = int(len(planned) < len(previews) and any(preview.status == "would fail" for preview in previews))
    if planned:
        per_pixel, side = measure_speed(restorer, _told(work))
        seconds = math.fsum(seconds_for(preview, restorer, per_pixel) for preview in planned)
        display.data(f"time: about {_duration(seconds)}, by a tile of {side}x{side} pixels run just now")
        needs["seconds"] = seconds
        needs["disk"] = [
            {"folder": str(room.folder), "needed_bytes": room.needed_bytes, "free_bytes": room.free_bytes}
            for room in rooms
        ]
        for room in rooms:
            needed, free = _size(room.needed_bytes), _size(room.free_bytes)
            display.data(f"disk: about {needed} in {room.folder}, where {free} are free")
        needs["memory"] = {**asdict(memory_for(planned, work)), "available_bytes": available_memory()}
        display.data(_memory_text(needs["memory"]))
        try:
            check_room(rooms)
        except RestoreError as error:
            display.error(error.message, error.hint)
            code = 1
    estimated = [conditioning.name for conditioning in work.estimated]
    display.document({**_facts(work), "dry_run": True, "estimated": estimated, "files": records, **needs})
    return code


def run_and_report(
    display: Display, jobs: list[Job], work: Work, interrupts: Interrupts, log: Log | None, run: Runner
) -> int:
    """Let `run` do the jobs, say what becomes of each and of all; returns the exit code."""
    outcomes: list[Outcome] = []
    started = time.perf_counter()
    if log is not None:
        settings = None if work.settings is None else work.settings.as_json()
        log.add("begun", version=__version__, settings=settings, **_facts(work), files=len(jobs))
    with display.batch(len(jobs)):
        for outcome in run(
            jobs, work, on_start=lambda job: display.file_started(job.source.path), interrupts=interrupts
        ):
            outcomes.append(outcome)
            display.file_finished()
            say_outcome(display, outcome, len(outcomes), len(jobs))
            if log is not None:
                log.add("file", **json_ready(outcome.as_record()))
    if interrupts.requested:
        display.error(f"interrupted; {len(jobs) - len(outcomes)} of {len(jobs)} files were not done.")
    places = {job: place for place, job in enumerate(jobs)}  # several processes finish in no order
    counts = report(display, sorted(outcomes, key=lambda outcome: places[outcome.job]), work)
    code = INTERRUPTED if interrupts.requested else int(counts["failed"] > 0)
    if log is not None:
        seconds = round(time.perf_counter() - started, 3)
        log.add("ended", **counts, not_done=len(jobs) - len(outcomes), seconds=seconds, exit_code=code)
        if log.failure is not None:
            display.error(log.failure.message, log.failure.hint)
            code = code or 1
    return code


def say_outcome(display: Display, outcome: Outcome, number: int, total: int) -> None:
    """One line for a finished file, and the trace of a bug."""
    job = outcome.job
    place = f"[{number}/{total}] " if total > 1 else ""
    if outcome.status == "failed":
        display.error(outcome.message, outcome.hint)
        if outcome.trace:
            display.trace(outcome.trace)
    elif outcome.status == "skipped":
        display.tell(f"{place}{outcome.message}, skipped")
    else:
        width, height = outcome.size or (0, 0)
        display.tell(f"{place}{job.source.path} -> {job.target} ({width}x{height}, {outcome.seconds:.1f} s)")
        if outcome.message:
            display.tell(outcome.message)


def report(display: Display, outcomes: list[Outcome], work: Work) -> dict[str, int]:
    """The scores and counts of a run, or its JSON document; returns the counts."""
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
    if len(outcomes) > ON_A_SCREEN:
        for failed in [each for each in outcomes if each.status == "failed"][:ON_A_SCREEN]:
            display.tell(f"failed: {failed.job.source.path}")
    if len(outcomes) > 1:
        display.tell(", ".join(f"{count} {status}" for status, count in counts.items() if count))
    files = [each.as_record() for each in outcomes]
    display.document({**_facts(work), "protocol": protocol, "files": files, "mean": mean, **counts})
    return counts


def _duration(seconds: float) -> str:
    """In the two largest units: '3 h 5 min', '40 s'."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _size(count: int) -> str:
    """Bytes in the largest unit they fill: '3.4 GB'."""
    units = {10**12: "TB", 10**9: "GB", 10**6: "MB"}
    unit = next((each for each in units if count >= each), None)
    return f"{count / 1000:.1f} kB" if unit is None else f"{count / unit:.1f} {units[unit]}"


def _memory_text(memory: dict[str, int]) -> str:
    parts = [f"{_size(memory['host_bytes'])} of {_size(memory['available_bytes'])} free"]
    parts += [f"{_size(memory['device_bytes'])} on the device"] if memory["device_bytes"] else []
    parts += [f"{_size(memory['mapped_bytes'])} in temporary files"] if memory["mapped_bytes"] else []
    return "memory: about " + ", ".join(parts)


def _told(work: Work) -> Hints:
    """What is known, and some level where none is: the time does not depend on it."""
    told: dict[str, Any] = {each.name: each.low + 1 for each in work.estimated}
    return replace(work.hints, **told)


def _model_name(work: Work) -> str:
    """As the user named it where that is a family, of which each picture gets another checkpoint."""
    from restore_cli.models.levels import family_members

    names = work.models.names if work.models is not None else ()
    return " + ".join(names) if any(map(family_members, names)) else work.restorer.model.name


def _facts(work: Work) -> dict[str, Any]:
    restorer, grey = work.restorer, work.grey_restorer
    return {
        "task": work.task.name,
        "model": _model_name(work),
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
