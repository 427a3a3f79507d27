"""Which network is in a state dict: our own architectures on a private copy of spandrel's registry.

A private copy, because the main registry is shared with every other user of spandrel in the
process. spandrel is imported on use: it takes seconds and pulls in torchvision, and the embedded
models need neither.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs import ARCHITECTURES, architecture
from restore_cli.errors import CheckpointError
from restore_cli.models.checkpoint import readings
from restore_cli.wrappers.pad import SizeRule

if TYPE_CHECKING:
    from spandrel import ArchRegistry, ImageModelDescriptor, ModelLoader

__all__ = ["PLUG_AND_PLAY", "Network", "detect_network", "own_network"]

# A denoiser inside `wrappers.plug_and_play`.
PLUG_AND_PLAY = "plug-and-play"

TORCHVISION_HINT = (
    "torch and torchvision come from different builds. Install the torchvision that matches this torch, "
    "from the same index (https://pytorch.org/get-started/locally)."
)
# Grey, colour, and colour from two views.
PICTURE_CHANNELS = (1, 3, 6)
# Networks that see no further than their convolutions reach, which are then counted.
PURELY_CONVOLUTIONAL = frozenset({"DnCNN"})
# What `spandrel_extra_arches` may be used for: its own words and those of the architectures' authors.
EXTRA_TERMS = {
    **dict.fromkeys(("Restormer", "MPRNet", "MIRNet2"), "the Academic Public License, which forbids commercial use"),
    **dict.fromkeys(("AdaCode", "FeMaSR"), "CC BY-NC-SA 4.0, which forbids commercial use"),
    **dict.fromkeys(("MAT", "SRFormer"), "CC BY-NC 4.0, which forbids commercial use"),
    "CodeFormer": "the S-Lab License, which forbids commercial use",
    "DDColor": "terms that are unclear",
    "M3SNet": "terms that are unclear",
}
EXTRA_HINT = "If its terms suit you: pip install 'restore-cli[extra-archs]' (spandrel_extra_arches)."
# Of architectures whose code is in that package, those that published checkpoints here need.
EXTRA_SIGNATURES = {
    "Restormer": (
        "patch_embed.proj.weight",
        "encoder_level1.0.attn.qkv_dwconv.weight",
        "refinement.0.norm1.body.weight",
    ),
}
# Networks that have all keys of Restormer and more: whoever builds them as Restormer fails, or worse does not.
LOOKALIKES = {
    "PromptIR": ("chnl_reduce1.weight", "reduce_noise_level1.weight"),
    "AdaIR": ("fre1.para1", "fre1.score_gen.weight"),
}
# Modules that change no pixel's neighbourhood; normalisation uses running statistics in eval mode.
POINTWISE = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.BatchNorm2d, nn.Identity, nn.Dropout)


@dataclass(frozen=True)
class Network:
    """A network with its weights, in eval mode, and what must be known to run it.

    Attributes:
        module: called as `module(picture, **conditioning)`, `(N, C, H, W)` -> `(N, C', sH, sW)`.
        arch: name of the architecture.
        scale: s.
        channels: C, without any noise map.
        size_rule: accepted sizes.
        radius_px: receptive radius; None if it is unknown or the whole picture.
        overlap_px: advised overlap of tiles where the radius is unknown.
        tile_multiple: tile corners are multiples of this; None takes the size rule's.
        whole_picture: better run in one piece than in tiles, and made for it.
        conditioning: 'blind', or the argument `module` must be given.
        accepts: arguments it may be given.
        assumed: settings that neither shapes nor file tell, 'name=value', taken as published.
        precisions: beside fp32, those the architecture is known to survive.
        quality_estimator: from pictures (N, C, H, W) to the JPEG quality (N,) the network would assume; for one
            that accepts 'quality'.
        local_statistics_px: whole-picture statistics are taken over windows of this size, as published.
        procedure: `PLUG_AND_PLAY`, or empty for a network whose result is the answer.
        terms: of its code, where they restrict its use.
    """

    module: nn.Module
    arch: str
    scale: int
    channels: int
    size_rule: SizeRule
    radius_px: int | None = None
    overlap_px: int = 32
    tile_multiple: int | None = None
    whole_picture: bool = False
    conditioning: str = "blind"
    accepts: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    quality_estimator: nn.Module | None = None
    local_statistics_px: int | None = None
    procedure: str = ""
    terms: str = ""


def own_network(arch_id: str, config: Mapping[str, Any], state_dict: Mapping[str, Tensor]) -> Network:
    """One of `restore_cli.archs` with `state_dict` loaded strictly; raises CheckpointError if it does not fit."""
    if arch_id not in ARCHITECTURES:
        raise CheckpointError(f"unknown architecture '{arch_id}'.", f"Known: {', '.join(ARCHITECTURES)}.")
    try:
        module = architecture(arch_id)(**config)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"a '{arch_id}' cannot be configured like that ({error}).") from error
    try:
        module.load_state_dict(state_dict)
    except RuntimeError as error:
        raise CheckpointError(
            f"the weights do not fit a '{arch_id}' of this configuration ({_one_line(error)})."
        ) from error
    return _from_own(arch_id, module)


def detect_network(
    state_dict: dict[str, Tensor],
    stated: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Network:
    """The network `state_dict` belongs to, recognised by its keys and shapes.

    Args:
        state_dict: weights by the authors' key names.
        stated: what the file says about itself (metadata entry 'config').
        overrides: constructor arguments that win over both; for our own architectures only.

    Raises:
        CheckpointError: no known architecture has these keys, or the network is no picture-to-picture one.
    """
    statements = _Statements(stated or {})
    loader = _loader(statements, overrides or {})
    from spandrel import ImageModelDescriptor, UnsupportedModelError

    descriptor = None
    for reading in readings(state_dict):
        _refuse_lookalikes(reading)
        try:
            # spandrel's adapters may edit the dict they are given.
            descriptor = loader.load_from_state_dict(dict(reading))
            break
        except UnsupportedModelError:
            _refuse_without_extra(reading)
        except CheckpointError:
            raise
        except Exception as error:  # forty adapters guess from shapes; a hostile file makes them fail in any way
            raise CheckpointError(f"recognised, but the weights do not fit ({_one_line(error)}).") from error
    if descriptor is None:
        shown = ", ".join(sorted(state_dict)[:3])
        raise CheckpointError(
            f"no known architecture has these {len(state_dict)} tensors ({shown}, ...).",
            "spandrel's list of architectures is at https://github.com/chaiNNer-org/spandrel.",
        )
    if not isinstance(descriptor, ImageModelDescriptor):
        raise CheckpointError(f"a {descriptor.architecture.name} network, which does not map a picture to a picture.")
    if overrides and descriptor.architecture.id not in ARCHITECTURES:
        raise CheckpointError(
            f"a {descriptor.architecture.name} network takes no settings; {', '.join(overrides)} cannot be given."
        )
    if descriptor.input_channels not in PICTURE_CHANNELS or descriptor.output_channels not in (1, 3):
        raise CheckpointError(
            f"a {descriptor.architecture.name} network from {descriptor.input_channels} to "
            f"{descriptor.output_channels} channels; pictures have 1 or 3."
        )
    assumed = tuple(f"{name}={value}" for name, value in statements.missing.items() if name not in (overrides or {}))
    return dataclasses.replace(_from_descriptor(descriptor), assumed=assumed)


def _from_descriptor(descriptor: ImageModelDescriptor[Any]) -> Network:
    arch = descriptor.architecture.id
    module = descriptor.model.eval().requires_grad_(False)
    if arch in ARCHITECTURES:
        return _from_own(arch, module)
    requirements = descriptor.size_requirements
    precisions = tuple(
        name for name, safe in (("fp16", descriptor.supports_half), ("bf16", descriptor.supports_bfloat16)) if safe
    )
    conditioning = "blind"
    accepts: tuple[str, ...] = ()
    quality_estimator: nn.Module | None = None
    if arch == "DRUNet" or (arch == "DnCNN" and getattr(module, "mode", "") == "FDnCNN"):
        module, conditioning = _WithNoiseMap(module), "sigma"
    elif arch == "FBCNN":
        quality_estimator = _QualityEstimate(module)
        module, accepts = _WithQuality(module), ("quality",)
    return Network(
        module=module,
        arch=descriptor.architecture.name,
        scale=descriptor.scale,
        channels=descriptor.input_channels,
        size_rule=SizeRule(max(1, requirements.multiple_of), max(1, requirements.minimum), requirements.square),
        radius_px=_convolution_reach(module) if arch in PURELY_CONVOLUTIONAL else None,
        conditioning=conditioning,
        accepts=accepts,
        precisions=precisions,
        quality_estimator=quality_estimator,
        terms=EXTRA_TERMS.get(arch, ""),
    )


def _refuse_lookalikes(state_dict: Mapping[str, Tensor]) -> None:
    for name, keys in LOOKALIKES.items():
        if all(key in state_dict for key in keys):
            raise CheckpointError(
                f"the weights of {name}, which has Restormer's keys and more, and cannot be built here.",
                "See `restore models list` for networks that are.",
            )


def _refuse_without_extra(state_dict: Mapping[str, Tensor]) -> None:
    for name, keys in EXTRA_SIGNATURES.items():
        if all(key in state_dict for key in keys):
            raise CheckpointError(
                f"the weights of {name}, whose code is not part of this package: it is under {EXTRA_TERMS[name]}.",
                EXTRA_HINT,
            )


def _from_own(arch_id: str, module: Any) -> Network:  # noqa: ANN401 - our networks share these attributes, no base class
    return Network(
        module=module.eval().requires_grad_(False),
        arch=arch_id,
        scale=module.scale,
        channels=module.channels,
        size_rule=SizeRule(module.size_multiple, module.minimum_size),
        radius_px=module.receptive_radius,
        overlap_px=module.overlap_px,
        whole_picture=getattr(module, "whole_picture", False),
        precisions=module.precisions,
    )


class _WithNoiseMap(nn.Module):
    """A network that takes the noise level as a further channel. spandrel would fill in a constant."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, picture: Tensor, sigma: Tensor) -> Tensor:
        noise_map = sigma.to(picture).expand(picture.shape[0], 1, *picture.shape[2:])
        restored: Tensor = self.inner(torch.cat([picture, noise_map], dim=1))
        return restored


