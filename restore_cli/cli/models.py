"""`restore models`: which models there are."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.cli._shell import guarded
from restore_cli.errors import UsageError
from restore_cli.tasks import TASKS

__all__ = ["app"]

app = typer.Typer(help="The catalogue of models.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.command("list", epilog="restore models list --task denoise")
@guarded
def list_models(
    task: Annotated[str | None, typer.Option(help="Only models of this task.")] = None,
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Only models that clearly allow commercial use.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the models that a command's --model takes by name."""
    from restore_cli.models.catalog import read_catalog

    if task is not None and task not in TASKS:
        raise UsageError(f"Unknown task '{task}'.", f"One of {', '.join(TASKS)}.")
    display = Display(as_json=as_json)
    cards = [
        card
        for card in read_catalog().values()
        if (task is None or task in card.tasks) and (card.licence.commercial or not commercial)
    ]
    cards.sort(key=lambda card: (card.task, card.id))
    rows = [
        (
            card.id,
            ", ".join(card.tasks),
            "embedded" if card.embedded else "hub",
            f"{card.file.bytes / 1e6:.1f} MB",
            card.licence.name,
            "yes" if card.licence.commercial else "no",
            card.summary,
        )
        for card in cards
    ]
    display.table(("model", "task", "from", "size", "licence", "commercial use", "what it is"), rows)
    display.document([dataclasses.asdict(card) for card in cards])


@app.command(epilog="restore models show swinir-m-sr-x4", no_args_is_help=True)
@guarded
def show(model: Annotated[str, typer.Argument(help="Its name.")], as_json: AsJson = False) -> None:
    """Show a model's card."""
    from restore_cli.models.catalog import find_card

    display = Display(as_json=as_json)
    card = find_card(model)
    for name, value in dataclasses.asdict(card).items():
        if value not in (None, "", (), {}):
            display.data(f"{name}: {value}")
    display.document(dataclasses.asdict(card))


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
