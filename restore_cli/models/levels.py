"""One network, a checkpoint a level: which of them suits a noise level or a JPEG quality.

SwinIR and Restormer were trained once for each of a few levels. The name without the level
(`swinir-denoise-color`) stands for all of them, and the level that is told or estimated decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from math import log

from restore_cli.errors import UsageError
from restore_cli.models.card import Card
from restore_cli.models.catalog import read_catalog
from restore_cli.models.download import Download, is_cached
from restore_cli.options import Hints
from restore_cli.tasks import TASKS, Conditioning

__all__ = ["any_member", "family_conditioning", "family_members", "family_sha256", "settle_level"]

# Told levels this much above or below what a checkpoint was made for are worth a word.
NOTABLE_RATIO = 1.1


def family_members(name: str) -> tuple[Card, ...]:
    """The checkpoints that `name` stands for, by level; none where it names a single model."""
    cards = read_catalog()
    return () if name in cards else _members(name, cards.values())


def family_conditioning(name: str) -> Conditioning | None:
    """What must be known of a picture to choose among the checkpoints that `name` stands for; None for one model."""
    members = family_members(name)
    return _conditioning(members[0]) if members else None


def any_member(name: str, hints: Hints | None = None) -> str:
    """One of a family, to begin with; any other name as it is.

    The one for the level that `hints` tell; else one that is installed; else that of the middle level.
    """
    members = family_members(name)
    if not members:
        return name
    if hints is not None and getattr(hints, _conditioning(members[0]).name) is not None:
        return settle_level(name, hints)[0]
    middle = members[len(members) // 2]
    here = [card for card in (middle, *members) if card.embedded or is_cached(Download.of(card))]
    return (here or [middle])[0].id


def family_sha256(name: str) -> str:
    """One name for the content of all checkpoints of a family, as their cards state it, downloaded or not."""
    lines = (f"{card.id} {card.file.sha256}\n" for card in family_members(name))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


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
    members = _members(family, cards.values())
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


def _members(family: str, cards: Iterable[Card]) -> tuple[Card, ...]:
    return tuple(sorted((card for card in cards if family and card.family == family), key=_level))


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
