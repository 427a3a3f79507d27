"""Claims shown at work, on networks small enough to train in minutes: two of the papers', one of ours.

    wne     a denoiser trained at one noise level, bare and inside the normalization-equivariant wrapper, on
            noise weaker and stronger than it has seen (the WNE paper's table of mismatch)
    norms   one SwinIR trained for equal steps with LayerNorm, with LayerNorm and its input scaled as i-LN's
            authors scale theirs, and with i-LN: PSNR, and the largest feature (the i-LN poster's figure)
    data    one network trained for equal steps on photographs of free terms, and on those and BSD400: what the
            embedded models lose by being free to use

Train the recipes first, `restore train shown-... --data DIR`; this measures the runs and writes tables and
plots into the folder of weights. `make shown` does all of it.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from restore_cli.degradations.resize import Bicubic
from restore_cli.errors import CheckpointError, RestoreError
from restore_cli.evaluation.conditions import gaussian_noise
from restore_cli.evaluation.marked import write_part
from restore_cli.evaluation.pixels import Pixels, Restore
from restore_cli.evaluation.scores import on_pixels, score_pairs
from restore_cli.inference.restorer import Restorer
from restore_cli.io.atomic import write_whole
from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from restore_cli.options import RunOptions
from restore_cli.training.config import Recipe, read_recipe
from restore_cli.training.corpus import read_corpus
from restore_cli.training.export import trained_model
from restore_cli.training.record import CHECKPOINT_NAME, LOG_NAME, LogRow, read_log

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DATA_RECIPES", "NORM_RECIPES", "WNE_RECIPES", "held_out", "mismatch", "mismatch_table", "norms_table"]

WNE_RECIPES = {"without WNE": "shown-wne-plain", "with WNE": "shown-wne-wrapped"}
NORM_RECIPES = {
    "LayerNorm": "shown-norm-layernorm",
    "LayerNorm, input scaled": "shown-norm-scaled",
    "i-LN": "shown-norm-iln",
}
DATA_RECIPES = {"photos": "shown-data-photos", "photos and bsd400": "shown-data-both"}
SIGMAS_255 = (5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 100)
TEST_SET = "Set12"
TABLE_ROWS = 6
CROP_PX = 480  # of the held-out photographs, whose skies would take most of the time


def mismatch(models: Mapping[str, Restore], clean: Sequence[Pixels], sigmas: Iterable[float]) -> dict[str, list[float]]:
    """Mean PSNR in dB over the pictures at each noise level, by model; the noisy pictures' own as 'input'.

    The noise is that of the denoising papers, see `conditions.gaussian_noise`; nothing is clipped or rounded.

    Args:
        models: by the name for the table.
        clean: pictures.
        sigmas: noise levels in 8-bit units.
    """
    restorers: dict[str, Restore] = {"input": lambda noisy: noisy, **models}
    found: dict[str, list[float]] = {name: [] for name in restorers}
    for sigma in sigmas:
        condition = gaussian_noise(sigma)
        pairs = [(condition.degrade(each, ""), each) for each in clean]
        for name, restore in restorers.items():
            found[name].append(statistics.fmean(each.psnr for each in score_pairs(pairs, restore, "denoise")))
    return found


def mismatch_table(sigmas: Sequence[float], psnr: Mapping[str, Sequence[float]]) -> str:
    """Markdown: a row a noise level, a column a model, dB."""
    rows = [("test noise, sigma", *psnr)]
    rows += [
        (f"{sigma:g}", *(f"{values[index]:.2f}" for values in psnr.values())) for index, sigma in enumerate(sigmas)
    ]
    return _markdown(rows)


def norms_table(logs: Mapping[str, Sequence[LogRow]], rows: int = TABLE_ROWS) -> str:
    """Markdown: PSNR and largest feature of each run at about `rows` of the steps that were logged, the last always.

    Raises:
        CheckpointError: the largest feature was not recorded.
    """
    cells = [("step", *(f"{name}: {what}" for name in logs for what in ("dB", "largest feature")))]
    moments = list(zip(*logs.values(), strict=True))
    stride = -(-len(moments) // rows)
    for moment in moments[(len(moments) - 1) % stride :: stride]:
        figures = [text for row in moment for text in (f"{row.validation_psnr:.2f}", f"{_largest(row):.1f}")]
        cells.append((str(moment[0].step), *figures))
    return _markdown(cells)


def _largest(row: LogRow) -> float:
    if row.largest_feature is None:
        raise CheckpointError("A run did not record the largest feature.", "Its recipe needs [log] features = true.")
    return row.largest_feature


def show_wne(runs: Path, test_dir: Path, weights: Path) -> None:
    """Measure the runs of WNE_RECIPES in `runs` on `TEST_SET` of `test_dir`; write into the folder `weights`."""
    models = {name: _restore(runs / recipe) for name, recipe in WNE_RECIPES.items()}
    clean = [read_image(path).pixels for path in find_pictures(test_dir / TEST_SET)]
    psnr = mismatch(models, clean, SIGMAS_255)
    text = (
        f"A small grey U-Net trained at sigma 25 alone, for equal steps; mean PSNR on {TEST_SET}, dB:\n\n"
        f"{mismatch_table(SIGMAS_255, psnr)}\n\n![PSNR over test noise](shown-wne.png)"
    )
    _write(weights, "wne", text, _plot_mismatch(SIGMAS_255, psnr))


def show_norms(runs: Path, weights: Path) -> None:
    """Read the logs of the runs of NORM_RECIPES in `runs`; write into the folder `weights`."""
    logs = {name: _finished(runs / recipe)[1] for name, recipe in NORM_RECIPES.items()}
    text = (
        "A small SwinIR (12 layers, x2) trained for equal steps on the same patches; PSNR on held-out training "
        "pictures in dB, and the largest absolute value that any layer hands on there:\n\n"
        f"{norms_table(logs)}\n\n![PSNR and largest feature over training](shown-norms.png)"
    )
    _write(weights, "norms", text, _plot_norms(logs))


def held_out(recipe: Recipe, folder: str, data_dir: Path) -> list[tuple[Pixels, Pixels]]:
    """(reduced, clean) pictures of `folder` that no run has trained on, at the recipe's scale; large ones' centres."""
    corpus = read_corpus(replace(recipe, data=replace(recipe.data, folders=(folder,), reductions=(1,))), data_dir)
    reduce, rng = Bicubic(recipe.scale), np.random.default_rng(0)
    pairs = []
    for scene in corpus.validation:
        top, left = (max(0, side - CROP_PX) // 2 for side in scene.clean.shape[:2])
        clean: Pixels = scene.clean[top : top + CROP_PX, left : left + CROP_PX].astype(np.float32)
        clean /= 255
        clean = clean[: clean.shape[0] // recipe.scale * recipe.scale, : clean.shape[1] // recipe.scale * recipe.scale]
        pairs.append((reduce(clean, rng), clean))
    return pairs


def show_data(runs: Path, train_dir: Path, weights: Path) -> None:
    """Measure the runs of DATA_RECIPES in `runs` on held-out pictures of `train_dir`; write into `weights`."""
    models = {name: _restore(runs / recipe) for name, recipe in DATA_RECIPES.items()}
    widest = read_recipe(Path(DATA_RECIPES["photos and bsd400"]))
    rows = [("held-out pictures of", *models, "difference")]
    for folder in widest.data.folders:
        pairs = held_out(widest, folder, train_dir)
        psnr = [
            statistics.fmean(each.psnr for each in score_pairs(pairs, model, "sr", widest.scale))
            for model in models.values()
        ]
        rows.append((f"{folder} ({len(pairs)})", *(f"{each:.2f}" for each in psnr), f"{psnr[0] - psnr[1]:+.2f}"))
    text = (
        f"The network of `resnet-sr-x4`, for equal steps ({widest.optimizer.steps}) on photographs of free terms or on "
        f"those and BSD400, whose terms are non-commercial; mean PSNR of Y in dB:\n\n{_markdown(rows)}"
    )
    _write(weights, "data", text)


def _finished(run: Path) -> tuple[Recipe, list[LogRow]]:
    """The recipe that the folder is named after, and the log; raises CheckpointError where steps are missing."""
    recipe = read_recipe(Path(run.name))
    rows = read_log(run / LOG_NAME)
    done = rows[-1].step if rows else 0
    if done != recipe.optimizer.steps:
        command = f"restore train {recipe.name} --data DIR -o {run}{' --resume' if done else ''}"
        raise CheckpointError(f"{run}: {done} of {recipe.optimizer.steps} steps are done.", f"First: {command}")
    return recipe, rows


def _restore(run: Path) -> Restore:
    recipe, _ = _finished(run)
    return on_pixels(Restorer(trained_model(recipe, run / CHECKPOINT_NAME), RunOptions("cpu")))


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _plot_mismatch(sigmas: Sequence[float], psnr: Mapping[str, Sequence[float]]) -> bytes:
    figure, (axes,) = _figure(1)
    for name, values in psnr.items():
        axes.plot(sigmas, values, marker=".", label=name, color="grey" if name == "input" else None)
    axes.axvline(25, color="black", linestyle=":", label="trained at")
    axes.set(xlabel="test noise, sigma in 8-bit units", ylabel=f"PSNR on {TEST_SET} (dB)")
    axes.legend()
    return _png(figure)


def _plot_norms(logs: Mapping[str, Sequence[LogRow]]) -> bytes:
    figure, (above, below) = _figure(2)
    for name, log in logs.items():
        steps = [row.step for row in log]
        above.plot(steps, [row.validation_psnr for row in log], marker=".", label=name)
        below.semilogy(steps, [_largest(row) for row in log], marker=".", label=name)
    above.set(ylabel="validation PSNR (dB)")
    above.legend()
    below.set(xlabel="step", ylabel="largest feature")
    return _png(figure)


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1 + 3 * panels), layout="constrained")
    places = list(figure.subplots(panels, sharex=True, squeeze=False)[:, 0])
    for axes in places:
        axes.grid(alpha=0.3)
    return figure, places


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    return stream.getvalue()


def _write(weights: Path, name: str, text: str, plot: bytes | None = None) -> None:
    if plot is not None:
        write_whole(weights / f"shown-{name}.png", plot, overwrite=True)
    start = f"<!-- shown, {name}: written by `make shown` -->"
    write_part(weights / "README.md", start, f"<!-- end of shown, {name} -->", text)
    sys.stdout.write(f"{text}\n")


def main(arguments: list[str] | None = None) -> int:
    """Measure and write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="?", choices=["wne", "norms", "data"], help="all if left out")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs, each named as its recipe")
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder that holds `test` and `train`"
    )
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="folder whose README.md is written")
    options = parser.parse_args(arguments)
    if options.which in (None, "wne"):
        show_wne(options.runs, options.data / "test", options.weights)
    if options.which in (None, "norms"):
        show_norms(options.runs, options.weights)
    if options.which in (None, "data"):
        show_data(options.runs, options.data / "train", options.weights)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RestoreError as failure:
        sys.exit(f"error: {failure}")
