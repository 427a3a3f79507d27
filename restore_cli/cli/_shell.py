"""The one error boundary: what we understand becomes one line and an exit code, the rest keeps its trace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import RestoreError

__all__ = ["INTERRUPTED", "guarded"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
NO_THREAD = "can't start new thread"  # Python's words where there is no memory for its stack, or a limit on threads
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
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and str(error) != NO_THREAD:
                raise
            _say("There is not enough memory to go on.", NO_MEMORY_HINT, bool(kwargs.get("as_json")))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            _say("interrupted.", "", bool(kwargs.get("as_json")))
            raise typer.Exit(INTERRUPTED) from error

    return run


def _say(message: str, hint: str, as_json: bool) -> None:
    display = Display(as_json=as_json)
    display.error(message, hint)
    display.document({"error": message, "hint": hint})
