"""What a batch does to every file alike, and what became of one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore_cli.batch.manifest import Manifest
from restore_cli.batch.plan import Job
from restore_cli.evaluation.pairs import References
from restore_cli.evaluation.protocol import PROTOCOLS, Protocol, Scores
from restore_cli.inference.levels import Models
from restore_cli.inference.restorer import Restorer
from restore_cli.io.image import Image
from restore_cli.io.provenance import Provenance
from restore_cli.options import Encoding, Existing, FinishOptions, Hints
from restore_cli.tasks import Conditioning, Task

if TYPE_CHECKING:
    from restore_cli.batch.settings import Settings

__all__ = ["Outcome", "Work"]


@dataclass(frozen=True)
class Work:
    """What is done to every file alike, models included. `Settings.open` makes it.

    Attributes:
        grey_restorer: takes the grey pictures, if they have a model of their own; of the same scale.
        settings: what it was made from; None for one put together by hand, which leaves no provenance.
        models, grey_models: that `restorer` and `grey_restorer` are of; None for those put together by hand, which must
            be told everything.
        model_sha256, grey_model_sha256: of the weights; of averaged models joined by ' + '.
        manifest: is told what is begun and done, and asked what was done before.
        repeats: the record of an earlier run, which this one repeats.
    """

    task: Task
    restorer: Restorer
    hints: Hints
    finish: FinishOptions
    existing: Existing = Existing.FAIL
    references: References | None = None
    grey_restorer: Restorer | None = None
    encoding: Encoding = field(default_factory=Encoding)
    settings: Settings | None = None
    models: Models | None = None
    grey_models: Models | None = None
    model_sha256: str = ""
    grey_model_sha256: str = ""
    manifest: Manifest | None = None
    repeats: Provenance | None = None

    @property
    def estimated(self) -> tuple[Conditioning, ...]:
        """What is estimated of pictures because models must be told and the user does not say it."""
        both = [models.lacking(self.hints) for models in (self.models, self.grey_models) if models is not None]
        return tuple(dict.fromkeys(chain(*both)))

    def at_its_level(self, image: Image, path: Path) -> tuple[Work, str]:
        """The same for one picture, with the level and the checkpoint that suit it; and in words what was found out.

        Raises:
            InputError: a level must be known, and cannot be told from the picture.
            RestoreError: its checkpoint is not there, or damaged.
        """
        grey = self.grey_restorer is not None and image.is_grey
        models = self.grey_models if grey else self.models
        if models is None:
            return self, ""
        settled = models.settle(image, self.hints, path)
        if not settled.said and settled.names == models.names:
            return self, ""
        settings = self.settings
        if settings is not None:
            # By name, so that the record names the checkpoint that took this picture.
            names = settled.names if settings.models and not grey else settings.models
            settings = replace(settings, models=names, hints=settled.hints)
        here = replace(self, hints=settled.hints, settings=settings)
        if grey:
            return replace(here, grey_restorer=settled.restorer, grey_model_sha256=settled.sha256), settled.said
        return replace(here, restorer=settled.restorer, model_sha256=settled.sha256), settled.said

    @property
    def protocol(self) -> Protocol:
        """How results are scored."""
        return PROTOCOLS[self.task.name]


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Attributes:
        status: 'done', 'skipped' or 'failed'.
        message, hint: of a failure; of what was skipped, why; of a result, what is lacking in it.
        size: (width, height) of the result.
        seconds: of work, from opening the input to the finished file, without waiting for others.
        input_sha256: of the file that was read.
        bytes: of the result's file.
        scores: against the reference, when there is one.
        trace: of a failure that is our bug.
    """

    job: Job
    status: str
    message: str = ""
    hint: str = ""
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    input_sha256: str = ""
    bytes: int = 0
    scores: Scores | None = None
    trace: str = ""

    def as_record(self) -> dict[str, Any]:
        """For JSON; what does not apply is left out."""
        record: dict[str, Any] = {
            "input": str(self.job.source.path),
            "output": str(self.job.target),
            "status": self.status,
        }
        if self.message:
            record["message"] = self.message
        if self.status == "failed":
            record["hint"] = self.hint
        if self.size is not None:
            record |= {"width": self.size[0], "height": self.size[1], "seconds": round(self.seconds, 3)}
        if self.input_sha256:
            record["input_sha256"] = self.input_sha256
        if self.scores is not None:
            record |= self.scores.values
        return record
