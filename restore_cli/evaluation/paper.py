"""Our figure beside the published one, and which other convention would explain the difference.

Where the two are more than 0.05 dB apart, the same pictures are looked at with one or two choices of the
protocol changed: the channels, the border, the rounding, the averaging. The figure with the fewest changes that
comes within 0.02 dB of the published one names the likely cause. With two changes chance can do that too, so the
answer is a lead to follow, not a proof.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.evaluation.protocol import Protocol
from restore_cli.evaluation.results import Comparison, PictureScore
from restore_cli.metrics.color import luma_full, luma_limited
from restore_cli.models.card import Card, Score

__all__ = ["AGREES_DB", "EXPLAINS_DB", "UNEXPLAINED", "alternative_scores", "compare", "explain", "published_scores"]

AGREES_DB = 0.05
EXPLAINS_DB = 0.02
UNEXPLAINED = "unexplained"
MOST_CHANGES = 2

# What the papers' programs look at, (H, W, C) -> (H, W) or (H, W, C); 'mean' takes one PSNR a channel, then their mean.
VIEWS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "y": luma_limited,
    "y_full": luma_full,
    "y_rounded": lambda picture: np.floor(luma_limited(picture) * 255 + 0.5) / 255,
    "all": lambda picture: picture,
    "mean": lambda picture: picture,
}
VIEW_TEXT = {
    "y": "Y, limited range",
    "y_full": "Y, full range",
    "y_rounded": "Y, limited range, rounded to 8 bits as MATLAB's rgb2ycbcr does",
    "all": "RGB, all channels together",
    "mean": "RGB, the mean of one PSNR a channel",
}
VALUES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "rounded": lambda picture: np.floor(np.clip(picture, 0, 1) * 255 + 0.5) / 255,
    "truncated": lambda picture: np.floor(np.clip(picture, 0, 1) * 255 + 1e-4) / 255,
    "exact": lambda picture: picture,
}
VALUES_TEXT = {
    "rounded": "rounded to 8 bits",
    "truncated": "cut off to 8 bits instead of rounded",
    "exact": "neither clipped nor rounded",
}
# What figures are stated for: 'sigma 25', 'sigma_255 = 25', 'quality 10, OpenCV's encoder'.
LEVEL = re.compile(r"\b(sigma|quality)(?:_255)?[ =]*(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Convention:
    """A way to compute PSNR.

    Attributes:
        view: key of `VIEWS`.
        border_px: left out on all sides.
        values: key of `VALUES`.
        pooled: the mean squared error is averaged over pictures, instead of the PSNR.
    """

    view: str
    border_px: int
    values: str
    pooled: bool = False

    @property
    def key(self) -> str:
        """Of the score of one picture, where pooling makes no difference."""
        return f"{self.view} {self.border_px} {self.values}"

    def changes(self, usual: Convention) -> tuple[str, ...]:
        """What is different from `usual`, in words."""
        texts = {
            "view": VIEW_TEXT[self.view],
            "border_px": f"border of {self.border_px} px cropped" if self.border_px else "no border cropped",
            "values": VALUES_TEXT[self.values],
            "pooled": "the squared error averaged over pictures, not the PSNR",
        }
        return tuple(text for aspect, text in texts.items() if getattr(self, aspect) != getattr(usual, aspect))


def conventions(protocol: Protocol, scale: int) -> Iterator[Convention]:
    """The protocol's own, then all that differ from it in one or two respects."""
    usual = _usual(protocol, scale)
    yield usual
    borders = dict.fromkeys((usual.border_px, 0, scale, scale + 6, 10))
    for view, border_px, values, pooled in product(VIEWS, borders, VALUES, (False, True)):
        convention = Convention(view, border_px, values, pooled)
        if 0 < len(convention.changes(usual)) <= MOST_CHANGES:
            yield convention


