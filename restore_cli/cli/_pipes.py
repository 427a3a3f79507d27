"""`-`: standard input and standard output in the place of a picture file.

Decoders seek and writers rename, which streams cannot do; so a picture that comes through a pipe is a file of its
own meanwhile, in a folder that goes when the command ends.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from restore_cli.cli._output import Display
from restore_cli.cli._params import Shared
from restore_cli.errors import OutputError, RestoreError, UsageError

__all__ = ["PIPE", "Piped", "piped"]

PIPE = "-"


@dataclass(frozen=True)
class Piped:
    """A command's options with files in the place of `-`.

    Attributes:
        shared: the options.
        to_stdout: whether the one result goes to standard output.
    """

    shared: Shared
    to_stdout: bool

    def check(self, inputs: int) -> None:
        """Raises UsageError for what does not go together with a result on standard output."""
        if not self.to_stdout:
            return
        if inputs != 1:
            raise UsageError(f"--output - takes one picture, but there are {inputs} inputs.", "Name a folder instead.")
        shared = self.shared
        for option, given in (("--json", shared.as_json), ("--reference", shared.reference is not None)):
            if given and not shared.dry_run:
                raise UsageError(f"{option} prints to standard output, where the picture goes.", "Name an --output.")
        for option, given in (("--sidecar", shared.sidecar), ("--resume", shared.resume)):
            if given:
                raise UsageError(f"{option} needs a file as --output, not a pipe.", "Leave it out.")
        if sys.stdout.isatty() and not shared.dry_run:
            raise UsageError("A picture is nothing for a terminal.", "Add -o FILE, or > FILE.")

    def deliver(self, result: Path) -> None:
        """The result's file to standard output, if it goes there; raises OutputError."""
        if not self.to_stdout:
            return
        try:
            with result.open("rb") as stream:
                shutil.copyfileobj(stream, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # whoever read it has gone: Typer ends quietly
            raise
        except OSError as error:
            sys.stdout = None  # what is left in its buffer would fail again at exit
            raise OutputError(f"Cannot write to standard output: {error.strerror or error}.") from error


@contextlib.contextmanager
def piped(shared: Shared, display: Display) -> Iterator[Piped]:
    """`shared` with files for the streams it names; they are gone when the block ends.

    Errors, too, speak of streams and not of those files.

    Raises:
        UsageError: `-` beside other inputs, or where there is no pipe.
    """
    from_stdin = PIPE in shared.inputs
    to_stdout = shared.output == PIPE or (from_stdin and shared.output is None)
    if not (from_stdin or to_stdout):
        yield Piped(shared, to_stdout=False)
        return
    if from_stdin and len(shared.inputs) > 1:
        raise UsageError("'-' is one picture, read from a pipe, and the only input.", "A file of that name is ./-.")
    with tempfile.TemporaryDirectory(prefix="restore-") as folder:
        inputs = shared.inputs
        if from_stdin:
            source = _received(Path(folder))
            display.call(source, "standard input")
            inputs = [str(source)]
        output = str(Path(folder, "results")) if to_stdout else shared.output
        if output is not None and to_stdout:
            Path(output).mkdir()
        try:
            yield Piped(replace(shared, inputs=inputs, output=output), to_stdout)
        except RestoreError as error:
            raise type(error)(display.named(error.message), display.named(error.hint)) from error


def _received(folder: Path) -> Path:
    """What comes on standard input, in a file with the suffix of its format."""
    from restore_cli.io.formats import WRITABLE_FORMATS, sniff

    if sys.stdin.isatty():
        raise UsageError("'-' reads a picture from a pipe, and there is none.", "For example: cat in.png | restore ...")
    path = folder / "stdin"
    with path.open("wb") as stream:
        shutil.copyfileobj(sys.stdin.buffer, stream)
    with path.open("rb") as stream:
        name = sniff(stream.read(64)) or ""
    suffix = WRITABLE_FORMATS[name].suffix if name in WRITABLE_FORMATS else ""
    return path.rename(path.with_suffix(suffix))
