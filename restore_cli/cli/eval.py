"""`restore eval`: restored pictures against clean ones, by the protocol of the papers."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from restore_cli.cli._asked import Asked
from restore_cli.cli._output import Display
from restore_cli.cli._params import with_shared_options
from restore_cli.cli._pictures import Pictures, choose_pictures, choose_scale
from restore_cli.cli._scores import csv_text, print_evaluation
from restore_cli.cli._shell import INTERRUPTED
from restore_cli.errors import RestoreError, UsageError
from restore_cli.options import Hints, RunOptions
from restore_cli.tasks import TASKS, Task

if TYPE_CHECKING:
    from restore_cli.evaluation.conditions import Condition
    from restore_cli.evaluation.contestants import Contestant
    from restore_cli.evaluation.journal import Journal
    from restore_cli.evaluation.results import Comparison, Evaluation
    from restore_cli.evaluation.run import Findings, Work

__all__ = ["EPILOG", "evaluate_task"]

EPILOG = (
    "restore eval denoise CBSD68 --sigma 15 --sigma 25 -n unet-denoise-color -n input   |   "
    "restore eval sr Set5 --paper -n swinir-m-sr-x4 -n bicubic   |   "
    "restore eval deblur --input blurry/ --reference sharp/ --report blur.html   |   "
    "restore eval sr --pairs results/ Set5/HR --scale 4 --all-channels   |   "
    "restore eval derain --clean photos/ --degrade rain --seed 7 -o kept/ --resume"
)


@with_shared_options
def evaluate_task(asked: Asked) -> None:
    """Score a task's models, or pictures restored before, against clean pictures, as the papers do."""
    if asked.task not in TASKS:
        raise UsageError(f"Unknown task '{asked.task}'.", f"One of {', '.join(TASKS)}.")
    task, options = TASKS[asked.task], asked.run_options()
    display = Display(quiet=asked.quiet, as_json=asked.as_json)

    # What files and names make hopeless is said before torch is imported or a model downloaded.
    from restore_cli.evaluation.protocol import PROTOCOLS
    from restore_cli.metrics.catalog import check_metrics

    more = asked.more_metrics()
    check_metrics(more)
    scale = choose_scale(asked, task)
    pictures = choose_pictures(asked, task, scale)
    targets = _targets(asked)
    names = _model_names(asked, task, scale)

    from restore_cli.evaluation.run import Findings, Work
    from restore_cli.inference.device import choose_device

    choose_device(options.device)
    if asked.dry_run:
        _print_plan(display, pictures, names, PROTOCOLS[task.name].describe(scale))
        return
    with contextlib.ExitStack() as stack:
        keep, journal = _folder(asked, stack)
        contestants = _contestants(asked, task, scale, names, options, pictures.conditions[0], display)
        for condition in pictures.conditions:
            for contestant in contestants:
                contestant.check(condition)
        work = Work(
            task=task,
            protocol=PROTOCOLS[task.name],
            scale=scale,
            conditions=pictures.conditions,
            contestants=contestants,
            more=more,
            made=pictures.made,
            restored=asked.pairs is not None,
            explained=asked.paper,
            keep=keep,
            journal=journal,
        )
        findings = Findings()
        code = _score_all(display, pictures, work, findings)
        evaluation = _finished(asked, work, findings, pictures, whole=code == 0)
        _write_targets(targets, evaluation, asked)
    if keep is not None and asked.output is None:
        evaluation = evaluation.without_files(keep)
    print_evaluation(display, evaluation)
    raise typer.Exit(code or int(bool(findings.failures)))


def _targets(asked: Asked) -> dict[str, Path]:
    """Files to write at the end, refused now if they cannot be."""
    from restore_cli.io.paths import check_target

    named = {"csv": asked.csv, "report": asked.report}
    targets = {name: Path(value) for name, value in named.items() if value is not None}
    for target in targets.values():
        check_target(target, overwrite=asked.overwrite)
    if len(set(targets.values())) < len(targets):
        raise UsageError("--csv and --report name one file.", "Name two.")
    return targets


def _model_names(asked: Asked, task: Task, scale: int) -> list[str]:
    """As the user wrote them, or the task's own; refused now if there is no such model."""
    from restore_cli.evaluation.baselines import BASELINES, baseline
    from restore_cli.models.build import locate
    from restore_cli.models.levels import any_member

    if asked.pairs is not None:
        return [asked.pairs[0]]
    names = list(asked.model or [task.default_model(scale)])
    for name in names:
        if name in BASELINES:
            baseline(name, task, scale)
            continue
        location = locate(any_member(name))
        if asked.commercial_ok:
            location.check_commercial()
        if location.card:
            task.check_scale(scale if task.enlarges else None, location.card.scale, name)
    return names


