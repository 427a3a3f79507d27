"""How much of the network's own speed a folder of pictures gets, from disk to disk."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from restore_cli.batch.manifest import Manifest
from restore_cli.batch.pipeline import run_jobs
from restore_cli.batch.plan import Job
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Work
from restore_cli.errors import RestoreError
from restore_cli.evaluation.speed import time_in_turns
from restore_cli.inference.device import DTYPES
from restore_cli.inference.restorer import Restorer
from restore_cli.io.image import Image
from restore_cli.io.paths import Source
from restore_cli.io.read import read_size
from restore_cli.io.write import write_image
from restore_cli.options import Existing, Precision

__all__ = ["Throughput", "make_pictures", "measure_throughput"]


@dataclass(frozen=True)
class Throughput:
    """Seconds of each round, all three for the same tiles.

    Attributes:
        files, tiles: in a round.
        megapixels: of input, in millions.
        folder_seconds: from the first file that is opened to the last that is written, by the pipeline.
        network_seconds: of the bare network, tiles on its device already and results left there.
        batched_seconds: the same with tiles of one shape taken together.
        batch: how many together.
        same_bits: whether a tile's result is the same, to the bit, in a batch and alone.
    """

    files: int
    tiles: int
    megapixels: float
    folder_seconds: tuple[float, ...]
    network_seconds: tuple[float, ...]
    batched_seconds: tuple[float, ...]
    batch: int
    same_bits: bool

    @property
    def share(self) -> float:
        """Of the bare network's throughput that the folder had: the median of the rounds' ratios."""
        return _median_ratio(self.network_seconds, self.folder_seconds)

    @property
    def batch_gain(self) -> float:
        """How many times as fast the bare network is in batches."""
        return _median_ratio(self.network_seconds, self.batched_seconds)


def make_pictures(folder: Path, files: int, side: int, suffix: str = ".png") -> list[Path]:
    """Square pictures that compress about as photographs do: soft shapes with a little noise."""
    generator = np.random.default_rng(0)
    paths = []
    for index in range(files):
        soft = cv2.GaussianBlur(generator.random((side, side, 3), np.float32), (0, 0), max(side / 64, 1))
        pixels = 0.5 + 4 * (soft - 0.5) + generator.normal(0, 0.02, soft.shape)
        paths.append(folder / f"{index:05}{suffix}")
        write_image(Image(np.clip(pixels, 0, 1).astype(np.float32), None, 8, "PNG", "RGB"), paths[-1])
    return paths


def measure_throughput(
    settings: Settings,
    pictures: list[Path],
    folder: Path,
    rounds: int,
    *,
    batch: int = 4,
    clock: Callable[[], float] = perf_counter,
) -> Throughput:
    """The pipeline over `pictures`, the bare network on their tiles, and that in batches; in turns, `rounds` times.

    Args:
        settings: what is done to the pictures, which are all of one size.
        pictures: files to restore.
        folder: for the results.
        rounds: timed ones; one more goes before.
        batch: tiles taken together in the third.
        clock: in seconds.

    Raises:
        RestoreError: a picture could not be restored.
    """
    work = replace(settings.open(), existing=Existing.OVERWRITE)
    jobs = [Job(Source(path, Path(path.name)), folder / path.name) for path in pictures]
    restorer = work.restorer
    tiles: list[tuple[int, ...]] = []
    told: list[dict[str, Tensor]] = []

    def note_tile(module: nn.Module, given: tuple[Tensor, ...], keywords: dict[str, Tensor]) -> None:
        tiles.append(tuple(given[0].shape))
        told.append(keywords)

    with Manifest(folder, settings.digest(work)) as manifest:
        work = replace(work, manifest=manifest)
        hook = restorer.model.network.module.register_forward_pre_hook(note_tile, with_kwargs=True)
        _run_folder(jobs, work)
        hook.remove()
        alone = [torch.rand(shape, device=restorer.device) for shape in tiles]
        together = _in_batches(alone, batch)
        seconds = time_in_turns(
            [
                lambda: _run_folder(jobs, work),
                lambda: _run_network(restorer, alone, told[0]),
                lambda: _run_network(restorer, together, told[0]),
            ],
            rounds,
            clock,
        )
    sides = [read_size(path) for path in pictures]
    return Throughput(
        files=len(jobs),
        tiles=len(tiles),
        megapixels=sum(height * width for height, width in sides) / 1e6,
        folder_seconds=seconds[0],
        network_seconds=seconds[1],
        batched_seconds=seconds[2],
        batch=batch,
        same_bits=_same_bits(restorer, together[0], told[0]),
    )


def _run_folder(jobs: list[Job], work: Work) -> None:
    for outcome in run_jobs(jobs, work):
        if outcome.status != "done":
            raise RestoreError(outcome.message, outcome.hint)


def _run_network(restorer: Restorer, tiles: list[Tensor], told: dict[str, Tensor]) -> None:
    for tile in tiles:
        _restored(restorer, tile, told)
    if restorer.device.type == "cuda":
        torch.cuda.synchronize(restorer.device)


def _restored(restorer: Restorer, tile: Tensor, told: dict[str, Tensor]) -> Tensor:
    half = restorer.precision is not Precision.FP32
    with torch.no_grad(), torch.autocast(restorer.device.type, DTYPES[restorer.precision], enabled=half):
        restored: Tensor = restorer.model.network.module(tile, **told)
        return restored


def _in_batches(tiles: list[Tensor], batch: int) -> list[Tensor]:
    """`tiles`, those of one shape that many together."""
    by_shape: dict[tuple[int, ...], list[Tensor]] = {}
    for tile in tiles:
        by_shape.setdefault(tuple(tile.shape), []).append(tile)
    return [
        torch.cat(alike[start : start + batch]) for alike in by_shape.values() for start in range(0, len(alike), batch)
    ]


def _same_bits(restorer: Restorer, tiles: Tensor, told: dict[str, Tensor]) -> bool:
    alone = torch.cat([_restored(restorer, tile[None], told) for tile in tiles])
    return torch.equal(_restored(restorer, tiles, told), alone)


def _median_ratio(numerators: tuple[float, ...], denominators: tuple[float, ...]) -> float:
    # Of each round's: what slowed the machine in one round slowed all of it.
    return statistics.median(above / below for above, below in zip(numerators, denominators, strict=True))
