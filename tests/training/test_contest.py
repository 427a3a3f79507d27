"""Rivals get the same data and time; the outcome is on the card, and stays there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from restore_cli.errors import RecipeError
from restore_cli.models.card import Rival, read_card
from restore_cli.models.catalog import read_catalog
from restore_cli.training.config import read_recipe
from restore_cli.training.contest import Contest, hold, main, read_contest, write_outcome
from restore_cli.training.export import export_model
from tests.training.tiny import recipe_file, recipe_with, run

CONTESTS = Path(__file__).parents[2] / "restore_cli/training/contests"
SMALL = {"arch": "unet", "widths": [4, 8], "blocks": 1, "body_blocks": 1}
MINUTES = 0.01


@pytest.fixture
def contest(tmp_path, data, monkeypatch):
    """Over the tiny recipe, whose card is a model already."""
    recipe = recipe_with(tmp_path)
    export_model(recipe, run(recipe, data, tmp_path / "first", steps=1), tmp_path / "cards")
    monkeypatch.setenv("RESTORE_CARDS", str(tmp_path / "cards"))
    rivals = {"unet": SMALL, "resnet": {"arch": "resnet", "width": 4, "depth": 1}}
    return Contest(str(recipe_file(tmp_path)), "tiny", MINUTES, rivals, {"patch_px": 8})


@pytest.mark.parametrize("name", sorted(path.stem for path in CONTESTS.glob("*.toml")))
def test_the_packages_contests_are_fair(name):
    recipes = list(read_contest(Path(name)).recipes())
    assert len(recipes) >= 3
    first = recipes[0]
    for other in recipes[1:]:
        assert (other.data, other.optimizer, other.seed) == (first.data, first.optimizer, first.seed)
    assert all(not recipe.network.init and not recipe.network.model for recipe in recipes)


def test_rivals_take_all_but_network_and_time_from_the_recipe(contest):
    base = read_recipe(Path(contest.recipe))
    unet, resnet = contest.recipes()
    assert (unet.network.arch, resnet.network.arch) == ("unet", "resnet")
    assert resnet.data == replace(base.data, patch_px=8)
    assert resnet.optimizer == replace(base.optimizer, minutes=MINUTES)


def test_the_best_comes_first_and_a_finished_run_is_not_trained_again(contest, data, tmp_path, monkeypatch):
    outcome = hold(contest, data, tmp_path / "runs")
    assert {rival.name for rival in outcome} == {"unet", "resnet"}
    assert outcome[0].validation_psnr >= outcome[1].validation_psnr
    assert all(rival.steps > 0 and rival.minutes == MINUTES for rival in outcome)
    monkeypatch.setattr("restore_cli.training.contest.train", None)
    assert hold(contest, data, tmp_path / "runs") == outcome


def test_the_outcome_is_on_the_card_and_survives_the_next_export(contest, data, tmp_path):
    earlier = [Rival("unet", 1, 1.0, 1, 20.0), Rival("other", 1, 1.0, 1, 30.0)]
    write_outcome(contest, earlier)
    latest = [Rival("resnet", 2, 1.0, 1, 25.0), Rival("unet", 1, 1.0, 1, 21.0)]
    path = write_outcome(contest, latest)
    assert list(read_card(path).rivals) == [earlier[1], *latest]
    recipe = read_recipe(Path(contest.recipe))
    export_model(recipe, run(recipe, data, tmp_path / "second", steps=1), tmp_path / "cards")
    assert list(read_card(path).rivals) == [earlier[1], *latest]


@pytest.mark.parametrize("path", sorted(CONTESTS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_outcome_of_every_contest_is_on_the_card_that_ships(path):
    contest = read_contest(path)
    assert {rival.name for rival in read_catalog()[contest.card].rivals} >= contest.rivals.keys()


def test_the_program_prints_and_writes_the_outcome(contest, data, tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text(
        f'recipe = "{contest.recipe}"\ncard = "tiny"\nminutes = {MINUTES}\n'
        '[rivals.resnet]\narch = "resnet"\nwidth = 4\ndepth = 1\n'
    )
    assert main([str(file), "--data", str(data), "-o", str(tmp_path / "runs")]) == 0
    assert "resnet: " in capsys.readouterr().out
    assert [rival.name for rival in read_card(tmp_path / "cards/tiny.toml").rivals] == ["resnet"]


def test_an_unknown_contest_is_refused_with_the_known_ones():
    with pytest.raises(RecipeError, match="no such contest") as failure:
        read_contest(Path("dehaze"))
    assert "denoise" in failure.value.hint
