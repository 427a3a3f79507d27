"""`restore bench batch`: does a folder of pictures keep the network busy."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import UsageError
from restore_cli.options import Hints, Precision, RunOptions

__all__ = ["EPILOG", "time_batch"]

EPILOG = "restore bench batch --files 16 --size 512 | restore bench batch -n nafnet-gopro-width64 --device cuda --json"
TOLD_SIGMA_255 = 25.0  # models that must be told; it does not change the work


def time_batch(
    model: Annotated[
        str, typer.Option("-n", "--model", help="Model name, file or hub address.")
    ] = "unet-denoise-color",
    files: Annotated[int, typer.Option(help="Pictures in the folder.", min=1)] = 16,
    size: Annotated[int, typer.Option(help="Side of a picture in pixels.", min=16)] = 512,
    batch: Annotated[int, typer.Option(help="Tiles taken together where that is tried.", min=1)] = 4,
    threads: Annotated[int, typer.Option(help="Threads of the CPU.", min=1)] = 2,
    rounds: Annotated[int, typer.Option(help="Timed rounds; their median counts.", min=1)] = 5,
    format: Annotated[str, typer.Option("-f", "--format", help="Of pictures and results.")] = "png",
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the network.")] = Precision.AUTO,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:n]|mps", help="Where it runs.")] = "auto",
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network for a model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Time a folder from disk to disk, and the bare network on the same tiles, in turns."""
    from restore_cli.batch.settings import Settings
    from restore_cli.batch.throughput import make_pictures, measure_throughput
    from restore_cli.evaluation.speed import limited_threads
    from restore_cli.io.formats import format_for
    from restore_cli.models.build import build_model

    display = Display(as_json=as_json)
    suffix = format_for(format).suffix
    network = build_model(model, offline=offline, progress=display.download).network
    if network.channels not in (1, 3):
        raise UsageError(f"{model} takes two views of a scene.", "Name a model of one.")
    settings = Settings(
        task="sr" if network.scale > 1 else "denoise",
        models=(model,),
        run=RunOptions(device, precision),
        hints=Hints(TOLD_SIGMA_255 if network.conditioning == "sigma" else None),
        offline=offline,
    )
    with tempfile.TemporaryDirectory(prefix="restore-") as folder, limited_threads(threads):
        pictures = make_pictures(Path(folder, "in"), files, size, suffix)
        measured = measure_throughput(settings, pictures, Path(folder, "out"), rounds, batch=batch)
    display.note(f"{rounds} rounds on {threads} threads, in turns; megapixels of input a second.")
    speeds = {
        "folder, disk to disk": measured.folder_seconds,
        "bare network": measured.network_seconds,
        f"bare network, {batch} tiles at once": measured.batched_seconds,
    }
    rows = [[name, *(f"{measured.megapixels / each:.3f}" for each in seconds)] for name, seconds in speeds.items()]
    display.table([f"{files} files, {measured.tiles} tiles", *(f"round {n + 1}" for n in range(rounds))], rows)
    display.data(f"share of the bare network's throughput: {measured.share:.3f}")
    bits = "the same" if measured.same_bits else "other"
    display.data(f"{batch} tiles at once are {measured.batch_gain:.2f} times as fast, with {bits} bits")
    facts = {"model": model, "size": size, "threads": threads}
    display.document(
        {**facts, **dataclasses.asdict(measured), "share": measured.share, "batch_gain": measured.batch_gain}
    )
