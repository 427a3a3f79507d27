"""Which models a task command runs: those that are named, or those that the policy chooses."""

from __future__ import annotations

from dataclasses import dataclass

from restore_cli.cli._params import Shared
from restore_cli.options import Hints
from restore_cli.tasks import Task

__all__ = ["Chosen", "choose_models"]


@dataclass(frozen=True)
class Chosen:
    """Models by name, and what the user is told about them.

    Attributes:
        names: to be averaged, if several.
        grey: the model for grey pictures, where they have their own; "" where not.
        news: said before anything is downloaded: why these.
        advice: said once the work begins: what one could have instead.
    """

    names: tuple[str, ...]
    grey: str = ""
    news: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def choose_models(task: Task, shared: Shared, scale: int | None, hints: Hints, device: str) -> Chosen:
    """What `-n` names, at the level that `hints` tell; else what the policy says, which --embedded and --best override.

    Args:
        task: of the command.
        shared: its options.
        scale: enlargement asked for.
        hints: what is known of the pictures.
        device: 'cpu', 'cuda' or 'mps'.

    Raises:
        UsageError: a family of models without a level, a scale the task does not offer.
        RecipeError: the environment or the settings name an unknown policy.
    """
    from restore_cli.models.choose import Choice, Policy, choose, settled_policy
    from restore_cli.models.levels import settle_level

    named = shared.model_names()
    if named:
        settled = [settle_level(name, hints) for name in named]
        return Chosen(tuple(name for name, _ in settled), news=tuple(remark for _, remark in settled if remark))
    policy, asked_by = settled_policy()
    if shared.embedded:
        policy, asked_by = Policy.EMBEDDED, "--embedded"
    elif shared.best:
        policy, asked_by = Policy.BEST, "--best"

    def choice(*, grey: bool) -> Choice:
        return choose(
            task,
            scale=scale,
            grey=grey,
            hints=hints,
            device=device,
            policy=policy,
            asked_by=asked_by,
            offline=shared.offline,
            commercial_ok=shared.commercial_ok,
        )

    colour = choice(grey=False)
    news, advice = ([], [colour.reason]) if colour.plain else ([colour.reason], [])
    other = ""
    if task.grey_model:
        grey = choice(grey=True)
        other = "" if grey.card is colour.card else grey.card.id
        # That grey pictures have a model of their own in the package, too, is no news.
        if not grey.card.embedded and other:
            news.append(f"For grey pictures: {grey.reason}")
    return Chosen((colour.card.id,), other, tuple(news), tuple(advice))
