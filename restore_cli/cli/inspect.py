"""`restore inspect`: a look inside a network, for researchers."""

from __future__ import annotations

import csv
from dataclasses import asdict
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import OutputError
from restore_cli.io.atomic import write_whole
from restore_cli.options import Precision, RunOptions

if TYPE_CHECKING:
    from restore_cli.inference.inspect import BlockStatistics

__all__ = ["EPILOG", "inspect_network"]

EPILOG = "restore inspect in.png -n model.safetensors --plot features.png --csv features.csv"


def inspect_network(
    picture: Annotated[Path, typer.Argument(help="The picture to run through it.")],
    model: Annotated[str, typer.Option("-n", "--model", help="Model name, checkpoint file or hub address.")],
    plot: Annotated[Path | None, typer.Option(help="Write a plot (PNG) here.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the figures here.")] = None,
    sigma: Annotated[float | None, typer.Option(help="Noise level in 8-bit units, for models that ask.")] = None,
    wne: Annotated[bool | None, typer.Option("--wne/--no-wne", help="Wrap for normalization equivariance.")] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:n]|mps", help="Where the network runs.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the network.")] = Precision.FP32,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network for a model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Print feature magnitude and channel entropy after each block, and the equivariance defect."""
    from restore_cli.inference.inspect import as_batch, block_statistics, equivariance_defect
    from restore_cli.inference.restorer import Restorer
    from restore_cli.io.paths import check_target, is_same_file
    from restore_cli.io.read import read_image
    from restore_cli.models.build import build_model

    display = Display(quiet=quiet, as_json=as_json)
    for target in (plot, csv_file):
        if target is not None:
            if is_same_file(target, picture):
                raise OutputError(f"{target} is the picture itself.", "Choose another name.")
            check_target(target, overwrite=overwrite)
    built = build_model(model, offline=offline, progress=display.download)
    restorer = Restorer(built, RunOptions(device, precision, tile_px=0, wne=wne), display)
    batch = as_batch(read_image(picture).pixels, restorer.channels)
    blocks = block_statistics(restorer, batch, sigma_255=sigma)
    if not blocks:
        display.note(f"{restorer.model.name}: no blocks found; the network keeps no lists of them.")
    defect = equivariance_defect(lambda each: restorer(each, sigma_255=sigma), batch)

    width = max((len(block.block) for block in blocks), default=0)
    for block in blocks:
        entropy = f"{block.channel_entropy_bits:6.2f} of {block.full_entropy_bits:.2f} bits"
        display.data(f"{block.block:<{width}}  max {block.max_magnitude:12.4g}  entropy {entropy}")
    display.data(f"equivariance defect {defect:.3g}")
    large = [block.block for block in blocks if block.near_fp16_limit]
    if large:
        display.note(f"Near or beyond the limit of fp16 (65504): {', '.join(large)}. Use bf16 or fp32.")
    display.document({"blocks": [asdict(block) for block in blocks], "equivariance_defect": defect})
    if csv_file is not None:
        _write_csv(csv_file, blocks)
    if plot is not None:
        _write_plot(plot, blocks, restorer.model.name)


def _write_csv(path: Path, blocks: list[BlockStatistics]) -> None:
    text = StringIO()
    lines = csv.writer(text)
    lines.writerow(("block", "max_magnitude", "channel_entropy_bits", "channels"))
    lines.writerows(asdict(block).values() for block in blocks)
    write_whole(path, text.getvalue().encode(), overwrite=True)


def _write_plot(path: Path, blocks: list[BlockStatistics], title: str) -> None:
    from matplotlib.figure import Figure

    from restore_cli.inference.inspect import FP16_MAX

    figure = Figure(figsize=(10, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    places = range(len(blocks))
    above.semilogy(places, [block.max_magnitude for block in blocks], marker=".")
    above.axhline(FP16_MAX, color="red", linestyle="--", label="fp16 limit")
    above.set(title=title, ylabel="max |feature|")
    above.legend()
    below.plot(places, [block.channel_entropy_bits for block in blocks], marker=".")
    below.plot(places, [block.full_entropy_bits for block in blocks], color="grey", linestyle=":", label="all alike")
    below.set(ylabel="channel entropy, bits", xticks=list(places))
    below.set_xticklabels([block.block for block in blocks], rotation=90, fontsize=7)
    below.legend()
    content = BytesIO()
    figure.savefig(content, format="png", dpi=120)
    write_whole(path, content.getvalue(), overwrite=True)
