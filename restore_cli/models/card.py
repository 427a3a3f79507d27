"""A card: a TOML file that says what a model is, where its weights are and what it may be used for."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from restore_cli.errors import RecipeError
from restore_cli.tables import from_table, read_toml
from restore_cli.tasks import TASKS

__all__ = [
    "UNPINNED",
    "Card",
    "Evidence",
    "HubLocation",
    "Licence",
    "Mirror",
    "Rival",
    "Score",
    "Tiling",
    "WeightsFile",
    "read_card",
]

# The sha256 of a file that no page prints; `restore_cli.models.lock` remembers that of the first download.
UNPINNED = "unpinned"


# A name that leads out of no folder, on any system.
_PLAIN_NAME = re.compile(r"(?!\.{1,2}$)[^/\\:\x00-\x1f\x7f]+")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Evidence(str, Enum):
    """How well it is known that the file is where a card says."""

    SEEN = "seen"  # address and, where given, sha256 and size were read on a page about this very copy
    LISTED = "listed"  # address and size were read; no page prints a sha256
    COPY = "copy"  # the address was read; sha256 and size are those of the authors' own copy


@dataclass(frozen=True)
class WeightsFile:
    """The weights as a file.

    Attributes:
        name: without a folder.
        bytes: its exact size; 0 where no page prints it.
        sha256: hexadecimal, or 'unpinned'.
        about_bytes: its size as a page rounds it, where the exact one is not known.
        source: where size and sha256 were read.
    """

    name: str
    bytes: int = 0
    sha256: str = UNPINNED
    about_bytes: int = 0
    source: str = ""

    @property
    def pinned(self) -> bool:
        """Whether the card says what the content must be."""
        return self.sha256 != UNPINNED


@dataclass(frozen=True)
class HubLocation:
    """Where on the Hugging Face hub the file is. `repo_type` is 'model' or 'space'; `source` where that was read."""

    repo_id: str
    filename: str
    revision: str = "main"
    repo_type: str = "model"
    source: str = ""


@dataclass(frozen=True)
class Mirror:
    """Another place of the same file: `hf:owner/repo/path[@revision]` or an https address, and who says so."""

    address: str
    source: str = ""


@dataclass(frozen=True)
class Tiling:
    """How to tile this model: pixels of overlap that suffice, why, and where that was read.

    `local_statistics_px`: statistics of the whole picture are taken over windows of this size, as the published
    figure was made; `--local-statistics` overrides it.
    """

    overlap_px: int
    advice: str = ""
    source: str = ""
    local_statistics_px: int | None = None


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
        arch: id of `restore_cli.archs`; empty for an architecture that is recognised by its keys.
        network: name of that architecture, for people.
        config: constructor arguments of `arch`.
        scale: output pixels per input pixel.
        channels: 1 for grey, 3 for RGB.
        wne: run inside the normalization-equivariant wrapper, as it was trained.
        conditioning: 'blind', or the name of what must be given ('sigma_255', 'quality_factor').
        level: where there is a checkpoint a level: that of this one, in the unit of its task's conditioning; the
            id ends with it.
        precisions: those measured to be safe beside fp32.
        precision_advice: what is known of others, measured or not.
        requires: extra of this package without which it cannot be loaded.
        also: other tasks it can do.
        hub: where to download the file; none for an embedded model and for one that is not on the hub.
        mirrors: other places of the same file, in the order to try them.
        evidence: how well the places are known; None for an embedded model.
        notes: what one should know before trusting it.
        source: where scale, channels, network and the like were read.
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
    network: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    scale: int = 1
    channels: int = 3
    wne: bool = False
    conditioning: str = "blind"
    level: float | None = None
    precisions: tuple[str, ...] = ("fp32",)
    precision_advice: str = ""
    requires: str = ""
    also: tuple[str, ...] = ()
    hub: HubLocation | None = None
    mirrors: tuple[Mirror, ...] = ()
    evidence: Evidence | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    tiling: Tiling | None = None
    paper: str = ""
    scores: tuple[Score, ...] = ()
    rivals: tuple[Rival, ...] = ()

    @property
    def embedded(self) -> bool:
        """Whether the package carries the weights."""
        return self.hub is None and not self.mirrors

    @property
    def family(self) -> str:
        """What the ids of the checkpoints of all levels begin with; empty for a model of no such family."""
        return "" if self.level is None else self.id.removesuffix(f"-{self.level:g}")

    @property
    def tasks(self) -> tuple[str, ...]:
        """Its own task, those it can do besides, and those it is the default of."""
        others = (name for name, row in TASKS.items() if self.id in row.default_models.values())
        return tuple(dict.fromkeys((self.task, *self.also, *others)))


def read_card(path: Path) -> Card:
    """The card in `path`; raises RecipeError for an unknown or missing key, or a value no card can have."""
    table = read_toml(path)
    with suppress(ValueError, TypeError):  # what is no member, `from_table` refuses
        table |= {"evidence": Evidence(table["evidence"])} if "evidence" in table else {}
    card = from_table(Card, table, str(path))
    if not _PLAIN_NAME.fullmatch(card.file.name):
        raise RecipeError(f"{path}: '{card.file.name}' is no plain file name.", "Leave out folders.")
    if card.file.pinned and not _SHA256.fullmatch(card.file.sha256):
        raise RecipeError(f"{path}: '{card.file.sha256}' is no sha256.", f"Give 64 hexadecimal digits or '{UNPINNED}'.")
    if card.level is not None and (card.family == card.id or TASKS[card.task].conditioning is None):
        raise RecipeError(
            f"{path}: level = {card.level:g} of '{card.id}'.",
            "The id ends with the level, and the task has something to be told.",
        )
    if not set(card.also) <= set(TASKS):
        raise RecipeError(f"{path}: also = {list(card.also)} names no task.", f"Tasks: {', '.join(TASKS)}.")
    return card
