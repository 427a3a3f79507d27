"""Scores are written by what measures them, and never lost by it."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from restore_cli.errors import InputError
from restore_cli.evaluation import scores
from restore_cli.evaluation.references import checkpoints_for
from restore_cli.inference.restorer import load_model
from restore_cli.models.card import Score, read_card
from restore_cli.models.catalog import card_path, find_card

OURS = Score("sr", "Set5", "measured", 31.61, 0.8871)
BICUBIC = Score("sr", "Set5", "bicubic", 28.43, 0.81)
CHECKPOINT = Score("sr", "Set5", "CRAFT checkpoint", 32.39, 0.9)
QUOTED = Score("sr", "Set5", "EDSR", 32.46, source="a paper, table 1")
PUBLISHED = Score("sr", "Set5", "published", 31.7)
LATER = Score("sr", "Set14", "measured", 28.2, 0.77)
MISSING = {"CRAFT checkpoint"}


def card_with(*found: Score):
    return dataclasses.replace(find_card("resnet-sr-x4"), scores=found)


def test_missing_test_sets_are_an_error_and_not_an_empty_score(tmp_path):
    with pytest.raises(InputError, match="Set5"):
        scores.measure(find_card("resnet-sr-x4"), tmp_path)


def test_a_written_score_that_was_not_measured_again_is_a_drift():
    card = card_with(OURS, BICUBIC, PUBLISHED)
    assert scores._drift(card, [OURS, BICUBIC], set()) == []
    assert len(scores._drift(card, [BICUBIC], set())) == 1
    moved = dataclasses.replace(OURS, psnr=OURS.psnr + 0.02)
    assert len(scores._drift(card, [moved, BICUBIC], set())) == 1


def test_a_quoted_figure_that_was_changed_is_a_drift():
    changed = dataclasses.replace(QUOTED, psnr=33.0)
    assert len(scores._drift(card_with(OURS, QUOTED), [OURS, changed], set())) == 1


def test_what_is_not_at_hand_is_neither_a_drift_nor_lost():
    card = card_with(OURS, BICUBIC, CHECKPOINT, PUBLISHED)
    assert scores._drift(card, [OURS, BICUBIC], MISSING) == []
    assert len(scores._drift(card, [OURS, BICUBIC], set())) == 1
    assert scores._with_kept(card, [OURS, BICUBIC, QUOTED], MISSING) == (OURS, BICUBIC, CHECKPOINT, QUOTED, PUBLISHED)


def test_a_row_of_what_is_no_longer_measured_goes():
    card = card_with(OURS, dataclasses.replace(BICUBIC, origin="nearest"))
    assert scores._with_kept(card, [OURS, BICUBIC], MISSING) == (OURS, BICUBIC)


def test_the_order_of_rows_does_not_tell_when_they_were_written():
    expected = (OURS, BICUBIC, CHECKPOINT, QUOTED, PUBLISHED, LATER)
    for seed in range(5):
        card = card_with(*random.Random(seed).sample(expected, len(expected)))
        assert scores._with_kept(card, [OURS, BICUBIC, QUOTED, LATER], MISSING) == expected
        assert scores._with_kept(card, [OURS, BICUBIC, CHECKPOINT, QUOTED, LATER], set()) == expected


def test_the_readme_shows_what_is_compared_and_says_what_is_quoted():
    table = scores.readme_table([card_with(OURS, BICUBIC, CHECKPOINT, QUOTED, LATER)])
    first, second = (line for line in table.splitlines() if line.startswith("| `resnet-sr-x4`"))
    assert first.endswith("| 31.61 | 0.8871 | sr | bicubic 28.43, CRAFT checkpoint 32.39, EDSR 32.46 (quoted) |")
    assert second.endswith("| sr |  |")
    assert table.endswith("Quoted, not measured here: EDSR: a paper, table 1.")


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """Two embedded models with cards of their own in a folder, a README, and a measuring that only pretends."""
    for name in ("resnet-sr-x4", "resnet-sr-x2"):
        (tmp_path / f"{name}.toml").write_text(card_path(name).read_text())
    monkeypatch.setenv("RESTORE_CARDS", str(tmp_path))
    (tmp_path / "README.md").write_text("before\n")
    (tmp_path / "craft_x4.pth").touch()
    (tmp_path / "dncnn_25.pth").touch()
    monkeypatch.setattr(scores, "measure", lambda card, *rest: [dataclasses.replace(OURS, psnr=40.0), BICUBIC])
    return tmp_path


def run(folder, *arguments):
    return scores.main(["--readme", str(folder / "README.md"), "--checkpoints", str(folder), *arguments])


def test_measuring_one_model_leaves_the_rows_of_the_others(catalogue):
    other = (catalogue / "resnet-sr-x2.toml").read_bytes()
    before = read_card(catalogue / "resnet-sr-x4.toml")
    assert run(catalogue, "resnet-sr-x4") == 0
    assert (catalogue / "resnet-sr-x2.toml").read_bytes() == other
    written = read_card(catalogue / "resnet-sr-x4.toml")
    assert written == dataclasses.replace(before, scores=(dataclasses.replace(OURS, psnr=40.0), BICUBIC))
    readme = (catalogue / "README.md").read_text()
    assert readme.startswith("before\n")
    assert "| 40.00 |" in readme
    assert f"| `resnet-sr-x2` | Set5 |  | {find_card('resnet-sr-x2').scores[0].psnr:.2f} |" in readme


def test_checking_writes_nothing_and_fails_on_a_drift(catalogue, capsys):
    before = {path: path.read_bytes() for path in catalogue.iterdir()}
    assert run(catalogue, "resnet-sr-x4", "--check") == 1
    assert "drifted: resnet-sr-x4: measured sr Set5" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in catalogue.iterdir()} == before


def test_an_unknown_model_is_refused(capsys):
    with pytest.raises(SystemExit):
        scores.main(["nothing-of-that-name"])
    assert "nothing-of-that-name" in capsys.readouterr().err


def test_what_several_models_are_compared_with_is_measured_once(monkeypatch):
    asked = []
    monkeypatch.setattr(scores, "_score", lambda benchmark, origin, *rest: asked.append(origin) or BICUBIC)
    benchmark = scores.Benchmark("sr", "Set5", "", pairs=iter, baselines={"bicubic": np.array})
    known = {}
    for _ in range(2):
        assert scores._others(benchmark, 4, None, known)[0] == BICUBIC
    assert asked == ["bicubic"]
    scores._others(benchmark, 2, None, known)
    assert asked == ["bicubic", "bicubic"]


def test_grey_pictures_pass_a_colour_network_and_come_out_grey(weights):
    restore = scores.on_pixels(load_model(str(weights["x2"]), device="cpu"))
    assert restore(np.zeros((6, 5, 1), np.float32)).shape == (12, 10, 1)
    assert restore(np.zeros((6, 5, 3), np.float32)).shape == (12, 10, 3)


@pytest.mark.shared
def test_the_checkpoints_at_hand_restore_what_they_are_said_to(shared):
    folder = shared / "checkpoints"
    found = checkpoints_for("sr", "Set5", "", 4, folder) | checkpoints_for(
        "denoise", "Set12", "sigma 25, ...", 1, folder
    )
    assert found.keys() == {"CRAFT checkpoint", "DnCNN checkpoint"}
    small = np.full((16, 16, 3), 0.5, np.float32)
    assert scores._from_file(found["CRAFT checkpoint"])(small).shape == (64, 64, 3)
    assert scores._from_file(found["DnCNN checkpoint"])(small[:, :, :1]).shape == (16, 16, 1)
