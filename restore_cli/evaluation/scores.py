"""`make scores`: measures the embedded models on the test sets and writes what it found.

The figures in cards and README come from here and from nowhere else. `--check` measures again and
fails when a written figure is off by more than 0.01 dB. Rows of models that are not measured, and of
checkpoints that are not at hand, stay as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from restore_cli.errors import RestoreError
from restore_cli.evaluation.benchmarks import Benchmark, Pixels, Restore, benchmarks
from restore_cli.evaluation.goals import goal_for, verdict
from restore_cli.evaluation.marked import write_part
from restore_cli.evaluation.protocol import PROTOCOLS, Scores
from restore_cli.evaluation.references import CHECKPOINTS, checkpoints_for, missing_checkpoints, quoted_for
from restore_cli.inference.inspect import as_batch
from restore_cli.inference.restorer import Restorer, load_model
from restore_cli.io.atomic import replacing
from restore_cli.models.card import Card, Score
from restore_cli.models.catalog import card_path, read_catalog
from restore_cli.tables import read_toml

__all__ = ["TABLE_START", "measure", "on_pixels", "readme_table", "score_pairs"]

TABLE_START, TABLE_END = "<!-- scores: written by `make scores` -->", "<!-- end of scores -->"
DRIFT_DB = 0.01
MEASURED, PUBLISHED = "measured", "published"


def measure(
    card: Card,
    test_dir: Path,
    checkpoints_dir: Path | None = None,
    say: Callable[[str], None] = lambda line: None,
    known: dict[tuple[str, ...], Score] | None = None,
) -> list[Score]:
    """Every figure of an embedded model, float32 on the CPU, each followed by those it is compared with.

    Args:
        card: of the model.
        test_dir: folder of the test sets.
        checkpoints_dir: folder of other people's checkpoints; those that are not there are left out.
        say: told each benchmark's outcome, what it is compared with, and whether the goal is reached.
        known: collects what was measured of others, so that the next model need not wait for it again.
    """
    model = on_pixels(load_model(card.id, device="cpu", precision="fp32", offline=True))
    known = {} if known is None else known
    found = []
    for benchmark in benchmarks(card, test_dir):
        ours = _score(benchmark, MEASURED, model, card.scale)
        others = _others(benchmark, card.scale, checkpoints_dir, known)
        found += [ours, *others]
        goal = goal_for(card, benchmark.task, ours)
        reached = f"; {verdict(goal, ours, others)} ({goal.describe()})" if goal else ""
        where = f"{card.id}, {benchmark.task}: {benchmark.dataset} {benchmark.condition}".strip()
        beside = "".join(f", {_beside(other)}" for other in others)
        say(f"{where}: {ours.psnr:.2f} dB, SSIM {ours.ssim}{beside}{reached}")
    return found


def _others(
    benchmark: Benchmark, scale: int, checkpoints_dir: Path | None, known: dict[tuple[str, ...], Score]
) -> list[Score]:
    where = (benchmark.task, benchmark.dataset, benchmark.condition)
    checkpoints = checkpoints_for(*where, scale, checkpoints_dir) if checkpoints_dir else {}
    found = []
    for name in (*benchmark.baselines, *checkpoints):
        key = (*where, str(scale), name)
        if key not in known:
            restore = benchmark.baselines.get(name) or _from_file(checkpoints[name])
            known[key] = _score(benchmark, name, restore, scale)
        found.append(known[key])
    return [*found, *quoted_for(*where, scale)]


def score_pairs(pairs: Iterable[tuple[Pixels, Pixels]], restore: Restore, task: str, scale: int = 1) -> list[Scores]:
    """The scores of `restore` on (degraded, clean) pictures, by the protocol of `task`."""
    protocol = PROTOCOLS[task]
    return [protocol.score(restore(degraded), clean, scale) for degraded, clean in pairs]


def on_pixels(restorer: Restorer) -> Restore:
    """A model on bare pixels; grey is repeated for a colour network, whose three answers are averaged."""

    def restore(pixels: Pixels) -> Pixels:
        result = restorer(as_batch(pixels, restorer.channels))[0].permute(1, 2, 0).numpy()
        return np.asarray(result.mean(axis=2, keepdims=True) if pixels.shape[2] < result.shape[2] else result)

    return restore


def readme_table(cards: Sequence[Card]) -> str:
    """The measured scores of the embedded models as Markdown, each beside what it is compared with."""
    rows = ["| model | test set | condition | PSNR, dB | SSIM | protocol | in comparison |", "|" + "---|" * 7]
    sources: dict[str, None] = {}
    for card in cards:
        for score in card.scores:
            if score.origin != MEASURED:
                continue
            others = [each for each in card.scores if each.origin != MEASURED and _where(each) == _where(score)]
            cells = (f"`{card.id}`", score.dataset, score.condition.split(",")[0], f"{score.psnr:.2f}")
            compared = ", ".join(_beside(each) for each in others)
            rows.append(f"| {' | '.join(cells)} | {score.ssim or 0:.4f} | {score.protocol} | {compared} |")
            sources |= dict.fromkeys(f"{each.origin}: {each.source}" for each in others if each.source)
    if sources:
        rows += ["", f"Quoted, not measured here: {'; '.join(sources)}."]
    return "\n".join(rows)


def _from_file(path: Path) -> Restore:
    return on_pixels(load_model(str(path), device="cpu", precision="fp32"))


def _score(benchmark: Benchmark, origin: str, restore: Restore, scale: int) -> Score:
    scores = score_pairs(benchmark.pairs(), restore, benchmark.task, scale)
    similarities = [each.ssim for each in scores if each.ssim is not None]
    return Score(
        protocol=benchmark.task,
        dataset=benchmark.dataset,
        origin=origin,
        psnr=round(statistics.fmean(each.psnr for each in scores), 3),
        ssim=round(statistics.fmean(similarities), 4),
        condition=benchmark.condition,
    )


def _beside(score: Score) -> str:
    return f"{score.origin} {score.psnr:.2f}{' (quoted)' if score.source else ''}"


def _where(score: Score) -> tuple[str, ...]:
    return score.protocol, score.dataset, score.condition


def _key(score: Score) -> tuple[str, ...]:
    return score.origin, *_where(score)


def _with_kept(card: Card, found: Sequence[Score], missing: set[str]) -> tuple[Score, ...]:
    """`found` and what nobody could measure now, in an order that does not tell which was written when."""
    kept = [score for score in card.scores if score.origin == PUBLISHED or score.origin in missing]
    places = list(dict.fromkeys(_where(score) for score in found))
    checkpoints = {each.name for each in CHECKPOINTS}

    def order(score: Score) -> tuple[int, ...]:
        place = places.index(_where(score)) if _where(score) in places else len(places)
        kinds = (score.origin == PUBLISHED, bool(score.source), score.origin in checkpoints, score.origin != MEASURED)
        return place, *kinds

    return tuple(sorted([*found, *kept], key=order))


def _drift(card: Card, found: Sequence[Score], missing: set[str]) -> list[str]:
    kept = {PUBLISHED, *missing}
    written = {_key(score): score.psnr for score in card.scores if score.origin not in kept}
    measured = {_key(score): score.psnr for score in found}
    complaints = []
    for key in sorted(written.keys() | measured.keys()):
        before, now = written.get(key), measured.get(key)
        if before is None or now is None or abs(before - now) > DRIFT_DB:
            complaints.append(f"{card.id}: {' '.join(key)}: card {before}, measured {now}")
    return complaints


def _write_card(card: Card, scores: Sequence[Score]) -> Card:
    import tomli_w

    path = card_path(card.id)
    table = read_toml(path) | {"scores": [_without_none(score) for score in scores]}
    with replacing(path, overwrite=True) as stream:
        stream.write(tomli_w.dumps(table).encode())
    return dataclasses.replace(card, scores=tuple(scores))


def _without_none(score: Score) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(score).items() if value not in (None, "")}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/test"), help="folder of the test sets")
    parser.add_argument(
        "--checkpoints", type=Path, default=Path("../shared/checkpoints"), help="folder of other people's checkpoints"
    )
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a drift over 0.01 dB")
    parser.add_argument("models", nargs="*", help="card ids; all embedded models if left out")
    options = parser.parse_args(arguments)
    cards = [card for card in read_catalog().values() if card.embedded]
    if unknown := set(options.models) - {card.id for card in cards}:
        parser.error(f"no embedded model is called {', '.join(sorted(unknown))}")
    missing = missing_checkpoints(options.checkpoints)
    known: dict[tuple[str, ...], Score] = {}
    complaints, done = [], []
    for card in cards:
        if options.models and card.id not in options.models:
            done.append(card)
            continue
        found = measure(card, options.data, options.checkpoints, functools.partial(print, flush=True), known)
        complaints += _drift(card, found, missing)
        done.append(card if options.check else _write_card(card, _with_kept(card, found, missing)))
    if options.check:
        sys.stdout.write("".join(f"drifted: {line}\n" for line in complaints) or "no drift\n")
        return 1 if complaints else 0
    table = readme_table(done)
    sys.stdout.write(f"\n{table}\n")
    write_part(options.readme, TABLE_START, TABLE_END, table)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RestoreError as failure:
        sys.exit(f"error: {failure}")
