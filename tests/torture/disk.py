"""Disks that are full at any moment, and the batch taken up again once there is room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from restore_cli.batch.manifest import MANIFEST_NAME
from tests.pictures import values, write
from tests.torture.batches import check_results, same_picture, take_through
from tests.torture.counts import Counts

__all__ = ["disk"]

FILES, SIDE = 12, 64
KILOBYTES_FULL = (*range(16, 160, 8), 192, 256)
KILOBYTES_SHORT = (80,)
ENOUGH_KILOBYTES = 4096
LEAST_BYTES = 8000
"""What the command prints must fit into a file under that limit, too."""


def disk(folder: Path, model: Path, full: bool) -> Counts:
    """A small disk of many sizes (a tmpfs, where that may be mounted), and a limit on the size of files everywhere."""
    source = folder / "in"
    for index in range(FILES):
        write(source / f"{index:02}.png", values(SIDE, SIDE, seed=index))
    counts, sizes = Counts(), KILOBYTES_FULL if full else KILOBYTES_SHORT
    for kilobytes in sizes:
        counts.add(limited(folder, model, LEAST_BYTES + kilobytes * 100))
    mounted = 0
    for kilobytes in sizes:
        with small_disk(folder / f"disk{kilobytes}", kilobytes) as place:
            if place is not None:
                mounted += 1
                counts.add(filled(folder, model, place))
    counts.remark = f"{mounted} full disks" if mounted else "NO DISK COULD BE MOUNTED: a limit on files alone"
    return counts


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[Path | None]:
    """A disk of that size; None where none may be mounted."""
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], capture_output=True, check=False
    )
    try:
        yield place if done.returncode == 0 else None
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def filled(folder: Path, model: Path, place: Path) -> Counts:
    """A batch that fills a disk; then there is room, and it is resumed."""
    command = (folder, ["in"], "-n", model, "-o", place / "out", "--log", place / "log.jsonl", "--sidecar")
    counts, records = take_through(*command)
    checked(counts, records, folder)
    before = {path: path.stat().st_ino for path in place.rglob("*.png")}
    enough = subprocess.run(["mount", "-o", f"remount,size={ENOUGH_KILOBYTES}k", str(place)], check=False)
    if enough.returncode == 0:
        again, records = take_through(*command, "--resume")
        checked(again, records, folder)
        if again.refused or again.restored != len(list((folder / "in").iterdir())):
            again.fault("lost", f"with room, {again.refused} files are still refused")
        for path, number in before.items():
            if not path.exists():
                again.fault("lost", f"{path} was there and is gone")
            elif path.stat().st_ino != number and path.with_name(path.name + ".restore.json").exists() is False:
                again.fault("wrong", f"{path} was made twice")
        counts.add(again)
    return counts


def limited(folder: Path, model: Path, most_bytes: int) -> Counts:
    """A batch in which no file may grow beyond so many bytes: pictures, manifest, log."""
    counts, records = take_through(
        folder, ["in"], "-n", model, "-o", f"limited{most_bytes}", limits={resource.RLIMIT_FSIZE: most_bytes}
    )
    checked(counts, records, folder)
    return counts


def checked(counts: Counts, records: list[dict[str, Any]], folder: Path) -> None:
    """Count what is there of the results and is not what it should be, and files that are nobody's."""
    check_results(counts, records, folder)
    for record in records:
        source, result = folder / record["input"], folder / record["output"]
        if record["status"] == "failed" and result.exists() and not same_picture(source, result):
            counts.fault("wrong", f"{result} is half a picture")
    if records:
        known = {Path(record["output"]).name for record in records}
        out = (folder / records[0]["output"]).parent
        for path in out.iterdir() if out.is_dir() else ():
            name = path.name.removesuffix(".restore.json")
            if name not in known and name != MANIFEST_NAME:
                counts.fault("wrong", f"{path} was left behind")
