"""What the program says: data on standard output, talk on standard error, one line a thing.

On a terminal a bar a file and a bar a tile; elsewhere plain lines; with --quiet nothing but errors.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from restore_cli.errors import OutputError

__all__ = ["Display", "json_ready", "one_line"]


def one_line(text: object, encoding: str | None = "utf-8") -> str:
    """`text` on one line that any terminal can show: control characters and broken UTF-8 are escaped.

    Args:
        text: anything.
        encoding: of the stream; what it lacks is escaped too.
    """
    escaped = "".join(character if character.isprintable() else repr(character)[1:-1] for character in str(text))
    encoding = encoding or "utf-8"
    return escaped.encode(encoding, "backslashreplace").decode(encoding)


def json_ready(value: Any) -> Any:  # noqa: ANN401 - anything JSON can hold
    """`value` with None for infinities and NaN, which JSON has no words for: the PSNR of equal pictures."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: json_ready(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(each) for each in value]
    return value


class Display:
    """Where everything a command says goes. Also the observer of a running restorer.

    Args:
        quiet: no talk; errors and data only.
        as_json: data as one JSON document.

    Attributes:
        on_note: is told every note, once, even when quiet.
    """

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet = quiet
        self.as_json = as_json
        self.on_note: Callable[[str], None] = lambda message: None
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._said: set[str] = set()
        self._names: dict[str, str] = {}
        self._progress: Progress | None = None
        self._tile_bar: TaskID | None = None
        self._file_bar: TaskID | None = None
        self._downloads: Progress | None = None

    def call(self, path: object, name: str) -> None:
        """From now on, speak of `path` by this name."""
        self._names[str(path)] = name

    def named(self, text: str) -> str:
        """`text` with those names in it."""
        for path, name in self._names.items():
            text = text.replace(path, name)
        return text

    def data(self, line: str) -> None:
        """A line for standard output; nothing when JSON is wanted instead."""
        if not self.as_json:
            _print(one_line(self.named(line), getattr(sys.stdout, "encoding", None)))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Aligned columns for standard output; never wrapped, so that a line is a row."""
        widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
        for row in (header, *rows):
            self.data("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())

    def document(self, value: Any) -> None:  # noqa: ANN401 - anything JSON can hold
        """The JSON document, when one is wanted."""
        if self.as_json:
            # Escaped to ASCII: so it survives any terminal, and names that are not valid UTF-8.
            _print(self.named(json.dumps(json_ready(value), indent=2, allow_nan=False, default=str)))

    def note(self, message: str) -> None:
        """Something worth knowing; said once, however many tiles or files it is true of."""
        if message not in self._said:
            self._said.add(message)
            self.on_note(message)
            self.tell(message)

    def tell(self, message: str) -> None:
        """How things are going: a line, unless quiet."""
        if not self.quiet:
            self._say(message)

    def error(self, message: str, hint: str = "") -> None:
        """A failure; said even when quiet."""
        self._say(f"error: {message} {hint}".rstrip(), style="red")

    def trace(self, text: str) -> None:
        """The stack trace of a bug."""
        self._console.print(Text(text))

    @contextmanager
    def batch(self, total: int) -> Iterator[None]:
        """Bars for `total` files while the block runs; none off a terminal or when quiet."""
        if self.quiet or not self._console.is_terminal:
            yield
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as self._progress:
            self._file_bar = self._progress.add_task("files", total=total)
            self._tile_bar = self._progress.add_task("tiles", total=None)
            try:
                yield
            finally:
                self._progress = self._file_bar = self._tile_bar = None

    def file_started(self, name: object) -> None:
        """The file bar shows what is being worked on."""
        if self._progress is not None and self._file_bar is not None:
            self._progress.update(self._file_bar, description=one_line(name))

    def file_finished(self) -> None:
        """One file less to go."""
        if self._progress is not None and self._file_bar is not None:
            self._progress.advance(self._file_bar)

    def tiles(self, done: int, total: int) -> None:
        """`done` of `total` tiles of this pass over the picture."""
        if self._progress is not None and self._tile_bar is not None:
            self._progress.update(self._tile_bar, completed=done, total=total)

    @contextmanager
    def downloads(self) -> Iterator[None]:
        """Several downloads run at once meanwhile: their bars stand under each other."""
        if self.quiet or not self._console.is_terminal:
            yield
            return
        with Progress(*_download_columns(), console=self._console, transient=True) as self._downloads:
            try:
                yield
            finally:
                self._downloads = None

    def download(self, description: str, total_bytes: int | None) -> _DownloadBar | _DownloadLine:
        """A bar for a download, or a line where there is no terminal or the bars of a batch are on it."""
        if self.quiet:
            return _DownloadLine()
        if not self._console.is_terminal or self._progress is not None:  # it cannot show two things that move
            size = "" if total_bytes is None else f" ({total_bytes / 1e6:.1f} MB)"
            self.note(f"Downloading {description}{size}")
            return _DownloadLine()
        if self._downloads is not None:
            return _DownloadBar(self._downloads, description, total_bytes, alone=False)
        progress = Progress(*_download_columns(), console=self._console, transient=True)
        return _DownloadBar(progress, description, total_bytes, alone=True)

    def _say(self, message: str, style: str = "") -> None:
        # A Text is shown as it is; of a string Rich would read the markup, and a style colour the bars too.
        self._console.print(Text(one_line(self.named(message)), style))


def _print(text: str) -> None:
    """`text` on standard output, now; raises OutputError if that is a file on a full disk."""
    try:
        typer.echo(text)
    except BrokenPipeError:  # `| head`: Typer ends quietly
        raise
    except OSError as error:
        sys.stdout = None  # what is left in its buffer would fail again at exit
        raise OutputError(f"Cannot write to standard output: {error.strerror or error}.") from error


def _download_columns() -> tuple[ProgressColumn, ...]:
    return TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn()


class _DownloadBar:
    """A bar of `progress`, which ends with it if it is alone there."""

    def __init__(self, progress: Progress, description: str, total_bytes: int | None, *, alone: bool) -> None:
        self._progress, self._alone = progress, alone
        self._bar = progress.add_task(one_line(description), total=total_bytes)
        if alone:
            progress.start()

    def update(self, size: int, /) -> None:
        self._progress.advance(self._bar, size)

    def close(self) -> None:
        if self._alone:
            self._progress.stop()
        else:
            self._progress.remove_task(self._bar)


class _DownloadLine:
    def update(self, size: int, /) -> None:
        """The line was all."""

    def close(self) -> None:
        """The line was all."""
