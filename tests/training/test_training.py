"""The loop learns, stops, resumes and exports; recipes say exactly what they mean."""

from __future__ import annotations

import csv
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from restore_cli.errors import CheckpointError, InputError, RecipeError
from restore_cli.inference.restorer import load_model
from restore_cli.training.config import OptimizerRecipe, read_recipe
from restore_cli.training.data import PatchSampler
from restore_cli.training.ema import AveragedWeights
from restore_cli.training.export import check_card, export_model
from restore_cli.training.loop import Budget, learning_rate, train
from restore_cli.training.losses import LOSS_FUNCTIONS, psnr_loss

RECIPE = """
name = "tiny"
task = "denoise"
[network]
arch = "unet"
wne = true
widths = [4, 8]
blocks = 1
body_blocks = 1
[data]
folders = ["photos"]
patch_px = 16
batch = 2
held_out = 2
[data.degradation]
kind = "gaussian-noise"
sigma_255 = [10, 30]
[optimizer]
loss = "l1"
minutes = 10
rate = 2e-3
[card]
summary = "For tests."
[card.licence]
name = "CC0"
commercial = true
training_data = "drawn by the tests"
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return read_recipe(path)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data/photos"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(4):
        blocks = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{index}.png"), cv2.resize(blocks, (64, 48), interpolation=cv2.INTER_CUBIC))
    return tmp_path / "data"


def run(recipe, data, folder, steps, **options):
    options = {"validate_every": 10, "show_progress": False} | options
    return train(recipe, data, folder, budget=Budget(60, steps), **options)


def logged(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_short_run_lowers_the_loss_and_logs_it(recipe, data, tmp_path):
    run(recipe, data, tmp_path / "run", steps=40)
    rows = logged(tmp_path / "run")
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40, 40]
    assert float(rows[-2]["loss"]) < 0.9 * float(rows[0]["loss"])
    assert float(rows[-1]["validation_psnr"]) > float(rows[0]["validation_psnr"])


def test_a_resumed_run_equals_an_uninterrupted_one(recipe, data, tmp_path):
    whole = run(recipe, data, tmp_path / "whole", steps=12)

    class Interrupt(Exception):
        pass

    def after_seven(step):
        if step == 7:
            raise Interrupt

    with pytest.raises(Interrupt):
        run(recipe, data, tmp_path / "parts", steps=12, on_step=after_seven)
    parts = run(recipe, data, tmp_path / "parts", steps=12, resume=True)
    first, second = (torch.load(path, weights_only=True) for path in (whole, parts))
    assert first["step"] == second["step"] == 12
    for part in ("network", "averaged"):
        assert all(torch.equal(first[part][key], second[part][key]) for key in first[part])


def test_a_new_run_never_overwrites_an_old_one(recipe, data, tmp_path):
    run(recipe, data, tmp_path / "run", steps=1)
    with pytest.raises(CheckpointError, match="exists"):
        run(recipe, data, tmp_path / "run", steps=1)


def test_there_must_be_something_to_resume(recipe, data, tmp_path):
    with pytest.raises(CheckpointError, match="nothing to resume"):
        run(recipe, data, tmp_path / "run", steps=1, resume=True)


def test_an_exported_model_is_the_averaged_network_inside_wne(recipe, data, tmp_path):
    checkpoint = run(recipe, data, tmp_path / "run", steps=3)
    card = export_model(recipe, checkpoint, tmp_path / "weights")
    restorer = load_model(str(card.with_suffix(".safetensors")))
    assert restorer.wne
    averaged = torch.load(checkpoint, weights_only=True)["averaged"]
    found = restorer.model.network.module.state_dict()
    for key, value in found.items():
        assert torch.equal(value, averaged[f"backbone.{key}"].half().float())


def test_a_network_that_cannot_be_built_is_the_recipes_fault(tmp_path, data):
    path = tmp_path / "bad.toml"
    changes = (("widths =", "widht =", "widht"), ("wne = true", "wne = true\nchannels = 1", "channels is 3"))
    for old, new, message in changes:
        path.write_text(RECIPE.replace(old, new))
        with pytest.raises(RecipeError, match=message):
            run(read_recipe(path), data, tmp_path / "run", steps=1)


def test_another_recipes_checkpoint_is_not_resumed(recipe, data, tmp_path):
    run(recipe, data, tmp_path / "run", steps=1)
    path = tmp_path / "wider.toml"
    path.write_text(RECIPE.replace("[4, 8]", "[4, 12]"))
    with pytest.raises(CheckpointError, match="not a checkpoint of this recipe"):
        run(read_recipe(path), data, tmp_path / "run", steps=2, resume=True)


def test_a_recipe_without_a_card_is_refused_before_the_training(tmp_path):
    path = tmp_path / "bare.toml"
    path.write_text(RECIPE[: RECIPE.index("[card]")])
    with pytest.raises(RecipeError, match="missing summary, "):
        check_card(read_recipe(path))


def test_fewer_pictures_than_the_held_out_share_still_train(tmp_path, data):
    path = tmp_path / "few.toml"
    path.write_text(RECIPE.replace("held_out = 2", "held_out = 50"))
    run(read_recipe(path), data, tmp_path / "run", steps=1)


def test_missing_pictures_are_named(recipe, tmp_path):
    with pytest.raises(InputError, match="photos"):
        run(recipe, tmp_path, tmp_path / "run", steps=1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch = 2", "batch = 2\nbtach = 3", "unknown key 'btach'"),
        ("rate = 2e-3", 'rate = "fast"', "expected float"),
        ('kind = "gaussian-noise"', 'kind = "gauss"', "unknown kind 'gauss'"),
        ("sigma_255 = [10, 30]", "sigma = [10, 30]", "unknown key 'sigma'"),
        ('loss = "l1"', 'loss = "l3"', "unknown optimizer.loss 'l3'"),
        ('task = "denoise"', 'task = "denoize"', "unknown task 'denoize'"),
        ('arch = "unet"', 'arch = "unett"', "unknown network.arch 'unett'"),
        ("held_out = 2", "held_out = 0", "held_out is out of range"),
        ("minutes = 10", "minutes = 0", "minutes is out of range"),
        ("patch_px = 16", "", "missing patch_px"),
        ("name =", "name", "not a TOML file"),
    ],
)
def test_a_careless_recipe_is_refused(tmp_path, old, new, message):
    path = tmp_path / "bad.toml"
    path.write_text(RECIPE.replace(old, new))
    with pytest.raises(RecipeError, match=message):
        read_recipe(path)


@pytest.mark.parametrize("name", ["resnet-sr-x4", "unet-denoise-color"])
def test_the_packages_recipes_are_found_by_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    assert read_recipe(Path(name)).name == name


def test_batches_depend_on_seed_and_step_alone(recipe):
    pictures = [np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)]
    sampler = PatchSampler(pictures, recipe.data.degradation, 16, 1)
    late = next(sampler.batches(2, seed=3, first_step=5))
    assert all(torch.equal(*pair) for pair in zip(late, sampler.batch(2, (3, 5)), strict=True))
    assert not torch.equal(late[1], sampler.batch(2, (3, 6))[1])


def test_detailed_places_are_drawn_more_often_than_flat_ones(recipe):
    picture = np.zeros((64, 256, 3), np.uint8)
    picture[:, 128:] = np.random.default_rng(0).integers(0, 256, (64, 128, 3))
    _, clean = PatchSampler([picture], recipe.data.degradation, 16, 1).batch(200, (0, 0))
    busy = (clean.std(dim=(1, 2, 3)) > 0.05).float().mean()
    assert 0.8 < busy < 1


def test_the_rate_warms_up_and_ends_low():
    optimizer = OptimizerRecipe(loss="l1", minutes=1, rate=1e-3, last_rate=1e-6, warmup=0.1)
    rates = [learning_rate(optimizer, share / 100) for share in range(101)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) == 10
    assert rates[-1] == pytest.approx(1e-6)
    assert all(first > second for first, second in pairwise(rates[10:]))


def test_the_average_follows_the_network():
    network = torch.nn.Conv2d(1, 1, 1)
    average = AveragedWeights(network, decay=0.5)
    with torch.no_grad():
        network.weight.add_(1)
    before = average.network.weight.clone()
    average.update(network, step=100)
    torch.testing.assert_close(average.network.weight, before + 0.5)


def test_psnr_loss_of_a_known_error_and_of_none():
    clean = torch.zeros(2, 3, 4, 4)
    assert psnr_loss(clean + 0.1, clean).item() == pytest.approx(-20, abs=1e-4)
    assert psnr_loss(clean, clean).item() == pytest.approx(-80)


@pytest.mark.parametrize("name", LOSS_FUNCTIONS)
def test_every_loss_is_least_at_the_clean_picture(name):
    clean = torch.rand(1, 3, 8, 8)
    loss = LOSS_FUNCTIONS[name]
    assert loss(clean, clean) < loss(clean + 0.01, clean) < loss(clean + 0.1, clean)
