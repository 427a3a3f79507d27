"""What an evaluation found: scores by picture, model and condition, their means and paired differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from restore_cli.evaluation.protocol import Protocol

__all__ = ["Comparison", "Difference", "Evaluation", "Failure", "PictureScore"]

RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PictureScore:
    """How one model did on one picture in one condition.

    Attributes:
        picture: its name: the path below the evaluated folder without suffix, with '/'.
        model: card id, baseline or file, as the user named it.
        condition: how the input came about, such as 'sigma_255 = 25'; empty where there is one only.
        scores: by metric: 'psnr', 'ssim', ... in the order of the protocol; what does not apply is absent.
        seconds: the restoration took; None where nothing was run.
        degraded, restored, reference: the pictures as files, where they were kept.
        alternatives: PSNR by other conventions, where a published figure is to be explained.
    """

    picture: str
    model: str
    condition: str
    scores: dict[str, float]
    seconds: float | None = None
    degraded: Path | None = None
    restored: Path | None = None
    reference: Path | None = None
    alternatives: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """A picture that could not be restored or scored, and why.

    `model` and `condition` are empty where all fail alike; `trace` is set where it is our bug.
    """

    picture: str
    model: str
    condition: str
    message: str
    hint: str = ""
    trace: str = ""


@dataclass(frozen=True)
class Comparison:
    """A mean PSNR beside the one that is published.

    Attributes:
        model, condition: as in the rows.
        dataset: the published figure's, and what it says besides, such as 'GoPro, with local pooling (TLC)'.
        published, measured: in dB.
        explanation: the convention that leads to the published figure, 'unexplained', or empty where the two
            agree.
    """

    model: str
    condition: str
    dataset: str
    published: float
    measured: float
    explanation: str = ""

    @property
    def difference(self) -> float:
        """Measured - published, in dB."""
        return self.measured - self.published


@dataclass(frozen=True)
class Difference:
    """Mean over pictures of (first model - second), with a bootstrap confidence interval over pictures."""

    mean: float
    low: float
    high: float
    pictures: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Evaluation:
    """A finished run.

    Attributes:
        task: a key of `restore_cli.tasks.TASKS`.
        protocol: that scored it.
        scale: enlargement.
        models, conditions: in the order of the tables.
        rows: one a picture, model and condition.
        failures: what is missing from `rows`, and why.
        notes: one sentence each, for every report: where the input came from, which seed.
        comparisons: with published figures, where asked for.
    """

    task: str
    protocol: Protocol
    scale: int
    models: tuple[str, ...]
    conditions: tuple[str, ...]
    rows: tuple[PictureScore, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that some row has, in the order met."""
        return tuple(dict.fromkeys(metric for row in self.rows for metric in row.scores))

    def select(self, model: str, condition: str) -> list[PictureScore]:
        """The rows of one column of the table."""
        return [row for row in self.rows if (row.model, row.condition) == (model, condition)]

    def means(self, model: str, condition: str) -> dict[str, float]:
        """Mean over pictures of each metric; those that no picture has are absent."""
        rows = self.select(model, condition)
        values = {metric: [row.scores[metric] for row in rows if metric in row.scores] for metric in self.metrics}
        return {metric: statistics.fmean(found) for metric, found in values.items() if found}

    def difference(self, first: str, second: str, condition: str, metric: str = "psnr") -> Difference | None:
        """Of two models on the pictures that both have a finite score of; None where there is none.

        The interval is the percentile bootstrap over pictures (Efron, 1979), with a fixed seed.
        """
        scores = [
            {row.picture: row.scores.get(metric, math.inf) for row in self.select(model, condition)}
            for model in (first, second)
        ]
        shared = [picture for picture in scores[0] if picture in scores[1]]
        gaps = np.array([scores[0][picture] - scores[1][picture] for picture in shared], np.float64)
        gaps = gaps[np.isfinite(gaps)]
        if not len(gaps):
            return None
        rng = np.random.default_rng(0)
        # How often each picture is drawn says as much as which ones are, and takes little memory.
        counts = rng.multinomial(len(gaps), np.full(len(gaps), 1 / len(gaps)), size=RESAMPLES)
        means = counts @ gaps / len(gaps)
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(means, [tail, 1 - tail])
        return Difference(float(gaps.mean()), float(low), float(high), len(gaps))

    def without_files(self, folder: Path) -> Evaluation:
        """The same, without the names of pictures in `folder`, which is gone."""

        def kept(path: Path | None) -> Path | None:
            return None if path is None or path.is_relative_to(folder) else path

        rows = (replace(row, degraded=kept(row.degraded), restored=kept(row.restored)) for row in self.rows)
        return replace(self, rows=tuple(rows))

    def as_record(self) -> dict[str, Any]:
        """For JSON: protocol whole, means and pictures."""
        return {
            "task": self.task,
            "protocol": self.protocol.as_record(self.scale),
            "notes": list(self.notes),
            "mean": [
                {"model": model, "condition": condition, "pictures": len(self.select(model, condition))}
                | self.means(model, condition)
                for condition in self.conditions
                for model in self.models
            ],
            "differences": list(self._differences()),
            "pictures": [_row_record(row) for row in self.rows],
            "failures": [_without_trace(failure) for failure in self.failures],
            "published": [vars(each) | {"difference": each.difference} for each in self.comparisons],
        }

    def _differences(self) -> Iterable[dict[str, Any]]:
        """Of every model to the first."""
        for condition in self.conditions:
            for model in self.models[1:]:
                found = self.difference(model, self.models[0], condition)
                if found:
                    yield {"model": model, "against": self.models[0], "condition": condition, "metric": "psnr"} | vars(
                        found
                    )


def _row_record(row: PictureScore) -> dict[str, Any]:
    record: dict[str, Any] = {"picture": row.picture, "model": row.model, "condition": row.condition} | row.scores
    if row.seconds is not None:
        record["seconds"] = round(row.seconds, 4)
    files = {"degraded": row.degraded, "restored": row.restored, "reference": row.reference}
    return record | {name: str(path) for name, path in files.items() if path is not None}


def _without_trace(failure: Failure) -> dict[str, str]:
    return {name: value for name, value in vars(failure).items() if name != "trace"}
