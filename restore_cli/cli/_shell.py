"""The one error boundary: what we understand becomes one line and an exit code, the rest keeps its trace."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import RestoreError

__all__ = ["INTERRUPTED", "guarded"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
# Of Python, which has no room for a thread's stack; of safetensors; of PyTorch.
NO_MEMORY = ("can't start new thread", "cannot allocate memory", "can't allocate memory")
NO_MEMORY_HINT = "Close other programs, or raise the limits of this one; add --resume to go on with a batch."

Parameters = ParamSpec("Parameters")


def guarded(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """`command` with known errors and Ctrl-C turned into a line and an exit code.

    With --json standard output holds a document even then: {"error", "hint"}.
    """

    @functools.wraps(command)
    def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RestoreError as error:
            _say(error.message, error.hint, bool(kwargs.get("as_json")))
            raise typer.Exit(error.exit_code) from error
        except (MemoryError, OSError, RuntimeError) as error:
            if not _lacks_memory(error):
                raise
            _say("There is not enough memory to go on.", NO_MEMORY_HINT, bool(kwargs.get("as_json")))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            _say("interrupted.", "", bool(kwargs.get("as_json")))
            raise typer.Exit(INTERRUPTED) from error

    return run


def _lacks_memory(error: Exception) -> bool:
    """Whether it is no bug of ours but the machine's, at a moment when no single file is to blame."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in NO_MEMORY)


def _say(message: str, hint: str, as_json: bool) -> None:
    display = Display(as_json=as_json)
    display.error(message, hint)
    display.document({"error": message, "hint": hint})
