"""What a run leaves in its folder: `checkpoint.pt`, `log.csv`, and `log.png`, which shows the log."""

from __future__ import annotations

import csv
import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from restore_cli.errors import CheckpointError, OutputError
from restore_cli.io.atomic import replacing
from restore_cli.training.plot import plot_log

__all__ = ["CHECKPOINT_NAME", "LOG_NAME", "NO_CHECKPOINT", "LogRow", "RunFolder", "read_log"]

CHECKPOINT_NAME = "checkpoint.pt"
LOG_NAME = "log.csv"

# What reading a file raises that is no checkpoint, a damaged one, or one of another network.
NO_CHECKPOINT = (
    OSError,
    EOFError,
    RuntimeError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class LogRow:
    """A validation.

    Attributes:
        step: how many are finished.
        minutes: of training so far.
        rate: learning rate.
        loss: mean since the row before, or since the run went on.
        validation_psnr: of the averaged weights on held-out pictures, dB.
        largest_feature: absolute value, of all that the averaged network's blocks hand on meanwhile; None where
            the recipe does not ask for it.
    """

    step: int
    minutes: float
    rate: float
    loss: float
    validation_psnr: float
    largest_feature: float | None = None


FORMATS = {
    "step": "d",
    "minutes": ".2f",
    "rate": ".3g",
    "loss": ".6f",
    "validation_psnr": ".3f",
    "largest_feature": ".5g",
}


def read_log(path: Path) -> list[LogRow]:
    """The rows of a `log.csv`, none if there is no such file; raises CheckpointError if it is another one."""
    try:
        with path.open(newline="") as file:
            return [_row(cells) for cells in csv.DictReader(file)]
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not the log of a run.", "Move it away to go on without it.") from error


class RunFolder:
    """The files of one run, each written aside and renamed.

    Args:
        path: created if it is not there.
        resume: whether a run goes on here.

    Raises:
        CheckpointError: `resume` without a checkpoint, or without `resume` over an existing one.
        OutputError: the folder cannot be created.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.checkpoint = path / CHECKPOINT_NAME
        self._log = path / LOG_NAME
        self._plot = path / "log.png"
        self.rows: list[LogRow] = []
        if resume and not self.checkpoint.exists():
            raise CheckpointError(f"{self.checkpoint}: nothing to resume.", "Leave out --resume to start.")
        if not resume and self.checkpoint.exists():
            raise CheckpointError(
                f"{self.checkpoint} exists.", "Go on with --resume, or name another folder with --out."
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}.", "Choose another --out.") from error

    def read_rows(self, last_step: int) -> None:
        """Take up the log of the run that goes on. Rows after `last_step` were lost with its last minutes."""
        self.rows = [row for row in read_log(self._log) if row.step <= last_step]

    def add_row(self, row: LogRow) -> None:
        """Append to the log."""
        self.rows.append(row)
        text = io.StringIO()
        columns = [name for name in FORMATS if any(getattr(each, name) is not None for each in self.rows)]
        lines = csv.writer(text)
        lines.writerow(columns)
        for each in self.rows:
            lines.writerow([_cell(getattr(each, name), FORMATS[name]) for name in columns])
        self._write(self._log, text.getvalue().encode())

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint, and the plot."""
        stream = io.BytesIO()
        torch.save(state, stream)
        self._write(self.checkpoint, stream.getbuffer())
        if self.rows:
            self._write(self._plot, plot_log(self.rows))

    def _write(self, path: Path, content: bytes | memoryview) -> None:
        try:
            with replacing(path, overwrite=True) as stream:
                stream.write(content)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror or error}.", "The run can go on with --resume.") from error


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _row(cells: dict[str, str]) -> LogRow:
    minutes, rate, loss, psnr = (float(cells[name]) for name in ("minutes", "rate", "loss", "validation_psnr"))
    largest = cells.get("largest_feature")
    return LogRow(int(cells["step"]), minutes, rate, loss, psnr, float(largest) if largest else None)
