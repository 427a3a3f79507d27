"""A training recipe: a TOML file that says all there is to say about a network's making.

`[network]` and `[data.degradation]` pass their other keys on to the class that `arch` or `kind` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from restore_cli.archs import ARCHITECTURES
from restore_cli.degradations.recipes import DEGRADATIONS, Degradation
from restore_cli.errors import RecipeError
from restore_cli.tables import from_table, read_toml
from restore_cli.tasks import TASKS
from restore_cli.training.losses import LOSS_FUNCTIONS

__all__ = ["DataRecipe", "NetworkRecipe", "OptimizerRecipe", "Recipe", "read_recipe"]


@dataclass(frozen=True)
class NetworkRecipe:
    """What is trained: an id of `restore_cli.archs` and its hyper-parameters."""

    arch: str
    config: dict[str, Any]
    wne: bool = False


@dataclass(frozen=True)
class DataRecipe:
    """Where patches come from and what is done to them.

    Attributes:
        folders: subfolders of `--data` that hold clean pictures.
        degradation: made into a `Degradation`; its table names the kind.
        patch_px: side of a degraded patch (a clean one is `scale` times larger).
        batch: patches a step.
        reductions: each picture is also used reduced by these factors, which sharpens it.
        held_out: every n-th picture of a folder is kept for validation and never trained on.
        channels: 3 for RGB, 1 for grey.
    """

    folders: tuple[str, ...]
    degradation: Degradation
    patch_px: int
    batch: int
    reductions: tuple[int, ...] = (1,)
    held_out: int = 15
    channels: int = 3


@dataclass(frozen=True)
class OptimizerRecipe:
    """Adam with a linear warm-up and a cosine to `last_rate` over the budget.

    Attributes:
        loss: a key of `LOSS_FUNCTIONS`.
        minutes: the budget; `--minutes` overrides it.
        rate: peak learning rate.
        last_rate: learning rate at the end.
        warmup: share of the budget spent warming up.
        clip_norm: gradients are scaled down to this norm.
        ema: decay of the averaged weights, which are what is validated and exported.
    """

    loss: str
    minutes: float
    rate: float = 5e-4
    last_rate: float = 1e-6
    warmup: float = 0.01
    clip_norm: float = 1.0
    ema: float = 0.999


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. `card` goes into the exported card as it stands."""

    name: str
    task: str
    network: NetworkRecipe
    data: DataRecipe
    optimizer: OptimizerRecipe
    scale: int = 1
    seed: int = 0
    card: dict[str, Any] = field(default_factory=dict)


def read_recipe(path: Path) -> Recipe:
    """The recipe in `path`, or the one of that name that the package carries.

    Raises:
        RecipeError: an unknown or missing key, a value of the wrong type, an unknown kind or loss.
    """
    if not path.exists():
        packaged = {each.stem: each for each in Path(str(resources.files(__package__) / "recipes")).glob("*.toml")}
        if str(path) not in packaged:
            raise RecipeError(f"{path}: no such recipe.", f"A file, or one of {', '.join(sorted(packaged))}.")
        path = packaged[str(path)]
    table = read_toml(path)
    where = str(path)
    if isinstance(data := table.get("data"), dict) and isinstance(kind := data.get("degradation"), dict):
        table["data"] = {**data, "degradation": _degradation(kind, f"{where}: data.degradation")}
    if isinstance(network := table.get("network"), dict):
        own = {each.name for each in fields(NetworkRecipe)} - {"config"}
        config = {key: value for key, value in network.items() if key not in own}
        table["network"] = {**{key: value for key, value in network.items() if key in own}, "config": config}
    recipe = from_table(Recipe, table, where)
    _check(recipe, where)
    return recipe


def _check(recipe: Recipe, where: str) -> None:
    """Refuse now what would fail, or mean nothing, after the first minutes or the last."""
    named = {
        "task": (recipe.task, tuple(TASKS)),
        "network.arch": (recipe.network.arch, tuple(ARCHITECTURES)),
        "optimizer.loss": (recipe.optimizer.loss, tuple(LOSS_FUNCTIONS)),
    }
    for key, (value, known) in named.items():
        if value not in known:
            raise RecipeError(f"{where}: unknown {key} '{value}'.", f"One of {', '.join(known)}.")
    ranges = {
        "scale": recipe.scale >= 1,
        "data.patch_px": recipe.data.patch_px >= 1,
        "data.batch": recipe.data.batch >= 1,
        "data.held_out": recipe.data.held_out >= 2,
        "data.channels": recipe.data.channels in (1, 3),
        "data.reductions": all(factor >= 1 for factor in recipe.data.reductions),
        "optimizer.minutes": recipe.optimizer.minutes > 0,
        "optimizer.rate": recipe.optimizer.rate > 0,
        "optimizer.warmup": 0 < recipe.optimizer.warmup < 1,
        "optimizer.clip_norm": recipe.optimizer.clip_norm > 0,
        "optimizer.ema": 0 <= recipe.optimizer.ema < 1,
    }
    for key, is_fine in ranges.items():
        if not is_fine:
            raise RecipeError(f"{where}: {key} is out of range.")


def _degradation(table: Mapping[str, Any], where: str) -> Degradation:
    kind = table.get("kind")
    if kind not in DEGRADATIONS:
        raise RecipeError(f"{where}: unknown kind {kind!r}.", f"One of {', '.join(DEGRADATIONS)}.")
    degradation: Degradation = from_table(
        DEGRADATIONS[kind], {key: value for key, value in table.items() if key != "kind"}, where
    )
    return degradation