def alternative_scores(
    restored: NDArray[Any], reference: NDArray[Any], protocol: Protocol, scale: int
) -> dict[str, float]:
    """PSNR in dB of one picture by every convention, keyed by `Convention.key`.

    Args:
        restored, reference: as `Protocol.score` takes them.
        protocol, scale: to differ from.
    """
    height, width = restored.shape[:2]
    reference = reference[:height, :width]
    if restored.shape[2] != reference.shape[2]:
        restored, reference = (np.broadcast_to(each, (*each.shape[:2], 3)) for each in (restored, reference))
    errors: dict[tuple[str, str], NDArray[np.float64]] = {}
    scores: dict[str, float] = {}
    for each in conventions(protocol, scale):
        if each.key in scores or min(height, width) <= 2 * each.border_px:
            continue
        seen = each.view, each.values
        if seen not in errors:
            ours, theirs = (VIEWS[each.view](VALUES[each.values](picture)) for picture in (restored, reference))
            errors[seen] = np.square(np.atleast_3d(ours).astype(np.float64) - np.atleast_3d(theirs))
        border = each.border_px
        inner = errors[seen][border : height - border, border : width - border]
        parts = inner.mean(axis=(0, 1)) if each.view == "mean" else [inner.mean()]
        scores[each.key] = statistics.fmean(_psnr(float(part)) for part in parts)
    return scores


def explain(published: float, pictures: Sequence[dict[str, float]], protocol: Protocol, scale: int) -> str:
    """Which convention leads to `published`, in words; empty if the protocol's own does.

    Args:
        published: in dB.
        pictures: of each, `alternative_scores`.
        protocol, scale: they were made for.
    """
    usual = _usual(protocol, scale)
    if abs(_mean(pictures, usual) - published) <= AGREES_DB:
        return ""
    found = []
    for each in conventions(protocol, scale):
        gap = abs(_mean(pictures, each) - published)
        if gap <= EXPLAINS_DB:
            found.append((len(each.changes(usual)), gap, each))
    if not found:
        return UNEXPLAINED
    _, _, likely = min(found, key=lambda each: each[:2])
    return f"{' and '.join(likely.changes(usual))} ({_mean(pictures, likely):.2f} dB)"


def published_scores(cards: Iterable[Card], protocol: Protocol, place: Path) -> list[Score]:
    """The published figures of `cards` by `protocol` for the test set that a folder of `place` is named after."""
    folders = {part.casefold() for part in place.absolute().parts}
    return [
        score
        for card in cards
        for score in card.scores
        if (score.origin, score.protocol) == ("published", protocol.name) and score.dataset.casefold() in folders
    ]


def compare(
    rows: Sequence[PictureScore], published: Iterable[Score], protocol: Protocol, scale: int
) -> list[Comparison]:
    """Each published figure beside ours, where they are of the same condition.

    Args:
        rows: of one model in one condition, with `alternatives`.
        published: of that model on these pictures.
        protocol, scale: of the rows.
    """
    compared = []
    for score in published if rows else ():
        stated, ours = _level(score.condition), _level(rows[0].condition)
        if stated != ours:
            continue
        explanation = explain(score.psnr, [row.alternatives for row in rows], protocol, scale)
        dataset = ", ".join(filter(None, (score.dataset, score.condition)))
        measured = statistics.fmean(row.scores["psnr"] for row in rows)
        compared.append(Comparison(rows[0].model, rows[0].condition, dataset, score.psnr, measured, explanation))
    return compared


def _usual(protocol: Protocol, scale: int) -> Convention:
    border = scale if protocol.crop == "scale" and scale > 1 else 0
    return Convention(protocol.channels, border, "rounded" if protocol.rounded else "exact")


def _mean(pictures: Sequence[dict[str, float]], convention: Convention) -> float:
    """Over pictures; NaN, which is near nothing, where one of them is too small for the border."""
    scores = [picture.get(convention.key, math.nan) for picture in pictures]
    if convention.pooled:
        return _psnr(statistics.fmean(10 ** (-score / 10) for score in scores))
    return statistics.fmean(scores)


def _psnr(mean_square: float) -> float:
    return math.inf if mean_square == 0 else -10 * math.log10(mean_square)


def _level(condition: str) -> tuple[str, float] | None:
    found = LEVEL.search(condition)
    return (found[1], float(found[2])) if found else None
