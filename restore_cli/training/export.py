"""A trained checkpoint -> the averaged weights in half precision, and the card that describes them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from restore_cli.errors import CheckpointError
from restore_cli.models.card import read_card
from restore_cli.models.digest import sha256_of
from restore_cli.training.config import Recipe

__all__ = ["export_model"]

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
    partial = weights_path.with_suffix(".partial")
    # Not save_file, whose files are private to the user.
    partial.write_bytes(save(weights, metadata={"config": json.dumps(config)}))
    os.replace(partial, weights_path)

    card: dict[str, Any] = {
        "id": recipe.name,
        "task": recipe.task,
        **recipe.card,
        "arch": recipe.network.arch,
        "scale": recipe.scale,
        "channels": recipe.data.channels,
        "wne": recipe.network.wne,
        "config": recipe.network.config,
        "file": {
            "name": weights_path.name,
            "bytes": weights_path.stat().st_size,
            "sha256": sha256_of(weights_path),
        },
    }
    card_path = folder / f"{recipe.name}.toml"
    card_path.write_text(tomli_w.dumps(card), encoding="utf-8")
    read_card(card_path)  # a card that cannot be read back must not pass for one
    return card_path
