"""`restore models`: which models there are, where they come from, and which are here."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from typing import Annotated

import typer

from restore_cli.cli import _models_add, _models_files
from restore_cli.cli._catalogue import card_page, catalogue_page, parse_size, size_of
from restore_cli.cli._output import Display
from restore_cli.cli._shell import guarded
from restore_cli.errors import UsageError
from restore_cli.tasks import TASKS

__all__ = ["app"]

app = typer.Typer(help="The catalogue of models.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


for name, command in (
    ("pull", _models_files.pull),
    ("verify", _models_files.verify),
    ("remove", _models_files.remove),
    ("export", _models_files.export),
    ("import", _models_files.import_),
):
    no_arguments = name != "verify"
    app.command(name, epilog=_models_files.EPILOGS[name], no_args_is_help=no_arguments)(guarded(command))
app.command("add", epilog=_models_add.EPILOG, no_args_is_help=True)(guarded(_models_add.add))


@app.command(
    "list", epilog="restore models list --task denoise   |   restore models list --commercial --max-size 100MB"
)
@guarded
def list_models(
    task: Annotated[str | None, typer.Option(help="Only models of this task.")] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Only models that clearly allow commercial use.")
    ] = False,
    max_size: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Only models of at most this size, such as 100MB or 1.5GB.")
    ] = None,
    installed: Annotated[bool, typer.Option("--installed", help="Only models that are on this machine.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the models that a command's --model takes by name."""
    from restore_cli.models.catalog import read_catalog
    from restore_cli.models.installed import installed_path
    from restore_cli.models.lock import read_pins

    if task is not None and task not in TASKS:
        raise UsageError(f"Unknown task '{task}'.", f"One of {', '.join(TASKS)}.")
    most = None if max_size is None else parse_size(max_size)
    display = Display(as_json=as_json)
    cards = [
        card
        for card in read_catalog().values()
        if (task is None or task in card.tasks) and (card.licence.commercial or not commercial)
    ]
    paths = {card.id: installed_path(card) for card in cards}
    if installed:
        cards = [card for card in cards if paths[card.id] is not None]
    if most is not None:
        unknown = [card for card in cards if not (card.file.bytes or card.file.about_bytes)]
        cards = [card for card in cards if 0 < (card.file.bytes or card.file.about_bytes) <= most]
        if unknown:
            display.note(f"{len(unknown)} models whose size no page prints are left out.")
    cards.sort(key=lambda card: (card.task, card.id))
    here = {card.id for card in cards if paths[card.id] is not None}
    arrived = {card_id: pin.bytes for card_id, pin in read_pins().items()}
    for line in catalogue_page(cards, here, arrived, _columns(), task or ""):
        display.data(line)
    pulled = sum(card.id in here and not card.embedded for card in cards)
    embedded = sum(card.embedded for card in cards)
    display.data(f"{len(cards)} models: {embedded} with the package, {pulled} installed beside them.")
    display.data("`restore models show MODEL` says more, `restore models pull MODEL` downloads.")
    display.document([dataclasses.asdict(card) | {"installed": card.id in here} for card in cards])


@app.command(epilog="restore models show swinir-m-sr-x4", no_args_is_help=True)
@guarded
def show(model: Annotated[str, typer.Argument(help="Its name.")], as_json: AsJson = False) -> None:
    """Show a model's card: what it is, where it comes from, what it may be used for, and who says so."""
    from restore_cli.models.catalog import card_path, find_card
    from restore_cli.models.download import Download
    from restore_cli.models.installed import expected_sha256, installed_path

    display = Display(as_json=as_json)
    card = find_card(model)
    path = installed_path(card)
    places = [] if card.embedded else [place.address for place in Download.of(card).places]
    sha256 = expected_sha256(card) or ""
    shown = str(path) if path is not None and not card.embedded else ""
    for line in card_page(card, shown, str(card_path(model)), places, sha256, _columns() or 100):
        display.data(line)
    display.document(
        dataclasses.asdict(card)
        | {
            "installed": path is not None,
            "path": None if path is None else str(path),
            "expected_sha256": sha256 or None,
        }
    )


@app.command(
    epilog="restore models search derain   |   restore models search swinir x4 --offline", no_args_is_help=True
)
@guarded
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="What to look for.")],
    offline: Annotated[bool, typer.Option("--offline", help="Look in the catalogue alone.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most repositories of the hub to show.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Look for models in the catalogue, and on the hub."""
    from restore_cli.models.catalog import read_catalog
    from restore_cli.models.search import matching, search_hub

    display = Display(as_json=as_json)
    text = " ".join(words)
    cards = sorted(matching(read_catalog().values(), text), key=lambda card: card.id)
    display.table(
        ("in the catalogue", "task", "size", "what it is"),
        [(card.id, ", ".join(card.tasks), size_of(card), card.summary) for card in cards],
    )
    found = [] if offline else search_hub(text, limit)
    if not offline:
        display.data("")
        display.table(
            ("on the hub", "downloads a month", "licence"),
            [(each.repo_id, str(each.downloads), each.licence or "not stated") for each in found],
        )
        for address in (address for each in found for address in each.files):
            display.data(f"  {address}")
        display.note(
            "Nothing of the hub's is checked: `restore models add hf:...` inspects one. Only formats that hold "
            "tensors alone are read."
        )
    display.document(
        {
            "catalogue": [card.id for card in cards],
            "hub": [dataclasses.asdict(each) for each in found],
        }
    )


@app.command(epilog="restore models arch hinet-1x hi-ir-b-x4 --json")
@guarded
def arch(
    names: Annotated[list[str] | None, typer.Argument(help="Published networks; all if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the published networks with what is printed about them: everything computed, nothing typed."""
    from restore_cli.models.variants import measure_variants

    display = Display(as_json=as_json)
    facts = list(measure_variants(names))
    header = ("network", "parameters", "published", "off by", "G MACs", "at", "published", "off by")
    rows = [
        (
            each.name,
            f"{each.parameters:,}",
            *_against(each.published.parameters, each.parameters_difference, 1e6, "M"),
            f"{each.macs / 1e9:.3f}",
            f"{each.size[1]}x{each.size[0]}",
            *_against(each.published.macs, each.macs_difference, 1e9, "G"),
        )
        for each in facts
    ]
    display.table(
        (*header, "reach", "large pictures", "paper; how it counts"),
        [
            (*row, each.reach, each.advice, "; ".join(filter(None, (each.published.paper, each.published.rule))))
            for row, each in zip(rows, facts, strict=True)
        ],
    )
    display.document(
        [
            {
                **dataclasses.asdict(each),
                "parameters_difference": each.parameters_difference,
                "macs_difference": each.macs_difference,
            }
            for each in facts
        ]
    )


def _against(published: float | None, difference: float | None, unit: float, name: str) -> tuple[str, str]:
    if published is None or difference is None:
        return "-", "-"
    return f"{published / unit:.2f} {name}", f"{difference:+.2%}"


def _columns() -> int | None:
    """The width of the terminal; None where standard output is none, and lines may be as long as they are."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
