"""What an embedded model should reach, set before it was trained: below the floor it is not fit to ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from restore_cli.models.card import Card, Score
from restore_cli.tasks import TASKS

__all__ = ["Goal", "goal_for", "verdict"]


@dataclass(frozen=True)
class Goal:
    """PSNR in dB. Where `over` names a baseline, both are gains over it on the same pictures."""

    floor: float
    aim: float
    over: str = ""

    def describe(self) -> str:
        """For people."""
        return f"floor {self.floor:g}, aim {self.aim:g}" + (f" dB over the {self.over}" if self.over else "")


# By task and test set: the start of the condition (or the scale), and the goal. The first that fits counts.
GOALS: dict[tuple[str, str], tuple[tuple[str, Goal], ...]] = {
    ("sr", "Set5"): (("x4", Goal(31.4, 32.0)), ("x3", Goal(33.4, 34.2)), ("x2", Goal(37.2, 37.8))),
    ("sr", "Set14"): (("x4", Goal(28.1, 28.5)),),
    ("denoise", "CBSD68"): (
        ("sigma 15", Goal(33.7, 34.1)),
        ("sigma 25", Goal(31.0, 31.4)),
        ("sigma 50", Goal(27.7, 28.2)),
    ),
    ("denoise", "Set12"): (("sigma 25", Goal(30.2, 30.7)),),
    ("jpeg", "LIVE1"): (("quality 10", Goal(27.2, 27.7)), ("quality 40", Goal(31.9, 32.4))),
    ("jpeg", "classic5"): (("quality 10", Goal(29.2, 29.9)), ("quality 40", Goal(33.6, 34.2))),
    ("demosaic", "McMaster"): (("", Goal(37.5, 39.2)),),
    ("deblur", "CBSD68"): (("motion-blur", Goal(2, 4, "input")), ("defocus", Goal(2, 4, "input"))),
    ("derain", "CBSD68"): (("rain", Goal(5, 9, "input")),),
    ("weather", "CBSD68"): tuple((kind, Goal(4, 7, "input")) for kind in ("snow", "raindrops", "rain-fog")),
}
CLEAN = Goal(38, 42)  # what is restored of a picture that nothing ails
# Models that ship because of their architecture, beside a task's default.
BESIDE_THE_DEFAULT = {("sr", "Set5", "x4"): Goal(30.5, 31.4)}
NEAR_DB = 0.5  # for the others: of the default's floor


def goal_for(card: Card, task: str, score: Score) -> Goal | None:
    """The goal that a measured `score` of `card` in `task` is held to; None where none was set."""
    if score.condition == "clean pictures":
        return CLEAN
    condition = score.condition or f"x{card.scale}"
    goals = GOALS.get((task, score.dataset), ())
    goal = next((goal for start, goal in goals if condition.startswith(start)), None)
    if goal is None or card.id in TASKS[task].default_models.values():
        return goal
    if task == "sr":
        return BESIDE_THE_DEFAULT.get((task, score.dataset, condition))
    return Goal(goal.floor - NEAR_DB, goal.floor, goal.over)


def verdict(goal: Goal, score: Score, beside: Sequence[Score]) -> str:
    """'aim', 'floor' (reached) or 'missed'.

    Args:
        goal: of `score`.
        score: measured.
        beside: those of baselines on the same pictures.

    Raises:
        StopIteration: the baseline that the goal is over is not among them.
    """
    gain = score.psnr
    if goal.over:
        gain -= next(other.psnr for other in beside if other.origin == goal.over)
    return "aim" if gain >= goal.aim else "floor" if gain >= goal.floor else "missed"
