"""Picture by picture: read, degrade, restore, score, keep. A bad picture never stops or hides the rest."""

from __future__ import annotations

import hashlib
import re
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from restore_cli.errors import InputError, OutputError, RestoreError
from restore_cli.evaluation.conditions import Condition
from restore_cli.evaluation.contestants import Contestant
from restore_cli.evaluation.journal import Journal, key_of
from restore_cli.evaluation.pairs import Pair
from restore_cli.evaluation.paper import alternative_scores
from restore_cli.evaluation.protocol import Protocol
from restore_cli.evaluation.results import Evaluation, Failure, PictureScore
from restore_cli.io.image import Image
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from restore_cli.models.digest import sha256_of
from restore_cli.tasks import Task

__all__ = ["Work", "evaluate"]

KEPT_SUFFIX = ".png"


@dataclass(frozen=True)
class Work:
    """What is done with every picture alike.

    Attributes:
        task: what the contestants do.
        protocol: scores them.
        scale: enlargement, for the protocol.
        conditions: every contestant meets each.
        contestants: of different names.
        more: metrics beside the protocol's own.
        made: the input is made from the references, and no file.
        restored: the sources are restored already, and nothing is run.
        explained: also score by the conventions of `paper`.
        keep: folder for pictures; None keeps none.
        journal: of what is done already, and will be.
    """

    task: Task
    protocol: Protocol
    scale: int
    conditions: tuple[Condition, ...]
    contestants: tuple[Contestant, ...]
    more: tuple[str, ...] = ()
    made: bool = False
    restored: bool = False
    explained: bool = False
    keep: Path | None = None
    journal: Journal | None = None


@dataclass
class Findings:
    """What `evaluate` has found so far: whole at any moment, so that an interrupt loses nothing."""

    rows: list[PictureScore] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)  # in order, each once

    def as_evaluation(self, work: Work, notes: tuple[str, ...] = ()) -> Evaluation:
        """For tables and reports, `notes` first."""
        return Evaluation(
            task=work.task.name,
            protocol=work.protocol,
            scale=work.scale,
            models=tuple(each.name for each in work.contestants),
            conditions=tuple(each.name for each in work.conditions),
            rows=tuple(self.rows),
            failures=tuple(self.failures),
            notes=(*notes, *self.notes),
        )


def evaluate(
    pairs: tuple[Pair, ...], work: Work, findings: Findings, on_start: Callable[[Pair], None] = lambda pair: None
) -> Iterator[Pair]:
    """Score every picture, one in memory at a time; each is yielded when its scores are in `findings`.

    Raises:
        OutputError: pictures or journal cannot be written, so that going on makes no sense.
    """
    for pair in pairs:
        on_start(pair)
        try:
            _score_picture(pair, work, findings)
        except OutputError:
            raise
        except RestoreError as error:
            findings.failures.append(Failure(pair.picture, "", "", error.message, error.hint))
        yield pair


def _score_picture(pair: Pair, work: Work, findings: Findings) -> None:
    source, reference = _read(pair, findings.notes)
    keys = _keys(pair, work)
    for condition in work.conditions:
        degraded: tuple[Image, Path | None] | None = None
        for contestant in work.contestants:
            key = keys.get((condition.name, contestant.name), "")
            done = _recorded(key, pair, condition, contestant, work)
            if done is not None:
                findings.rows.append(done)
                continue
            with _kept_going(pair, condition, contestant, findings):
                degraded = degraded or _degrade(pair, source, condition, work)
                row = _score(pair, degraded, reference, condition, contestant, work)
                _record(key, row, work)
                findings.rows.append(row)


@contextmanager
def _kept_going(pair: Pair, condition: Condition, contestant: Contestant, findings: Findings) -> Iterator[None]:
    """Whatever goes wrong with this picture, the others have their turn. A full disk is another matter."""
    trace = ""
    try:
        yield
        return
    except OutputError:
        raise
    except RestoreError as error:
        message, hint = error.message, error.hint
    except MemoryError:
        message, hint = f"{pair.source}: not enough memory.", "Close other programs or cut the picture up."
    except Exception as error:
        message = f"{pair.source}: internal error ({type(error).__name__}: {error})."
        hint, trace = "Please report it with the trace below.", traceback.format_exc()
    findings.failures.append(Failure(pair.picture, contestant.name, condition.name, message, hint, trace))


def _read(pair: Pair, notes: dict[str, None]) -> tuple[Image, Image]:
    """Source and reference, after refusing what cannot be compared."""
    source = read_image(pair.source)
    reference = source if pair.source == pair.reference else read_image(pair.reference)
    if source.has_transparency != reference.has_transparency:
        has, lacks = (pair.source, pair.reference) if source.has_transparency else (pair.reference, pair.source)
        raise InputError(f"{has} has transparency, {lacks} has none.", "Flatten the one, or take the other's original.")
    if source.has_transparency:
        notes["Of pictures with transparency the colours alone were scored, unseen ones too."] = None
    if source.bit_depth != reference.bit_depth:
        depths = f"{source.bit_depth} bits were scored against references of {reference.bit_depth}"
        notes[f"Pictures of {depths}, both as values in [0, 1]."] = None
    return source, reference


