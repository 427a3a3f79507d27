"""A name, a file or a hub address -> a network with its weights.

resnet-sr-x4                      a card of the catalogue
path/to/model.pth                 a file: architecture, scale and channels are read from it
hf:owner/repo/file[@revision]     a file on the Hugging Face hub
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from pathlib import Path
from typing import Any

from restore_cli.errors import CheckpointError, ModelNotFoundError, RestoreError, UsageError
from restore_cli.models.card import Card
from restore_cli.models.catalog import find_card, weights_path
from restore_cli.models.checkpoint import Checkpoint, read_checkpoint
from restore_cli.models.digest import sha256_of
from restore_cli.models.download import Download, fetch
from restore_cli.models.hub import HubFile, Progress
from restore_cli.models.registry import PLUG_AND_PLAY, Network, detect_network, own_network
from restore_cli.models.terms import check_commercial
from restore_cli.wrappers.ensemble import Average
from restore_cli.wrappers.pad import Padded, SizeRule

__all__ = [
    "HUB_PREFIX",
    "Model",
    "average_models",
    "build_model",
    "for_task",
    "load_network",
    "locate",
    "weights_sha256",
]

HUB_PREFIX = "hf:"
MODEL_SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors", ".bin")


@dataclass(frozen=True)
class Model:
    """A network ready to be wrapped.

    Attributes:
        name: card id, file name or hub address.
        network: with weights, on the CPU.
        wne: whether it was trained inside the normalization-equivariant wrapper.
        card: none for a bare file.
    """

    name: str
    network: Network
    wne: bool = False
    card: Card | None = None


@dataclass(frozen=True)
class Location:
    """Where a model's weights are: a local file or one to download, and the card if it has one."""

    name: str
    path: Path | None = None
    remote: HubFile | Download | None = None
    card: Card | None = None

    def check_commercial(self) -> None:
        """Raises UsageError unless a card says that commercial use is allowed; unclear terms are a no."""
        check_commercial(self.name, self.card)


def locate(spec: str) -> Location:
    """What `spec` names, without reading or downloading anything.

    Raises:
        ModelNotFoundError: neither a card nor a file.
        UsageError: a malformed hub address.
    """
    if spec.startswith(HUB_PREFIX):
        return Location(spec, remote=HubFile.parse(spec))
    # os.path, which answers no where Path raises: for a name too long to be a file's.
    if os.path.isfile(spec):
        return Location(Path(spec).name, path=Path(spec))
    if os.path.isdir(spec):
        raise ModelNotFoundError(f"{spec}: a folder, not a model file.", "Name the file inside it.")
    if spec.lower().endswith(MODEL_SUFFIXES) or "/" in spec or "\\" in spec:
        raise ModelNotFoundError(f"{spec}: no such model file.", "Check the path, or see `restore models list`.")
    card = find_card(spec)
    if card.embedded:
        return Location(spec, path=weights_path(card), card=card)
    return Location(spec, remote=Download.of(card), card=card)


def build_model(
    spec: str,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    overrides: Mapping[str, Any] | None = None,
    task: str | None = None,
) -> Model:
    """The model that `spec` names, its weights read and checked.

    Args:
        spec: card id, file path or hub address.
        offline: never ask the network; use what is in the hub's cache.
        progress: makes the bar of a download.
        overrides: constructor arguments of one of our architectures, over what card and file say.
        task: what it is for, see `for_task`; None leaves it as it is.

    Raises:
        ModelNotFoundError, CheckpointError, DownloadError, UsageError
    """
    location = locate(spec)
    path = location.path or fetch(_required(location.remote), offline=offline, progress=progress)
    card = location.card
    if card is not None and card.embedded:
        _check_sha256(path, card)
    try:
        return for_task(load_network(read_checkpoint(path), location.name, card, overrides), task)
    except CheckpointError as error:
        if str(path) in error.message:
            raise
        raise CheckpointError(f"{path}: {error.message}", error.hint) from error


