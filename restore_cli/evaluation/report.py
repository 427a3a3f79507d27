"""An evaluation as one HTML page: tables, plots and the pictures themselves."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from restore_cli.evaluation.page import render
from restore_cli.evaluation.plots import plot_conditions, plot_differences
from restore_cli.evaluation.report_pictures import make_looks, make_viewers
from restore_cli.evaluation.report_scores import Scored, metric_named, score_text, signed
from restore_cli.evaluation.results import CONFIDENCE, Difference, Evaluation
from restore_cli.evaluation.shown import short_names
from restore_cli.io.atomic import write_whole

__all__ = ["write_report"]

PLOTTED_METRICS = 2


@dataclass(frozen=True)
class Cell:
    """A number of a table: how it reads, what it is sorted by, and whether it stands out.

    Attributes:
        text: '' where there is none.
        value: for the sorting script; '' likewise.
        is_best: of its column.
        direction: 'gain' or 'loss' of a difference.
        edge: whether a group of columns starts here.
    """

    text: str = ""
    value: str = ""
    is_best: bool = False
    direction: str = ""
    edge: bool = False


def write_report(evaluation: Evaluation, target: Path) -> None:
    """Write a page that holds everything: protocol, tables, plots, pictures; it asks for nothing outside.

    Pictures come from the files that the rows name. They are exact as long as the page stays under some 45 MB,
    beyond that compressed or reduced alike, and the page says so. Rows without files have their scores only.

    Args:
        evaluation: what to report.
        target: the page; a file of that name is replaced.

    Raises:
        OutputError: the page cannot be written.
    """
    evaluation = _with_short_names(evaluation)
    scored = Scored(evaluation)
    viewers, unreadable = make_viewers(scored)
    anchors = {viewer.title: viewer.anchor for viewer in viewers}
    conditions = [condition for condition in evaluation.conditions if condition]
    metrics = [metric_named(name) for name in evaluation.metrics]
    line_plots = [
        plot_conditions(evaluation, metric.name, metric.label, metric.unit) for metric in metrics[:PLOTTED_METRICS]
    ]
    content = render(
        "report.html",
        title=f"restore eval {evaluation.task}: {', '.join(evaluation.models)}",
        task=f"{evaluation.task} ×{evaluation.scale}" if evaluation.scale > 1 else evaluation.task,
        models=evaluation.models,
        conditions=conditions,
        summary=_summary(evaluation),
        protocol_line=evaluation.protocol.describe(evaluation.scale),
        confidence=f"{100 * CONFIDENCE:g}",
        metrics=metrics,
        timed=any(row.seconds is not None for row in evaluation.rows),
        results=[
            {"condition": condition, "rows": _result_rows(evaluation, scored, condition)}
            for condition in evaluation.conditions
        ],
        line_plots=[plot for plot in line_plots if plot],
        strips=plot_differences(scored),
        failures=evaluation.failures,
        comparisons=evaluation.comparisons,
        signed=signed,
        looks=make_looks(scored),
        columns=_columns(evaluation, first=2 if conditions else 1),
        picture_rows=[
            {
                "picture": picture,
                "condition": condition,
                "anchor": anchors.get(picture),
                "cells": _picture_cells(scored, evaluation.metrics, picture, condition),
            }
            for picture, condition in scored.order
        ],
        viewers=viewers,
        unreadable=unreadable,
        protocol=_protocol(evaluation),
        notes=evaluation.notes,
    )
    write_whole(target, content, overwrite=True)


def _with_short_names(evaluation: Evaluation) -> Evaluation:
    """Models that are files go by their names, as far as these differ; the notes have them whole."""
    files = [model for model in evaluation.models if os.sep in model and not model.startswith("hf:")]
    if not files:
        return evaluation
    names = dict(zip(files, short_names([Path(file) for file in files]), strict=True))
    if set(names.values()) & set(evaluation.models):
        return evaluation
    parts: dict[str, Any] = {
        field: tuple(replace(each, model=names.get(each.model, each.model)) for each in getattr(evaluation, field))
        for field in ("rows", "failures", "comparisons")
    }
    return replace(evaluation, models=tuple(names.get(model, model) for model in evaluation.models), **parts)


def _summary(evaluation: Evaluation) -> str:
    counts = (
        (len({row.picture for row in evaluation.rows}), "picture"),
        (len(evaluation.models), "model"),
        (len(evaluation.conditions), "condition"),
        (len(evaluation.failures), "failure"),
    )
    shown = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts]
    kept = shown[:2] + shown[2:3] * (len(evaluation.conditions) > 1) + shown[3:] * bool(evaluation.failures)
    return ", ".join(kept) + "."


def _result_rows(evaluation: Evaluation, scored: Scored, condition: str) -> list[dict[str, Any]]:
    """Of one condition, a row a model: means, and the difference to the first model."""
    means = {model: evaluation.means(model, condition) for model in evaluation.models}
    rows = []
    for series, model in enumerate(evaluation.models):
        seconds = [row.seconds for row in evaluation.select(model, condition) if row.seconds is not None]
        difference = scored.differences.get((model, condition))
        rows.append(
            {
                "model": model,
                "series": series,
                "cells": [
                    _mean_cell(name, model, {each: found[name] for each, found in means.items() if name in found})
                    for name in evaluation.metrics
                ],
                "difference": difference and _difference(difference),
                "seconds": f"{sum(seconds) / len(seconds):.3f}" if seconds else "",
                "pictures": len(evaluation.select(model, condition)),
            }
        )
    return rows


def _mean_cell(name: str, model: str, values: dict[str, float]) -> Cell:
    """Marked as the best where another model's reads differently."""
    if model not in values:
        return Cell()
    metric = metric_named(name)
    texts = {each: score_text(metric, value) for each, value in values.items()}
    best = (max if metric.higher_is_better else min)(values, key=lambda each: values[each])
    return Cell(texts[model], is_best=len(set(texts.values())) > 1 and texts[model] == texts[best])


