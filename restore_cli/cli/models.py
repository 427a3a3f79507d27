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
    task: Annotated[str | None, typer.Option(help="Only models of this task.")] = None, as_json: AsJson = False
) -> None:
    """List the models that a command's --model takes by name."""
    from restore_cli.models.catalog import read_catalog

    if task is not None and task not in TASKS:
        raise UsageError(f"Unknown task '{task}'.", f"One of {', '.join(TASKS)}.")
    display = Display(as_json=as_json)
    cards = [card for card in read_catalog().values() if task in (None, card.task)]
    width = max((len(card.id) for card in cards), default=0)
    for card in sorted(cards, key=lambda card: (card.task, card.id)):
        origin = "embedded" if card.embedded else f"{card.file.bytes / 1e6:.0f} MB from the hub"
        display.data(f"{card.id:<{width}}  {card.task:<8}  {origin}; {card.licence.name}; {card.summary}")
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
    for each in facts:
        height, width = each.size
        published = each.published
        display.data(
            f"{each.name:<18} {each.parameters:>12,} parameters{_against(published.parameters, each.parameters)}; "
            f"{each.macs / 1e9:,.3f} G MACs at {width}x{height}{_against(published.macs, each.macs)}; "
            f"reach {each.reach}; {each.advice}; {published.paper or each.arch}"
            + (f" ({published.rule})" if published.rule else "")
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


def _against(published: float | None, ours: float) -> str:
    return "" if published is None else f" (published {published / 1e6:,.2f} M, {ours / published - 1:+.2%})"
