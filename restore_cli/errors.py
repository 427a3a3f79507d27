"""Every error a user can meet: what happened, what to do about it, and the exit code it ends in.

The shell (`restore_cli.cli._shell`) catches `RestoreError` and nothing else. A `ValueError` or a
`KeyError` reaching it is our bug and keeps its traceback.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "DeviceError",
    "DeviceMemoryError",
    "DownloadError",
    "InputError",
    "ModelNotFoundError",
    "OutputError",
    "RecipeError",
    "RestoreError",
    "UsageError",
]


class RestoreError(Exception):
    """A failure we understand.

    Args:
        message: one sentence that names the file (or option) and what was found.
        hint: the next thing to try, ideally a command to type; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(RestoreError):
    """Options that contradict each other or a value no command accepts; exit code 2."""

    exit_code = 2


class InputError(RestoreError):
    """A picture (or mask, or reference) that is missing, unreadable or of an impossible shape."""


class OutputError(RestoreError):
    """A result that cannot be written: it exists, the folder is read-only, the disk is full, ..."""


class ModelNotFoundError(RestoreError):
    """No card, file or hub address answers to that name."""


class CheckpointError(RestoreError):
    """A weights file that is damaged, unsafe, of an unknown architecture or of the wrong kind."""


class DownloadError(RestoreError):
    """A file the hub did not deliver, or delivered with the wrong content."""


class DeviceError(RestoreError):
    """A device or precision this machine does not have."""


class DeviceMemoryError(RestoreError):
    """Not enough memory, even with the smallest tile."""


class RecipeError(RestoreError):
    """A training recipe or card with an unknown key, a missing one, or a value out of range."""
