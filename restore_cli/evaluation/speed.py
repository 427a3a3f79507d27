"""How fast models are beside each other, on the machine and in the run at hand; and beside that, how good."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import torch

from restore_cli.evaluation.references import CHECKPOINTS
from restore_cli.inference.restorer import Restorer
from restore_cli.models.build import Model
from restore_cli.models.card import Card, Score

__all__ = ["Speed", "limited_threads", "measure_speeds", "score_of", "time_in_turns"]

SIGMA_255 = 25.0  # for models that must be told; it does not change the work


@dataclass(frozen=True)
class Speed:
    """Of one model.

    Attributes:
        model: card id or file.
        scale: output pixels per input pixel along a side.
        output_height, output_width: in pixels.
        precision: arithmetic of the network.
        seconds: of each run.
    """

    model: str
    scale: int
    output_height: int
    output_width: int
    precision: str
    seconds: tuple[float, ...]

    @property
    def median_seconds(self) -> float:
        """A run that something else disturbed does not move it."""
        return statistics.median(self.seconds)

    @property
    def megapixels(self) -> float:
        """Of output, in millions."""
        return self.output_height * self.output_width / 1e6

    @property
    def seconds_per_megapixel(self) -> float:
        """By the median."""
        return self.median_seconds / self.megapixels

    def times_as_fast(self, other: Speed) -> float:
        """Per megapixel, as `other`, timed in the same rounds: the median of each round's ratio.

        Not the ratio of the medians: what slowed the machine in one round slowed both, so a round's ratio stands.
        """
        ratios = (theirs / ours for ours, theirs in zip(self.seconds, other.seconds, strict=True))
        return statistics.median(ratios) * self.megapixels / other.megapixels


def measure_speeds(
    restorers: Sequence[Restorer],
    size_px: int,
    rounds: int,
    *,
    on_run: Callable[[str], None] = lambda model: None,
    clock: Callable[[], float] = perf_counter,
) -> list[Speed]:
    """The speed of each, in turns, on noise (what is in a picture does not matter).

    Args:
        restorers: each as it would run for a user, tiles included.
        size_px: side of the output; a scale that does not divide it makes the output a little larger.
        rounds: timed runs of each.
        on_run: told which model runs next.
        clock: in seconds.
    """
    sides = [-(-size_px // restorer.scale) for restorer in restorers]

    def run(restorer: Restorer, side: int) -> Callable[[], object]:
        picture = torch.rand(1, restorer.channels, side, side, generator=torch.Generator().manual_seed(0))
        sigma_255 = SIGMA_255 if restorer.model.network.conditioning == "sigma" else None

        def call() -> torch.Tensor:
            on_run(restorer.model.name)
            return restorer(picture, sigma_255=sigma_255)

        return call

    timed = time_in_turns([run(*each) for each in zip(restorers, sides, strict=True)], rounds, clock)
    return [
        Speed(
            restorer.model.name,
            restorer.scale,
            side * restorer.scale,
            side * restorer.scale,
            restorer.precision.value,
            seconds,
        )
        for restorer, side, seconds in zip(restorers, sides, timed, strict=True)
    ]


def time_in_turns(
    calls: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float] = perf_counter
) -> list[tuple[float, ...]]:
    """Seconds of each run of each call.

    Each runs once untimed, because the first run allocates. Then they run one after another, `rounds` times, so
    that a machine which slows down or serves others meanwhile does so to all of them alike.
    """
    for call in calls:
        call()
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, seconds, strict=True):
            started = clock()
            call()
            taken.append(clock() - started)
    return [tuple(taken) for taken in seconds]


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """So many CPU threads for torch inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def score_of(model: Model, catalog: Iterable[Card]) -> Score | None:
    """The first figure that `make scores` measured of `model`, which has a card or is a checkpoint on some card."""
    if model.card is not None:
        return next((score for score in model.card.scores if score.origin == "measured"), None)
    names = [each.name for each in CHECKPOINTS if each.file == model.name]
    return next((score for card in catalog for score in card.scores if score.origin in names), None)