class _WithQuality(nn.Module):
    """FBCNN, which returns the picture and its estimate of the JPEG quality, and can be told another one."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, picture: Tensor, quality: Tensor | None = None) -> Tensor:
        # It was trained on 1 - quality/100.
        told = None if quality is None else 1 - quality.reshape(-1, 1) / 100
        restored: Tensor = self.inner(picture, told)[0]
        return restored


class _QualityEstimate(nn.Module):
    """The half of FBCNN that finds out the JPEG quality: (N, C, H, W) -> (N,), 0 to 100."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401 - spandrel's class
        super().__init__()
        self.inner = inner

    def forward(self, pictures: Tensor) -> Tensor:
        height, width = pictures.shape[-2:]
        features = functional.pad(pictures, (0, -width % 8, 0, -height % 8), mode="replicate")
        for part in ("m_head", "m_down1", "m_down2", "m_down3", "m_body_encoder", "qf_pred"):
            features = getattr(self.inner, part)(features)
        return 100 * (1 - features.flatten())


def _convolution_reach(module: nn.Module) -> int | None:
    """Input pixels on each side that a chain of stride-1 convolutions can see at most; None for anything else."""
    reach = 0
    for part in module.modules():
        if next(part.children(), None) is not None or isinstance(part, POINTWISE):
            continue
        if not isinstance(part, nn.Conv2d) or max(part.stride) > 1:
            return None
        reach += max(dilation * (side - 1) // 2 for side, dilation in zip(part.kernel_size, part.dilation, strict=True))
    return reach


class _Statements(Mapping[str, Any]):
    """What a file says about itself, and what it was asked and could not say."""

    def __init__(self, stated: Mapping[str, Any]) -> None:
        self._stated = stated
        self.missing: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - of any type
        return self._stated[name]

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - of any type
        if name not in self._stated and default is not None:
            self.missing[name] = default
        return self._stated.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._stated)

    def __len__(self) -> int:
        return len(self._stated)


