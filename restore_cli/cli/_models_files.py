"""`restore models pull|verify|remove|export|import`: the files of the catalogue, fetched, checked and carried."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restore_cli.cli._catalogue import in_bytes
from restore_cli.cli._output import Display
from restore_cli.errors import RestoreError, UsageError
from restore_cli.tasks import TASKS

if TYPE_CHECKING:
    from restore_cli.models.card import Card

__all__ = ["EPILOGS", "export", "import_", "pull", "remove", "verify"]

AT_ONCE = 4
EPILOGS = {
    "pull": "restore models pull swinir-m-sr-x4 drunet-color   |   restore models pull --task jpeg --commercial-ok",
    "verify": "restore models verify   |   restore models verify drunet-color --json",
    "remove": "restore models remove drunet-color",
    "export": "restore models export stick/   |   restore models export stick/ drunet-color",
    "import": "restore models import stick/",
}
Models = Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="Their names.")]
Pulled = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODEL]...", help="Their names; of checkpoints made for one level each, the name without it."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")]


def pull(
    models: Pulled = None,
    task: Annotated[str | None, typer.Option(help="All models of this task.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All models of the catalogue.")] = False,
    commercial_ok: Annotated[
        bool,
        typer.Option(
            "--commercial-ok",
            help="Refuse models that forbid commercial use, or whose terms are unclear; --task and --all skip them.",
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Download models, several at once; what is here already is checked, what broke off goes on."""
    display = Display(quiet=quiet, as_json=as_json)
    cards = _asked(models or [], task, everything, commercial_ok)
    for card in cards:
        if extra := _missing_extra(card):
            display.note(f"{card.id} can only be loaded with `pip install 'restore-cli[{extra}]'`.")
    known = sum(card.file.bytes or card.file.about_bytes for card in cards)
    if len(cards) > 1:
        display.note(f"{len(cards)} models, {in_bytes(known)} at least if none is here yet.")
    records: list[dict[str, Any]] = []
    with display.downloads():
        for card, outcome in _pulled(cards, display):
            if isinstance(outcome, RestoreError):
                display.error(outcome.message, outcome.hint)
                records.append({"model": card.id, "status": "failed", "error": outcome.message, "hint": outcome.hint})
            else:
                display.data(
                    f"{card.id}  {outcome['status']}, {in_bytes(outcome['bytes'])}, sha256 {outcome['sha256'][:16]}"
                )
                records.append({"model": card.id, **outcome})
    display.document(records)
    raise typer.Exit(int(any(record["status"] == "failed" for record in records)))


def verify(models: Models = None, as_json: AsJson = False) -> None:
    """Read the files of installed models, or of those named, and compare them with what they should be."""
    from restore_cli.models.catalog import find_card, read_catalog
    from restore_cli.models.installed import State, examine

    display = Display(as_json=as_json)
    records: list[dict[str, Any]] = []
    bad = 0
    for card in [find_card(name) for name in models] if models else read_catalog().values():
        found = examine(card)
        if found is None:
            if models:
                bad += 1
                display.error(f"{card.id} is not installed.", f"Run `restore models pull {card.id}`.")
                records.append({"model": card.id, "state": "missing"})
            continue
        fresh = "pip install --force-reinstall restore-cli" if card.embedded else f"restore models pull {card.id}"
        if found.state is State.CHANGED:
            bad += 1
            display.error(f"{card.id}: {found.path} was changed: {found.fault}.", f"Run `{fresh}` to get it afresh.")
        else:
            display.data(f"{card.id}  {found.state.value}, sha256 {found.sha256[:16]}, {found.path}")
        records.append(
            {"model": card.id, "state": found.state.value, "sha256": found.sha256, "path": str(found.path)}
            | ({"fault": found.fault} if found.fault else {})
        )
    display.document(records)
    raise typer.Exit(int(bad > 0))


