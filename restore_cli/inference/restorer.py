"""The contract every model obeys, and the one place where the wrappers are put around a network.

The order is part of the meaning: ensemble(wne(tile(pad(network)))). WNE takes its statistics once,
from the whole picture, before padding and tiling. Averaged crops may stand in for tiles. Plug-and-play
stands between ensemble and WNE: each of its steps is one restoration of the whole picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import nn

from restore_cli.errors import DeviceMemoryError, InputError, UsageError
from restore_cli.inference.device import OnDevice, choose_device, choose_precision
from restore_cli.inference.memory import TileMemory
from restore_cli.inference.quality import estimated_quality
from restore_cli.models.build import Model, build_model
from restore_cli.models.registry import PLUG_AND_PLAY, Network
from restore_cli.options import Hints, Precision, RunOptions
from restore_cli.tasks import QUALITY_FACTOR, SIGMA, Conditioning
from restore_cli.wrappers.crops import AveragedCrops
from restore_cli.wrappers.ensemble import Ensemble
from restore_cli.wrappers.local_stats import with_local_statistics
from restore_cli.wrappers.pad import Padded, SizeRule
from restore_cli.wrappers.plug_and_play import MINIMUM_PX, PlugAndPlayDemosaic
from restore_cli.wrappers.tile import Tiled, TilePolicy
from restore_cli.wrappers.wne import NormalizationEquivariant

__all__ = ["TWO_VIEWS_CHANNELS", "Heard", "Observer", "Restorer", "hearing", "load_model", "naming"]

TWO_VIEWS_CHANNELS = 6
# Sides of a tile in input pixels. A device that has less memory finds out and halves. Networks of
# unknown reach are transformers as a rule, which need several times the memory of a convolution.
AUTO_TILE_PX = 1024
AUTO_TILE_PX_UNKNOWN_REACH = 512


@dataclass
class Heard:
    """What happened to one picture.

    Attributes:
        notes: what the observer was told, each once.
        tile_px: side of the tiles it was cut into in the end; None where memory sufficed for those planned.
        on_cpu: whether it was restored there because no tile of it fitted elsewhere.
    """

    notes: list[str] = field(default_factory=list)
    tile_px: int | None = None
    on_cpu: bool = False


_picture_name: ContextVar[str] = ContextVar("picture_name", default="")
_heard: ContextVar[Heard | None] = ContextVar("heard", default=None)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """What is noted inside the block, in this thread, starts with `name`: the file's."""
    token = _picture_name.set(name)
    try:
        yield
    finally:
        _picture_name.reset(token)


@contextmanager
def hearing() -> Iterator[Heard]:
    """What happens inside the block, in this thread; the observer hears it all the same."""
    heard = Heard()
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


class Observer(Protocol):
    """Is told what happens while a picture is restored."""

    def tiles(self, done: int, total: int) -> None:
        """`done` of `total` tiles are finished; 0 at the start of each pass over the picture."""

    def note(self, message: str) -> None:
        """Something the user should know, such as a smaller tile or a safer precision."""


class Silence:
    """An observer that does nothing."""

    def tiles(self, done: int, total: int) -> None:
        """Ignored."""

    def note(self, message: str) -> None:
        """Ignored."""


