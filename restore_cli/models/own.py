"""Cards of the user's own: a checkpoint given a name, beside which nothing about it is claimed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from restore_cli.errors import OutputError, UsageError
from restore_cli.io.atomic import replacing
from restore_cli.io.digest import sha256_of
from restore_cli.models.build import Location, Model
from restore_cli.models.card import Card, read_card
from restore_cli.models.catalog import read_catalog
from restore_cli.models.home import HOME_VARIABLE, own_cards_dir
from restore_cli.models.hub import HubFile
from restore_cli.models.store import copy_checked
from restore_cli.tasks import TASKS

__all__ = ["describe", "free_id", "install", "suggested_id"]

# What the networks call the things they must be told, and what cards do.
CONDITIONINGS = {"blind": "blind", "sigma": "sigma_255", "quality": "quality_factor"}
NOT_STATED = "not stated"


def suggested_id(name: str) -> str:
    """A card id made of a file name."""
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "model"


def free_id(card_id: str) -> str:
    """`card_id`; raises UsageError if it is taken, or would be no file name."""
    if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", card_id):
        raise UsageError(f"--id {card_id!r}: not a name for a model.", "Accepted: lower case, digits and hyphens.")
    if card_id in read_catalog():
        raise UsageError(
            f"{card_id}: the catalogue has a model of that name.",
            f"Choose another with --id, or first run `restore models remove {card_id}` if it is your own.",
        )
    return card_id


def describe(card_id: str, task: str, model: Model, location: Location, path: Path) -> dict[str, Any]:
    """The table of a card for `model`, just built from the file `path`: what was found in it, and nothing else.

    Args:
        card_id: its name to be.
        task: of `restore_cli.tasks`.
        model: as built.
        location: where it was said to be.
        path: where it is.

    Raises:
        UsageError: the network must be told something that the task's command has no option for.
    """
    network = model.network
    conditioning = CONDITIONINGS.get(network.conditioning, network.conditioning)
    known = TASKS[task].conditioning
    if conditioning not in ("blind", known.name if known else None):
        raise UsageError(
            f"{location.name} must be told {conditioning}, which `restore {task}` has no option for.",
            "Name another --task.",
        )
    table: dict[str, Any] = {
        "id": card_id,
        "task": task,
        "summary": f"{network.arch}, added by you",
        "network": network.arch,
        "scale": network.scale,
        "channels": network.channels,
        "wne": model.wne,
        "conditioning": conditioning,
        "precisions": ["fp32", *network.precisions],
        "source": "read from the file",
        "file": {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path), "source": "the file"},
        "licence": {"name": NOT_STATED, "commercial": False, "training_data": NOT_STATED, "source": "nobody said"},
    }
    place = location.remote
    if isinstance(place, HubFile):
        table["hub"] = {
            "repo_id": place.repo_id,
            "filename": place.filename,
            "revision": _commit_of(path) or place.revision,
            "repo_type": place.repo_type,
            "source": "you",
        }
        table["evidence"] = "seen"
    else:
        table["file"]["name"] = f"{card_id}{path.suffix.lower()}"
    return table


def install(table: dict[str, Any], weights: Path | None) -> Card:
    """Write the card of `table` into the user's folder, and `weights` beside it unless they are on the hub.

    Raises:
        OutputError: it cannot be written.
    """
    import tomli_w

    folder = own_cards_dir()
    target = folder / f"{table['id']}.toml"
    try:
        if weights is not None:
            copy_checked(weights, folder / table["file"]["name"], table["file"]["sha256"])
        with replacing(target, overwrite=True) as stream:
            stream.write(tomli_w.dumps(table).encode())
    except OSError as error:
        raise OutputError(
            f"{target}: {error.strerror or error}.", f"Set {HOME_VARIABLE} to a folder you can write to."
        ) from error
    return read_card(target)


def _commit_of(path: Path) -> str:
    """The commit in the path of a file of the hub's cache."""
    parts = path.parts
    at = parts.index("snapshots") + 1 if "snapshots" in parts else len(parts)
    return parts[at] if at < len(parts) and re.fullmatch("[0-9a-f]{40}", parts[at]) else ""
