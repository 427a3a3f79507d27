"""The models that a user names, made ready; and for each picture the level, and the checkpoint, that suit it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from restore_cli.diagnosis.levels import with_estimate
from restore_cli.errors import RestoreError, UsageError
from restore_cli.inference.restorer import Observer, Restorer
from restore_cli.io.image import Image
from restore_cli.io.read import read_image
from restore_cli.models.build import average_models, build_model, weights_sha256
from restore_cli.models.download import Download, is_cached
from restore_cli.models.hub import Progress
from restore_cli.models.levels import any_member, family_conditioning, family_members, family_sha256, settle_level
from restore_cli.options import Hints, RunOptions
from restore_cli.tasks import Conditioning, Task

__all__ = ["Models", "Settled", "foreseen"]


@dataclass(frozen=True)
class Settled:
    """What takes one picture.

    Attributes:
        names: of the models, a checkpoint in the place of each family.
        restorer: of these.
        sha256: of their weights, joined by ' + '.
        hints: with every level the restorer must be told.
        said: what the user did not know, in a sentence or two; empty where nothing was estimated.
    """

    names: tuple[str, ...]
    restorer: Restorer
    sha256: str
    hints: Hints
    said: str


class Models:
    """The models that a user names: several are averaged, and of a family each picture gets the checkpoint it needs.

    Checkpoints are opened when a picture first needs them, and kept.

    Args:
        names: cards, files, hub addresses, or families of cards (`restore_cli.models.levels`).
        task: that they do.
        options: how they are run.
        observer: is told what happens while pictures are restored.
        scale: enlargement they must have; None takes their own.
        hints: what is known beforehand, and so tells which checkpoint of a family to open first.
        offline: never ask the network for a model.
        progress: makes the bar of a download.

    Attributes:
        names: as they were given.
        restorer: of the checkpoints opened first; those of a family differ in their weights alone.
        conditioning: what must be known of a picture.

    Raises:
        RestoreError: a model that is not there, is damaged or does not fit the task; a device that is not there.
    """

    def __init__(
        self,
        names: Sequence[str],
        task: Task,
        options: RunOptions | None = None,
        observer: Observer | None = None,
        *,
        scale: int | None = None,
        hints: Hints | None = None,
        offline: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.names = tuple(names)

        @cache
        def opened(names: tuple[str, ...]) -> tuple[Restorer, str]:
            models = [build_model(name, offline=offline, progress=progress, task=task.name) for name in names]
            model = models[0] if len(models) == 1 else average_models(models)
            task.check_scale(scale, model.network.scale, model.name)
            return Restorer(model, options, observer), " + ".join(weights_sha256(name) for name in names)

        self._opened = opened
        self._families = {name for name in self.names if family_members(name)}
        self.restorer, self._sha256 = opened(tuple(any_member(name, hints) for name in self.names))
        found = (self.restorer.needs, *map(family_conditioning, self.names))
        self.conditioning: tuple[Conditioning, ...] = tuple(dict.fromkeys(each for each in found if each is not None))
        if self.conditioning and task.input == "mosaic":
            raise UsageError(
                f"{' + '.join(self.names)} is for pictures of a known level of noise, not for mosaics.",
                "Colour denoisers that are told any level, such as drunet-color, demosaic.",
            )

    @property
    def sha256(self) -> str:
        """Of all weights that a picture may meet, whichever of them have been opened; joined by ' + '."""
        opened = self._sha256.split(" + ")
        return " + ".join(
            family_sha256(name) if name in self._families else digest
            for name, digest in zip(self.names, opened, strict=True)
        )

    def lacking(self, hints: Hints) -> tuple[Conditioning, ...]:
        """What is estimated of every picture because `hints` do not say it."""
        return tuple(each for each in self.conditioning if getattr(hints, each.name) is None)

    def settle(self, image: Image, hints: Hints, path: Path | None = None) -> Settled:
        """The restorer for one picture, and what it must be told.

        Args:
            image: the picture.
            hints: what the user knows of it.
            path: the file it was read from.

        Raises:
            InputError: a level must be known, and cannot be told from the picture.
            RestoreError: a checkpoint that is opened now is not there, or damaged.
        """
        said = []
        for needed in self.lacking(hints):
            hints, sentence = with_estimate(image, hints, needed, path)
            said.append(sentence)
        names = []
        for name in self.names:
            chosen, reservation = settle_level(name, hints) if name in self._families else (name, "")
            names.append(chosen)
            if said and chosen != name:
                said.append(reservation or f"{chosen} is nearest.")
        restorer, sha256 = self._opened(tuple(names))
        return Settled(tuple(names), restorer, sha256, hints, " ".join(said))


def foreseen(names: Sequence[str], hints: Hints, path: Path) -> Hints:
    """`hints` with the level of the picture in `path`, where that is what chooses among checkpoints not yet here.

    Of a picture that cannot be read or tells nothing, as they are: it fails when its turn comes.
    """
    for name in names:
        needed = family_conditioning(name)
        is_here = any(card.embedded or is_cached(Download.of(card)) for card in family_members(name))
        if needed is not None and not is_here:
            with suppress(RestoreError):
                hints, _ = with_estimate(read_image(path), hints, needed, path)
    return hints
