"""The page on many machines: its table is the simulation's, and the simulation bears out its arithmetic."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("scaling", ROOT / "examples/scaling.py")
scaling = importlib.util.module_from_spec(SPEC)
sys.modules["scaling"] = scaling
SPEC.loader.exec_module(scaling)


@pytest.fixture(scope="module")
def table():
    return scaling.table()


def test_the_table_of_the_page_is_what_the_script_prints(table):
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    assert f"{scaling.START}\n{table}\n{scaling.END}\n" in page, "run: python examples/scaling.py docs/scaling.md"


def test_the_arithmetic_of_the_page_foretells_the_simulation_to_two_percent(table):
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines()[2:]]
    assert len(rows) == len(scaling.SETTINGS)
    for row in rows:
        predicted, simulated = float(row[5]), float(row[6])
        assert simulated == pytest.approx(predicted, rel=0.02), row


@settings(max_examples=25, deadline=None)
@given(
    workers=st.integers(1, 20),
    pictures=st.integers(1, 300),
    losses=st.sampled_from([0.0, 20.0, 100.0]),
    seed=st.integers(0, 1000),
)
def test_whoever_is_lost_every_picture_has_one_outcome(workers, pictures, losses, seed):
    """One that was returned twice, or by a worker that does not hold it, would raise."""
    outcome = scaling.simulate(scaling.Setting(workers, pictures, losses_an_hour=losses), seed)
    assert outcome.done <= pictures <= outcome.begun
    assert losses or (outcome.done, outcome.begun) == (pictures, pictures)


def test_more_workers_are_never_slower_until_something_else_is_the_limit():
    seconds = [scaling.simulate(scaling.Setting(workers, 400)).seconds for workers in (1, 2, 4, 8, 16)]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] / seconds[3] > 6  # of 8
