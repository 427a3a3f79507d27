"""A training recipe: a TOML file that says all there is to say about a network's making.

`[network]` and `[data.degradation]` pass their other keys on to the class that `arch` or `kind` names.
Scale and channels are the network's own; stated elsewhere too, they must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from restore_cli.archs import ARCHITECTURES
from restore_cli.degradations.recipes import DEGRADATIONS, Degradation, read_degradation, scale_of
from restore_cli.errors import RecipeError
from restore_cli.tables import from_table, read_toml
from restore_cli.tasks import TASKS
from restore_cli.training.losses import LOSS_FUNCTIONS
from restore_cli.training.network import NetworkFacts, network_facts

__all__ = [
    "DataRecipe",
    "LogRecipe",
    "NetworkRecipe",
    "OptimizerRecipe",
    "PairFolders",
    "Recipe",
    "find_recipe",
    "read_recipe",
    "recipe_from",
]


STATED_ELSEWHERE = {"id", "task", "scale", "channels", "wne", "arch", "config", "file"}  # of a card


@dataclass(frozen=True)
class NetworkRecipe:
    """What is trained: either `arch` or `model`.

    Attributes:
        arch: an id of `restore_cli.archs`.
        model: a model to fine-tune: card id, file or hub address, ours or one that spandrel knows.
        config: hyper-parameters of `arch`; beside `model` only `scale` and `channels`, to be checked.
        wne: train inside the normalization-equivariant wrapper; None does as `model` was trained.
        init: a model for `arch` to start from (card id, file or hub address): every tensor whose name and
            shape agree is copied, the others stay random. A network for x2 starts from one for x4 like this.
    """

    arch: str = ""
    model: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    wne: bool | None = None
    init: str = ""


@dataclass(frozen=True)
class PairFolders:
    """Two folders below `--data` with pictures of the same names: degraded, and as they should be."""

    degraded: str
    clean: str


@dataclass(frozen=True)
class DataRecipe:
    """Where patches come from: either `folders` of clean pictures and a `degradation`, or `pairs`.

    Attributes:
        patch_px: side of a degraded patch (a clean one is `scale` times larger).
        batch: patches a step, those of all processes together.
        folders: subfolders of `--data` that hold clean pictures.
        degradation: made into a `Degradation`; its table names the kind.
        pairs: folders of degraded pictures with their clean ones.
        reductions: each clean picture is also used reduced by these factors, which sharpens it.
        held_out: every n-th picture of a folder is kept for validation and never trained on.
        channels: 3 for RGB, 1 for grey; the network's.
        grey_share: of the patches for an RGB network, so many are made grey, so that it serves grey pictures too.
        saturation: colours of clean patches are stretched by a factor between these two: photographs are
            duller than what a network may meet.
        workers: processes that make patches, for degradations that take longer than a step; with 0 a
            thread makes them beside the training.
    """

    patch_px: int
    batch: int
    folders: tuple[str, ...] = ()
    degradation: Degradation | None = None
    pairs: tuple[PairFolders, ...] = ()
    reductions: tuple[int, ...] = (1,)
    held_out: int = 15
    channels: int = 3
    grey_share: float = 0.0
    saturation: tuple[float, float] = (1.0, 1.0)
    workers: int = 0


@dataclass(frozen=True)
class OptimizerRecipe:
    """Adam with a linear warm-up and a cosine to `last_rate` over the budget.

    Attributes:
        loss: a key of `LOSS_FUNCTIONS`.
        minutes: the budget; `--minutes` overrides it.
        steps: end after so many, if that comes first: for runs to be compared.
        rate: peak learning rate.
        last_rate: learning rate at the end.
        warmup: share of the budget spent warming up.
        clip_norm: gradients are scaled down to this norm.
        ema: decay of the averaged weights, which are what is validated and exported.
    """

    loss: str
    minutes: float
    steps: int | None = None
    rate: float = 5e-4
    last_rate: float = 1e-6
    warmup: float = 0.01
    clip_norm: float = 1.0
    ema: float = 0.999


@dataclass(frozen=True)
class LogRecipe:
    """What goes into `log.csv`.

    Attributes:
        every: steps between two rows; each is a validation on held-out pictures.
        features: also the largest feature in the network, see `LogRow`.
    """

    every: int = 500
    features: bool = False


@dataclass(frozen=True)
class Recipe:
    """A whole recipe. `card` goes into the exported card as it stands; `scale` is the network's."""

    name: str
    task: str
    network: NetworkRecipe
    data: DataRecipe
    optimizer: OptimizerRecipe
    scale: int = 1
    seed: int = 0
    log: LogRecipe = LogRecipe()
    card: dict[str, Any] = field(default_factory=dict)


