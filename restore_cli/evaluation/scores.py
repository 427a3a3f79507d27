"""`make scores`: measures the embedded models on the test sets and writes what it found.

The figures in cards and README come from here and from nowhere else. `--check` measures again and
fails when a written figure is off by more than 0.01 dB.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import InputError, RestoreError
from restore_cli.evaluation.pairs import References
from restore_cli.evaluation.protocol import PROTOCOLS, Scores
from restore_cli.inference.inspect import as_batch
from restore_cli.inference.restorer import Restorer, load_model
from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from restore_cli.models.card import Card, Score
from restore_cli.models.catalog import card_path, read_catalog
from restore_cli.tables import read_toml
from restore_cli.tasks import TASKS

__all__ = ["TABLE_START", "measure", "readme_table", "score_pairs"]

TABLE_START, TABLE_END = "<!-- scores: written by `make scores` -->", "<!-- end of scores -->"
DRIFT_DB = 0.01
SR_SETS = ("Set5", "Set14")
DENOISING_SETS = {3: "CBSD68", 1: "Set12"}
SIGMAS_255 = (15, 25, 50)
MEASURED, PUBLISHED = "measured", "published"

Pixels = NDArray[np.float32]
Restore = Callable[[Pixels], Pixels]
Pairs = Iterator[tuple[Pixels, Pixels]]  # degraded, clean


def measure(card: Card, test_dir: Path) -> list[Score]:
    """Every figure of an embedded model, float32 on the CPU, and its baseline's on the same pictures."""
    model = _plain(load_model(card.id, device="cpu", precision="fp32", offline=True))
    scores = []
    for dataset, condition, baseline, make_pairs in _benchmarks(card, test_dir):
        for origin, restore in ((MEASURED, model), baseline):
            scores.append(_as_score(card, dataset, condition, origin, score_pairs(make_pairs(), restore, card)))
    return scores


def _benchmarks(card: Card, test_dir: Path) -> Iterator[tuple[str, str, tuple[str, Restore], Callable[[], Pairs]]]:
    """(test set, condition, named baseline, maker of pairs) for each figure of `card`."""
    if card.task == "sr":
        for name in SR_SETS:
            # Set14 comes at x4 only; a set that is not there at all is an error.
            if (_existing(test_dir / name) / "LR_bicubic" / f"X{card.scale}").is_dir():
                yield name, "", ("bicubic", bicubic(card.scale)), partial(_sr_pairs, test_dir / name, card.scale)
    elif card.task == "denoise":
        name = DENOISING_SETS[card.channels]
        for sigma in SIGMAS_255:
            condition = f"sigma {sigma}, numpy RandomState(0) per picture, not clipped"
            yield name, condition, ("input", lambda noisy: noisy), partial(_noisy_pairs, test_dir / name, sigma)
    else:
        raise RestoreError(f"No test sets are set up for '{card.task}'.")


def score_pairs(pairs: Pairs, restore: Restore, card: Card) -> list[Scores]:
    """The scores of `restore` on (degraded, clean) pictures, by the protocol of the card's task."""
    protocol = PROTOCOLS[TASKS[card.task].protocol]
    return [protocol.score(restore(degraded), clean, card.scale) for degraded, clean in pairs]


def bicubic(scale: int) -> Restore:
    """The baseline of super-resolution: MATLAB's bicubic enlargement."""
    return lambda pixels: resize_bicubic(pixels, (pixels.shape[0] * scale, pixels.shape[1] * scale))


def readme_table(cards: list[Card]) -> str:
    """The measured scores of the embedded models as Markdown."""
    rows = ["| model | test set | condition | PSNR, dB | SSIM | protocol |", "|---|---|---|---|---|---|"]
    for card in cards:
        for score in card.scores:
            if score.origin != PUBLISHED:
                ssim = "" if score.ssim is None else f"{score.ssim:.4f}"
                condition = score.condition.split(",")[0]
                name = f"`{card.id}`" if score.origin == MEASURED else score.origin
                rows.append(
                    f"| {name} | {score.dataset} | {condition} | {score.psnr:.2f} | {ssim} | {score.protocol} |"
                )
    return "\n".join(rows)


def _plain(restorer: Restorer) -> Restore:
    def restore(pixels: Pixels) -> Pixels:
        # Grey is repeated for a colour network: Set14 holds a grey picture.
        return np.asarray(restorer(as_batch(pixels, restorer.channels))[0].permute(1, 2, 0).numpy())

    return restore


def _sr_pairs(folder: Path, scale: int) -> Pairs:
    references = References(_existing(folder / "HR"))
    for path in find_pictures(_existing(folder / "LR_bicubic" / f"X{scale}")):
        yield read_image(path).pixels, read_image(references.find(path)).pixels


def _noisy_pairs(folder: Path, sigma_255: float) -> Pairs:
    for path in find_pictures(_existing(folder)):
        clean = read_image(path).pixels
        noise = np.random.RandomState(0).normal(0, sigma_255 / 255, clean.shape)
        yield (clean + noise).astype(np.float32), clean


def _as_score(card: Card, dataset: str, condition: str, origin: str, scores: list[Scores]) -> Score:
    similarities = [each.ssim for each in scores if each.ssim is not None]
    return Score(
        protocol=TASKS[card.task].protocol,
        dataset=dataset,
        origin=origin,
        psnr=round(statistics.fmean(each.psnr for each in scores), 3),
        ssim=round(statistics.fmean(similarities), 4),
        condition=condition,
    )


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.", "Name the folder of test sets with --data.")
    return folder


def _drift(card: Card, found: list[Score]) -> list[str]:
    written = {_key(score): score.psnr for score in card.scores if score.origin != PUBLISHED}
    measured = {_key(score): score.psnr for score in found}
    complaints = []
    for key in sorted(written.keys() | measured.keys()):
        before, now = written.get(key), measured.get(key)
        if before is None or now is None or abs(before - now) > DRIFT_DB:
            complaints.append(f"{card.id}: {' '.join(key)}: card {before}, measured {now}")
    return complaints


def _key(score: Score) -> tuple[str, str, str]:
    return score.origin, score.dataset, score.condition


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
        found = measure(card, options.data)
        complaints += _drift(card, found)
        done.append(card if options.check else _write_card(card, found))
        for score in found:
            what = f"{card.id} ({score.origin}): {score.dataset} {score.condition}"
            sys.stdout.write(f"{what}: {score.psnr:.2f} dB, SSIM {score.ssim}\n")
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
