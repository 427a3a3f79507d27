"""`make torture`: every ordeal in full, a table of what was counted, and exit code 1 if anything was not as it must be.

python -m tests.torture [--short] [--only NAME ...] [--without-large] [--folder PATH]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture.counts import Counts, table
from tests.torture.hostile import CORPUS
from tests.torture.large import large
from tests.torture.ordeals import ORDEALS, face

LARGE = "large"
ROOM_BYTES = 2 * 10**9


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the form of the default test suite")
    parser.add_argument("--only", nargs="+", choices=[*ORDEALS, LARGE], metavar="NAME", help="leave out the others")
    parser.add_argument("--without-large", action="store_true", help="leave out the 400 megapixels (minutes)")
    parser.add_argument("--folder", type=Path, help="for what is written; kept if anything is wrong")
    asked = parser.parse_args()
    chosen = asked.only or [name for name in (*ORDEALS, LARGE) if name != LARGE or not asked.without_large]
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=asked.folder or _roomy()))
    on_disk = Path(tempfile.mkdtemp(prefix="torture-", dir=asked.folder or "/var/tmp"))
    rows: list[tuple[str, Counts, float]] = []
    for name in chosen:
        if name == "hostile" and not CORPUS.is_dir():
            continue
        say(f"{name} ...")
        started = time.perf_counter()
        counts = large(on_disk) if name == LARGE else face(name, folder, full=not asked.short)
        rows.append((name, counts, time.perf_counter() - started))
        say(table(rows[-1:]).splitlines()[1])
    say("\n" + table(rows))
    faced = [row[0] for row in rows]
    for name in (each for each in (*ORDEALS, LARGE) if each not in faced):
        why = f" ({CORPUS} is not there; RESTORE_DATA names another place)" if name in chosen else ""
        say(f"LEFT OUT: {name}{why}")
    passed = all(counts.passed for _, counts, _ in rows)
    if passed:
        shutil.rmtree(folder), shutil.rmtree(on_disk)
    else:
        say(f"what was written is in {folder} and {on_disk}")
    return 0 if passed else 1


def say(text: str) -> None:
    """A line as soon as it is known."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _roomy() -> str | None:
    """In memory where there is room: thousands of files are synced, which takes a disk minutes and shows nothing."""
    shared = "/dev/shm"
    return shared if os.path.isdir(shared) and shutil.disk_usage(shared).free > ROOM_BYTES else None


if __name__ == "__main__":
    sys.exit(main())
