"""A name, a file or a hub address becomes a network with its weights."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import tomli_w
import torch
from safetensors.torch import save_file
from torch import nn

from restore_cli.archs import ARCHITECTURES
from restore_cli.errors import CheckpointError, ModelNotFoundError, RecipeError
from restore_cli.inference.restorer import Restorer, load_model
from restore_cli.models.build import Model, build_model, locate
from restore_cli.models.catalog import CARD_FOLDERS_VARIABLE, read_catalog, weights_path
from restore_cli.models.digest import sha256_of
from restore_cli.models.registry import Network, _WithQuality
from restore_cli.options import RunOptions
from restore_cli.tasks import TASKS
from restore_cli.wrappers.pad import Padded, SizeRule
from tests.networks import SMALL_CONFIGS, small_network


def saved(path, network, **config):
    save_file(network.float().state_dict(), path, metadata={"config": json.dumps(config)})
    return path


def card_for(folder, arch_id, **changes):
    """A card and its weights in `folder`; returns the card's table."""
    network = small_network(arch_id)
    path = saved(folder / "tiny.safetensors", network)
    table = {
        "id": "tiny",
        "task": "sr",
        "summary": "For tests.",
        "arch": arch_id,
        "scale": network.scale,
        "config": {**SMALL_CONFIGS[arch_id]},
        "file": {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)},
        "licence": {"name": "CC0", "commercial": True, "training_data": "none"},
    } | changes
    (folder / "tiny.toml").write_text(tomli_w.dumps(table))
    return table


@pytest.mark.parametrize("arch_id", sorted(ARCHITECTURES))
def test_our_networks_load_from_a_bare_file_and_compute_the_same(tmp_path, arch_id):
    network = small_network(arch_id)
    # Sizes of windows and regions leave no trace in shapes: the file says them.
    path = saved(tmp_path / "model.safetensors", network, **SMALL_CONFIGS[arch_id])
    picture = torch.rand(1, 3, 16, 16)
    model = build_model(str(path))
    assert model.network.arch == arch_id
    assert model.network.scale == network.scale
    assert model.network.radius_px == network.receptive_radius
    restorer = load_model(str(path))
    padded = Padded(network.float(), SizeRule(network.size_multiple, network.minimum_size), network.scale)
    torch.testing.assert_close(restorer(picture), padded(picture), atol=1e-5, rtol=1e-4)
    assert not model.network.assumed
    odd = torch.rand(1, 3, 37, 23)
    assert restorer(odd).shape == (1, 3, 37 * network.scale, 23 * network.scale)


def test_what_a_file_leaves_open_is_taken_as_published_and_said(tmp_path):
    path = saved(tmp_path / "model.safetensors", small_network("hinet"))
    assert build_model(str(path)).network.assumed == ("relu_slope=0.2",)
    assert build_model(str(path), overrides={"relu_slope": 0.1}).network.assumed == ()
    notes = []
    observer = SimpleNamespace(note=notes.append, tiles=lambda done, total: None)
    Restorer(build_model(str(path)), RunOptions("cpu"), observer)
    assert notes == ["model.safetensors does not say relu_slope=0.2: taken as published."]


def test_a_file_says_by_itself_that_it_wants_wne(tmp_path):
    path = saved(tmp_path / "model.safetensors", small_network("unet"), wne=True)
    assert load_model(str(path)).wne
    assert not load_model(str(path), wne=False).wne


def test_an_unknown_architecture_is_named_with_its_file(tmp_path):
    path = tmp_path / "odd.pth"
    torch.save(nn.LSTM(2, 3).state_dict(), path)
    with pytest.raises(CheckpointError, match="no known architecture") as caught:
        build_model(str(path))
    assert str(path) in caught.value.message


def test_weights_that_do_not_fit_their_architecture_are_an_error_of_one_line(tmp_path):
    state = small_network("resnet").state_dict()
    state["fuse.weight"] = torch.zeros(1)
    path = tmp_path / "odd.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="do not fit") as caught:
        build_model(str(path))
    assert "\n" not in caught.value.message


def test_an_unknown_name_offers_near_ones():
    with pytest.raises(ModelNotFoundError) as caught:
        locate("swinir-m-sr-4x")
    assert "swinir-m-sr-x4" in caught.value.hint


@pytest.mark.parametrize("spec", ["none.pth", "models/none", "none.safetensors"])
def test_a_missing_file_is_not_taken_for_a_name(spec):
    with pytest.raises(ModelNotFoundError, match="no such model file"):
        locate(spec)


def test_a_folder_is_not_a_model(tmp_path):
    with pytest.raises(ModelNotFoundError, match="folder"):
        locate(str(tmp_path))


def test_a_card_folder_of_the_users_is_read(tmp_path, monkeypatch):
    card_for(tmp_path, "resnet")
    monkeypatch.setenv(CARD_FOLDERS_VARIABLE, str(tmp_path))
    assert "tiny" in read_catalog()
    model = build_model("tiny")
    assert model.card is not None
    assert model.network.scale == 2


