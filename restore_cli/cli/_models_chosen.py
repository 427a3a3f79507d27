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
        names: to be averaged, if several; families too, of which each picture gets the checkpoint for its level.
        grey: the model for grey pictures, where they have their own; "" where not.
        news: said before anything is downloaded: why these.
        advice: said once the work begins: what one could have instead.
    """

    names: tuple[str, ...]
    grey: str = ""
    news: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()

    def opened(self, hints: Hints) -> tuple[str, ...]:
        """Names of single models, one of each family: those that the work begins with, `hints` being what is known."""
        from restore_cli.models.levels import any_member

        return tuple(any_member(name, hints) for name in (*self.names, self.grey) if name)


def choose_models(task: Task, shared: Shared, scale: int | None, hints: Hints, device: str) -> Chosen:
    """What `-n` names; else what the policy says, which --embedded and --best override.

    Of a family it is the checkpoint for the level that `hints` tell; the family, where they tell none.

    Args:
        task: of the command.
        shared: its options.
        scale: enlargement asked for.
        hints: what is known of the pictures.
        device: 'cpu', 'cuda' or 'mps'.

    Raises:
        UsageError: a scale the task does not offer.
        RecipeError: the environment or the settings name an unknown policy.
    """
    from restore_cli.models.choose import Choice, Policy, choose, settled_policy
    from restore_cli.models.levels import family_conditioning, settle_level

    def settled_level(name: str) -> tuple[str, str]:
        needed = family_conditioning(name)
        return (name, "") if needed and getattr(hints, needed.name) is None else settle_level(name, hints)

    named = shared.model_names()
    if named:
        settled = [settled_level(name) for name in named]
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