class Restorer:
    """A model made ready: called on `(N, C, H, W)`, returns `(N, C', sH, sW)`, same dtype and device.

    Pictures are nominally in [0, 1], sRGB-encoded RGB or grey, any height and width; neither input
    nor result is clamped, and the input is not modified. A restorer keeps no state between calls.

    What does not fit is cut smaller: on a CPU by an estimate, on other devices when they say so, and where not
    even the smallest tile fits on such a device, the picture is restored on the CPU. The observer is told.

    Attributes:
        model: the network and its facts.
        device, precision: where and how it runs.
        policy: how pictures are cut, when they are.
        crops: averages overlapping crops in place of tiles; None as a rule.
        wne: whether it is wrapped for normalization equivariance.
    """

    def __init__(self, model: Model, options: RunOptions | None = None, observer: Observer | None = None) -> None:
        options = options or RunOptions()
        observer = observer or Silence()
        network = model.network
        self.model = model
        self.device = choose_device(options.device)
        self.precision = choose_precision(options.precision, self.device, network.precisions)
        self.policy = _tile_policy(network, options)
        self.wne = model.wne if options.wne is None else options.wne
        self.tta = options.tta
        if options.wne_eps and not self.wne:
            raise UsageError("--wne-eps has no effect on a network that is not wrapped.", "Add --wne, or leave it out.")
        if network.assumed:
            observer.note(f"{model.name} does not say {', '.join(network.assumed)}: taken as published.")
        if network.terms:
            observer.note(f"{model.name}: the code of {network.arch} is under {network.terms}.")
        self.crops: AveragedCrops | None = None
        self._options = options
        self._observer = observer
        self._network = self._localized()
        self._memory = TileMemory(self._network, network.size_rule, self._needed())
        self._chain = self._wrapped(self.device, self.precision)

    @property
    def scale(self) -> int:
        """Output pixels per input pixel."""
        return self.model.network.scale

    @property
    def channels(self) -> int:
        """Channels of the pictures it takes."""
        return self.model.network.channels

    @property
    def needs(self) -> Conditioning | None:
        """What it must be told about a picture; None where it finds out by itself."""
        return SIGMA if self.model.network.conditioning == "sigma" else None

    def __call__(
        self, picture: torch.Tensor, *, sigma_255: float | None = None, quality_factor: float | None = None
    ) -> torch.Tensor:
        """Restore a batch.

        Args:
            picture: (N, C, H, W), floating.
            sigma_255: noise level in 8-bit units, for a network that must be told.
            quality_factor: JPEG quality, for a network that must be told.

        Raises:
            InputError: a picture of another shape or type.
            UsageError: the network needs a level that was not given.
            DeviceMemoryError: not even the smallest tile fits.
        """
        if picture.ndim != 4 or picture.shape[1] != self.channels or 0 in picture.shape:
            found = "x".join(str(side) for side in picture.shape)
            raise InputError(f"{self.model.name} takes (N, {self.channels}, H, W), not {found}.")
        if not picture.is_floating_point():
            raise InputError(f"{self.model.name} takes floating pictures in [0, 1], not {picture.dtype}.")
        hints = Hints(sigma_255, quality_factor)
        self._check_levels(hints)
        conditioning = self._conditioning(picture, hints)
        # Not inference_mode, whose tensors the caller could not train on.
        with torch.no_grad():
            try:
                restored: torch.Tensor = self._chain(picture, **conditioning)
                return restored
            except DeviceMemoryError as error:
                if self.device.type == "cpu":
                    raise
                reason = error.message
            self.note(f"{reason} It is restored on the CPU instead of {self.device}.")
            if (heard := _heard.get()) is not None:
                heard.on_cpu, heard.tile_px = True, None
            restored = self._wrapped(torch.device("cpu"), Precision.FP32)(picture, **conditioning)
            return restored

    def check(self, hints: Hints, *, estimated: bool = False) -> None:
        """What can be said of `hints` before a picture is read.

        Args:
            hints: what the user knows.
            estimated: a level that they do not say will be found out, picture by picture.

        Raises:
            UsageError: the network must be told something they do not say, or takes another number of views.
        """
        self._check_levels(hints, estimated=estimated)
        name, network = self.model.name, self.model.network
        if network.channels == TWO_VIEWS_CHANNELS and hints.second_view is None:
            raise UsageError(f"{name} takes two views of a scene.", "Add --second-view FILE.")
        if network.channels != TWO_VIEWS_CHANNELS and hints.second_view is not None:
            raise UsageError(f"{name} takes one view.", "Leave out --second-view, or name another --model.")

    def _check_levels(self, hints: Hints, *, estimated: bool = False) -> None:
        name, network = self.model.name, self.model.network
        if self.needs is SIGMA and hints.sigma_255 is None and not estimated:
            raise UsageError(f"{name} must be told the noise level.", "Add --sigma LEVEL (0 to 255, 25 is strong).")
        unused = {SIGMA: self.needs is not SIGMA, QUALITY_FACTOR: "quality" not in network.accepts}
        made_for_one_level = self.model.card is not None and self.model.card.level is not None
        for conditioning, is_unused in unused.items():
            if is_unused and not made_for_one_level and getattr(hints, conditioning.name) is not None:
                self._observer.note(f"{name} finds the level by itself: {conditioning.option} is not used.")

    def pieces(self, height: int, width: int) -> int:
        """How many tiles, or crops, a picture of this size is cut into."""
        if self.crops is not None:
            return len(self.crops.plan(height, width))
        return self.policy.count(height, width)

    def tile_bytes(self, height: int, width: int, batch: int = 1, *, measured: bool = False) -> int:
        """What the network takes, of memory where it runs, for the largest tile or crop of a picture.

        Args:
            height, width: of the picture.
            batch: how many of its channels go as pictures of their own.
            measured: see `TileMemory.needed`.
        """
        if self.crops is not None:
            shape = (batch, self.channels, *self.crops.largest(height, width))
            return self._memory.needed(shape, measured=measured)
        policy: TilePolicy | None = self.policy.within(height, width)
        while policy is not None:
            shape = (batch, self.channels, *policy.largest(height, width))
            if self.device.type != "cpu" or not self._memory.shortage(shape):
                break
            policy = policy.halved()
        return self._memory.needed(shape, measured=measured)

    def _conditioning(self, picture: torch.Tensor, hints: Hints) -> dict[str, torch.Tensor]:
        network = self.model.network
        given = {}
        if network.conditioning == "sigma" and hints.sigma_255 is not None:
            given["sigma"] = picture.new_full((1, 1, 1, 1), hints.sigma_255 / 255)
        if "quality" in network.accepts and hints.quality_factor is not None:
            given["quality"] = picture.new_full((1, 1, 1, 1), hints.quality_factor)
        elif network.quality_estimator is not None:
            given["quality"] = self._estimated_quality(picture, network.quality_estimator)
        return given

    def _estimated_quality(self, picture: torch.Tensor, estimator: nn.Module) -> torch.Tensor:
        quality = estimated_quality(picture, OnDevice(estimator, self.device, Precision.FP32))
        shown = ", ".join(f"{each:.0f}" for each in quality.flatten().tolist())
        self.note(f"{self.model.name} estimates JPEG quality {shown}; {QUALITY_FACTOR.option} tells it another.")
        return quality

    def _needed(self) -> dict[str, torch.Tensor]:
        """What the network must be given beside a picture."""
        facts = self.model.network
        told = facts.conditioning == "sigma" or facts.procedure == PLUG_AND_PLAY
        return {"sigma": torch.zeros(1, 1, 1, 1)} if told else {}

    def _localized(self) -> nn.Module:
        facts, window_px = self.model.network, self._options.local_statistics_px
        if window_px is None:
            window_px = facts.local_statistics_px
        if not window_px:  # 0 is the plain network, whatever the card says
            return facts.module
        return with_local_statistics(facts.module, window_px, channels=facts.channels, **self._needed())

    def note(self, message: str) -> None:
        """Tell the observer, and whoever is `hearing`, something about the picture of `naming`."""
        name, heard = _picture_name.get(), _heard.get()
        if heard is not None and message not in heard.notes:
            heard.notes.append(message)
        self._observer.note(f"{name}: {message}" if name else message)

    def cut_into(self, tile_px: int) -> None:
        """From now on pictures are cut into tiles of exactly that side, such as memory sufficed for in another run."""
        self.policy = replace(self.policy, tile_px=tile_px)
        self._chain = self._wrapped(self.device, self.precision)

    def _note_smaller_tiles(self, tile_px: int, reason: str) -> None:
        self.note(f"Not enough memory ({reason}); starting over with tiles of {tile_px} pixels.")
        if (heard := _heard.get()) is not None:
            heard.tile_px = tile_px

    def _wrapped(self, device: torch.device, precision: Precision) -> nn.Module:
        facts, options = self.model.network, self._options
        # Other devices say when their memory is full. The kernel kills instead.
        shortage = self._memory.shortage if device.type == "cpu" else None
        chain: nn.Module = OnDevice(
            self._network,
            device,
            precision,
            on_fallback=lambda: self.note(f"{precision.value} overflowed; such tiles were computed in fp32."),
        )
        chain = Padded(chain, facts.size_rule, facts.scale)
        if options.crops_px is not None:
            chain = self.crops = AveragedCrops(
                chain,
                options.crops_px,
                facts.scale,
                random_crops=options.random_crops,
                generator=torch.Generator().manual_seed(0),
                on_crop=self._observer.tiles,
                shortage=shortage,
            )
        else:
            chain = Tiled(
                chain,
                self.policy,
                facts.scale,
                on_tile=self._observer.tiles,
                on_retry=self._note_smaller_tiles,
                shortage=shortage,
            )
        if self.wne:
            chain = NormalizationEquivariant(chain, options.wne_eps)
        if facts.procedure == PLUG_AND_PLAY:
            chain = Padded(PlugAndPlayDemosaic(chain), SizeRule(minimum=MINIMUM_PX), scale=1)
        if self.tta:
            chain = Ensemble(chain)
        return chain.eval()


