"""Whether a model may be used in commerce: a card must say so clearly."""

from __future__ import annotations

from restore_cli.errors import UsageError
from restore_cli.models.card import Card

__all__ = ["check_commercial"]

HINT = "Leave out --commercial-ok, or choose one of `restore models list --commercial`."


def check_commercial(name: str, card: Card | None) -> None:
    """Raises UsageError unless `card`, that of the model called `name`, allows it; unclear terms are a no."""
    if card is None:
        raise UsageError(f"{name}: nothing says whether commercial use is allowed.", HINT)
    if not card.licence.commercial:
        raise UsageError(f"{name}: its terms ({card.licence.name}) do not clearly allow commercial use.", HINT)