def read_recipe(path: Path) -> Recipe:
    """The recipe in `path`, or the one of that name that the package carries.

    Raises:
        RecipeError: an unknown or missing key, a value of the wrong type, an unknown kind or loss, parts
            that do not agree.
        CheckpointError, ModelNotFoundError, DownloadError: the model to fine-tune cannot be had.
    """
    path = find_recipe(path)
    return recipe_from(read_toml(path), str(path))


def find_recipe(path: Path) -> Path:
    """`path`, or the package's recipe of that name; raises RecipeError if there is neither."""
    if path.is_file():
        return path
    packaged = {each.stem: each for each in Path(str(resources.files(__package__) / "recipes")).glob("*.toml")}
    if str(path) not in packaged:
        raise RecipeError(f"{path}: no such recipe.", f"A file, or one of {', '.join(sorted(packaged))}.")
    return packaged[str(path)]


def recipe_from(table: dict[str, Any], where: str) -> Recipe:
    """The recipe that `table` states, as `read_recipe` has it; `where` names it in errors."""
    for name in ("network", "data"):
        if not isinstance(table.get(name), dict):
            raise RecipeError(f"{where}: missing [{name}].")
    network = _network(table["network"], f"{where}: network")
    facts = network_facts(network, f"{where}: network")
    data = table["data"]
    _settle(table, "scale", facts.scale, where)
    _settle(data, "channels", facts.channels, f"{where}: data")
    if network.model:
        _settle(dict(network.config), "scale", facts.scale, f"{where}: network")
        _settle(dict(network.config), "channels", facts.channels, f"{where}: network")
    if isinstance(kind := data.get("degradation"), dict):
        data["degradation"] = read_degradation(_with_scale(kind, facts.scale), f"{where}: data.degradation")
    recipe = from_table(Recipe, {**table, "network": network}, where)
    _check(recipe, facts, where)
    return recipe


def _network(table: Mapping[str, Any], where: str) -> NetworkRecipe:
    own = {each.name for each in fields(NetworkRecipe)} - {"config"}
    config = {key: value for key, value in table.items() if key not in own}
    stated = {key: value for key, value in table.items() if key in own}
    recipe = from_table(NetworkRecipe, {**stated, "config": config}, where)
    if bool(recipe.arch) == bool(recipe.model):
        raise RecipeError(f"{where}: either arch or model.", "An arch is trained anew, a model is fine-tuned.")
    if recipe.arch and recipe.arch not in ARCHITECTURES:
        raise RecipeError(f"{where}: unknown arch '{recipe.arch}'.", f"One of {', '.join(ARCHITECTURES)}.")
    if recipe.model and recipe.init:
        raise RecipeError(f"{where}: model and init.", "A model starts from its own weights: leave out init.")
    if recipe.model and (settings := sorted(config.keys() - {"scale", "channels"})):
        raise RecipeError(f"{where}: {settings[0]} beside model.", "A model brings its own settings: leave it out.")
    return recipe


def _settle(table: dict[str, Any], key: str, fact: int, where: str) -> None:
    """Fill in what the network decides, or check it."""
    if table.setdefault(key, fact) != fact:
        raise RecipeError(
            f"{where}: {key} is {table[key]!r}, the network's {fact}.", "Leave it out: the network decides."
        )


