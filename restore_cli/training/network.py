"""What is trained: a network of ours from random weights, or any model that can be loaded, fine-tuned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from restore_cli.archs import architecture
from restore_cli.errors import RecipeError
from restore_cli.models.build import build_model
from restore_cli.wrappers.pad import SizeRule
from restore_cli.wrappers.wne import NormalizationEquivariant

if TYPE_CHECKING:
    from restore_cli.training.config import NetworkRecipe, Recipe

__all__ = ["EveryStage", "NetworkFacts", "Trainee", "build_trainee", "network_facts"]


@dataclass(frozen=True)
class NetworkFacts:
    """What the other parts of a recipe have to agree with.

    Attributes:
        scale: output pixels per input pixel.
        channels: of the pictures it takes.
        size_rule: heights and widths it takes.
    """

    scale: int
    channels: int
    size_rule: SizeRule


@dataclass(frozen=True)
class Trainee:
    """A network with float32 weights that can be trained.

    Attributes:
        network: inside its wrappers; (N, C, H, W) -> (N, C', sH, sW).
        wne: whether normalization equivariance is one of the wrappers.
        prefix: what the wrappers put before the names that the authors gave to the weights.
        takes_sigma: it must be told the noise level.
    """

    network: nn.Module
    wne: bool
    prefix: str = ""
    takes_sigma: bool = False

    def conditioning(self, degraded: Tensor, clean: Tensor) -> dict[str, Tensor]:
        """What `network` is told beside `degraded`: the noise level, as it measures on each patch.

        The root mean square of the difference. Of white noise on a patch of 64x64 pixels in RGB it meets
        the level to about a percent; of anything else it is the level that a user would have to give.
        """
        if not self.takes_sigma:
            return {}
        return {"sigma": (degraded - clean).square().mean(dim=(1, 2, 3), keepdim=True).sqrt()}


class EveryStage(nn.Module):
    """All pictures that a network of several stages makes, for a loss on each of them.

    `(N, C, H, W)` -> a tuple of such, what `network.every_stage` gives, or for a network of one stage its output alone.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, degraded: Tensor, **told: Tensor) -> tuple[Tensor, ...]:
        """The last is the network's answer."""
        stages: Callable[..., tuple[Tensor, ...]] | None = getattr(self.network, "every_stage", None)
        return (self.network(degraded, **told),) if stages is None else stages(degraded, **told)


def network_facts(recipe: NetworkRecipe, where: str) -> NetworkFacts:
    """The facts of the network in `recipe`; a model is loaded for them, a network of ours takes no memory.

    Args:
        recipe: names an architecture or a model.
        where: file and table, for the error message.

    Raises:
        RecipeError: no such network can be built, or it is none for one RGB or grey picture.
        CheckpointError, ModelNotFoundError, DownloadError: the model cannot be had.
    """
    if recipe.model:
        network = build_model(recipe.model).network
        if network.conditioning not in ("blind", "sigma"):
            raise RecipeError(f"{where}: '{recipe.model}' must be told its {network.conditioning} to be trained.")
        facts = NetworkFacts(network.scale, network.channels, network.size_rule)
    else:
        with torch.device("meta"):
            module = _of_arch(recipe, where)
        facts = NetworkFacts(module.scale, module.channels, SizeRule(module.size_multiple, module.minimum_size))
    if facts.channels not in (1, 3):
        raise RecipeError(f"{where}: takes {facts.channels} channels; only pictures of 1 or 3 can be trained on.")
    return facts


def build_trainee(recipe: Recipe, *, fresh: bool = True) -> Trainee:
    """The recipe's network, wrapped as it is trained.

    Args:
        recipe: its `network` names an architecture, whose weights are random, or a model.
        fresh: copy the weights of `network.init`; not needed where a checkpoint follows.

    Raises:
        RecipeError: the network cannot be built, or nothing of `network.init` fits it.
        CheckpointError, ModelNotFoundError, DownloadError: a model cannot be had.
    """
    where = f"Recipe '{recipe.name}'"
    wne, prefix, takes_sigma = bool(recipe.network.wne), "", False
    if recipe.network.model:
        model = build_model(recipe.network.model)
        bare = model.network.module.requires_grad_(True).train()
        takes_sigma = model.network.conditioning == "sigma"
        if takes_sigma or model.network.accepts:
            prefix = "inner."  # such networks are loaded inside a module that passes the level on
        if recipe.network.wne is None:
            wne = model.wne
    else:
        bare = _of_arch(recipe.network, f"{where}: network")
        if recipe.network.init and fresh:
            _copy_weights(recipe.network.init, bare, where)
    if wne:
        return Trainee(NormalizationEquivariant(bare), wne, "backbone." + prefix, takes_sigma)
    return Trainee(bare, wne, prefix, takes_sigma)


def _of_arch(recipe: NetworkRecipe, where: str) -> Any:  # noqa: ANN401 - our networks share attributes, no base class
    try:
        return architecture(recipe.arch)(**recipe.config)
    except Exception as error:  # settings of any type reach constructors that expect the right one
        raise RecipeError(f"{where}: {error}.") from error


def _copy_weights(spec: str, network: nn.Module, where: str) -> None:
    """Start `network` from the model `spec`: every tensor that fits by name and shape is copied."""
    own = network.state_dict()
    found = build_model(spec).network.module.state_dict()
    common = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    if not common:
        raise RecipeError(f"{where}: nothing of '{spec}' fits this network.")
    network.load_state_dict(common, strict=False)