def remove(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Their names.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Remove downloaded models, or models you added, from this machine."""
    from restore_cli.models.catalog import find_card
    from restore_cli.models.installed import installed_path, is_own
    from restore_cli.models.installed import remove as remove_files

    display = Display(quiet=quiet, as_json=as_json)
    cards = [find_card(name) for name in models]
    records = []
    for card in cards:
        if installed_path(card) is None and not is_own(card):
            display.note(f"{card.id} is not installed.")
            records.append({"model": card.id, "bytes": 0})
            continue
        freed = remove_files(card)
        display.note(f"{card.id} removed, {in_bytes(freed)} free again.")
        records.append({"model": card.id, "bytes": freed})
    display.document(records)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to, such as a USB stick's.")],
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help="Their names. Default: all that are installed.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Copy installed models into a folder, for a machine without a network."""
    from restore_cli.models.catalog import find_card, read_catalog
    from restore_cli.models.installed import installed_path, is_own
    from restore_cli.models.transfer import export_models

    display = Display(quiet=quiet, as_json=as_json)
    cards = [find_card(name) for name in models or ()]
    packaged = [card.id for card in cards if card.embedded and not is_own(card)]
    if packaged:
        raise UsageError(f"{', '.join(packaged)} comes with the package.", "It is on the other machine too.")
    if not models:
        cards = [
            card
            for card in read_catalog().values()
            if (not card.embedded or is_own(card)) and installed_path(card) is not None
        ]
    if not cards:
        raise UsageError("No model is installed beside those of the package.", "Run `restore models pull` first.")
    records = []
    for carried in export_models(cards, folder):
        display.note(f"{carried.id} -> {carried.path} ({in_bytes(carried.bytes)})")
        records.append({"model": carried.id, "path": str(carried.path), "bytes": carried.bytes})
    display.note(f"On the other machine: restore models import {folder.name or folder}")
    display.document(records)


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `restore models export` wrote.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Install the models of a folder, each checked; needs no network."""
    from restore_cli.models.transfer import import_models

    display = Display(quiet=quiet, as_json=as_json)
    records = []
    for carried in import_models(folder):
        display.note(f"{carried.id} installed ({in_bytes(carried.bytes)})")
        records.append({"model": carried.id, "path": str(carried.path), "bytes": carried.bytes})
    display.document(records)


def _asked(names: Sequence[str], task: str | None, everything: bool, commercial_ok: bool) -> list[Card]:
    """The models that are meant, each once."""
    from restore_cli.models.catalog import find_card, read_catalog
    from restore_cli.models.terms import check_commercial

    if sum((bool(names), task is not None, everything)) != 1:
        raise UsageError("Which models?", "Name them, or give --task or --all, one of the three.")
    if task is not None and task not in TASKS:
        raise UsageError(f"Unknown task '{task}'.", f"One of {', '.join(TASKS)}.")
    if names:
        every = read_catalog().values()
        families = {name: [card for card in every if card.family == name] for name in names}
        found = [card for name in names for card in families[name] or [find_card(name)]]
        cards = list({card.id: card for card in found}.values())
        if commercial_ok:
            for card in cards:
                check_commercial(card.id, card)
        packaged = [card.id for card in cards if card.embedded]
        if packaged:
            raise UsageError(f"{', '.join(packaged)} needs no download: it is here already.", "Leave it out.")
        return cards
    return [
        card
        for card in read_catalog().values()
        if not card.embedded and (task is None or task in card.tasks) and (card.licence.commercial or not commercial_ok)
    ]


def _missing_extra(card: Card) -> str:
    from restore_cli.models.choose import missing_extra

    return missing_extra(card)


def _pulled(cards: Sequence[Card], display: Display) -> Iterator[tuple[Card, dict[str, Any] | RestoreError]]:
    """Each card and what became of it, as it gets done.

    The threads do not hold the program up: after Ctrl-C it ends at once, and what arrived so far is kept.
    """
    waiting: queue.SimpleQueue[Card] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Card, dict[str, Any] | BaseException]] = queue.SimpleQueue()
    for card in cards:
        waiting.put(card)

    def work() -> None:
        while True:
            try:
                card = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((card, _pull(card, display)))
            except BaseException as error:  # whatever it is, it is raised where it is seen
                done.put((card, error))

    for _ in range(min(AT_ONCE, len(cards))):
        threading.Thread(target=work, daemon=True).start()
    for _ in cards:
        card, outcome = done.get()
        if isinstance(outcome, BaseException) and not isinstance(outcome, RestoreError):
            raise outcome
        yield card, outcome


def _pull(card: Card, display: Display) -> dict[str, Any]:
    from restore_cli.models.download import Download, fetch, forget
    from restore_cli.models.installed import State, examine

    found = examine(card)
    if found is not None and found.state is State.CHANGED:
        display.note(f"{card.id}: {found.path} was changed ({found.fault}); it is downloaded afresh.")
        forget(Download.of(card))
    path = fetch(Download.of(card), progress=display.download)
    status = "already here" if found is not None and found.state is not State.CHANGED else "downloaded"
    return {
        "status": status,
        "bytes": path.stat().st_size,
        "sha256": Download.of(card).sha256 or "",
        "path": str(path),
    }
