"""What is on this machine: which models, whether they are still what they were, and their removal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from restore_cli.errors import CheckpointError, UsageError
from restore_cli.io.digest import sha256_of
from restore_cli.models.card import Card
from restore_cli.models.catalog import card_path, weights_path
from restore_cli.models.download import Download, find, forget
from restore_cli.models.home import own_cards_dir
from restore_cli.models.hub import fault_of

__all__ = ["Examination", "State", "examine", "expected_sha256", "installed_path", "is_own", "remove"]


class State(str, Enum):
    """What became of a file."""

    INTACT = "intact"  # the content is that of the card, or of the first download
    UNPINNED = "unpinned"  # here, but nothing says what it should be
    CHANGED = "changed"  # another content: damaged, or put there by somebody


@dataclass(frozen=True)
class Examination:
    """A model's file, looked at.

    Attributes:
        card: the model.
        path: of the file.
        state: how it is.
        sha256: what was found.
        fault: what is wrong with it, if anything.
    """

    card: Card
    path: Path
    state: State
    sha256: str
    fault: str = ""


def is_own(card: Card) -> bool:
    """Whether the user added the card (`restore models add`, or `import` of one)."""
    return card_path(card.id).parent == own_cards_dir()


def installed_path(card: Card) -> Path | None:
    """Where the model's file is on this machine, if it is; the content is not checked."""
    if card.embedded:
        path = weights_path(card)
        return path if path.is_file() else None
    return find(Download.of(card))


def expected_sha256(card: Card) -> str | None:
    """What the file must be: by the card, else by its first download; None where neither says."""
    return card.file.sha256 if card.embedded else Download.of(card).sha256


def examine(card: Card) -> Examination | None:
    """Read the whole file and compare; None if it is not on this machine.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = installed_path(card)
    if path is None:
        return None
    expected = expected_sha256(card)
    try:
        fault = fault_of(path, expected, card.file.bytes or None)
        found = expected.lower() if expected and not fault else sha256_of(path)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}.", "Check the path and its rights.") from error
    state = State.CHANGED if fault else State.INTACT if expected else State.UNPINNED
    return Examination(card, path, state, found, fault)


def remove(card: Card) -> int:
    """Remove the model's file, and the card where the user added it; returns the bytes that are free again.

    What a first download pinned stays pinned: a later one must bring the same content.

    Raises:
        UsageError: the model comes with the package.
        CheckpointError: a file cannot be removed.
    """
    own = is_own(card)
    if card.embedded and not own:
        raise UsageError(f"{card.id} comes with the package.", "`pip uninstall restore-cli` removes it all.")
    freed = _unlink(weights_path(card)) if card.embedded else forget(Download.of(card))
    if own:
        _unlink(card_path(card.id))
    return freed


def _unlink(path: Path) -> int:
    try:
        size = path.stat().st_size
        path.unlink()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise CheckpointError(f"{path} cannot be removed: {error.strerror or error}.", "Check its rights.") from error
    return size
