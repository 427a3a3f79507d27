"""Text files of which a program writes one part."""

from __future__ import annotations

from pathlib import Path

from restore_cli.io.atomic import replacing

__all__ = ["write_part"]


def write_part(path: Path, start: str, end: str, text: str) -> None:
    """Replace what stands between the lines `start` and `end`, or add all three at the end of the file."""
    whole = path.read_text(encoding="utf-8")
    before, found, rest = whole.partition(f"{start}\n")
    if found and f"{end}\n" in rest:
        after = rest.partition(f"{end}\n")[2]
    else:
        before, after = f"{whole.rstrip()}\n\n", ""
    with replacing(path, overwrite=True) as stream:
        stream.write(f"{before}{start}\n{text}\n{end}\n{after}".encode())
