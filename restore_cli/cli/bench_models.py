"""`restore bench models`: how fast the models are on this machine, beside how good they are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.options import Precision, RunOptions

if TYPE_CHECKING:
    from restore_cli.models.card import Score

__all__ = ["EPILOG", "time_models"]

EPILOG = "restore bench models -n resnet-sr-x4 --reference craft_x4.pth | restore bench models --threads 4 --json"


def time_models(
    models: Annotated[
        list[str] | None,
        typer.Option("-n", "--model", help="Model name, file or hub address; may be repeated. [all embedded ones]"),
    ] = None,
    reference: Annotated[str | None, typer.Option(help="Another model, which the others are compared with.")] = None,
    size: Annotated[int, typer.Option(help="Side of the restored picture in pixels.", min=16)] = 512,
    threads: Annotated[int, typer.Option(help="Threads of the CPU.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(help="Timed runs of each model; their median counts.", min=1)] = 5,
    precision: Annotated[Precision, typer.Option(help="Arithmetic of all networks.")] = Precision.FP32,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:n]|mps", help="Where they run.")] = "cpu",
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network for a model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Time models in turns on a picture of one size; print seconds a megapixel, and the PSNR that cards state."""
    from restore_cli.evaluation.speed import limited_threads, measure_speeds, score_of
    from restore_cli.inference.restorer import Restorer
    from restore_cli.models.build import build_model
    from restore_cli.models.catalog import read_catalog

    display = Display(quiet=quiet, as_json=as_json)
    cards = read_catalog().values()
    names = models or [card.id for card in cards if card.embedded]
    if reference is not None:
        names = [*(name for name in names if name != reference), reference]  # the last row
    options = RunOptions(device, precision)
    built = [build_model(name, offline=offline, progress=display.download) for name in names]
    restorers = [Restorer(model, options, display) for model in built]

    def on_run(model: str) -> None:
        display.file_finished()
        display.file_started(model)

    with limited_threads(threads), display.batch(total=len(restorers) * (rounds + 1)):
        speeds = measure_speeds(restorers, size, rounds, on_run=on_run)

    header = ["model", "output", "precision", "seconds", "a megapixel", "PSNR"]
    rows, records = [], []
    for model, speed in zip(built, speeds, strict=True):
        score = score_of(model, cards)
        ratio = None if reference is None else speed.times_as_fast(speeds[-1])
        rows.append(
            [
                speed.model,
                f"{speed.output_width}x{speed.output_height}",
                speed.precision,
                f"{speed.median_seconds:.3f}",
                f"{speed.seconds_per_megapixel:.2f}",
                "-" if score is None else _score_text(score),
                *([] if ratio is None else [f"{ratio:.2f}"]),
            ]
        )
        records.append(
            {
                **dataclasses.asdict(speed),
                "threads": threads,
                "median_seconds": speed.median_seconds,
                "seconds_per_megapixel": speed.seconds_per_megapixel,
                "times_as_fast_as_reference": ratio,
                "score": None if score is None else dataclasses.asdict(score),
            }
        )
    display.note(f"{rounds} runs of each on {threads} threads; medians; a megapixel is a million pixels of the result.")
    display.table(header if reference is None else [*header, f"times as fast as {speeds[-1].model}"], rows)
    display.document(records)


def _score_text(score: Score) -> str:
    where = " ".join(filter(None, (score.dataset, score.condition.split(",")[0])))
    return f"{score.psnr:.2f} dB on {where} (protocol {score.protocol})"
