"""What is trained: ours, ours from other weights, or any model; the wrappers it needs; gradients that arrive."""

from __future__ import annotations

import pytest
import torch

from restore_cli.archs.unet import UNet
from restore_cli.errors import RecipeError
from restore_cli.training.config import NetworkRecipe
from restore_cli.training.network import EveryStage, NetworkFacts, build_trainee, network_facts
from restore_cli.wrappers.pad import SizeRule
from tests.networks import small_network
from tests.training.foreign import FOREIGN, foreign_file
from tests.training.tiny import DEGRADATION, NETWORK, recipe_with

BICUBIC = (DEGRADATION, '[data.degradation]\nkind = "bicubic"\n')


def fine_tuning(folder, path, *changes):
    return recipe_with(folder, (NETWORK, f'[network]\nmodel = "{path}"\n'), *changes)


def test_the_facts_of_a_network_of_ours_are_its_own():
    recipe = NetworkRecipe(arch="unet", config={"channels": 1, "widths": [4, 8, 12]})
    assert network_facts(recipe, "here") == NetworkFacts(scale=1, channels=1, size_rule=SizeRule(4, 4))


def test_a_network_for_two_views_is_refused():
    recipe = NetworkRecipe(arch="hi-ir", config={"views": 2, "width": 8, "heads": 2, "stages": 1, "depth": 1})
    with pytest.raises(RecipeError, match="takes 6 channels"):
        network_facts(recipe, "here")


def test_init_copies_what_fits_and_leaves_the_rest_as_it_was(tmp_path):
    torch.manual_seed(1)
    other = UNet(widths=(4, 16), blocks=1, body_blocks=1)
    torch.save(other.state_dict(), tmp_path / "other.pth")
    recipe = recipe_with(tmp_path, ("wne = true", f'wne = true\ninit = "{tmp_path}/other.pth"'))
    torch.manual_seed(0)
    random = build_trainee(recipe, fresh=False).network.backbone.state_dict()
    torch.manual_seed(0)
    started = build_trainee(recipe).network.backbone.state_dict()
    source = other.state_dict()
    copied = {
        name
        for name in started
        if torch.equal(started[name], source[name])
        if started[name].shape == source[name].shape
    }
    assert {"stem.weight", "encoders.0.0.conv1.weight", "to_picture.bias"} <= copied
    assert "body.0.conv1.weight" not in copied  # 8 channels here, 16 there
    assert all(torch.equal(started[name], random[name]) for name in started.keys() - copied)


def test_init_from_a_network_with_nothing_in_common_is_refused(tmp_path, weights):
    recipe = recipe_with(
        tmp_path, ("wne = true", f'init = "{weights["grey"]}"'), ("widths = [4, 8]", "widths = [6, 12]")
    )
    with pytest.raises(RecipeError, match="nothing of .* fits"):
        build_trainee(recipe)


def test_a_model_is_fine_tuned_in_the_wrapper_it_was_trained_in_unless_told_otherwise(tmp_path, weights):
    assert build_trainee(fine_tuning(tmp_path, weights["wne"])).wne
    assert not build_trainee(fine_tuning(tmp_path, weights["x1"])).wne
    assert not build_trainee(
        recipe_with(tmp_path, (NETWORK, f'[network]\nmodel = "{weights["wne"]}"\nwne = false\n'))
    ).wne
    assert not build_trainee(recipe_with(tmp_path, ("wne = true", ""))).wne


@pytest.mark.parametrize("kind", FOREIGN)
def test_gradients_reach_every_weight_of_a_foreign_network(tmp_path, kind):
    recipe = fine_tuning(tmp_path, foreign_file(tmp_path, kind), *([BICUBIC] if kind == "Compact" else []))
    trainee = build_trainee(recipe)
    degraded, clean = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16 * recipe.scale, 16 * recipe.scale)
    assert trainee.network.training
    restored = trainee.network(degraded, **trainee.conditioning(degraded, clean))
    (restored - clean).abs().mean().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in trainee.network.parameters())


def test_a_network_that_takes_the_noise_level_is_told_it_patch_by_patch(tmp_path):
    trainee = build_trainee(fine_tuning(tmp_path, foreign_file(tmp_path, "DRUNet")))
    clean = torch.rand(3, 3, 64, 64)
    levels = torch.tensor([0.0, 10.0, 50.0]).reshape(3, 1, 1, 1) / 255
    told = trainee.conditioning(clean + levels * torch.randn(clean.shape), clean)["sigma"]
    torch.testing.assert_close(told, levels, rtol=0.03, atol=1e-6)


def test_a_blind_network_is_told_nothing(recipe):
    assert build_trainee(recipe).conditioning(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)) == {}


def test_each_of_a_networks_stages_is_trained():
    torch.manual_seed(0)
    network = small_network("hinet").float().requires_grad_(True)
    picture = torch.rand(1, 3, 16, 16)
    first, last = EveryStage(network)(picture)
    assert torch.equal(last, network(picture))
    assert not torch.equal(first, last)
    # The first stage's picture depends on nothing of the second.
    first.sum().backward()
    touched = {name for name, each in network.named_parameters() if each.grad is not None}
    assert any(name.startswith("down_path_1.") for name in touched)
    assert not any(name.startswith("down_path_2.") for name in touched)


# "stages" means other things to other networks, and most have one output only.
@pytest.mark.parametrize("arch_id", ["hi-ir", "unet"])
def test_a_network_of_one_output_has_one(arch_id):
    network = small_network(arch_id)
    picture = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    (only,) = EveryStage(network)(picture)
    assert torch.equal(only, network(picture))
