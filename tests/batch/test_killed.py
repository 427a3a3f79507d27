"""kill -9 at a few random moments; `make torture` takes many more."""

from __future__ import annotations

from tests.batch.killed import Kills, kill_and_resume


def test_a_batch_that_is_killed_loses_nothing_and_repeats_nothing(weights, tmp_path):
    assert kill_and_resume(tmp_path, weights["x1"], moments=6, seed=0) == Kills(killed=6)