def test_weights_that_are_not_the_cards_are_refused(tmp_path, monkeypatch):
    card_for(tmp_path, "resnet")
    monkeypatch.setenv(CARD_FOLDERS_VARIABLE, str(tmp_path))
    saved(tmp_path / "tiny.safetensors", small_network("resnet", seed=1))
    with pytest.raises(CheckpointError, match="not the weights its card describes"):
        build_model("tiny")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scael": 2}, "unknown key 'scael'"),
        ({"scale": "two"}, "expected int"),
        ({"id": "other"}, "the card's id is 'other'"),
    ],
)
def test_a_careless_card_is_refused(tmp_path, monkeypatch, change, message):
    card_for(tmp_path, "resnet", **change)
    monkeypatch.setenv(CARD_FOLDERS_VARIABLE, str(tmp_path))
    with pytest.raises(RecipeError, match=message):
        read_catalog()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"arch": "resnot"}, "unknown architecture 'resnot'"), ({"config": {"widht": 3}}, "cannot be configured")],
)
def test_a_card_of_an_unknown_network_is_refused(tmp_path, monkeypatch, change, message):
    card_for(tmp_path, "resnet", **change)
    monkeypatch.setenv(CARD_FOLDERS_VARIABLE, str(tmp_path))
    with pytest.raises(CheckpointError, match=message):
        build_model("tiny")


def test_a_card_that_contradicts_its_weights_is_refused(tmp_path, monkeypatch):
    card_for(tmp_path, "resnet", scale=3)
    monkeypatch.setenv(CARD_FOLDERS_VARIABLE, str(tmp_path))
    with pytest.raises(CheckpointError, match="says scale 3, the weights 2"):
        build_model("tiny")


@pytest.mark.parametrize("card", read_catalog().values(), ids=lambda card: card.id)
def test_every_card_of_the_package_is_whole(card):
    assert card.task in TASKS
    assert card.licence.name
    if card.embedded:
        assert card.scale in TASKS[card.task].scales
        assert sha256_of(weights_path(card)) == card.file.sha256
        assert card.file.bytes == weights_path(card).stat().st_size <= 8_000_000
        assert build_model(card.id).network.scale == card.scale


def test_every_default_model_has_a_card():
    named = {name for task in TASKS.values() for name in task.default_models.values()}
    assert named <= set(read_catalog())


def test_every_model_worth_trying_has_a_card():
    named = {name.format(scale=2) for task in TASKS.values() for name in task.try_models}
    assert named <= set(read_catalog())


@pytest.mark.shared
def test_facts_of_the_published_checkpoints_are_read_from_their_files(shared):
    craft = build_model(str(shared / "checkpoints/craft_x4.pth")).network
    assert (craft.arch, craft.scale, craft.channels, craft.radius_px) == ("CRAFT", 4, 3, None)
    dncnn = build_model(str(shared / "checkpoints/dncnn_25.pth")).network
    assert (dncnn.arch, dncnn.scale, dncnn.channels, dncnn.radius_px) == ("DnCNN", 1, 1, 17)


def random_drunet():
    from spandrel.architectures.DRUNet.__arch.network_unet import DRUNet

    torch.manual_seed(0)
    return DRUNet(in_nc=4, out_nc=3, nc=[8, 8, 8, 8], nb=2)


def test_a_quality_that_a_network_accepts_reaches_it():
    class Estimates(nn.Module):
        """Called as FBCNN is: a picture and perhaps 1 - quality/100; returns a picture and an estimate."""

        def forward(self, picture, told=None):
            estimate = torch.tensor([[0.5]]) if told is None else told
            return picture * estimate, estimate

    facts = {"arch": "FBCNN", "scale": 1, "channels": 3, "size_rule": SizeRule(), "accepts": ("quality",)}
    restorer = Restorer(Model("fbcnn", Network(_WithQuality(Estimates()), **facts)), RunOptions("cpu"))
    ones = torch.ones(1, 3, 8, 8)
    assert restorer(ones).unique().item() == pytest.approx(0.5)
    assert restorer(ones, quality_factor=30).unique().item() == pytest.approx(0.7)


@pytest.mark.parametrize("config", ["[1]", "3", '"text"'])
def test_metadata_that_is_no_table_is_refused(tmp_path, config):
    path = tmp_path / "odd.safetensors"
    save_file(small_network("unet").float().state_dict(), path, metadata={"config": config})
    with pytest.raises(CheckpointError, match="not a table"):
        build_model(str(path))


def test_keys_of_a_known_network_with_absurd_shapes_are_an_error_of_one_line(tmp_path):
    path = tmp_path / "odd.safetensors"
    for arch_id in ARCHITECTURES:
        save_file({key: torch.zeros(()) for key in small_network(arch_id).state_dict()}, path)
        with pytest.raises(CheckpointError) as caught:
            build_model(str(path))
        assert "\n" not in caught.value.message


def test_a_name_too_long_for_a_file_is_an_unknown_model():
    with pytest.raises(ModelNotFoundError):
        locate("x" * 5000)


def test_a_noise_conditioned_network_gets_the_level_it_is_told(tmp_path):
    network = random_drunet().eval()
    path = tmp_path / "drunet.pth"
    torch.save(network.state_dict(), path)
    restorer = load_model(str(path))
    assert restorer.channels == 3
    picture = torch.rand(1, 3, 16, 24)
    level = torch.full((1, 1, 16, 24), 40 / 255)
    torch.testing.assert_close(restorer(picture, sigma_255=40), network(torch.cat([picture, level], 1)))
    with pytest.raises(Exception, match="--sigma"):
        restorer(picture)
