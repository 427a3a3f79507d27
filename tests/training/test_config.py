"""A recipe says exactly what it means, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from restore_cli.errors import ModelNotFoundError, RecipeError
from restore_cli.training.config import PairFolders, read_recipe
from tests.training.tiny import DEGRADATION, NETWORK, recipe_file, recipe_with

PAIRS = ('folders = ["photos"]', 'pairs = [{ degraded = "bad", clean = "good" }]')
NO_DEGRADATION = (DEGRADATION, "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("batch = 2", "batch = 2\nbtach = 3", "unknown key 'btach'"),
        ("rate = 2e-3", 'rate = "fast"', "expected float"),
        ('kind = "gaussian-noise"', 'kind = "gauss"', "unknown kind 'gauss'"),
        ("sigma_255 = [10, 30]", "sigma = [10, 30]", "unknown key 'sigma'"),
        ('loss = "l1"', 'loss = "l3"', "unknown optimizer.loss 'l3'"),
        ('task = "denoise"', 'task = "denoize"', "unknown task 'denoize'"),
        ('arch = "unet"', 'arch = "unett"', "unknown arch 'unett'"),
        ("widths =", "widht =", "widht"),
        ("blocks = 1", 'blocks = "one"', "network: "),
        ("held_out = 2", "held_out = 0", "held_out is out of range"),
        ("held_out = 2", "saturation = [2.0, 1.0]", "saturation is out of range"),
        ("held_out = 2", "reductions = []", "reductions is out of range"),
        ("= 1\n[data]", "= 1\nchannels = 1\n[data]\nsaturation = [1.0, 1.5]", "saturation is out of range"),
        ("minutes = 10", "minutes = 0", "minutes is out of range"),
        ("minutes = 10", "minutes = 10\nsteps = 0", "steps is out of range"),
        ("[card]", "[log]\nevery = 0\n[card]", "log.every is out of range"),
        ("[card]", "[log]\nfeature = true\n[card]", "unknown key 'feature'"),
        ("[card]", '[card]\nid = "other"', r"card\.id\. The rest of the recipe says that"),
        ('name = "tiny"', 'name = "../tiny"', "name is out of range"),
        ("patch_px = 16", "", "missing patch_px"),
        ("patch_px = 16", "patch_px = 15", "patch_px is 15.* 16 fits"),
        ("name =", "name", "not a TOML file"),
        (NETWORK, "", r"missing \[network\]"),
        # Facts of the network, stated again and wrongly.
        ('task = "denoise"', 'task = "denoise"\nscale = 2', "scale is 2, the network's 1"),
        ("batch = 2", "batch = 2\nchannels = 1", "channels is 1, the network's 3"),
        ('kind = "gaussian-noise"\nsigma_255 = [10, 30]', 'kind = "bicubic"\nscale = 2', "scale is 2, the network's 1"),
        # One way of each.
        ('arch = "unet"', 'arch = "unet"\nmodel = "resnet-sr-x4"', "either arch or model"),
        ('arch = "unet"', "", "either arch or model"),
        ('arch = "unet"', 'model = "resnet-sr-x4"\ninit = "resnet-sr-x4"', "model and init"),
        ('arch = "unet"', 'model = "resnet-sr-x4"', "blocks beside model"),
        (NETWORK, '[network]\nmodel = "resnet-sr-x4"\nscale = 2\n', "network: scale is 2, the network's 4"),
        ('folders = ["photos"]', "", "either folders or pairs"),
        ('folders = ["photos"]', f'folders = ["photos"]\n{PAIRS[1]}', "either folders or pairs"),
        (*NO_DEGRADATION, "missing degradation"),
        (*PAIRS, "pairs and degradation"),
    ],
)
def test_a_careless_recipe_is_refused(tmp_path, old, new, message):
    with pytest.raises(RecipeError, match=message):
        recipe_with(tmp_path, (old, new))


def test_stretched_pairs_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="pairs and saturation"):
        recipe_with(tmp_path, PAIRS, NO_DEGRADATION, ("batch = 2", "batch = 2\nsaturation = [1.0, 2.0]"))


def test_reduced_pairs_are_refused(tmp_path):
    with pytest.raises(RecipeError, match="pairs and reductions"):
        recipe_with(tmp_path, PAIRS, NO_DEGRADATION, ("batch = 2", "batch = 2\nreductions = [1, 2]"))


def test_a_model_to_fine_tune_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match=r"nowhere\.pth"):
        recipe_with(tmp_path, (NETWORK, '[network]\nmodel = "nowhere.pth"\n'))


def test_scale_and_channels_are_the_networks(tmp_path):
    network = '[network]\narch = "resnet"\nchannels = 1\nwidth = 4\ndepth = 1\nscale = 3\n'
    recipe = recipe_with(tmp_path, (NETWORK, network), (DEGRADATION, '[data.degradation]\nkind = "bicubic"\n'))
    assert (recipe.scale, recipe.data.channels, recipe.data.degradation.scale) == (3, 1, 3)


def test_a_reduction_inside_a_chain_takes_the_networks_scale_too(tmp_path):
    network = '[network]\narch = "resnet"\nwidth = 4\ndepth = 1\nscale = 2\n'
    chain = """[data.degradation]
kind = "chain"
steps = [{ kind = "bicubic" }, { kind = "gaussian-noise", sigma_255 = [0, 5] }]
"""
    recipe = recipe_with(tmp_path, (NETWORK, network), (DEGRADATION, chain))
    assert recipe.data.degradation.steps[0].scale == 2


def test_a_models_scale_and_channels_are_read_from_it(tmp_path, weights):
    network = f'[network]\nmodel = "{weights["x2"]}"\nscale = 2\n'
    recipe = recipe_with(tmp_path, (NETWORK, network), (DEGRADATION, '[data.degradation]\nkind = "bicubic"\n'))
    assert (recipe.scale, recipe.data.channels) == (2, 3)


def test_pairs_need_no_degradation(tmp_path):
    recipe = recipe_with(tmp_path, PAIRS, NO_DEGRADATION)
    assert recipe.data.pairs == (PairFolders("bad", "good"),)
    assert recipe.data.degradation is None


def test_a_folder_of_a_recipes_name_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shown-wne-plain").mkdir()  # as of a run
    assert read_recipe(Path("shown-wne-plain")).optimizer.steps


def test_every_recipe_of_the_package_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match="no such recipe") as refusal:
        read_recipe(Path("nothing"))
    names = refusal.value.hint.removeprefix("A file, or one of ").rstrip(".").split(", ")
    assert "resnet-sr-x4" in names
    assert [read_recipe(Path(name)).name for name in names] == names


def test_a_file_goes_before_the_packages_recipe_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe_file(tmp_path).rename("resnet-sr-x4")
    assert read_recipe(Path("resnet-sr-x4")).name == "tiny"
