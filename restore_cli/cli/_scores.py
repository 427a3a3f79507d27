"""How an evaluation is shown: the protocol whole, a table of means and differences, and CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from restore_cli.cli._output import Display

if TYPE_CHECKING:
    from restore_cli.evaluation.results import Comparison, Evaluation

__all__ = ["csv_text", "print_evaluation"]


def print_evaluation(display: Display, evaluation: Evaluation) -> None:
    """The protocol, what there is to know, the table, and published figures; or the JSON document."""
    record = evaluation.protocol.as_record(evaluation.scale)
    display.data(f"protocol {record.pop('description')}")
    del record["name"]
    for name, value in record.items():
        shown = "; ".join(f"{key}: {text}" for key, text in value.items()) if isinstance(value, dict) else value
        display.data(f"  {name.replace('_', ' ')}: {shown}")
    for note in evaluation.notes:
        display.data(note)
    if evaluation.rows:
        _print_table(display, *_table(evaluation))
    for comparison in evaluation.comparisons:
        display.data(_comparison_text(comparison))
    display.document(evaluation.as_record())


def csv_text(evaluation: Evaluation) -> str:
    """One line a picture, condition and model, every digit of every metric."""
    metrics = evaluation.metrics
    text = StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("picture", "condition", "model", *metrics, "seconds"))
    for row in evaluation.rows:
        scores = (row.scores.get(metric, "") for metric in metrics)
        seconds = "" if row.seconds is None else round(row.seconds, 4)
        lines.writerow((row.picture, row.condition, row.model, *scores, seconds))
    return text.getvalue()


def _table(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    from restore_cli.metrics.catalog import find_metric

    found = {metric: find_metric(metric) for metric in evaluation.metrics}
    first = evaluation.models[0]
    header = ["condition", "model", "pictures"]
    for metric, row in found.items():
        channel = metric.partition(".")[2]
        header.append(" ".join(filter(None, (row.label, channel and "RGB"[int(channel)], row.unit))))
    header += ["s each", f"PSNR over {first} [95 %]"]
    rows = []
    for condition in evaluation.conditions:
        for model in evaluation.models:
            scored, means = evaluation.select(model, condition), evaluation.means(model, condition)
            cells = [f"{means[metric]:.{row.decimals}f}" if metric in means else "" for metric, row in found.items()]
            times = [each.seconds for each in scored if each.seconds is not None]
            seconds = f"{sum(times) / len(times):.2f}" if times else ""
            gap = evaluation.difference(model, first, condition) if model != first else None
            difference = f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]" if gap else ""
            rows.append([condition, model, str(len(scored)), *cells, seconds, difference])
    # What says nothing here is left out: one condition, one model, nothing run.
    kept = [index for index in range(len(header)) if any(row[index] for row in rows)]
    return [header[index] for index in kept], [[row[index] for index in kept] for row in rows]


def _print_table(display: Display, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Ruled on a terminal that is wide enough, else one line a row."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD)
    for name in header:
        table.add_column(Text(name), justify="left" if name in ("condition", "model") else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console()
    needed = console.measure(table, options=console.options.update(max_width=sys.maxsize)).maximum
    if display.as_json or not console.is_terminal or needed > console.width:
        display.table(header, rows)
    else:
        console.print(table)


def _comparison_text(each: Comparison) -> str:
    subject = " ".join(filter(None, (each.model, each.condition)))
    figures = f"measured {each.measured:.2f} dB, published {each.published:.2f} ({each.dataset})"
    verdict = f": {each.explanation}" if each.explanation else ", agrees"
    if each.explanation and each.explanation != "unexplained":
        verdict = f": explained by {each.explanation}"
    return f"{subject}: {figures}, difference {each.difference:+.2f} dB{verdict}"
