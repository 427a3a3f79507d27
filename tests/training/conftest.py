from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from restore_cli.training.config import Recipe
from tests.training.tiny import draw_photos, recipe_with


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return recipe_with(tmp_path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_photos(tmp_path / "data")


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """A test run started in the background inherits Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
