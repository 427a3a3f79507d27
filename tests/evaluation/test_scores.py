"""Scores are written by what measures them, and never lost by it."""

from __future__ import annotations

import pytest

from restore_cli.errors import InputError
from restore_cli.evaluation import scores
from restore_cli.models.card import Score
from restore_cli.models.catalog import find_card


def test_missing_test_sets_are_an_error_and_not_an_empty_score(tmp_path):
    with pytest.raises(InputError, match="Set5"):
        scores.measure(find_card("resnet-sr-x4"), tmp_path)


def test_a_written_score_that_was_not_measured_again_is_a_drift():
    card = find_card("resnet-sr-x4")
    measured = [score for score in card.scores if score.origin != "published"]
    assert scores._drift(card, measured) == []
    assert len(scores._drift(card, measured[1:])) == 1
    moved = Score("sr", "Set5", "measured", psnr=measured[0].psnr + 0.02)
    assert len(scores._drift(card, [moved, *measured[1:]])) == 1


def test_an_unknown_model_is_refused(capsys):
    with pytest.raises(SystemExit):
        scores.main(["nothing-of-that-name"])
    assert "nothing-of-that-name" in capsys.readouterr().err
