"""All cards: those the package carries, the user's own, and those in the folders that RESTORE_CARDS names."""

from __future__ import annotations

import difflib
import functools
import os
import re
from importlib import resources
from pathlib import Path

from restore_cli.errors import ModelNotFoundError, RecipeError
from restore_cli.models.card import Card, read_card
from restore_cli.models.home import own_cards_dir

__all__ = ["CARD_FOLDERS_VARIABLE", "card_path", "find_card", "read_catalog", "weights_path"]

CARD_FOLDERS_VARIABLE = "RESTORE_CARDS"


def read_catalog() -> dict[str, Card]:
    """Every card by id; the user's own replaces the package's of the same id, one of RESTORE_CARDS both."""
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
    if re.fullmatch(r"[\w.-]+", card_id):
        for folder in reversed(_folders()):
            path = folder / f"{card_id}.toml"
            if os.path.isfile(path):  # which answers no where Path raises: for a name too long to be a file's
                return _read(path), path
    known = _read_all()
    near = difflib.get_close_matches(card_id, known, n=3, cutoff=0.4)
    offer = f"Did you mean {' or '.join(near)}?" if near else "`restore models list` names them all."
    raise ModelNotFoundError(
        f"{card_id}: no model of that name and no such file.",
        f"{offer} A file or hf:owner/repo/file works too.",
    )


def _read_all() -> dict[str, tuple[Card, Path]]:
    found: dict[str, tuple[Card, Path]] = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.toml")):
            found[path.stem] = (_read(path), path)
    return found


def _read(path: Path) -> Card:
    """The card in `path`, read again only when the file is another."""
    try:
        state = path.stat()
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror or error}.", "Check the path.") from error
    return _read_once(path, state.st_mtime_ns, state.st_size, state.st_ino)


@functools.lru_cache(maxsize=1024)
def _read_once(path: Path, *_: int) -> Card:
    card = read_card(path)
    if card.id != path.stem:
        raise RecipeError(f"{path}: the card's id is '{card.id}'.", "Name the file after the id.")
    return card


def _folders() -> list[Path]:
    # The wheel is installed as ordinary files, so the resource is a path.
    packaged = Path(str(resources.files("restore_cli") / "weights"))
    added = os.environ.get(CARD_FOLDERS_VARIABLE, "").split(os.pathsep)
    folders = [Path(folder) for folder in added if folder]
    for folder in folders:
        if not folder.is_dir():
            raise RecipeError(f"{CARD_FOLDERS_VARIABLE}: {folder} is no folder.", "Check the variable.")
    own = own_cards_dir()
    return [packaged, *([own] if own.is_dir() else []), *folders]
