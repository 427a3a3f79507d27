"""A trained checkpoint -> the averaged weights in half precision, and the card that describes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from restore_cli.errors import CheckpointError
from restore_cli.io.atomic import replacing
from restore_cli.models.card import Card
from restore_cli.models.digest import sha256_of
from restore_cli.tables import from_table
from restore_cli.training.config import Recipe

__all__ = ["check_card", "export_model"]

WNE_PREFIX = "backbone."


def export_model(recipe: Recipe, checkpoint: Path, folder: Path) -> Path:
    """Write `NAME.safetensors` and `NAME.toml` into `folder` and return the card's path.

    The card gets no scores: those are written by the program that measures them (`make scores`).

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    import tomli_w
    from safetensors.torch import save

    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{checkpoint}: {error}.") from error
    weights = {
        key.removeprefix(WNE_PREFIX): value.half().contiguous() if value.is_floating_point() else value
        for key, value in state["averaged"].items()
    }
    config = {"arch": recipe.network.arch, "wne": recipe.network.wne, **recipe.network.config}
    folder.mkdir(parents=True, exist_ok=True)
    weights_path = folder / f"{recipe.name}.safetensors"
    with replacing(weights_path, overwrite=True) as stream:
        stream.write(save(weights, metadata={"config": json.dumps(config)}))
    table = _card_table(recipe, weights_path.stat().st_size, sha256_of(weights_path))
    card_path = folder / f"{recipe.name}.toml"
    from_table(Card, table, str(card_path))
    with replacing(card_path, overwrite=True) as stream:
        stream.write(tomli_w.dumps(table).encode())
    return card_path


def check_card(recipe: Recipe) -> None:
    """Raises RecipeError if the recipe's `[card]` would not make a card: better before the training than after."""
    from_table(Card, _card_table(recipe, 0, ""), f"recipe '{recipe.name}': card")


def _card_table(recipe: Recipe, size_bytes: int, sha256: str) -> dict[str, Any]:
    return {
        "id": recipe.name,
        "task": recipe.task,
        **recipe.card,
        "arch": recipe.network.arch,
        "scale": recipe.scale,
        "channels": recipe.data.channels,
        "wne": recipe.network.wne,
        "config": recipe.network.config,
        "file": {"name": f"{recipe.name}.safetensors", "bytes": size_bytes, "sha256": sha256},
    }
