"""The one error boundary: what we understand becomes one line and an exit code, the rest keeps its trace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import RestoreError

__all__ = ["INTERRUPTED", "guarded"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

Command = TypeVar("Command", bound=Callable[..., Any])


def guarded(command: Command) -> Command:
    """`command` with known errors and Ctrl-C turned into a line and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the command takes
        try:
            return command(*args, **kwargs)
        except RestoreError as error:
            Display().error(error.message, error.hint)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            Display().error("interrupted.")
            raise typer.Exit(INTERRUPTED) from error

    return run  # type: ignore[return-value] - same signature, by wraps
