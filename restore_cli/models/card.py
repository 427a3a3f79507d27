"""A card: a TOML file that says what a model is, where its weights are and what it may be used for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from restore_cli.tables import from_table, read_toml
from restore_cli.tasks import TASKS

__all__ = ["Card", "HubLocation", "Licence", "Rival", "Score", "Tiling", "WeightsFile", "read_card"]


@dataclass(frozen=True)
class WeightsFile:
    """The weights as a file: its name, size in bytes and sha256 (hexadecimal)."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class HubLocation:
    """Where on the Hugging Face hub the file is. `repo_type` is 'model' or 'space'."""

    repo_id: str
    filename: str
    revision: str = "main"
    repo_type: str = "model"


@dataclass(frozen=True)
class Tiling:
    """How to tile this model: pixels of overlap that suffice, and why."""

    overlap_px: int
    advice: str = ""


@dataclass(frozen=True)
class Licence:
    """Terms of the weights. `commercial` is false where the terms are unclear."""

    name: str
    commercial: bool
    training_data: str
    source: str = ""


@dataclass(frozen=True)
class Score:
    """A figure.

    `origin` is 'measured' (this model, by `make scores`), 'published' (of this model, quoted), or the name of
    what it is compared with: a baseline ('bicubic', 'input') or checkpoint measured by the same program on the
    same pictures, or a method whose figure is quoted from `source`.
    """

    protocol: str
    dataset: str
    origin: str
    psnr: float
    ssim: float | None = None
    condition: str = ""
    source: str = ""


@dataclass(frozen=True)
class Rival:
    """How a kind of network did in a short training, each in equal time on the same data (`training.contest`).

    `validation_psnr` is on held-out training pictures, in dB.
    """

    name: str
    parameters: int
    minutes: float
    steps: int
    validation_psnr: float


@dataclass(frozen=True)
class Card:
    """A model.

    Attributes:
        id: unique; task, architecture and scale can be read off it.
        task: of `restore_cli.tasks`; a model made for several names the first, see `tasks`.
        summary: one sentence.
        file: the weights.
        licence: their terms.
        arch: id of `restore_cli.archs`; empty for an architecture that spandrel recognises.
        config: constructor arguments of `arch`.
        scale: output pixels per input pixel.
        channels: 1 for grey, 3 for RGB.
        wne: run inside the normalization-equivariant wrapper, as it was trained.
        conditioning: 'blind', or the name of what must be given ('sigma_255', 'quality_factor').
        precisions: those measured to be safe beside fp32.
        hub: where to download the file; none for an embedded model.
        tiling: overrides what follows from the receptive field.
        paper: title, venue, address.
        scores: with the protocol's name.
        rivals: why it is a network of this kind: contests with others, the best first in each.
    """

    id: str
    task: str
    summary: str
    file: WeightsFile
    licence: Licence
    arch: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    scale: int = 1
    channels: int = 3
    wne: bool = False
    conditioning: str = "blind"
    precisions: tuple[str, ...] = ("fp32",)
    hub: HubLocation | None = None
    tiling: Tiling | None = None
    paper: str = ""
    scores: tuple[Score, ...] = ()
    rivals: tuple[Rival, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether the package carries the weights."""
        return self.hub is None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Its own task, and those it is the default of besides."""
        others = (name for name, row in TASKS.items() if self.id in row.default_models.values())
        return tuple(dict.fromkeys((self.task, *others)))


def read_card(path: Path) -> Card:
    """The card in `path`; raises RecipeError for an unknown or missing key."""
    return from_table(Card, read_toml(path), str(path))
