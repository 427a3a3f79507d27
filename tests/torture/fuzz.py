"""Damaged headers: files of every format we read, changed where it hurts, each taken from disk to disk."""

from __future__ import annotations

import shutil
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from restore_cli.batch.plan import Job
from restore_cli.batch.run import restore_file
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Work
from restore_cli.errors import RestoreError
from restore_cli.io import opened
from restore_cli.io.extras import OPTIONAL_FORMATS, missing_package
from restore_cli.io.paths import Source
from restore_cli.io.read import read_image
from restore_cli.options import Existing, RunOptions
from tests.io.test_bad_input import FILES
from tests.torture.counts import Counts
from tests.torture.process import call

__all__ = ["fuzzed"]

EXAMPLES_SHORT, EXAMPLES_FULL = 6, 600
PNG = b"\x89PNG"
MOST_PIXELS = 1_000_000
"""Here: a GIF of 40x48 pixels may call itself a picture of gigapixels, and is one."""
GROWN_BYTES = 700_000_000
# What sizes, counts, offsets and lengths are set to.
NUMBERS = (0, 1, 2, 7, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

Change = Callable[[bytearray], None]


def _place(share: float, data: bytearray, room: int = 1) -> int:
    """Where in the file; squared, for headers are where damage is interesting."""
    return int(share * share * max(0, len(data) - room))


def set_byte(share: float, value: int) -> Change:
    """One byte to `value`; `share` is, here and below, how far on in the file."""

    def change(data: bytearray) -> None:
        if data:
            data[_place(share, data)] = value

    return change


def set_number(share: float, number: int, layout: str) -> Change:
    """As many bytes as `layout` (of `struct`) has to `number`."""
    size = struct.calcsize(layout)

    def change(data: bytearray) -> None:
        if len(data) > size:
            at = _place(share, data, size)
            data[at : at + size] = struct.pack(layout, number % 256**size)

    return change


def cut(share: float) -> Change:
    """Nothing from there on."""

    def change(data: bytearray) -> None:
        del data[int(share * len(data)) :]

    return change


def take_out(share: float, count: int) -> Change:
    """So many bytes less."""

    def change(data: bytearray) -> None:
        at = _place(share, data)
        del data[at : at + count]

    return change


def put_in(share: float, count: int) -> Change:
    """The same bytes again."""

    def change(data: bytearray) -> None:
        at = _place(share, data)
        data[at:at] = data[at : at + count]

    return change


def changes() -> st.SearchStrategy[list[Change]]:
    """Up to three of them; every number is one of a list.

    Among numbers of a range hypothesis prefers the constants that it finds in our source: every change of that would
    change the damage.
    """
    share = st.sampled_from(range(1001)).map(lambda thousandths: thousandths / 1000)
    layouts, count = ("<H", ">H", "<I", ">I", "<Q", ">Q"), st.sampled_from(range(1, 65))
    one = st.one_of(
        st.builds(set_byte, share, st.sampled_from(range(256))),
        st.builds(set_number, share, st.sampled_from(NUMBERS), st.sampled_from(layouts)),
        st.builds(cut, share),
        st.builds(take_out, share, count),
        st.builds(put_in, share, count),
    )
    return st.lists(one, min_size=1, max_size=3)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold, so that damage is not found out by these."""
    fixed, at = bytearray(data), 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        fixed[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(fixed)


def fuzzed(folder: Path, model: Path, full: bool) -> Counts:
    """So many damaged files of each kind, through the whole of a file's way, from disk to disk."""
    counts = Counts()
    kinds = sorted(FILES)
    # A process a kind, in full, tells which decoder took the memory.
    for number, share in enumerate([[kind] for kind in kinds] if full else [kinds]):
        place = folder / share[0]
        place.mkdir()
        ran = call(place, _fuzz, share, model, EXAMPLES_FULL if full else EXAMPLES_SHORT, number)
        part = ran.result if isinstance(ran.result, Counts) else Counts(given=1)
        if ran.code:
            part.fault("tracebacks", f"the process ended with {ran.code}, the file is {place}/in: {ran.stderr[-300:]}")
        elif ran.stderr or ran.stdout:
            said = ran.stderr + ran.stdout.decode(errors="replace")
            part.fault("", f"a library spoke up about {', '.join(share)}: {said[:300]!r}")
        if ran.grown_bytes > GROWN_BYTES:
            part.fault("", f"{', '.join(share)}: memory grew by {ran.grown_bytes / 1e9:.1f} GB")
        counts.add(part)
    absent = ", ".join(name for name in OPTIONAL_FORMATS if missing_package(name))
    counts.remark = f"{len(kinds)} kinds of file" + (f"; NOT INSTALLED, LEFT OUT: {absent}" if absent else "")
    return counts


def _fuzz(kinds: list[str], model: Path, examples: int, number: int) -> Counts:
    """In a process of its own, for a decoder may crash: then the last file lies there still, as `in`."""
    counts, opened.MAX_PIXELS = Counts(), MOST_PIXELS
    warnings.simplefilter("ignore")  # as the command does
    for kind in kinds:
        task = "demosaic" if kind == "dng" else "denoise"
        work = Settings(task, (str(model),), run=RunOptions(device="cpu"), existing=Existing.OVERWRITE).open()
        _fuzz_one(FILES[kind], work, examples, number, counts)
    return counts


def _fuzz_one(whole: bytes, work: Work, examples: int, number: int, counts: Counts) -> None:
    @seed(number)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(changes(), st.sampled_from(("out.png", "out.tif")), st.booleans())
    def take(damage: list[Change], target: str, mend: bool) -> None:
        data = bytearray(whole)
        for change in damage:
            change(data)
        _take(with_checksums(data) if mend and whole.startswith(PNG) else data, Path(target), work, counts)

    take()


def _take(data: bytes, result: Path, work: Work, counts: Counts) -> None:
    source = Path("in")
    source.write_bytes(data)
    result.unlink(missing_ok=True)
    counts.given += 1
    outcome = restore_file(Job(Source(source, source), result), work)
    said = outcome.message
    if outcome.trace:
        return _keep(counts, "tracebacks", outcome.trace)
    if outcome.status == "failed":
        if result.exists():
            return _keep(counts, "wrong", f"failed, but there is a result: {said}")
        if "\n" in said or len(said) > 400 or "in" not in said.replace(":", " ").split():
            return _keep(counts, "", f"not refused by one line that names it: {said}")
        counts.refused += 1
        return None
    try:
        written = read_image(result)
    except RestoreError as error:
        return _keep(counts, "wrong", f"the result cannot be read: {error}")
    if (written.width, written.height) != outcome.size:
        return _keep(counts, "wrong", f"the result is not {outcome.size}")
    counts.restored += 1
    return None


def _keep(counts: Counts, fault: str, said: str) -> None:
    kept = Path(f"kept{len(counts.faults)}").absolute()
    shutil.copy("in", kept)
    counts.fault(fault, f"{kept}: {said}")
