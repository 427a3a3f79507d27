"""Where the marks of a report's plots lie; `page/plots.html` draws them.

Across in percent of the width, down in pixels: so a plot fits any screen and its text keeps its size.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

from restore_cli.evaluation.report_scores import Scored
from restore_cli.evaluation.results import Evaluation

__all__ = ["LinePlot", "StripPlot", "plot_conditions", "plot_differences"]

LINES_PX = 260
STRIP_PX = 46
LEVEL = re.compile(r"(.+?)\s*=\s*(-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Tick:
    """A place on an axis."""

    at: float
    text: str
    is_zero: bool = False


@dataclass(frozen=True)
class Point:
    """A mark: across in percent, down in pixels, and what it says when pointed at."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Line:
    """One model over the conditions; `series` decides colour and shape."""

    name: str
    series: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class LinePlot:
    """A metric over the conditions."""

    title: str
    x_label: str
    height: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Strip:
    """Paired differences of one model: a dot a picture, their mean and its interval, in percent of the width."""

    name: str
    series: int
    y: float
    dots: tuple[Point, ...]
    mean: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class StripPlot:
    """Paired differences of all models to the first."""

    title: str
    x_label: str
    height: int
    x_ticks: tuple[Tick, ...]
    strips: tuple[Strip, ...]


def plot_conditions(evaluation: Evaluation, metric: str, label: str, unit: str) -> LinePlot | None:
    """Means of a metric over the conditions, a line a model; None for fewer than two conditions.

    Conditions such as 'quality = 10' lie at their number; others evenly, in the order of the tables.
    """
    conditions = evaluation.conditions
    if len(conditions) < 2:
        return None
    name, places = _places(conditions)
    means = {
        model: [evaluation.means(model, condition).get(metric, math.nan) for condition in conditions]
        for model in evaluation.models
    }
    finite = [value for values in means.values() for value in values if math.isfinite(value)]
    if not finite:
        return None
    ticks = _tick_values(min(finite), max(finite))
    heights = _scaled(ticks[0], ticks[-1], LINES_PX, 0)
    lines = []
    for series, (model, values) in enumerate(means.items()):
        points = [
            Point(x, heights(value), f"{model}, {condition}: {value:.4g} {unit}".rstrip())
            for x, value, condition in zip(places, values, conditions, strict=True)
            if math.isfinite(value)
        ]
        lines.append(Line(model, series, tuple(sorted(points, key=lambda point: point.x))))
    return LinePlot(
        f"{label} ({unit})" if unit else label,
        name,
        LINES_PX,
        tuple(Tick(x, text) for x, text in zip(places, _level_texts(conditions), strict=True)),
        tuple(Tick(heights(value), f"{value:g}") for value in ticks),
        tuple(lines),
    )


def plot_differences(scored: Scored) -> StripPlot | None:
    """PSNR of every model minus that of the first, picture by picture; None where there is nothing to compare."""
    gaps = {
        (model, condition): [
            (picture, gap)
            for picture, each in scored.order
            if each == condition and (gap := scored.gap(picture, condition, model)) is not None
        ]
        for model, condition in scored.differences
    }
    values = [gap for found in gaps.values() for _, gap in found]
    if not values:
        return None
    ticks = _tick_values(min(0.0, *values), max(0.0, *values))
    across = _scaled(ticks[0], ticks[-1], 0, 100)
    strips = []
    for place, ((model, condition), difference) in enumerate(scored.differences.items()):
        y = STRIP_PX * (place + 0.75)
        name = " · ".join(filter(None, (model, condition)))
        strips.append(
            Strip(
                name,
                scored.models.index(model),
                y,
                tuple(Point(across(gap), y, f"{picture}: {gap:+.2f} dB") for picture, gap in gaps[model, condition]),
                across(difference.mean),
                across(difference.low),
                across(difference.high),
                f"{name}: {difference.mean:+.2f} dB [{difference.low:+.2f}, {difference.high:+.2f}]",
            )
        )
    return StripPlot(
        f"PSNR minus that of {scored.models[0]}, by picture",
        "dB",
        STRIP_PX * len(strips) + STRIP_PX // 4,
        tuple(Tick(across(value), f"{value:+g}" if value else "0", value == 0) for value in ticks),
        tuple(strips),
    )


def _places(conditions: Sequence[str]) -> tuple[str, list[float]]:
    """The name of the axis and where each condition lies on it, in percent."""
    levels = [LEVEL.fullmatch(condition) for condition in conditions]
    names = {level[1] if level else "" for level in levels}
    if len(names) == 1 and "" not in names:
        values = [float(level[2]) for level in levels if level]
        if len(set(values)) > 1:
            across = _scaled(min(values), max(values), 0, 100)
            return names.pop(), [across(value) for value in values]
    step = 100 / (len(conditions) - 1)
    return "", [step * index for index in range(len(conditions))]


def _level_texts(conditions: Sequence[str]) -> list[str]:
    levels = [LEVEL.fullmatch(condition) for condition in conditions]
    alike = len({level[1] if level else "" for level in levels}) == 1
    return [level[2] if alike and level else condition for level, condition in zip(levels, conditions, strict=True)]


def _tick_values(low: float, high: float) -> list[float]:
    """Round numbers around low and high, at least two."""
    values = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [round(value, 10) + 0.0 for value in values]


def _scaled(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """The map of [low, high] to [start, end]."""
    return lambda value: round(start + (value - low) / (high - low) * (end - start), 2)
