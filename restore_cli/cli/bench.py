"""`restore bench`: what a computation costs on this machine."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from math import sqrt
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from restore_cli.cli import bench_batch, bench_models
from restore_cli.cli._output import Display
from restore_cli.cli._shell import guarded
from restore_cli.errors import DeviceMemoryError, UsageError
from restore_cli.options import Precision, RunOptions

__all__ = ["app"]

MEGAPIXELS = (0.25, 1.0, 4.0)
HEADS = 6
BLOCKS = 4
SIDE_MULTIPLE = 8

app = typer.Typer(help="Time and memory of a computation on this machine.", no_args_is_help=True)
app.command("models", epilog=bench_models.EPILOG)(guarded(bench_models.time_models))
app.command("batch", epilog=bench_batch.EPILOG)(guarded(bench_batch.time_batch))


@dataclass(frozen=True)
class Cost:
    """Of restoring one picture.

    Attributes:
        height, width: of the picture, in pixels.
        precision: arithmetic of the network.
        seconds: of the restoration, without building the network.
        peak_bytes: largest memory, of the whole process on a CPU, of torch's tensors on a GPU.
    """

    height: int
    width: int
    precision: str
    seconds: float
    peak_bytes: int


@app.callback()
def _root() -> None:
    pass


@app.command(epilog="restore bench masked --megapixels 0.25 --megapixels 1")
@guarded
def masked(
    megapixels: Annotated[
        list[float] | None, typer.Option(help="Size of the picture, in 2^20 pixels; may be repeated. [0.25, 1, 4]")
    ] = None,
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the network.")] = Precision.BF16,
    width: Annotated[int, typer.Option(help=f"Feature channels, a multiple of {HEADS}.")] = 180,
    depth: Annotated[int, typer.Option(help=f"Layers in each of the {BLOCKS} blocks.")] = 8,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda[:n]", help="Where the network runs.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Restore square pictures in one piece with iiTransformer's denoiser, random weights, masked attention."""
    if width < HEADS or width % HEADS:
        raise UsageError(f"--width {width}: not a multiple of {HEADS}.", "The published network has 180.")
    if depth < 1:
        raise UsageError(f"--depth {depth}: at least one layer.", "The published network has 8.")
    if any(size <= 0 for size in megapixels or ()):
        raise UsageError("--megapixels must be positive.")
    display = Display(as_json=as_json)
    costs = []
    for size in megapixels or MEGAPIXELS:
        side = max(round(sqrt(size * 2**20) / SIDE_MULTIPLE), 1) * SIDE_MULTIPLE
        cost = _in_own_process(side, precision, width, depth, device)
        costs.append(cost)
        display.data(
            f"{cost.width}x{cost.height}  {cost.precision}  {cost.seconds:.1f} s  {cost.peak_bytes / 1e9:.2f} GB"
        )
    display.document([asdict(cost) for cost in costs])


def _in_own_process(side: int, precision: Precision, width: int, depth: int, device: str) -> Cost:
    """The cost in a process of its own, so that its peak is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_cost, side, precision, width, depth, device).result()
        except BrokenProcessPool as error:
            raise DeviceMemoryError(
                f"{side}x{side}: the process was killed, as a rule for want of memory.", "Try a smaller --megapixels."
            ) from error


def _cost(side: int, precision: Precision, width: int, depth: int, device: str) -> Cost:
    import torch

    from restore_cli.archs.iitransformer import IITransformer
    from restore_cli.inference.restorer import Restorer
    from restore_cli.models.build import Model
    from restore_cli.models.registry import own_network

    torch.manual_seed(0)
    config: dict[str, Any] = {"embed_dim": width, "depths": (depth,) * BLOCKS, "num_heads": (HEADS,) * BLOCKS}
    network = own_network("iitransformer", config, IITransformer(**config).state_dict())
    options = RunOptions(device=device, precision=precision, tile_px=0)
    restorer = Restorer(Model("iitransformer", network), options)
    picture = torch.rand(1, 3, side, side)
    started = perf_counter()
    restorer(picture)
    seconds = perf_counter() - started
    on_gpu = restorer.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated(restorer.device) if on_gpu else _peak_bytes()
    return Cost(side, side, restorer.precision.value, seconds, peak)


def _peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():  # `getrusage` would count what the parent held when it forked
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