def _difference(difference: Difference) -> dict[str, Any]:
    direction = "" if not difference.is_clear else "gain" if difference.mean > 0 else "loss"
    return {
        "mean": signed(difference.mean),
        "interval": f"[{signed(difference.low)}, {signed(difference.high)}]",
        "is_clear": difference.is_clear,
        "direction": direction,
    }


def _columns(evaluation: Evaluation, first: int) -> list[dict[str, Any]]:
    """Groups of columns of the table by picture; the number of the first one is given."""
    models = evaluation.models
    groups = [(f"PSNR minus that of {models[0]}, dB", models[1:])] if len(models) > 1 else []
    for metric in map(metric_named, evaluation.metrics):
        groups.append((f"{metric.label}, {metric.unit}" if metric.unit else metric.label, models))
    columns, number = [], first
    for title, names in groups:
        headings = []
        for name in names:
            # The order of `Scored`.
            headings.append({"text": name, "column": number, "order": "descending" if number == first else ""})
            number += 1
        columns.append({"title": title, "headings": headings})
    return columns


def _picture_cells(scored: Scored, metrics: Sequence[str], picture: str, condition: str) -> list[Cell]:
    cells = []
    for place, model in enumerate(scored.models[1:]):
        gap = scored.gap(picture, condition, model)
        if gap is None:
            cells.append(Cell(edge=not place))
        else:
            direction = "gain" if gap > 0 else "loss" if gap < 0 else ""
            cells.append(Cell(signed(gap), repr(gap), direction=direction, edge=not place))
    for name in metrics:
        for place, model in enumerate(scored.models):
            row = scored.row(picture, condition, model)
            if row is None or name not in row.scores:
                cells.append(Cell(edge=not place))
            else:
                value = row.scores[name]
                number = "Infinity" if math.isinf(value) else repr(value)
                cells.append(Cell(score_text(metric_named(name), value), number, edge=not place))
    return cells


def _protocol(evaluation: Evaluation) -> list[tuple[str, list[str]]]:
    """Every entry of the protocol's record as (name, lines)."""
    entries = []
    for key, value in evaluation.protocol.as_record(evaluation.scale).items():
        name = key.removesuffix("_px").replace("_", " ").capitalize()
        if isinstance(value, dict):
            lines = [f"{each}: {text}" for each, text in value.items()]
        else:
            lines = [f"{value} px" if key.endswith("_px") else str(value)]
        entries.append((name, lines))
    return entries