def _check(recipe: Recipe, facts: NetworkFacts, where: str) -> None:
    """Refuse now what would fail, or mean nothing, after the first minutes or the last."""
    for key, value, known in (
        ("task", recipe.task, tuple(TASKS)),
        ("optimizer.loss", recipe.optimizer.loss, tuple(LOSS_FUNCTIONS)),
    ):
        if value not in known:
            raise RecipeError(f"{where}: unknown {key} '{value}'.", f"One of {', '.join(known)}.")
    ranges = {
        "name": recipe.name not in ("", ".", "..") and Path(recipe.name).name == recipe.name,
        "seed": 0 <= recipe.seed < 2**31,
        "data.patch_px": recipe.data.patch_px >= 1,
        "data.batch": recipe.data.batch >= 1,
        "data.held_out": recipe.data.held_out >= 2,
        "data.reductions": bool(recipe.data.reductions) and all(factor >= 1 for factor in recipe.data.reductions),
        "data.grey_share": 0 <= recipe.data.grey_share <= (1 if recipe.data.channels == 3 else 0),
        "data.saturation": 0 <= recipe.data.saturation[0] <= recipe.data.saturation[1] <= 10
        and (recipe.data.channels == 3 or recipe.data.saturation == (1, 1)),
        "data.workers": recipe.data.workers >= 0,
        "optimizer.minutes": recipe.optimizer.minutes > 0,
        "optimizer.steps": recipe.optimizer.steps is None or recipe.optimizer.steps >= 1,
        "optimizer.rate": recipe.optimizer.rate > 0,
        "optimizer.warmup": 0 < recipe.optimizer.warmup < 1,
        "optimizer.clip_norm": recipe.optimizer.clip_norm > 0,
        "optimizer.ema": 0 <= recipe.optimizer.ema < 1,
        "log.every": recipe.log.every >= 1,
    }
    for key, is_fine in ranges.items():
        if not is_fine:
            raise RecipeError(f"{where}: {key} is out of range.")
    _check_data(recipe.data, facts.scale, f"{where}: data")
    if repeated := sorted(STATED_ELSEWHERE & recipe.card.keys()):
        raise RecipeError(f"{where}: card.{repeated[0]}.", "The rest of the recipe says that: leave it out.")
    side = recipe.data.patch_px
    fitting = facts.size_rule.padded(side, side)[0]
    if fitting != side:
        raise RecipeError(f"{where}: data.patch_px is {side}, which the network cannot take.", f"{fitting} fits.")


def _check_data(data: DataRecipe, scale: int, where: str) -> None:
    if bool(data.folders) == bool(data.pairs):
        raise RecipeError(f"{where}: either folders or pairs.", "Clean pictures to degrade, or pairs of both.")
    if data.folders and data.degradation is None:
        raise RecipeError(f"{where}: missing degradation.", f"Its kind is one of {', '.join(DEGRADATIONS)}.")
    if data.degradation is not None and (found := scale_of(data.degradation)) != scale:
        raise RecipeError(f"{where}.degradation: scale is {found}, the network's {scale}.", "They must be the same.")
    if data.pairs and data.degradation is not None:
        raise RecipeError(f"{where}: pairs and degradation.", "Pairs are degraded already: leave one out.")
    if data.pairs and data.saturation != (1, 1):
        raise RecipeError(f"{where}: pairs and saturation.", "Pairs are degraded already: leave one out.")
    if data.pairs and data.reductions != (1,):
        raise RecipeError(f"{where}: pairs and reductions.", "Reduced, a pair would show another degradation.")


def _with_scale(value: Any, scale: int) -> Any:  # noqa: ANN401 - values of any type come from TOML
    """`value` with the network's scale in each degradation that has one and states none."""
    if isinstance(value, list):
        return [_with_scale(each, scale) for each in value]
    if not isinstance(value, Mapping):
        return value
    filled = {key: _with_scale(each, scale) for key, each in value.items()}
    kind = DEGRADATIONS.get(str(value.get("kind")))
    if kind and any(each.name == "scale" for each in fields(kind)):
        filled.setdefault("scale", scale)
    return filled
