"""`make scores`: measures the embedded models on the test sets and writes what it found.

The figures in cards and README come from here and from nowhere else. `--check` measures again and
fails when a written figure is off by more than 0.01 dB.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from restore_cli.errors import RestoreError
from restore_cli.evaluation.benchmarks import Benchmark, Pixels, Restore, benchmarks
from restore_cli.evaluation.goals import goal_for, verdict
from restore_cli.evaluation.protocol import PROTOCOLS, Scores
from restore_cli.inference.inspect import as_batch
from restore_cli.inference.restorer import Restorer, load_model
from restore_cli.models.card import Card, Score
from restore_cli.models.catalog import card_path, read_catalog
from restore_cli.tables import read_toml
from restore_cli.tasks import TASKS

__all__ = ["TABLE_START", "measure", "readme_table", "score_pairs"]

TABLE_START, TABLE_END = "<!-- scores: written by `make scores` -->", "<!-- end of scores -->"
DRIFT_DB = 0.01
MEASURED, PUBLISHED = "measured", "published"


def measure(card: Card, test_dir: Path, say: Callable[[str], None] = lambda line: None) -> list[Score]:
    """Every figure of an embedded model, float32 on the CPU, and its baselines' on the same pictures.

    Args:
        card: of the model.
        test_dir: folder of the test sets.
        say: told each benchmark's outcome, and whether the goal is reached.
    """
    model = _plain(load_model(card.id, device="cpu", precision="fp32", offline=True))
    found = []
    for benchmark in benchmarks(card, test_dir):
        ours, *others = (
            _as_score(benchmark, origin, score_pairs(benchmark.pairs(), restore, benchmark.task, card.scale))
            for origin, restore in {MEASURED: model, **benchmark.baselines}.items()
        )
        found += [ours, *others]
        goal = goal_for(benchmark.task, ours, card.scale)
        reached = f"; {verdict(goal, ours, others)} ({goal.describe()})" if goal else ""
        beside = "".join(f", {other.origin} {other.psnr:.2f}" for other in others)
        where = f"{card.id}, {benchmark.task}: {benchmark.dataset} {benchmark.condition}".strip()
        say(f"{where}: {ours.psnr:.2f} dB, SSIM {ours.ssim}{beside}{reached}")
    return found


def score_pairs(pairs: Iterable[tuple[Pixels, Pixels]], restore: Restore, task: str, scale: int = 1) -> list[Scores]:
    """The scores of `restore` on (degraded, clean) pictures, by the protocol of `task`."""
    protocol = PROTOCOLS[TASKS[task].protocol]
    return [protocol.score(restore(degraded), clean, scale) for degraded, clean in pairs]


def readme_table(cards: list[Card]) -> str:
    """The measured scores of the embedded models as Markdown, each beside its baselines'."""
    rows = ["| model | test set | condition | PSNR, dB | SSIM | protocol | in comparison |", "|" + "---|" * 7]
    for card in cards:
        others: dict[tuple[str, ...], list[str]] = {}
        for score in card.scores:
            others.setdefault(_key(score)[1:], []).append(f"{score.origin} {score.psnr:.2f}")
        for score in card.scores:
            if score.origin == MEASURED:
                compared = ", ".join(each for each in others[_key(score)[1:]] if not each.startswith(MEASURED))
                cells = (f"`{card.id}`", score.dataset, score.condition.split(",")[0], f"{score.psnr:.2f}")
                rows.append(f"| {' | '.join(cells)} | {score.ssim or 0:.4f} | {score.protocol} | {compared} |")
    return "\n".join(rows)


def _plain(restorer: Restorer) -> Restore:
    def restore(pixels: Pixels) -> Pixels:
        # Grey is repeated for a colour network, whose three answers are averaged, as the product does.
        result = restorer(as_batch(pixels, restorer.channels))[0].permute(1, 2, 0).numpy()
        return np.asarray(result.mean(axis=2, keepdims=True) if pixels.shape[2] < result.shape[2] else result)

    return restore


def _as_score(benchmark: Benchmark, origin: str, scores: list[Scores]) -> Score:
    similarities = [each.ssim for each in scores if each.ssim is not None]
    return Score(
        protocol=TASKS[benchmark.task].protocol,
        dataset=benchmark.dataset,
        origin=origin,
        psnr=round(statistics.fmean(each.psnr for each in scores), 3),
        ssim=round(statistics.fmean(similarities), 4),
        condition=benchmark.condition,
    )


def _drift(card: Card, found: list[Score]) -> list[str]:
    written = {_key(score): score.psnr for score in card.scores if score.origin != PUBLISHED}
    measured = {_key(score): score.psnr for score in found}
    complaints = []
    for key in sorted(written.keys() | measured.keys()):
        before, now = written.get(key), measured.get(key)
        if before is None or now is None or abs(before - now) > DRIFT_DB:
            complaints.append(f"{card.id}: {' '.join(key)}: card {before}, measured {now}")
    return complaints


def _key(score: Score) -> tuple[str, ...]:
    return score.origin, score.protocol, score.dataset, score.condition


def _write_card(card: Card, found: list[Score]) -> Card:
    import tomli_w

    kept = [score for score in card.scores if score.origin == PUBLISHED]
    path = card_path(card.id)
    table = read_toml(path) | {"scores": [_without_none(score) for score in (*found, *kept)]}
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    return dataclasses.replace(card, scores=(*found, *kept))


def _without_none(score: Score) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(score).items() if value not in (None, "")}


def _write_readme(readme: Path, table: str) -> None:
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    readme.write_text(f"{before}{TABLE_START}\n{table}\n{TABLE_END}{after}", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/test"), help="folder of the test sets")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a drift over 0.01 dB")
    parser.add_argument("models", nargs="*", help="card ids; all embedded models if left out")
    options = parser.parse_args(arguments)
    cards = [card for card in read_catalog().values() if card.embedded]
    if unknown := set(options.models) - {card.id for card in cards}:
        parser.error(f"no embedded model is called {', '.join(sorted(unknown))}")
    complaints, done = [], []
    for card in cards:
        if options.models and card.id not in options.models:
            done.append(card)
            continue
        found = measure(card, options.data, functools.partial(print, flush=True))
        complaints += _drift(card, found)
        done.append(card if options.check else _write_card(card, found))
    if options.check:
        sys.stdout.write("".join(f"drifted: {line}\n" for line in complaints) or "no drift\n")
        return 1 if complaints else 0
    _write_readme(options.readme, readme_table(done))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RestoreError as failure:
        sys.exit(f"error: {failure}")