def _degrade(pair: Pair, source: Image, condition: Condition, work: Work) -> tuple[Image, Path | None]:
    """The input, and its file."""
    if not work.made:
        return source, None if work.restored else pair.source
    pixels = condition.degrade(source.pixels, pair.source.stem)
    profile = source.icc_profile if pixels.shape[2] == source.pixels.shape[2] else None
    degraded = replace(source.with_pixels(np.ascontiguousarray(pixels)), icc_profile=profile)
    return degraded, _keep(degraded, work, "degraded", condition.name, pair.picture)


def _score(
    pair: Pair,
    degraded: tuple[Image, Path | None],
    reference: Image,
    condition: Condition,
    contestant: Contestant,
    work: Work,
) -> PictureScore:
    image, file = degraded
    with _about(pair):
        size = (image.height * contestant.scale, image.width * contestant.scale)
        work.protocol.check_sizes(size, (reference.height, reference.width), work.scale)
        started = time.perf_counter()
        restored = contestant.restore(image, condition)
        seconds = time.perf_counter() - started
        scores = work.protocol.score(restored.pixels, reference.pixels, work.scale, work.more)
    alternatives: dict[str, float] = {}
    if work.explained:
        alternatives = alternative_scores(restored.pixels, reference.pixels, work.protocol, work.scale)
    kept = pair.source if work.restored else _keep(restored, work, "restored", condition.name, pair.picture, contestant)
    return PictureScore(
        picture=pair.picture,
        model=contestant.name,
        condition=condition.name,
        scores=scores.values,
        seconds=None if work.restored else seconds,
        degraded=file,
        restored=kept,
        reference=pair.reference,
        alternatives=alternatives,
    )


def _keep(
    image: Image, work: Work, kind: str, condition: str, picture: str, contestant: Contestant | None = None
) -> Path | None:
    """`image` as a file, clipped and rounded as any; None where none is kept."""
    if work.keep is None:
        return None
    folders = [_file_name(condition)] if condition else []
    folders += [_own_file_name(contestant.name)] if contestant else []
    path = work.keep.joinpath(kind, *folders, picture + KEPT_SUFFIX)
    write_image(image, path, overwrite=True)
    return path


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", text).strip("_.") or "_"


def _own_file_name(text: str) -> str:
    """Unlike any other text's, as those of a/net.pth and a_net.pth must be."""
    name = _file_name(text)
    return name if name == text else f"{name}-{hashlib.sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"


@contextmanager
def _about(pair: Pair) -> Iterator[None]:
    """Deeper code knows what went wrong, but not with which file."""
    try:
        yield
    except RestoreError as error:
        against = "" if pair.source == pair.reference else f" against {pair.reference}"
        raise type(error)(f"{pair.source}{against}: {error.message}", error.hint) from error


def _keys(pair: Pair, work: Work) -> dict[tuple[str, str], str]:
    """Of the journal, by condition and contestant; none without a journal."""
    if work.journal is None:
        return {}
    facts: dict[str, Any] = {
        "picture": pair.picture,
        "stem": pair.source.stem,  # the chance in a recipe follows from it
        "protocol": work.protocol.as_record(work.scale),
        "more": work.more,
        "explained": work.explained,
    }
    for name, path in (("source", pair.source), ("reference", pair.reference)):
        try:
            facts[name] = sha256_of(path)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    return {
        (condition.name, contestant.name): key_of(
            **facts, name=condition.name, how=condition.how, model=contestant.name, identity=contestant.identity
        )
        for condition in work.conditions
        for contestant in work.contestants
    }


def _recorded(key: str, pair: Pair, condition: Condition, contestant: Contestant, work: Work) -> PictureScore | None:
    """What an earlier run found, if its pictures are still as it left them."""
    record = work.journal.find(key) if work.journal is not None else None
    if record is None or work.keep is None:
        return None
    files: dict[str, Path] = {}
    for kind, (name, digest) in record["files"].items():
        files[kind] = work.keep / name
        try:
            if sha256_of(files[kind]) != digest:
                return None
        except OSError:
            return None
    return PictureScore(
        picture=pair.picture,
        model=contestant.name,
        condition=condition.name,
        scores=record["scores"],
        seconds=record["seconds"],
        degraded=files.get("degraded", pair.source),
        restored=files["restored"],
        reference=pair.reference,
        alternatives=record["alternatives"],
    )


def _record(key: str, row: PictureScore, work: Work) -> None:
    if work.journal is None or work.keep is None:
        return
    kept = {"degraded": row.degraded, "restored": row.restored}
    work.journal.add(
        key,
        {
            "picture": row.picture,
            "model": row.model,
            "condition": row.condition,
            "scores": row.scores,
            "seconds": row.seconds,
            "alternatives": row.alternatives,
            "files": {
                kind: (path.relative_to(work.keep).as_posix(), sha256_of(path))
                for kind, path in kept.items()
                if path is not None and path.is_relative_to(work.keep)
            },
        },
    )
