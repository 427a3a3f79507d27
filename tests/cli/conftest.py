from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from restore_cli.cli import app

Restore = Callable[..., Result]


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """A test run started in the background inherits Ctrl-C ignored, and hands that on to its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Restore:
    """Runs a command line in an empty folder; leaves no bug and no temporary file unnoticed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: Any) -> Result:
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.stderr
        assert not [path for path in tmp_path.rglob(".restore-*.part")], "a temporary file was left behind"
        return result

    return run


@pytest.fixture
def refused(restore: Restore) -> Callable[..., str]:
    """Runs a command line that must fail with one line, which it returns."""

    def run(*arguments: Any, code: int = 1) -> str:
        result = restore(*arguments)
        lines = result.stderr.splitlines()
        assert (result.exit_code, len(lines), result.stdout) == (code, 1, ""), result.output
        assert lines[0].startswith("error: ")
        return lines[0]

    return run
