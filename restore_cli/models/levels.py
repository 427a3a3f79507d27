"""One network, a checkpoint a level: which of them suits a noise level or a JPEG quality.

SwinIR and Restormer were trained once for each of a few levels. The name without the level
(`swinir-denoise-color`) stands for all of them, and the level that is told or estimated decides.
"""

from __future__ import annotations

from math import log

from restore_cli.errors import UsageError
from restore_cli.models.card import Card
from restore_cli.models.catalog import read_catalog
from restore_cli.options import Hints
from restore_cli.tasks import TASKS, Conditioning

__all__ = ["settle_level"]

# Told levels this much above or below what a checkpoint was made for are worth a word.
NOTABLE_RATIO = 1.1


def settle_level(name: str, hints: Hints) -> tuple[str, str]:
    """The model to load where the user names `name`, and what to tell him, empty as a rule.

    The nearest level by ratio is chosen (20 lies between 15 and 25, above their geometric mean of 19.4), because
    what noise does to a picture, and the steps of JPEG's quantization below quality 50, go by ratios. A card that
    is named with its level is obeyed; the words then say which other would suit better.

    Args:
        name: a card, a family of cards, or anything else, which is returned as it is.
        hints: what is known of the pictures.

    Raises:
        UsageError: a family is named and no level known.
    """
    cards = read_catalog()
    family = cards[name].family if name in cards else name
    members = sorted((card for card in cards.values() if family and card.family == family), key=_level)
    if not members:
        return name, ""
    conditioning = _conditioning(members[0])
    wanted: float | None = getattr(hints, conditioning.name)
    if wanted is None:
        if name in cards:
            return name, ""
        known = ", ".join(f"{card.level:g}" for card in members)
        raise UsageError(
            f"{name} has a checkpoint for each of {conditioning.option} {known}.",
            f"Add {conditioning.option} LEVEL, or name one, such as {members[0].id}.",
        )
    nearest = min(members, key=lambda card: _ratio(_level(card), wanted))
    if name in cards:
        chosen = cards[name]
        better = "" if nearest is chosen else f"; {nearest.id} is nearer"
    else:
        chosen, better = nearest, ""
    off = _ratio(_level(chosen), wanted) > log(NOTABLE_RATIO)
    made_for = f"{chosen.id} was made for {conditioning.option} {chosen.level:g}, not {wanted:g}{better}."
    return chosen.id, made_for if off or better else ""


def _conditioning(card: Card) -> Conditioning:
    found = TASKS[card.task].conditioning
    assert found is not None  # `read_card` sees to it
    return found


def _level(card: Card) -> float:
    assert card.level is not None  # it has a family
    return card.level


def _ratio(level: float, wanted: float) -> float:
    """How many times one is the other, as a logarithm; 0 to 1 counts as 1, the least that matters."""
    return abs(log(max(level, 1)) - log(max(wanted, 1)))
