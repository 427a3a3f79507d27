"""The scores of an evaluation by picture, in a report's order and in words."""

from __future__ import annotations

import math
from dataclasses import replace

from restore_cli.evaluation.results import Evaluation, PictureScore
from restore_cli.metrics.catalog import Metric, find_metric

__all__ = ["Scored", "metric_named", "score_line", "score_text", "signed"]


class Scored:
    """An evaluation, asked picture by picture.

    Attributes:
        models, conditions: of the evaluation.
        order: every (picture, condition), first where the second model gains most PSNR over the first; of one
            model by its PSNR. What has no finite difference comes last.
        differences: PSNR of each other model minus that of the first, by (model, condition).
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self.models = evaluation.models
        self.conditions = evaluation.conditions
        self._rows = {(row.picture, row.condition, row.model): row for row in evaluation.rows}
        keys = dict.fromkeys((row.picture, row.condition) for row in evaluation.rows)
        self.order = sorted(keys, key=self._rank)
        self.differences = {
            (model, condition): difference
            for model in self.models[1:]
            for condition in self.conditions
            if (difference := evaluation.difference(model, self.models[0], condition))
        }

    def row(self, picture: str, condition: str, model: str) -> PictureScore | None:
        """The scores, if there are any."""
        return self._rows.get((picture, condition, model))

    def gap(self, picture: str, condition: str, model: str) -> float | None:
        """PSNR of `model` minus that of the first, in dB; None where one is missing or infinite."""
        first, second = (self._psnr(picture, condition, each) for each in (self.models[0], model))
        return second - first if math.isfinite(second - first) else None

    def gap_line(self, picture: str, condition: str) -> str:
        """What the second model gains, in words; '' where there is none."""
        gap = self.gap(picture, condition, self.models[1]) if len(self.models) > 1 else None
        return "" if gap is None else f"{self.models[1]} {signed(gap)} dB to {self.models[0]}"

    def _psnr(self, picture: str, condition: str, model: str) -> float:
        row = self.row(picture, condition, model)
        return row.scores.get("psnr", math.nan) if row else math.nan

    def _rank(self, key: tuple[str, str]) -> tuple[bool, float]:
        value = self.gap(*key, self.models[1]) if len(self.models) > 1 else self._psnr(*key, self.models[0])
        return (value is None or math.isnan(value), -(value or 0.0))


def metric_named(key: str) -> Metric:
    """What a key of scores stands for; of 'psnr_channels.0' the label says which channel."""
    metric = find_metric(key)
    channel = key.partition(".")[2]
    label = f"{metric.label.removesuffix(')')} {'RGB'[int(channel)]})" if channel else metric.label
    return replace(metric, name=key, label=label)


def score_text(metric: Metric, value: float) -> str:
    """A number as precise as is worth printing; '∞' for the PSNR of equal pictures."""
    return "∞" if math.isinf(value) else f"{value:.{metric.decimals}f}"


def signed(value: float) -> str:
    """A difference in dB with its sign."""
    return f"{value:+.2f}".replace("-", "−")


def score_line(row: PictureScore) -> str:
    """The first two scores of a row, with what they are."""
    parts = []
    for name, value in list(row.scores.items())[:2]:
        metric = metric_named(name)
        text = score_text(metric, value)
        parts.append(f"{text} {metric.unit}" if metric.unit else f"{metric.label} {text}")
    return ", ".join(parts)