def _one_line(error: BaseException) -> str:
    """The first line of an error and the first particular, which is what `load_state_dict` puts in the second."""
    lines = [line.strip().rstrip(":.") for line in str(error).splitlines() if line.strip()]
    return ": ".join(lines[:2]) or type(error).__name__


def _loader(stated: Mapping[str, Any], overrides: Mapping[str, Any]) -> ModelLoader:
    """Spandrel's loader over its registry and ours; ours build as the file and the caller say."""
    try:
        import spandrel
        from spandrel.util import KeyCondition
    except RuntimeError as error:
        raise CheckpointError(f"spandrel could not be imported: {error}.", TORCHVISION_HINT) from error

    settings = {**stated, **overrides}

    class OwnArchitecture(spandrel.Architecture[nn.Module]):
        def __init__(self, arch_id: str) -> None:
            self._class = architecture(arch_id)
            super().__init__(id=arch_id, detect=KeyCondition.has_all(*self._class.signature_keys))

        def detect(self, state_dict: Mapping[str, Any]) -> bool:
            # Where keys do not suffice the class decides, knowing what file and caller say.
            recognises = getattr(self._class, "recognises", None)
            return bool(super().detect(state_dict) if recognises is None else recognises(state_dict, settings))

        def load(self, state_dict: dict[str, Any]) -> ImageModelDescriptor[nn.Module]:
            config = {**self._class.config_of(state_dict, stated), **overrides}
            try:
                module = self._class(**config)
            except (TypeError, ValueError) as error:
                raise CheckpointError(f"a '{self.id}' cannot be configured like that ({error}).") from error
            return spandrel.ImageModelDescriptor(
                module,
                state_dict,
                architecture=self,
                purpose="Restoration" if module.scale == 1 else "SR",
                tags=[],
                supports_half="fp16" in module.precisions,
                supports_bfloat16="bf16" in module.precisions,
                scale=module.scale,
                input_channels=module.channels,
                output_channels=getattr(module, "output_channels", module.channels),
                size_requirements=spandrel.SizeRequirements(
                    minimum=module.minimum_size, multiple_of=module.size_multiple
                ),
            )

    registry = spandrel.MAIN_REGISTRY.copy()
    _add_extra(registry)
    # Before spandrel's of the same keys, which would build the published form whatever the file says.
    before = tuple(spandrel.ArchId(name) for name in ("HAT", "SwinIR", "DRCT", "Restormer"))
    registry.add(
        *(spandrel.ArchSupport.from_architecture(OwnArchitecture(arch_id), before) for arch_id in ARCHITECTURES)
    )
    return spandrel.ModelLoader(registry=registry)


def _add_extra(registry: ArchRegistry) -> None:
    """Put the architectures of the extra 'extra-archs' into `registry`, where it is installed."""
    with warnings.catch_warnings(), suppress(ImportError):
        warnings.simplefilter("ignore")  # of what torch calls out of date in code that is not ours
        extra = import_module("spandrel_extra_arches")
        registry.add(*extra.EXTRA_REGISTRY, ignore_duplicates=True)
