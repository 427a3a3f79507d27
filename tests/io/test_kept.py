"""The README's table of what is kept, measured; RESTORE_UPDATE=1 writes it anew."""

import os
from pathlib import Path

import pytest

from restore_cli.evaluation.marked import write_part
from restore_cli.io.extras import missing_package
from restore_cli.io.formats import WRITABLE_FORMATS
from tests.io import kept

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def documented() -> list[str]:
    return README.read_text(encoding="utf-8").partition(kept.START)[2].partition(kept.END)[0].splitlines()


@pytest.mark.skipif("RESTORE_UPDATE" not in os.environ, reason="only where RESTORE_UPDATE asks for it")
def test_write_the_table(tmp_path: Path) -> None:
    rows = kept.table(tmp_path, list(WRITABLE_FORMATS))
    write_part(README, kept.START, kept.END, "\n".join(rows.values()))


@pytest.mark.parametrize("name", WRITABLE_FORMATS)
def test_the_readme_tells_the_truth(tmp_path: Path, documented: list[str], name: str) -> None:
    if command := missing_package(name):
        pytest.skip(f"{name} needs {command}")
    rows = kept.table(tmp_path, [name])
    assert "\n".join(documented).strip().startswith(rows[""])
    assert rows[name] in documented


def test_the_table_has_every_format_once(documented: list[str]) -> None:
    assert len([line for line in documented if line.startswith("|")]) == 2 + len(WRITABLE_FORMATS)
