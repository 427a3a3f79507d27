"""All cards: those the package carries, and those in the folders that RESTORE_CARDS names."""

from __future__ import annotations

import difflib
import os
from importlib import resources
from pathlib import Path

from restore_cli.errors import ModelNotFoundError, RecipeError
from restore_cli.models.card import Card, read_card

__all__ = ["CARD_FOLDERS_VARIABLE", "card_path", "find_card", "read_catalog", "weights_path"]

CARD_FOLDERS_VARIABLE = "RESTORE_CARDS"


def read_catalog() -> dict[str, Card]:
    """Every card by id; one in a folder of RESTORE_CARDS replaces the package's of the same id."""
    return {card.id: card for card, _ in _read_all().values()}


def find_card(card_id: str) -> Card:
    """The card called `card_id`.

    Raises:
        ModelNotFoundError: there is none; the hint offers near names.
    """
    return _find(card_id)[0]


def weights_path(card: Card) -> Path:
    """The file of an embedded model, beside its card. Whether it is there is for the reader to find out."""
    return card_path(card.id).parent / card.file.name


def card_path(card_id: str) -> Path:
    """The TOML file of the card called `card_id`; raises ModelNotFoundError as `find_card` does."""
    return _find(card_id)[1]


def _find(card_id: str) -> tuple[Card, Path]:
    known = _read_all()
    if card_id in known:
        return known[card_id]
    near = difflib.get_close_matches(card_id, known, n=3, cutoff=0.4)
    offer = f"Did you mean {' or '.join(near)}?" if near else f"Known models: {', '.join(sorted(known))}."
    raise ModelNotFoundError(
        f"{card_id}: no model of that name and no such file.",
        f"{offer} A file or hf:owner/repo/file works too.",
    )


def _read_all() -> dict[str, tuple[Card, Path]]:
    found: dict[str, tuple[Card, Path]] = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.toml")):
            card = read_card(path)
            if card.id != path.stem:
                raise RecipeError(f"{path}: the card's id is '{card.id}'.", "Name the file after the id.")
            found[card.id] = (card, path)
    return found


def _folders() -> list[Path]:
    # The wheel is installed as ordinary files, so the resource is a path.
    packaged = Path(str(resources.files("restore_cli") / "weights"))
    added = os.environ.get(CARD_FOLDERS_VARIABLE, "").split(os.pathsep)
    folders = [Path(folder) for folder in added if folder]
    for folder in folders:
        if not folder.is_dir():
            raise RecipeError(f"{CARD_FOLDERS_VARIABLE}: {folder} is no folder.", "Check the variable.")
    return [packaged, *folders]
