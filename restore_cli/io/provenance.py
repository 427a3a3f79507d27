"""What made a picture: a record inside the file (XMP) or beside it, enough to make the picture once more.

Each run adds one record to those the picture carries already, so that a picture which was denoised and then enlarged
tells of both. File names are recorded without folders: a picture that is passed on should not speak of the disk
it was made on; what tells the files apart is their sha256.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from restore_cli.errors import InputError, RecipeError
from restore_cli.io.atomic import replacing
from restore_cli.io.digest import sha256_of
from restore_cli.io.read import read_metadata, shown_name
from restore_cli.io.xmp import append_step, read_steps
from restore_cli.tables import from_table

__all__ = [
    "NamedFile",
    "Provenance",
    "Record",
    "embed",
    "embedded",
    "find",
    "look_up",
    "now",
    "room_for",
    "sidecar_path",
    "write_sidecar",
]

TOOL = "restore"

# Bytes of XMP that a format's files hold, as far as there is an end to it: of a JPEG one segment, name apart.
_ROOM = {"JPEG": 65_504, "BMP": 0, "PPM": 0, "HDR": 0, "EXR": 0}


@dataclass(frozen=True)
class NamedFile:
    """A file that took part: its name (of a model its id), and the sha256 of its content in hexadecimal."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """One run on one picture.

    Attributes:
        version: of this program.
        task: name of a row of `restore_cli.tasks`.
        models: the networks that made this picture, several where their results were averaged. For a grey picture
            with a network of its own, that one.
        input: the picture as it was read.
        device: where the network ran, such as 'cpu' or 'cuda:0'.
        precision: 'fp32', 'bf16' or 'fp16'.
        settings: every option that decides the result, as `restore_cli.batch.settings` writes and reads them.
        created: when, UTC, as in '2026-11-21T08:30:00Z'.
        companions: the other pictures that took part, by option: 'mask', 'second_view'.
        environment: what else the last bit may depend on: versions of libraries, the processor, threads, and the
            side of the tiles where memory did not suffice for those planned.
        frame: which of the input's several pictures, from 0; None for the first, or the only one.
        notes: what was reported on the way, such as smaller tiles for want of memory.
        tool: the program's name.
    """

    version: str
    task: str
    models: tuple[NamedFile, ...]
    input: NamedFile
    device: str
    precision: str
    settings: dict[str, Any]
    created: str
    companions: dict[str, NamedFile] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    frame: int | None = None
    notes: tuple[str, ...] = ()
    tool: str = TOOL

    def to_json(self) -> str:
        """One object; ASCII, so that it survives wherever text does."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Provenance:
        """What `to_json` wrote, perhaps of a later version: fields unknown here are left out.

        Raises:
            ValueError: not such a record.
        """
        return cls._from(json.loads(text))

    @classmethod
    def _from(cls, stated: Any) -> Provenance:  # noqa: ANN401 - whatever a file may hold
        if not isinstance(stated, dict):
            raise ValueError("not a record")
        known = {each.name for each in fields(cls)}
        try:
            return from_table(cls, {name: value for name, value in stated.items() if name in known}, "record")
        except RecipeError as error:
            raise ValueError(error.message) from error


_TEXTS = tuple(each.name for each in fields(Provenance) if each.type == "str")


@dataclass(frozen=True)
class Record:
    """What is known of a picture.

    Attributes:
        steps: the oldest first; the last one made this file.
        sidecar: the file it was found in; None where the picture itself carries it.
        matches: whether the picture is, to the byte, the one the sidecar was written for.
    """

    steps: tuple[Provenance, ...]
    sidecar: Path | None = None
    matches: bool = True


def now() -> str:
    """The time to record: SOURCE_DATE_EPOCH's, for builds that are to be repeated, or else the clock's.

    The variable is that of reproducible-builds.org/specs/source-date-epoch.
    """
    stated = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        when = time.gmtime(int(stated))
    except (ValueError, OverflowError, OSError):  # no number, or one no calendar has
        when = time.gmtime()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", when)


def embed(xmp: bytes | None, provenance: Provenance) -> bytes:
    """The packet with one more step, everything else in it byte for byte as it was.

    Args:
        xmp: a packet; None for a new one.
        provenance: of the step.

    Returns:
        The packet, unchanged where it is too damaged to take anything: `embedded` tells.
    """
    # Names may hold anything, which XML may not; JSON in ASCII may.
    stated = {
        name: value if name in _TEXTS else json.dumps(value)
        for name, value in asdict(provenance).items()
        if value not in ({}, (), None) or name == "settings"
    }
    return append_step(xmp, stated)


def room_for(format: str) -> int | None:
    """Bytes of XMP that a file of this format (`OutputFormat.name`) holds: 0 for none, None for any number."""
    return _ROOM.get(format)


def embedded(xmp: bytes | None) -> tuple[Provenance, ...]:
    """The steps a packet tells of, the oldest first; those that make no sense are left out."""
    found = []
    for step in read_steps(xmp or b""):
        try:
            stated = {name: text if name in _TEXTS else json.loads(text) for name, text in step.items()}
            found.append(Provenance._from(stated))
        except (ValueError, RecursionError):
            continue
    return tuple(found)


def sidecar_path(target: Path) -> Path:
    """Where the record of a result lies that does not carry it: `out.ppm.restore.json`."""
    return target.with_name(target.name + ".restore.json")


def write_sidecar(target: Path, *steps: Provenance) -> None:
    """Put the record beside a finished result, whose sha256 goes into it; an earlier one is replaced.

    Args:
        target: the result.
        *steps: the oldest first; the last one made it.

    Raises:
        OSError: as the system says.
    """
    content = {
        "file": {"name": target.name, "sha256": sha256_of(target)},
        "steps": [asdict(step) for step in steps],
    }
    with replacing(sidecar_path(target), overwrite=True) as stream:
        stream.write(json.dumps(content, indent=2).encode())


def find(path: Path) -> Provenance | None:
    """What made the picture in `path`, by the file itself or else its sidecar; None where nothing says.

    Raises:
        InputError: it cannot be read.
    """
    steps = look_up(path).steps
    return steps[-1] if steps else None


def look_up(path: Path) -> Record:
    """Everything known of how the picture in `path` was made.

    Raises:
        InputError: the picture or its sidecar cannot be read.
    """
    inside = embedded(read_metadata(path).xmp)
    sidecar = sidecar_path(path)
    if inside or not sidecar.is_file():
        return Record(inside)
    try:
        stated = json.loads(sidecar.read_bytes())
        steps = tuple(Provenance._from(step) for step in stated["steps"])
        matches = stated["file"]["sha256"] == sha256_of(path)
    except OSError as error:
        raise InputError(f"{shown_name(sidecar)} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{shown_name(sidecar)} is no record of this program.", "Remove it.") from error
    return Record(steps, sidecar, matches)