def weights_sha256(spec: str) -> str:
    """Of the file that `spec`, which has been built before, was read from."""
    location = locate(spec)
    return sha256_of(location.path or fetch(_required(location.remote), offline=True))


def for_task(model: Model, task: str | None) -> Model:
    """`model` as a task runs it: for 'demosaic' a colour denoiser becomes a demosaicker by plug-and-play.

    A network that must be told the noise level takes pictures, not mosaics; so there is nothing else it could mean.
    """
    network = model.network
    if task != "demosaic" or network.conditioning != "sigma" or network.channels != 3:
        return model
    return dataclasses.replace(
        model, network=dataclasses.replace(network, conditioning="blind", procedure=PLUG_AND_PLAY)
    )


def average_models(models: Sequence[Model]) -> Model:
    """One model whose result is the mean of theirs.

    Raises:
        UsageError: their scales, channels, conditioning, windows of statistics or wish for WNE differ.
    """
    first = models[0]
    for other in models[1:]:
        for fact in ("scale", "channels", "conditioning", "procedure", "local_statistics_px"):
            ours, theirs = getattr(first.network, fact), getattr(other.network, fact)
            if ours != theirs:
                raise UsageError(
                    f"{first.name} has {fact} {ours}, {other.name} {theirs}.", "Only models alike can be averaged."
                )
        if first.wne != other.wne:
            raise UsageError(
                f"Of {first.name} and {other.name} one was trained for WNE.", "Average models of one kind."
            )
    networks = [model.network for model in models]
    radii = [network.radius_px for network in networks]
    members = [Padded(network.module, network.size_rule, network.scale) for network in networks]
    together = Network(
        module=Average(members).eval(),
        arch=" + ".join(network.arch for network in networks),
        scale=first.network.scale,
        channels=first.network.channels,
        size_rule=SizeRule(),
        radius_px=None if None in radii else max(radius for radius in radii if radius is not None),
        overlap_px=max(network.overlap_px for network in networks),
        whole_picture=all(network.whole_picture for network in networks),
        tile_multiple=lcm(*(network.size_rule.multiple for network in networks)),
        conditioning=first.network.conditioning,
        procedure=first.network.procedure,
        local_statistics_px=first.network.local_statistics_px,
        precisions=tuple(each for each in first.network.precisions if all(each in n.precisions for n in networks)),
    )
    return Model(" + ".join(model.name for model in models), together, first.wne)


def load_network(
    checkpoint: Checkpoint, name: str, card: Card | None = None, overrides: Mapping[str, Any] | None = None
) -> Model:
    """The model in `checkpoint`, built as `card` says, else as the file says, else as its keys tell."""
    if card is not None and card.arch:
        network = own_network(card.arch, {**card.config, **(overrides or {})}, checkpoint.state_dict)
    else:
        network = detect_network(checkpoint.state_dict, checkpoint.config, overrides)
    if card is None:
        return Model(name, network, wne=checkpoint.config.get("wne") is True)
    changes: dict[str, Any] = {"precisions": tuple(each for each in card.precisions if each != "fp32")}
    if card.tiling is not None:
        changes["overlap_px"] = card.tiling.overlap_px
        changes["local_statistics_px"] = card.tiling.local_statistics_px
    for fact in ("scale", "channels"):
        if getattr(card, fact) != getattr(network, fact):
            raise CheckpointError(
                f"the card '{card.id}' says {fact} {getattr(card, fact)}, the weights {getattr(network, fact)}."
            )
    model = Model(name, dataclasses.replace(network, **changes), wne=card.wne, card=card)
    return for_task(model, card.task)


def _check_sha256(path: Path, card: Card) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise CheckpointError(
            f"{path}: the weights of '{card.id}' are missing.", "Install the package again."
        ) from error
    if found != card.file.sha256:
        raise CheckpointError(f"{path}: not the weights its card describes.", "Install the package again.")


def _required(remote: HubFile | Download | None) -> HubFile | Download:
    if remote is None:
        raise RestoreError("A model has neither a file nor an address.")
    return remote
