"""Models carried to a machine without a network: a folder of files, and their import elsewhere.

FOLDER/SHA256SUMS             one line a file; `sha256sum -c SHA256SUMS` checks them too
FOLDER/<id>/<id>.toml         the card
FOLDER/<id>/<file>            the weights
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from restore_cli.errors import CheckpointError, DownloadError, OutputError, RecipeError, UsageError
from restore_cli.io.atomic import replacing
from restore_cli.io.digest import sha256_of
from restore_cli.models import lock
from restore_cli.models.card import Card, read_card
from restore_cli.models.catalog import card_path, read_catalog
from restore_cli.models.download import Download
from restore_cli.models.home import CACHE_VARIABLE, own_cards_dir
from restore_cli.models.installed import State, examine, is_own
from restore_cli.models.store import copy_checked, stored_path

__all__ = ["SUMS", "Carried", "export_models", "import_models"]

SUMS = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_PLACE = re.compile(r"([a-z0-9]+(?:[-.][a-z0-9]+)*)/((?!\.{1,2}$)[^/\\:\x00-\x1f\x7f]+)")


@dataclass(frozen=True)
class Carried:
    """A model that was carried.

    Attributes:
        id: of its card.
        path: of the weights, where they are now.
        bytes: their size.
    """

    id: str
    path: Path
    bytes: int


def export_models(cards: Iterable[Card], folder: Path) -> Iterator[Carried]:
    """Copy the installed weights of `cards`, and their cards, into `folder`; yields each when it is there.

    Raises:
        CheckpointError: a model is not installed, or no longer what it was.
        OutputError: the folder cannot be written to.
    """
    lines = {}
    try:
        if (folder / SUMS).is_file():
            lines = {place: line for line, place in _lines(folder)}
        for card in cards:
            found = examine(card)
            if found is None:
                raise CheckpointError(f"{card.id} is not installed.", f"Run `restore models pull {card.id}` first.")
            if found.state is State.CHANGED:
                raise CheckpointError(
                    f"{found.path}: {found.fault}.", f"Run `restore models pull {card.id}` to download it afresh."
                )
            target = folder / card.id / card.file.name
            copy_checked(found.path, target, found.sha256)
            copied = folder / card.id / f"{card.id}.toml"
            with replacing(copied, overwrite=True) as stream:
                stream.write(card_path(card.id).read_bytes())
            for path, sha256 in ((target, found.sha256), (copied, sha256_of(copied))):
                place = path.relative_to(folder).as_posix()
                lines[place] = f"{sha256}  {place}"
            with replacing(folder / SUMS, overwrite=True) as stream:
                stream.write("".join(f"{lines[place]}\n" for place in sorted(lines)).encode())
            yield Carried(card.id, target, target.stat().st_size)
    except OSError as error:
        raise OutputError(
            f"{error.filename or folder}: {error.strerror or error}.", "Choose a folder on a disk with enough room."
        ) from error


def import_models(folder: Path) -> Iterator[Carried]:
    """Take over what `export_models` wrote; yields each model when it is installed. Needs no network.

    A model of the catalogue must be what the catalogue says, whatever the folder says; one that no page prints a
    sha256 of is pinned, as at a first download; a card that is not in the catalogue becomes one of the user's own.

    Raises:
        RecipeError: not such a folder, or a line that leads out of it.
        DownloadError: a file is not what it should be.
        OutputError: it cannot be written here.
    """
    if not (folder / SUMS).is_file():
        raise RecipeError(f"{folder}: no {SUMS} in it.", "Name a folder that `restore models export` wrote.")
    stated: dict[str, dict[str, str]] = {}
    for line, place in _lines(folder):
        found = _PLACE.fullmatch(place)
        if found is None:
            raise RecipeError(f"{folder / SUMS}: {place!r} leads out of the folder.", "Do not use this folder.")
        stated.setdefault(found[1], {})[found[2]] = line[:64]
    for card_id, files in stated.items():
        try:
            yield _import(folder / card_id, card_id, files)
        except OSError as error:
            raise OutputError(
                f"{error.filename or folder}: {error.strerror or error}.", f"{CACHE_VARIABLE} names another place."
            ) from error


def _import(source: Path, card_id: str, files: dict[str, str]) -> Carried:
    known = read_catalog().get(card_id)
    card = known or read_card(source / f"{card_id}.toml")
    if card.id != card_id:
        raise RecipeError(f"{source}: the card's id is '{card.id}'.", "Do not use this folder.")
    if card.embedded and known is not None and not is_own(card):
        raise UsageError(f"{card_id} comes with the package.", f"Remove {source}.")
    if card.file.name not in files:
        raise RecipeError(f"{source}: {SUMS} does not name {card.file.name}.", "Export the model again.")
    weights, sha256 = source / card.file.name, files[card.file.name]
    expected = card.file.sha256 if card.embedded else Download.of(card).sha256
    if expected is None and known is None:
        expected = sha256
    if expected and expected.lower() != sha256:
        raise DownloadError(
            f"{weights} was refused: its sha256 is {sha256}, expected {expected.lower()}.", "Do not use this folder."
        )
    target = own_cards_dir() / card.file.name if card.embedded else stored_path(sha256, card.file.name)
    copy_checked(weights, target, sha256)
    if known is None:
        table = source / f"{card_id}.toml"
        copy_checked(table, own_cards_dir() / table.name, files.get(table.name, ""))
    if not card.file.pinned:
        lock.pin(card_id, lock.Pin(sha256, target.stat().st_size, f"import of {source}"))
    return Carried(card_id, target, target.stat().st_size)


def _lines(folder: Path) -> Iterator[tuple[str, str]]:
    """(line, place) of the list in `folder`; raises RecipeError for one that is no such list."""
    path = folder / SUMS
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not a list of sha256 sums.", "Export the models again.") from error
    for number, line in enumerate(text.splitlines(), 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise RecipeError(f"{path}, line {number}: not '<sha256>  <file>'.", "Export the models again.")
        yield line, found[2]
