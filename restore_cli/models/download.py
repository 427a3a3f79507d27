"""A model's file, from whichever of its places has it: the cache, the hub, a mirror, an author's release.

What the file must contain comes from the card, or from the pin of its first download (`restore_cli.models.lock`).
So it does not matter which place answers: either the content is the right one, or it is refused and the next
place is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from restore_cli.errors import CheckpointError, DownloadError
from restore_cli.io.digest import sha256_of
from restore_cli.models import hub, lock
from restore_cli.models.card import Card
from restore_cli.models.home import file_store
from restore_cli.models.hub import HubFile, Progress
from restore_cli.models.store import stored_path
from restore_cli.models.web import WebFile, fetch_web
from restore_cli.tasks import TASKS

__all__ = ["Download", "fetch", "find", "forget", "is_cached"]

HUB_PREFIX = "hf:"


@dataclass(frozen=True)
class Download:
    """The file of a card that has to be downloaded.

    Attributes:
        card: whose file it is.
        places: where it can be had, in the order to ask.
        sha256, size_bytes: of the content; None where neither card nor first download say.
    """

    card: Card
    places: tuple[HubFile | WebFile, ...]
    sha256: str | None
    size_bytes: int | None

    @classmethod
    def of(cls, card: Card) -> Download:
        """That of `card`; raises UsageError if the card names an impossible place."""
        sha256 = card.file.sha256 if card.file.pinned else None
        size_bytes = card.file.bytes or None
        if sha256 is None and (pin := lock.read_pins().get(card.id)):
            sha256, size_bytes = pin.sha256, pin.bytes
        addresses = [each.address for each in card.mirrors]
        places: list[HubFile | WebFile] = []
        if card.hub is not None:
            place = card.hub
            places.append(HubFile(place.repo_id, place.filename, place.revision, place.repo_type, sha256, size_bytes))
        for address in addresses:
            if address.startswith(HUB_PREFIX):
                places.append(replace(HubFile.parse(address), sha256=sha256, size_bytes=size_bytes))
            else:
                places.append(WebFile(address, card.file.name, sha256, size_bytes))
        return cls(card, tuple(places), sha256, size_bytes)

    @property
    def address(self) -> str:
        """The first place."""
        return self.places[0].address


def is_cached(file: HubFile | Download) -> bool:
    """Whether `fetch` could do without the network; the content is not checked."""
    return (hub.cached_path(file) if isinstance(file, HubFile) else find(file)) is not None


def find(download: Download) -> Path | None:
    """Where the file is on this machine, if it is; the content is not checked."""
    return next(_copies(download), None)


def fetch(file: HubFile | Download, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """The local path of the file, downloaded unless it is here.

    Args:
        file: one hub file, or a card's with all its places.
        offline: touch no network; HF_HUB_OFFLINE=1 asks for the same.
        progress: makes the progress bar of a download.

    Raises:
        DownloadError: no place has it, or none has what is pinned.
    """
    if isinstance(file, HubFile):
        return hub.fetch(file, offline=offline, progress=progress)
    offline = offline or hub.is_offline()
    refusals: list[DownloadError] = []
    for found in list(_copies(file)) if file.sha256 else ():
        fault = hub.fault_of(found, file.sha256, file.size_bytes)
        if not fault:
            return found
        _discard(found)
        refusals.append(
            DownloadError(
                f"{found} was refused and removed: {fault}.",
                f"Run `restore models pull {file.card.id}` to download it afresh.",
            )
        )
    if offline and refusals:
        raise refusals[0]
    if offline and find(file) is None:
        raise _offline_miss(file)
    shown = _named(progress, file.card.id)
    for place in file.places:
        try:
            if isinstance(place, HubFile):
                path = hub.fetch(place, offline=offline, progress=shown)
            elif offline:
                continue
            else:
                path = fetch_web(place, progress=shown)
            return path if file.sha256 else _pinned(file, path, place.address)
        except DownloadError as error:
            refusals.append(error)
    raise _together(file, refusals)


def forget(download: Download) -> int:
    """Remove every copy on this machine; returns the bytes that are free again.

    Raises:
        CheckpointError: a copy cannot be removed.
    """
    freed = 0
    for path in list(_copies(download)):
        freed += path.stat().st_size
        _discard(path)
    return freed


def _named(progress: Progress | None, card_id: str) -> Progress | None:
    """The bar of a model, by its name rather than its file's."""
    return None if progress is None else lambda description, total_bytes: progress(card_id, total_bytes)


def _copies(download: Download) -> Iterator[Path]:
    """The file, wherever it is on this machine."""
    if download.sha256 and (kept := stored_path(download.sha256, download.card.file.name)).is_file():
        yield kept
    for place in download.places:
        if isinstance(place, HubFile) and (cached := hub.cached_path(place)) is not None:
            yield cached


def _discard(path: Path) -> None:
    own = path.is_relative_to(file_store())
    cache = file_store() if own else hub.cache_dir()
    hub.discard(path, cache)
    if path.is_symlink() or path.exists():
        raise CheckpointError(f"{path} cannot be removed.", f"Check the rights of {cache}.")
    if own:
        with suppress(OSError):
            path.parent.rmdir()  # named after the content that is gone


def _pinned(download: Download, path: Path, address: str) -> Path:
    """`path`, whose content is the card's from now on."""
    sha256 = sha256_of(path)
    # The hub's cache names large files after the sha256 that the hub stated.
    stated = path.resolve().name
    if re.fullmatch(r"[0-9a-f]{64}", stated) and stated != sha256:
        forget(download)
        raise DownloadError(
            f"{address} was refused: its sha256 is {sha256}, but the hub announced {stated}.",
            "Run the same command again to download it afresh.",
        )
    lock.pin(download.card.id, lock.Pin(sha256, path.stat().st_size, address))
    return path


def _offline_miss(download: Download) -> DownloadError:
    card = download.card
    embedded = TASKS[card.task].default_models
    variant = f"x{card.scale}" if TASKS[card.task].enlarges else "grey" if card.channels == 1 else "color"
    instead = embedded.get(variant, embedded.get("color", ""))
    return DownloadError(
        f"{card.id} is not on this machine, and downloads are off (--offline or HF_HUB_OFFLINE).",
        f"While online, run `restore models pull {card.id}`"
        + (f"; -n {instead} comes with the package." if instead else "."),
    )


def _together(download: Download, refusals: list[DownloadError]) -> DownloadError:
    """One error for what all places said."""
    first, *others = refusals
    if not others:
        return first
    reasons = " ".join(each.message for each in refusals)
    return DownloadError(
        f"{download.card.id} could not be had from any of its {len(download.places)} places. {reasons}", first.hint
    )
