"""Everything a process, here or on another machine, must be told to restore pictures as the user asked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from restore_cli import __version__
from restore_cli.batch.work import Work
from restore_cli.errors import RecipeError
from restore_cli.evaluation.pairs import References
from restore_cli.inference.levels import Models
from restore_cli.inference.restorer import Observer
from restore_cli.io.digest import sha256_of
from restore_cli.models.hub import Progress
from restore_cli.options import Encoding, Existing, FinishOptions, Hints, RunOptions
from restore_cli.tasks import TASKS, Task

__all__ = ["NOT_IN_THE_FILE", "Settings"]

# What leaves a result the file it is.
NOT_IN_THE_FILE = ("existing", "reference", "offline", "sidecar")


@dataclass(frozen=True)
class Settings:
    """What is done to every file of a batch. Can be pickled, and written as JSON.

    Attributes:
        task: name of a row of `restore_cli.tasks`.
        models: names, files or hub addresses; several are averaged; none takes the task's defaults, with one of
            their own for grey pictures where the task has that.
        grey_model: for grey pictures, if not `models`.
        scale: enlargement asked for; None takes the model's.
        run, hints, finish, encoding: see `restore_cli.options`.
        existing: what to do with a result that is already there.
        reference: clean picture, or folder of them, to score against.
        offline: never ask the network for a model.
        provenance: write into every result how it was made, unless `encoding` strips it.
        sidecar: write that beside the result too.
    """

    task: str
    models: tuple[str, ...] = ()
    grey_model: str = ""
    scale: int | None = None
    run: RunOptions = field(default_factory=RunOptions)
    hints: Hints = field(default_factory=Hints)
    finish: FinishOptions = field(default_factory=FinishOptions)
    encoding: Encoding = field(default_factory=Encoding)
    existing: Existing = Existing.FAIL
    reference: Path | None = None
    offline: bool = False
    provenance: bool = True
    sidecar: bool = False

    @property
    def row(self) -> Task:
        """The task."""
        return TASKS[self.task]

    def model_names(self) -> tuple[str, ...]:
        """The models to use; raises UsageError or ModelNotFoundError if the task has no default for the scale."""
        return self.models or (self.row.default_model(self.scale),)

    def open(
        self, observer: Observer | None = None, progress: Progress | None = None, foreseen: Hints | None = None
    ) -> Work:
        """Models read, checked against task and hints, and made ready to run.

        Args:
            observer: is told what happens while pictures are restored.
            progress: makes the bar of a download.
            foreseen: what the first picture tells beside `hints`; of a family the checkpoint for it is opened.

        Raises:
            RestoreError: a model that is not there, is damaged or does not fit; a device that is not there.
        """
        row = self.row

        def opened(names: tuple[str, ...], scale: int | None) -> Models:
            facts: dict[str, Any] = {"hints": foreseen or self.hints, "offline": self.offline, "progress": progress}
            return Models(names, row, self.run, observer, scale=scale, **facts)

        models = opened(self.model_names(), self.scale)
        restorer = models.restorer
        restorer.check(self.hints, estimated=bool(models.lacking(self.hints)))
        grey_name = self.grey_model or ("" if self.models else row.grey_model)
        grey = opened((grey_name,), restorer.scale) if grey_name else None
        return Work(
            task=row,
            restorer=restorer,
            hints=self.hints,
            finish=self.finish,
            existing=self.existing,
            references=None if self.reference is None else References(self.reference),
            grey_restorer=None if grey is None else grey.restorer,
            encoding=self.encoding,
            settings=self,
            models=models,
            grey_models=grey,
            model_sha256=models.sha256,
            grey_model_sha256="" if grey is None else grey.sha256,
        )

    def digest(self, work: Work) -> str:
        """One name for all that decides what becomes of a picture: equal settings, equal digest.

        The tool's version, the weights, and every option that can change a sample of the result or what the file
        says beside it; masks and second views by content. Not the device: a batch that was begun on one may be
        resumed on another.

        Raises:
            OSError: a mask or second view that cannot be read any more.
        """
        facts = {name: value for name, value in self.as_json().items() if name not in NOT_IN_THE_FILE}
        del facts["run"]["device"], facts["grey_model"]  # the latter by its weights, below
        for part, name, path in (
            ("finish", "mask", self.finish.mask),
            ("hints", "second_view", self.hints.second_view),
        ):
            facts[part][name] = None if path is None else sha256_of(path)
        facts["models"] = [work.model_sha256, work.grey_model_sha256]
        facts |= {"scale": work.restorer.scale, "version": __version__}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """All of them as plain values; files by absolute name, so that it holds in any folder."""
        record: dict[str, Any] = _plain(dataclasses.asdict(self))
        record["models"] = [os.path.abspath(name) if os.path.isfile(name) else name for name in self.models]
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Settings:
        """What `as_json` gave; raises RecipeError for anything else."""
        settings: Settings = _rebuilt(cls, record, "settings")
        if settings.task not in TASKS:
            raise RecipeError(f"settings: unknown task '{settings.task}'.", f"Known: {', '.join(TASKS)}.")
        return settings


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever options hold
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return os.path.abspath(value) if isinstance(value, Path) else value


def _rebuilt(kind: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - of whichever type the field says
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        (other,) = (each for each in arguments if each is not type(None))
        return None if value is None else _rebuilt(other, value, where)
    try:
        if dataclasses.is_dataclass(kind):
            hints = typing.get_type_hints(kind)
            if unknown := sorted(set(value) - set(hints)):
                raise RecipeError(f"{where}: unknown {', '.join(unknown)}.", "Was it written by a newer version?")
            make: Any = kind
            return make(**{name: _rebuilt(hints[name], each, f"{where}.{name}") for name, each in value.items()})
        if origin is tuple:
            return tuple(_rebuilt(arguments[0], each, where) for each in value)
        if issubclass(kind, (Enum, Path)):
            return kind(value)
    except (AttributeError, TypeError, ValueError) as error:
        raise RecipeError(f"{where}: {value!r} is not what it should be.") from error
    numeric = kind is float and type(value) is int
    if type(value) is not kind and not numeric:
        raise RecipeError(f"{where}: expected {kind.__name__}, found {value!r}.")
    return float(value) if numeric else value
