"""A trained checkpoint -> a model to run, or averaged weights in half precision and the card that describes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from restore_cli.errors import CheckpointError, OutputError, RecipeError
from restore_cli.io.atomic import replacing
from restore_cli.models.build import Model, load_network, locate
from restore_cli.models.card import Card
from restore_cli.models.checkpoint import Checkpoint, read_checkpoint
from restore_cli.models.digest import sha256_of
from restore_cli.models.download import fetch
from restore_cli.tables import from_table, read_toml
from restore_cli.training.config import Recipe
from restore_cli.training.network import Trainee, build_trainee
from restore_cli.training.record import NO_CHECKPOINT

__all__ = ["check_export", "export_model", "trained_model"]


@dataclass(frozen=True)
class Identity:
    """What has to be said about a network for it to be built again.

    Attributes:
        arch: an id of `restore_cli.archs`; empty where the weights' keys tell.
        config: constructor arguments of `arch`.
        stated: what goes into the weights file itself.
        tiling: how the model was tiled that this one started from.
    """

    arch: str
    config: dict[str, Any]
    stated: dict[str, Any]
    tiling: dict[str, Any]


def export_model(recipe: Recipe, checkpoint: Path, folder: Path) -> Path:
    """Write `NAME.safetensors` and `NAME.toml` into `folder` and return the card's path.

    The card gets no scores: those are written by the program that measures them (`make scores`). The contest
    that an earlier card of that name reports still says why the network is of its kind.

    Raises:
        CheckpointError: the checkpoint cannot be read, or is not of this recipe.
        OutputError: the folder cannot be written to, or holds the very model that the run started from.
    """
    import tomli_w
    from safetensors.torch import save

    _check_folder(recipe, folder)
    trainee = _averaged(recipe, checkpoint)
    identity = _identify(recipe, trainee)
    weights = _author_weights(trainee)
    _check(recipe, trainee, identity, weights)
    weights_path, card_path = folder / f"{recipe.name}.safetensors", folder / f"{recipe.name}.toml"
    try:
        with replacing(weights_path, overwrite=True) as stream:
            stream.write(save(weights, metadata={"config": json.dumps(identity.stated)}))
        table = _card_table(recipe, trainee, identity, weights_path.stat().st_size, sha256_of(weights_path))
        if card_path.exists():
            table |= {key: value for key, value in read_toml(card_path).items() if key == "rivals"}
        with replacing(card_path, overwrite=True) as stream:
            stream.write(tomli_w.dumps(table).encode())
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}.", "Choose another --export.") from error
    return card_path


def check_export(recipe: Recipe, folder: Path) -> None:
    """Refuse before the training what could not be exported after it.

    Raises:
        RecipeError: the recipe's `[card]` would not make a card, or nobody would recognise the weights.
        OutputError: `folder` holds the very model that the run starts from.
    """
    _check_folder(recipe, folder)
    trainee = build_trainee(recipe, fresh=False)
    _check(recipe, trainee, _identify(recipe, trainee), _author_weights(trainee))


def trained_model(recipe: Recipe, checkpoint: Path) -> Model:
    """The averaged weights of a run, not rounded, as a model to run; raises CheckpointError as `export_model` does."""
    trainee = _averaged(recipe, checkpoint)
    weights = {key.removeprefix(trainee.prefix): value for key, value in trainee.network.state_dict().items()}
    return load_network(Checkpoint(weights, _identify(recipe, trainee).stated), recipe.name)


def _check_folder(recipe: Recipe, folder: Path) -> None:
    """An export replaces the one before it, but not what it was made from."""
    target, origin = folder / f"{recipe.name}.safetensors", recipe.network.model or recipe.network.init
    source = locate(origin).path if origin else None
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise OutputError(
            f"{target}: the model that this one starts from.", "Choose another --export, or another name in the recipe."
        )


def _averaged(recipe: Recipe, checkpoint: Path) -> Trainee:
    trainee = build_trainee(recipe, fresh=False)
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        trainee.network.load_state_dict(state["averaged"])
    except FileNotFoundError as error:
        raise CheckpointError(f"{checkpoint}: nothing to export yet.", "Train first, with --data.") from error
    except NO_CHECKPOINT as error:
        raise CheckpointError(f"{checkpoint}: not a checkpoint of this recipe.", "Name its --out.") from error
    return trainee


def _identify(recipe: Recipe, trainee: Trainee) -> Identity:
    if not recipe.network.model:
        arch, config = recipe.network.arch, recipe.network.config
        return Identity(arch, config, {"arch": arch, "wne": trainee.wne, **config}, {})
    # What the file it came from said about itself, its shapes may not tell.
    location = locate(recipe.network.model)
    path = location.path or (fetch(location.remote, offline=True) if location.remote else None)
    stated = {**(read_checkpoint(path).config if path else {}), "wne": trainee.wne}
    card = location.card
    if card is None:
        return Identity("", {}, stated, {})
    tiling = {"overlap_px": card.tiling.overlap_px, "advice": card.tiling.advice} if card.tiling else {}
    return Identity(card.arch, card.config, stated, tiling)


def _author_weights(trainee: Trainee) -> dict[str, Tensor]:
    return {
        key.removeprefix(trainee.prefix): value.half().contiguous() if value.is_floating_point() else value
        for key, value in trainee.network.state_dict().items()
    }


def _check(recipe: Recipe, trainee: Trainee, identity: Identity, weights: dict[str, Tensor]) -> None:
    """Build the model as whoever is given the files will."""
    where = f"Recipe '{recipe.name}'"
    card = from_table(Card, _card_table(recipe, trainee, identity, 0, ""), f"{where}: card")
    single = {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
    try:
        load_network(Checkpoint(single, identity.stated), recipe.name, card)
    except CheckpointError as error:
        raise RecipeError(f"{where}: the network cannot be exported: {error.message}") from error


def _card_table(recipe: Recipe, trainee: Trainee, identity: Identity, size_bytes: int, sha256: str) -> dict[str, Any]:
    table = {
        "id": recipe.name,
        "task": recipe.task,
        **({"conditioning": "sigma_255"} if trainee.takes_sigma else {}),
        **({"tiling": identity.tiling} if identity.tiling else {}),
        **recipe.card,
        "scale": recipe.scale,
        "channels": recipe.data.channels,
        "wne": trainee.wne,
        "file": {"name": f"{recipe.name}.safetensors", "bytes": size_bytes, "sha256": sha256},
    }
    return {**table, "arch": identity.arch, "config": identity.config} if identity.arch else table
