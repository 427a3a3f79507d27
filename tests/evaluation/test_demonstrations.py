"""The demonstrations measure what they say, refuse unfinished runs, and write tables and plots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from restore_cli.errors import CheckpointError
from restore_cli.evaluation import demonstrations
from restore_cli.evaluation.demonstrations import (
    DATA_RECIPES,
    NORM_RECIPES,
    WNE_RECIPES,
    held_out,
    mismatch,
    mismatch_table,
    norms_table,
)
from restore_cli.training.config import read_recipe
from restore_cli.training.corpus import read_corpus
from restore_cli.training.record import LogRow, RunFolder
from tests.pictures import values, write
from tests.training.tiny import RECIPE, draw_photos, run


def rows(*features, steps=10):
    return [LogRow(steps * (index + 1), 1.0, 1e-4, 0.1, 30.0 + index, each) for index, each in enumerate(features)]


def test_mismatch_is_psnr_over_the_noise_a_picture_has():
    clean = [np.full((64, 64, 1), 0.5, np.float32), np.full((48, 80, 1), 0.2, np.float32)]
    oracle = {"perfect at a tenth": lambda noisy: 0.5 + (noisy - 0.5) / 10}
    psnr = mismatch(oracle, clean[:1], (5, 50))
    for name, gain in (("input", 0), ("perfect at a tenth", 20)):
        expected = [20 * np.log10(255 / sigma) + gain for sigma in (5, 50)]
        assert psnr[name] == pytest.approx(expected, abs=0.2)
    assert mismatch({}, clean, (5,))["input"] == pytest.approx([20 * np.log10(51)], abs=0.2)


def test_tables_have_a_row_a_noise_level_and_a_column_a_model():
    table = mismatch_table((5, 100), {"input": [34.151, 8.13], "with WNE": [38.0, 23.5]})
    assert table.splitlines() == [
        "| test noise, sigma | input | with WNE |",
        "|---|---|---|",
        "| 5 | 34.15 | 38.00 |",
        "| 100 | 8.13 | 23.50 |",
    ]


def test_a_long_training_is_thinned_out_to_its_end():
    logs = {"LayerNorm": rows(*range(100, 115)), "i-LN": rows(*range(1, 16))}
    lines = norms_table(logs, rows=5).splitlines()
    assert lines[0] == "| step | LayerNorm: dB | LayerNorm: largest feature | i-LN: dB | i-LN: largest feature |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 30", "| 60", "| 90", "| 120", "| 150"]
    assert lines[-1] == "| 150 | 44.00 | 114.0 | 44.00 | 15.0 |"


def test_a_log_without_features_is_refused():
    with pytest.raises(CheckpointError, match="largest feature"):
        norms_table({"i-LN": rows(None)})


@pytest.mark.parametrize("recipes", [WNE_RECIPES, NORM_RECIPES], ids=["wne", "norms"])
def test_the_recipes_differ_in_what_is_shown_and_in_nothing_else(recipes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    read = [read_recipe(Path(name)) for name in recipes.values()]
    assert [each.name for each in read] == list(recipes.values())
    for each in read:
        assert (each.data, each.optimizer, each.log, each.seed) == (read[0].data, read[0].optimizer, read[0].log, 0)
        assert each.optimizer.steps
        shown = {"norm", "stdnorm"}
        rest = [
            {key: value for key, value in net.network.config.items() if key not in shown} for net in (each, read[0])
        ]
        assert rest[0] == rest[1]
    whats = [(each.network.wne, each.network.config.get("norm"), each.network.config.get("stdnorm")) for each in read]
    assert len(set(whats)) == len(read)


def test_the_recipes_on_data_differ_in_their_folders_and_in_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    free, both = (read_recipe(Path(name)) for name in DATA_RECIPES.values())
    assert (free.data.folders, both.data.folders) == (("photos",), ("photos", "bsd400"))
    assert replace(free.data, folders=both.data.folders) == both.data
    assert (free.network, free.optimizer, free.seed) == (both.network, both.optimizer, both.seed)
    assert free.card["licence"]["commercial"] and not both.card["licence"]["commercial"]


def test_held_out_pictures_are_those_that_no_run_has_trained_on(tmp_path):
    data = draw_photos(tmp_path / "data")
    recipe = read_recipe(Path("shown-data-both"))
    folder = next(data.iterdir()).name
    recipe = replace(recipe, data=replace(recipe.data, folders=(folder,), reductions=(1,)))
    trained = {scene.clean.tobytes() for scene in read_corpus(recipe, data).training}
    pairs = held_out(recipe, folder, data)
    assert pairs
    for reduced, clean in pairs:
        assert clean.shape[:2] == tuple(4 * side for side in reduced.shape[:2])
        assert np.round(clean * 255).astype(np.uint8).tobytes() not in trained


@pytest.fixture
def weights_folder(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/README.md").write_text("by hand\n")
    return tmp_path / "weights"


def test_an_unfinished_run_is_not_shown(tmp_path, weights_folder):
    with pytest.raises(CheckpointError, match=r"0 of \d+ steps.*restore train shown-norm-layernorm"):
        demonstrations.show_norms(tmp_path, weights_folder)
    folder = RunFolder(tmp_path / "shown-norm-layernorm", resume=False)
    folder.add_row(rows(1.0)[0])
    with pytest.raises(CheckpointError, match=r"10 of \d+ steps.*--resume"):
        demonstrations.show_norms(tmp_path, weights_folder)
    assert (weights_folder / "README.md").read_text() == "by hand\n"


def test_norms_are_shown_from_finished_logs(tmp_path, weights_folder):
    for recipe, feature in zip(NORM_RECIPES.values(), (300.0, 200.0, 4.0), strict=True):
        steps = read_recipe(Path(recipe)).optimizer.steps
        folder = RunFolder(tmp_path / recipe, resume=False)
        for row in rows(feature / 2, feature, steps=steps // 2):
            folder.add_row(row)
    for _ in range(2):  # written again, it replaces itself
        demonstrations.main(["norms", "--runs", str(tmp_path), "--weights", str(weights_folder)])
    text = (weights_folder / "README.md").read_text()
    assert text.startswith("by hand\n")
    assert text.count("| 31.00 | 300.0 | 31.00 | 200.0 | 31.00 | 4.0 |") == 1
    assert min(cv2.imread(str(weights_folder / "shown-norms.png")).shape[:2]) > 300


def test_wne_is_shown_from_finished_runs(tmp_path, weights_folder, monkeypatch):
    data = draw_photos(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for recipe, wne in (("small-plain", "false"), ("small-wrapped", "true")):
        text = RECIPE.replace("wne = true", f"wne = {wne}\nchannels = 1").replace("minutes", "steps = 3\nminutes")
        (tmp_path / recipe).write_text(text.replace('name = "tiny"', f'name = "{recipe}"'))
        run(read_recipe(Path(recipe)), data, tmp_path / "runs" / recipe, steps=3)
    monkeypatch.setattr(demonstrations, "WNE_RECIPES", {"bare": "small-plain", "wrapped": "small-wrapped"})
    monkeypatch.setattr(demonstrations, "SIGMAS_255", (10, 50))
    write(tmp_path / "test/Set12/a.png", values(33, 40, channels=1))
    arguments = ("wne", "--runs", tmp_path / "runs", "--data", tmp_path, "--weights", weights_folder)
    demonstrations.main([str(each) for each in arguments])
    text = (weights_folder / "README.md").read_text()
    assert "| test noise, sigma | input | bare | wrapped |" in text
    assert "| 50 | 14." in text
    assert min(cv2.imread(str(weights_folder / "shown-wne.png")).shape[:2]) > 300
