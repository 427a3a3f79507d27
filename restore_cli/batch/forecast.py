"""What a batch will need, from the headers of its files alone: said in a second rather than found out in an hour."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from restore_cli.batch.manifest import Standing
from restore_cli.batch.pipeline import waiting_bytes
from restore_cli.batch.plan import Job
from restore_cli.batch.run import CHANNELS, check_job, is_skipped
from restore_cli.batch.work import Work
from restore_cli.errors import OutputError, RestoreError
from restore_cli.inference.memory import MemoryEstimate, estimate
from restore_cli.inference.restorer import Restorer
from restore_cli.io.formats import format_for
from restore_cli.io.read import Header
from restore_cli.options import Hints

__all__ = [
    "TYPICAL_BYTES",
    "Preview",
    "Room",
    "check_room",
    "forecast",
    "measure_speed",
    "memory_for",
    "room_for",
    "seconds_for",
]

# Bytes a pixel of photographs in colour and 8 bits (about a megapixel each), as our encoders write them; a guess where
# the input's own file says nothing, being of another format.
TYPICAL_BYTES = {
    **{"JPEG": 0.6, "PNG": 1.8, "WEBP": 1.3, "TIFF": 1.9, "BMP": 3.0, "PPM": 3.0},
    **{"AVIF": 0.5, "HEIF": 1.9, "JXL": 1.2, "EXR": 7.6, "HDR": 3.4},
}
# Of those that lose nothing only where the input, or --quality, does not.
TYPICAL_BYTES_OF_LOSSY = TYPICAL_BYTES | {"WEBP": 0.4, "HEIF": 0.7, "JXL": 0.35}
LOSSY = ("JPEG", "AVIF", "HEIF")
# Results differ that much from what was guessed. A batch is refused only where even so there is no room.
LEAST_SHARE = 0.3
HEADER_THREADS = 8

FIRST_SIDE_PX = 64
LONG_ENOUGH_SECONDS = 0.2


@dataclass(frozen=True)
class Preview:
    """What would become of one job.

    Attributes:
        status: 'planned', 'would skip' or 'would fail'.
        message, hint: why not.
        height, width: of the input.
        tiles: that it is cut into.
        format: of its file, as `io.formats.sniff` names it.
        frames: pictures in its file.
        file_bytes: of the result, roughly.
    """

    job: Job
    status: str
    message: str = ""
    hint: str = ""
    height: int = 0
    width: int = 0
    tiles: int = 0
    format: str = ""
    frames: int = 1
    file_bytes: int = 0

    @property
    def demand(self) -> tuple[int, int, str, str]:
        """What memory depends on."""
        return self.height, self.width, self.format, self.job.target.suffix.lower()


@dataclass(frozen=True)
class Room:
    """On one disk: a folder on it, the bytes that results will take there, roughly, and those that are free."""

    folder: Path
    needed_bytes: int
    free_bytes: int


def forecast(jobs: Sequence[Job], work: Work) -> list[Preview]:
    """A preview of each job, in order. No picture is decoded and nothing is written."""
    with ThreadPoolExecutor(HEADER_THREADS) as threads:
        return list(threads.map(lambda job: _preview(job, work), jobs))


def room_for(previews: Sequence[Preview]) -> list[Room]:
    """What the planned results need on each disk they go to."""
    needed: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for preview in previews:
        if preview.status == "planned":
            folder = _existing_folder(preview.job.target)
            disk = os.stat(folder).st_dev
            needed[disk] = needed.get(disk, 0) + preview.file_bytes
            folders.setdefault(disk, folder)
    return [Room(folders[disk], needed[disk], shutil.disk_usage(folders[disk]).free) for disk in needed]


def check_room(rooms: Sequence[Room]) -> None:
    """Raises OutputError where the results would fill a disk before they are all written."""
    for room in rooms:
        if room.needed_bytes * LEAST_SHARE > room.free_bytes:
            raise OutputError(
                f"{room.folder}: the results need about {room.needed_bytes / 1e9:.1f} GB, "
                f"and {room.free_bytes / 1e9:.1f} GB are free.",
                "Make room, name another --output, or restore fewer files at a time.",
            )


def memory_for(previews: Sequence[Preview], work: Work) -> MemoryEstimate:
    """What the planned pictures, of which there is at least one, take of each memory at the batch's peak.

    That is what the most demanding takes by itself, and those that are read ahead or written meanwhile.
    """
    planned = [preview for preview in previews if preview.status == "planned"]
    alone = {each.demand: each for each in planned}  # pictures of one size and format take the same
    estimates = [
        estimate(
            work.restorer,
            each.height,
            each.width,
            CHANNELS,
            source_format=each.format,
            target_format=format_for(each.job.target).name,
            measured=True,
        )
        for each in alone.values()
    ]
    pixels = [each.height * each.width * (1 + work.restorer.scale**2) for each in planned]
    return MemoryEstimate(
        host_bytes=max(each.host_bytes for each in estimates) + waiting_bytes(pixels),
        device_bytes=max(each.device_bytes for each in estimates),
        mapped_bytes=max(each.mapped_bytes for each in estimates),
    )


def measure_speed(restorer: Restorer, hints: Hints) -> tuple[float, int]:
    """Seconds a pixel of input, and the side in pixels of the noise they were measured on.

    The side grows until a run takes long enough to be told from the clock's noise, so this takes a second or so.
    """
    side, most = FIRST_SIDE_PX, max(restorer.policy.tile_px or 512, FIRST_SIDE_PX)
    _seconds_of_one(restorer, hints, side)  # the first run allocates
    while (seconds := _seconds_of_one(restorer, hints, side)) < LONG_ENOUGH_SECONDS and 2 * side <= most:
        side *= 2
    return seconds / side**2, side


def seconds_for(preview: Preview, restorer: Restorer, seconds_per_pixel: float) -> float:
    """That the network will need for one picture; what tiles share is computed twice."""
    if restorer.crops is not None:
        sides = [min(side, restorer.crops.crop_px) for side in (preview.height, preview.width)]
    else:
        sides = [min(side, restorer.policy.tile_px or side) for side in (preview.height, preview.width)]
    computed = max(preview.tiles * sides[0] * sides[1], preview.height * preview.width)
    return computed * seconds_per_pixel


def _preview(job: Job, work: Work) -> Preview:
    if is_skipped(job, work):
        return Preview(job, "would skip", f"{job.target} exists, would be skipped")
    standing = Standing.FOREIGN if work.manifest is None else work.manifest.standing(job.target)
    if standing is Standing.FINISHED:
        return Preview(job, "would skip", f"{job.target} was done before, would be skipped")
    try:
        header = check_job(job, work, standing)
    except RestoreError as error:
        return Preview(job, "would fail", error.message, error.hint)
    return Preview(
        job,
        "planned",
        height=header.height,
        width=header.width,
        tiles=work.restorer.pieces(header.height, header.width),
        format=header.format,
        frames=header.frames,
        file_bytes=round(_file_bytes(job, work, header)),
    )


def _file_bytes(job: Job, work: Work, header: Header) -> float:
    enlarged, target, encoding = work.restorer.scale**2, format_for(job.target), work.encoding
    if header.format == target.name and encoding.bit_depth is None and encoding.quality is None:
        return float(job.source.path.stat().st_size * enlarged)
    is_lossy = header.format in LOSSY or encoding.quality is not None
    typical = (TYPICAL_BYTES_OF_LOSSY if is_lossy else TYPICAL_BYTES)[target.name]
    least = target.bit_depths[0]
    depth = target.depth_for(encoding.bit_depth.bits) if encoding.bit_depth else least
    return header.height * header.width * enlarged * typical * depth / least


def _existing_folder(target: Path) -> Path:
    folder = Path(os.path.abspath(target)).parent
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _seconds_of_one(restorer: Restorer, hints: Hints, side: int) -> float:
    picture = torch.rand(1, restorer.channels, side, side, generator=torch.Generator().manual_seed(0))
    started = time.perf_counter()
    restorer(picture, sigma_255=hints.sigma_255, quality_factor=hints.quality_factor)
    return time.perf_counter() - started
