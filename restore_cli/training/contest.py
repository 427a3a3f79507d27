"""Which kind of network suits a task: rivals trained alike for equal time, validated on the same patches.

    python -m restore_cli.training.contest denoise --data ../shared/data/train -o runs/contests

The outcome goes onto the card that the contest names. It is judged by held-out training pictures, never by a test set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from restore_cli.errors import RecipeError, RestoreError
from restore_cli.io.atomic import replacing
from restore_cli.models.card import Rival
from restore_cli.models.catalog import card_path
from restore_cli.tables import from_table, read_toml
from restore_cli.training.config import Recipe, find_recipe, recipe_from
from restore_cli.training.loop import Budget, train
from restore_cli.training.network import build_trainee
from restore_cli.training.record import LOG_NAME, read_log

__all__ = ["Contest", "hold", "read_contest", "write_outcome"]


@dataclass(frozen=True)
class Contest:
    """Networks for the same data, loss and learning rate.

    Attributes:
        recipe: whose data, loss and rate all take.
        card: model whose card gets the outcome.
        minutes: of training each, from random weights.
        rivals: by name, the network tables of recipes.
        data: replaces keys of the recipe's `[data]`, such as a patch that all rivals can take.
    """

    recipe: str
    card: str
    minutes: float
    rivals: dict[str, Any]
    data: dict[str, Any] = field(default_factory=dict)

    def recipes(self) -> Iterator[Recipe]:
        """One a rival, named after it."""
        for name, network in self.rivals.items():
            table = read_toml(find_recipe(Path(self.recipe)))
            # From random weights: which rival others have been trained for already must not matter.
            table |= {"name": name, "network": {**network}, "data": {**table["data"], **self.data}}
            recipe = recipe_from(table, f"contest over '{self.recipe}': {name}")
            yield replace(recipe, optimizer=replace(recipe.optimizer, minutes=self.minutes))


def read_contest(path: Path) -> Contest:
    """The contest in `path`, or the package's of that name; raises RecipeError."""
    if not path.exists():
        packaged = {each.stem: each for each in Path(str(resources.files(__package__) / "contests")).glob("*.toml")}
        if str(path) not in packaged:
            raise RecipeError(f"{path}: no such contest.", f"A file, or one of {', '.join(sorted(packaged))}.")
        path = packaged[str(path)]
    return from_table(Contest, read_toml(path), str(path))


def hold(contest: Contest, data_dir: Path, out: Path) -> list[Rival]:
    """Train every rival that `out` holds no finished run of, one after another; the best comes first."""
    found = []
    for recipe in list(contest.recipes()):
        run_dir = out / recipe.name
        rows = read_log(run_dir / LOG_NAME)
        if not rows or rows[-1].minutes < contest.minutes:
            resume = (run_dir / "checkpoint.pt").exists()
            train(recipe, data_dir, run_dir, budget=Budget(contest.minutes), resume=resume)
            rows = read_log(run_dir / LOG_NAME)
        network = build_trainee(recipe, fresh=False).network
        found.append(
            Rival(
                name=recipe.name,
                parameters=sum(each.numel() for each in network.parameters()),
                minutes=contest.minutes,
                steps=rows[-1].step,
                validation_psnr=rows[-1].validation_psnr,
            )
        )
    return sorted(found, key=lambda rival: -rival.validation_psnr)


def write_outcome(contest: Contest, outcome: list[Rival]) -> Path:
    """Put `outcome` onto the card, in place of an earlier one of the same rivals, and return the card's path."""
    import tomli_w

    path = card_path(contest.card)
    table = read_toml(path)
    kept = [rival for rival in table.get("rivals", []) if rival["name"] not in contest.rivals]
    table["rivals"] = [*kept, *(asdict(rival) for rival in outcome)]
    with replacing(path, overwrite=True) as stream:
        stream.write(tomli_w.dumps(table).encode())
    return path


def main(arguments: list[str] | None = None) -> int:
    """Hold the contest, print the outcome, write it onto the card; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contest", type=Path, help="contest file, or the name of one that the package carries")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the recipe's picture folders")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/contests"), help="folder of the runs")
    options = parser.parse_args(arguments)
    contest = read_contest(options.contest)
    outcome = hold(contest, options.data, options.out / options.contest.stem)
    for rival in outcome:
        sys.stdout.write(
            f"{rival.name}: {rival.validation_psnr:.2f} dB on held-out patches after {rival.minutes:g} minutes, "
            f"{rival.steps} steps; {rival.parameters / 1e6:.2f} M parameters\n"
        )
    sys.stdout.write(f"{write_outcome(contest, outcome)}\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RestoreError as failure:
        sys.exit(f"error: {failure}")