def load_model(
    spec: str,
    *,
    device: str = "auto",
    precision: str = "auto",
    tile_px: int | None = None,
    overlap_px: int | None = None,
    tta: bool = False,
    wne: bool | None = None,
    offline: bool = False,
    **overrides: Any,  # noqa: ANN401 - arguments of whichever network it is
) -> Restorer:
    """A `Restorer` to call on tensors.

    Args:
        spec: card id, checkpoint file, or `hf:owner/repo/file[@revision]`.
        device: 'auto', 'cpu', 'cuda', 'cuda:n' or 'mps'.
        precision: 'auto', 'fp32', 'bf16' or 'fp16'.
        tile_px: side of a tile, overlap included; None chooses, 0 never tiles.
        overlap_px: what neighbouring tiles share; None takes what the network needs.
        tta: average over the eight flips and rotations.
        wne: wrap for normalization equivariance; None does as the model was trained.
        offline: use only what is on this machine.
        **overrides: constructor arguments of one of our networks, where neither the weights nor what
            the file says about itself can tell them, or should not be believed.

    Raises:
        ModelNotFoundError, CheckpointError, DownloadError, DeviceError, UsageError
    """
    if precision not in {each.value for each in Precision}:
        raise UsageError(f"Unknown precision '{precision}'.", f"One of {', '.join(each.value for each in Precision)}.")
    options = RunOptions(device, Precision(precision), tile_px, overlap_px, tta, wne)
    return Restorer(build_model(str(spec), offline=offline, overrides=overrides), options)


def _tile_policy(network: Network, options: RunOptions) -> TilePolicy:
    overlap_px = options.overlap_px
    if overlap_px is None:
        overlap_px = network.overlap_px if network.radius_px is None else 2 * network.radius_px
    if options.tile_px == 0 or (options.tile_px is None and network.whole_picture):
        tile_px = None
    else:
        wanted = options.tile_px or (AUTO_TILE_PX_UNKNOWN_REACH if network.radius_px is None else AUTO_TILE_PX)
        # A tile that is little more than overlap would cost many times the work: then it grows instead,
        # because a smaller overlap would show.
        tile_px = overlap_px + max(wanted - overlap_px, wanted // 2, 1)
    return TilePolicy(tile_px, overlap_px, network.tile_multiple or network.size_rule.multiple, network.radius_px)
