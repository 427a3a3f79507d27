"""What is exported is the averaged network, and whoever is given the two files can run it."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from restore_cli.errors import CheckpointError, OutputError, RecipeError
from restore_cli.inference.restorer import Restorer, load_model
from restore_cli.models.card import read_card
from restore_cli.options import RunOptions
from restore_cli.training.config import read_recipe
from restore_cli.training.export import check_export, export_model, trained_model
from restore_cli.training.network import build_trainee
from tests.networks import SMALL_CONFIGS, small_network
from tests.training.foreign import FOREIGN, foreign_file
from tests.training.tiny import DEGRADATION, NETWORK, RECIPE, recipe_file, recipe_with, run

BICUBIC = (DEGRADATION, '[data.degradation]\nkind = "bicubic"\n')


def averaged_network(recipe, checkpoint):
    """The averaged network as it was trained, its weights rounded as the file rounds them."""
    network = build_trainee(recipe).network
    state = torch.load(checkpoint, weights_only=True)["averaged"]
    network.load_state_dict(
        {key: each.half().float() if each.is_floating_point() else each for key, each in state.items()}
    )
    return network.eval()


def test_an_exported_model_is_the_averaged_network_inside_wne(recipe, data, tmp_path):
    checkpoint = run(recipe, data, tmp_path / "run", steps=3)
    card = export_model(recipe, checkpoint, tmp_path / "weights")
    restorer = load_model(str(card.with_suffix(".safetensors")))
    assert restorer.wne
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(restorer(picture), averaged_network(recipe, checkpoint)(picture))
    assert read_card(card).config == {"widths": [4, 8], "blocks": 1, "body_blocks": 1}


def test_a_run_is_a_model_without_exporting_it_and_without_rounding(recipe, data, tmp_path):
    checkpoint = run(recipe, data, tmp_path / "run", steps=3)
    restorer = Restorer(trained_model(recipe, checkpoint), RunOptions("cpu"))
    assert restorer.wne
    network = build_trainee(recipe).network.eval()
    network.load_state_dict(torch.load(checkpoint, weights_only=True)["averaged"])
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(restorer(picture), network(picture))
    with pytest.raises(CheckpointError, match="Train first"):
        trained_model(recipe, tmp_path / "nothing.pt")


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_fine_tuned_foreign_model_keeps_its_keys_and_is_recognised_by_them(tmp_path, data, kind, monkeypatch):
    file = foreign_file(tmp_path, kind)
    network = f'[network]\nmodel = "{file}"\n'
    recipe = recipe_with(tmp_path, (NETWORK, network), *([BICUBIC] if kind == "Compact" else []))
    checkpoint = run(recipe, data, tmp_path / "run", steps=2)
    card = export_model(recipe, checkpoint, tmp_path / "weights")
    exported = load_file(card.with_suffix(".safetensors"))
    assert exported.keys() == torch.load(file)["params"].keys()
    assert {each.dtype for each in exported.values() if each.is_floating_point()} == {torch.float16}
    monkeypatch.setenv("RESTORE_CARDS", str(tmp_path / "weights"))
    restorer = load_model("tiny")
    given = {"sigma_255": 20} if kind == "DRUNet" else {}
    told = {"sigma": torch.full((1, 1, 1, 1), 20 / 255)} if given else {}
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        wanted = averaged_network(recipe, checkpoint)(picture, **told)
    torch.testing.assert_close(restorer(picture, **given), wanted)
    assert read_card(card).conditioning == ("sigma_255" if given else "blind")


def test_what_a_file_says_about_itself_is_said_again(tmp_path, data, monkeypatch):
    """Window sizes leave no trace in the shapes of a fine-tuned network."""
    config = {**SMALL_CONFIGS["hinet"], "relu_slope": 0.05}
    file = tmp_path / "model.safetensors"
    save_file(small_network("hinet", relu_slope=0.05).float().state_dict(), file, {"config": json.dumps(config)})
    recipe = recipe_with(tmp_path, (NETWORK, f'[network]\nmodel = "{file}"\n'))
    checkpoint = run(recipe, data, tmp_path / "run", steps=1)
    card = export_model(recipe, checkpoint, tmp_path / "weights")
    restorer = load_model(str(card.with_suffix(".safetensors")))
    assert restorer.model.network.assumed == ()
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(restorer(picture), averaged_network(recipe, checkpoint)(picture))


def test_a_fine_tuned_card_keeps_architecture_settings_and_tiling(tmp_path, data, monkeypatch, weights):
    first = recipe_with(tmp_path)
    export_model(first, run(first, data, tmp_path / "first", steps=1), tmp_path / "weights")
    card = tmp_path / "weights/tiny.toml"
    card.write_text(card.read_text() + "\n[tiling]\noverlap_px = 48\n")
    monkeypatch.setenv("RESTORE_CARDS", str(tmp_path / "weights"))
    tuned = recipe_with(tmp_path, (NETWORK, '[network]\nmodel = "tiny"\n'), ('name = "tiny"', 'name = "tuned"'))
    found = read_card(export_model(tuned, run(tuned, data, tmp_path / "second", steps=1), tmp_path / "more"))
    assert (found.arch, found.wne, found.tiling.overlap_px) == ("unet", True, 48)
    assert found.config == read_card(card).config


def test_a_recipe_without_a_card_is_refused_before_the_training(tmp_path):
    path = tmp_path / "bare.toml"
    path.write_text(RECIPE[: RECIPE.index("[card]")])
    with pytest.raises(RecipeError, match="missing summary, "):
        check_export(read_recipe(path), tmp_path)


def test_a_recipe_with_a_card_is_not(recipe, tmp_path):
    check_export(recipe, tmp_path)


@pytest.mark.parametrize("key", ["model", "init"])
def test_the_model_that_a_run_starts_from_is_not_replaced(tmp_path, data, key):
    first = recipe_with(tmp_path)
    export_model(first, run(first, data, tmp_path / "first", steps=1), tmp_path / "weights")
    weights = tmp_path / "weights/tiny.safetensors"
    before = weights.read_bytes()
    network = f'[network]\nmodel = "{weights}"\n' if key == "model" else f'{NETWORK}init = "{weights}"\n'
    tuned = recipe_with(tmp_path, (NETWORK, network))
    with pytest.raises(OutputError, match=r"weights/tiny\.safetensors: the model that this one starts from"):
        check_export(tuned, tmp_path / "weights")
    checkpoint = run(tuned, data, tmp_path / "second", steps=1)
    with pytest.raises(OutputError, match="starts from"):
        export_model(tuned, checkpoint, tmp_path / "weights")
    assert weights.read_bytes() == before
    export_model(tuned, checkpoint, tmp_path / "tuned")
    export_model(tuned, checkpoint, tmp_path / "tuned")  # an export replaces the one before it


def test_what_cannot_be_exported_is_said(recipe, data, tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing to export yet.*--data"):
        export_model(recipe, tmp_path / "run/checkpoint.pt", tmp_path)
    checkpoint = run(recipe, data, tmp_path / "run", steps=1)
    with pytest.raises(CheckpointError, match="not a checkpoint of this recipe"):
        export_model(read_recipe(recipe_file(tmp_path, ("[4, 8]", "[4, 12]"))), checkpoint, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--export"):
        export_model(recipe, checkpoint, tmp_path / "file")