def _contestants(
    asked: Asked,
    task: Task,
    scale: int,
    names: list[str],
    options: RunOptions,
    first: Condition,
    display: Display,
) -> tuple[Contestant, ...]:
    from restore_cli.evaluation.baselines import BASELINES
    from restore_cli.evaluation.contestants import baseline_contestant, network_contestant, pictures_contestant

    if asked.pairs is not None:
        return (pictures_contestant(Path(asked.pairs[0])),)
    return tuple(
        baseline_contestant(name, task, scale)
        if name in BASELINES
        else network_contestant(
            name,
            task,
            scale if task.enlarges else None,
            options,
            grey=None if asked.model else task.grey_model,
            hints=Hints(first.sigma_255, first.quality_factor),
            offline=asked.offline,
            progress=display.download,
            observer=display,
        )
        for name in names
    )


def _folder(asked: Asked, stack: contextlib.ExitStack) -> tuple[Path | None, Journal | None]:
    """A place for pictures: the user's, with its journal, or for a page one that vanishes with `stack`."""
    from restore_cli.evaluation.journal import Journal

    if asked.output is not None:
        folder = Path(asked.output)
        return folder, stack.enter_context(Journal(folder, resume=asked.resume, overwrite=asked.overwrite))
    if asked.report is not None and asked.pairs is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="restore-"))), None
    return None, None


def _score_all(display: Display, pictures: Pictures, work: Work, findings: Findings) -> int:
    """Fill `findings`; returns the exit code of what stopped it, 0 for nothing."""
    from restore_cli.evaluation.run import evaluate

    pairs = pictures.pairing.pairs
    if work.journal:
        display.note(f"{work.journal.path}: {len(work.journal)} scored already.")
    said = 0
    try:
        with display.batch(len(pairs)):
            for _ in evaluate(pairs, work, findings, on_start=lambda pair: display.file_started(pair.picture)):
                display.file_finished()
                said = _say_failures(display, findings, said)
    except KeyboardInterrupt:
        display.error("interrupted; what was scored is kept.")
        return INTERRUPTED
    except RestoreError as error:
        display.error(error.message, error.hint)
        return error.exit_code
    return 0


def _say_failures(display: Display, findings: Findings, said: int) -> int:
    """Those after the first `said`; returns how many there are now."""
    for failure in findings.failures[said:]:
        who = ", ".join(filter(None, (failure.model, failure.condition)))
        display.error(f"{failure.message}{f' ({who})' if who else ''}", failure.hint)
        if failure.trace:
            display.trace(failure.trace)
    return len(findings.failures)


def _finished(asked: Asked, work: Work, findings: Findings, pictures: Pictures, *, whole: bool) -> Evaluation:
    """The evaluation with its notes, and beside published figures where asked."""
    notes = [*pictures.notes, *(f"{each.name}: {each.summary}." for each in work.contestants)]
    if not whole:
        notes.append(f"Not finished: {len(pictures.pairing.pairs)} pictures were asked for.")
    if work.keep is not None:
        notes.append("Pictures kept or shown are clipped and rounded; the scores are of what the models returned.")
    comparisons: tuple[Comparison, ...] = ()
    if asked.paper:
        comparisons, missing = _compared(work, findings, pictures)
        notes += missing
    return replace(findings.as_evaluation(work, tuple(notes)), comparisons=comparisons)


def _compared(work: Work, findings: Findings, pictures: Pictures) -> tuple[tuple[Comparison, ...], list[str]]:
    """With published figures, and one note for each model that has none for this."""
    from restore_cli.evaluation.paper import compare, published_scores

    evaluation = findings.as_evaluation(work)
    found: list[Comparison] = []
    missing = []
    for contestant in work.contestants:
        published = published_scores(contestant.cards, work.protocol, pictures.place)
        compared = []
        for condition in work.conditions:
            rows = evaluation.select(contestant.name, condition.name)
            if len(rows) == len(pictures.pairing.pairs):
                compared += compare(rows, published, work.protocol, work.scale)
        if not compared:
            missing.append(f"{contestant.name}: no published figure to compare with, for {pictures.place}.")
        found += compared
    return tuple(found), missing


def _write_targets(targets: dict[str, Path], evaluation: Evaluation, asked: Asked) -> None:
    from restore_cli.io.atomic import write_whole

    if "csv" in targets:
        content = csv_text(evaluation).encode("utf-8", "surrogateescape")
        write_whole(targets["csv"], content, overwrite=asked.overwrite)
    if "report" in targets:
        from restore_cli.evaluation.report import write_report

        write_report(evaluation, targets["report"])


def _print_plan(display: Display, pictures: Pictures, names: list[str], protocol: str) -> None:
    pairs = pictures.pairing.pairs
    display.data(f"protocol {protocol}")
    for note in pictures.notes:
        display.data(note)
    display.data(f"models: {', '.join(names)}")
    for pair in pairs:
        display.data(f"{pair.picture}: {pair.source} against {pair.reference}")
    display.document(
        {
            "dry_run": True,
            "protocol": protocol,
            "models": names,
            "conditions": [condition.name for condition in pictures.conditions],
            "notes": list(pictures.notes),
            "pictures": [{"picture": p.picture, "source": str(p.source), "reference": str(p.reference)} for p in pairs],
        }
    )
