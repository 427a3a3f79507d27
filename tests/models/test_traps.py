"""What goes wrong elsewhere with the field's checkpoints, each with a random checkpoint of the published shape."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from restore_cli.archs.hinet import HINet
from restore_cli.archs.swinir import VARIANTS, SwinIR
from restore_cli.errors import CheckpointError, UsageError
from restore_cli.inference.engine import restore, restore_image
from restore_cli.inference.restorer import Restorer, load_model
from restore_cli.io.image import Image
from restore_cli.models.build import Model, build_model, for_task, load_network
from restore_cli.models.card import Card, Licence, Tiling, WeightsFile
from restore_cli.models.checkpoint import Checkpoint, read_checkpoint, readings
from restore_cli.models.registry import PLUG_AND_PLAY, detect_network
from restore_cli.options import Hints, RunOptions
from restore_cli.tasks import TASKS
from restore_cli.wrappers.local_stats import LocalInstanceNorm, LocalMean, with_local_statistics
from tests import published
from tests.networks import small_network
from tests.pictures import write


def saved(folder, state_dict, name="model.pth"):
    torch.save(state_dict, folder / name)
    return folder / name


def picture(height=16, width=24, channels=3, seed=0):
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


def card_of(task="deblur", channels=3, **facts):
    return Card("some", task, "For tests.", WeightsFile("some.pth"), Licence("MIT", True, "none"), **facts)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def differ(found, other):
    return float((found - other).abs().max()) > 1e-3 * float(other.abs().max())


@pytest.fixture(scope="module")
def drunet(tmp_path_factory):
    return build_model(str(saved(tmp_path_factory.mktemp("drunet"), published.drunet())))


@pytest.fixture(scope="module")
def drunet_grey(tmp_path_factory):
    return build_model(str(saved(tmp_path_factory.mktemp("grey"), published.drunet(channels=1))))


@pytest.fixture(scope="module")
def fbcnn(tmp_path_factory):
    return build_model(str(saved(tmp_path_factory.mktemp("fbcnn"), published.fbcnn())))


@pytest.fixture(scope="module")
def swinir_jpeg():
    return published.swinir("swinir-m-jpeg")


# DRUNet: the noise map


def test_drunet_is_given_the_level_it_is_told_and_not_spandrels_constant(drunet):
    noisy = picture()
    bare = drunet.network.module.inner

    def told(level):
        with torch.no_grad():
            return bare(torch.cat([noisy, torch.full_like(noisy[:, :1], level / 255)], dim=1))

    restored = Restorer(drunet, RunOptions("cpu"))(noisy, sigma_255=40)
    close(restored, told(40))
    assert differ(restored, told(15))
    assert (drunet.network.channels, drunet.network.conditioning) == (3, "sigma")


def test_drunet_without_a_level_is_an_error_that_names_the_option(drunet):
    with pytest.raises(UsageError, match="must be told the noise level") as caught:
        Restorer(drunet, RunOptions("cpu")).check(Hints())
    assert "--sigma" in caught.value.hint


def test_a_grey_drunet_takes_colour_channel_by_channel_and_a_colour_one_takes_grey(drunet, drunet_grey):
    samples = np.ascontiguousarray(picture()[0].permute(1, 2, 0).numpy())
    colour, grey = (Image(each, None, 8, "PNG", "RGB") for each in (samples, samples[:, :, :1].copy()))
    hints = Hints(sigma_255=25)
    by_channel = restore_image(colour, Restorer(drunet_grey, RunOptions("cpu")), TASKS["denoise"], hints).pixels
    first = restore_image(grey, Restorer(drunet_grey, RunOptions("cpu")), TASKS["denoise"], hints).pixels
    assert drunet_grey.network.channels == 1
    np.testing.assert_allclose(by_channel[:, :, :1], first, rtol=1e-4, atol=1e-4 * np.abs(first).max())
    thrice = torch.from_numpy(grey.pixels).permute(2, 0, 1)[None].expand(1, 3, -1, -1)
    expected = Restorer(drunet, RunOptions("cpu"))(thrice, sigma_255=25)[0].mean(dim=0)
    found = restore_image(grey, Restorer(drunet, RunOptions("cpu")), TASKS["denoise"], hints).pixels[:, :, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_for_demosaicking_a_colour_denoiser_becomes_plug_and_play(drunet, drunet_grey):
    demosaicker = for_task(drunet, "demosaic").network
    assert (demosaicker.procedure, demosaicker.conditioning) == (PLUG_AND_PLAY, "blind")
    assert for_task(drunet, "denoise") is drunet
    assert for_task(drunet_grey, "demosaic") is drunet_grey


def test_a_demosaicking_card_of_drunets_weights_is_plug_and_play():
    model = load_network(Checkpoint(published.drunet()), "some", card_of(task="demosaic"))
    assert model.network.procedure == PLUG_AND_PLAY
    Restorer(model, RunOptions("cpu")).check(Hints())  # nothing need be told


# FBCNN: the quality


def heard(model, options=None):
    notes = []
    return Restorer(
        model, options or RunOptions("cpu"), SimpleNamespace(note=notes.append, tiles=lambda *_: None)
    ), notes


def test_fbcnn_finds_the_quality_and_says_which(fbcnn):
    compressed = picture(24, 21)
    with torch.no_grad():
        expected, estimate = fbcnn.network.module.inner(compressed)
    restorer, notes = heard(fbcnn)
    close(restorer(compressed), expected)
    quality = 100 * (1 - float(estimate))
    assert notes == [f"{fbcnn.name} estimates JPEG quality {max(quality, 1):.0f}; --quality-factor tells it another."]


def test_fbcnn_takes_the_quality_it_is_told(fbcnn):
    compressed = picture()
    restorer, notes = heard(fbcnn)
    told = restorer(compressed, quality_factor=80)
    with torch.no_grad():
        close(told, fbcnn.network.module.inner(compressed, torch.tensor([[0.2]]))[0])
    assert differ(told, restorer(compressed, quality_factor=5))
    assert notes == []


# SwinIR: window and value range


def test_swinir_for_jpeg_has_windows_of_seven_and_values_to_255(swinir_jpeg):
    network = detect_network(swinir_jpeg)
    assert (network.module.window_size, network.module.img_range) == (7, 255.0)
    # spandrel's network pads to the window by itself.
    compressed = picture(21, 28)
    ours = SwinIR(**SwinIR.config_of(swinir_jpeg, {})).eval().requires_grad_(False)
    ours.load_state_dict(swinir_jpeg)
    with torch.no_grad():
        close(network.module(compressed), ours(compressed))
        ours.img_range = 1.0
        assert differ(network.module(compressed), ours(compressed))


def test_swinir_for_noise_has_windows_of_eight_and_values_to_one():
    network = SwinIR(**{**VARIANTS["swinir-m-denoise"], "depths": (2, 2), "num_heads": (6, 6)})
    module = detect_network(network.state_dict()).module
    assert (module.window_size, module.img_range) == (8, 1.0)


# NAFNet and HINet: statistics of the size they were trained on


def uneven(height, width):
    """Dark at the left and bright at the right, as pictures are."""
    return picture(height, width) * torch.linspace(0, 1, width)


def relative_difference(first, second):
    return float((first - second).norm() / second.norm())


def test_nafnets_card_makes_its_pooling_local_and_the_plain_network_is_another():
    state = published.nafnet_gopro(width=32)
    model = load_network(Checkpoint(state), "some", card_of(tiling=Tiling(16, local_statistics_px=32)))
    local, plain = (Restorer(model, RunOptions("cpu", local_statistics_px=window)) for window in (None, 0))
    assert sum(isinstance(part, LocalMean) for part in local._network.modules()) == 36
    blurred = uneven(48, 64)
    by_hand = with_local_statistics(model.network.module, 32)(blurred)
    assert relative_difference(local(blurred), by_hand) < 1e-6
    # How much it is depends on the weights; these are random.
    assert relative_difference(local(blurred), plain(blurred)) > 1e-4
    # Up to the training size there is nothing to localise.
    assert torch.equal(local(blurred[..., :32, :32]), plain(blurred[..., :32, :32]))


def test_hinets_norms_are_local_when_asked_for_and_the_plain_network_is_another(tmp_path):
    state = published.random_state(published.shapes_of(HINet, **{"width": 32}))
    model = build_model(str(saved(tmp_path, state)))
    local, plain = (Restorer(model, RunOptions("cpu", local_statistics_px=window)) for window in (32, None))
    assert any(isinstance(part, LocalInstanceNorm) for part in local._network.modules())
    blurred = uneven(48, 64)
    assert relative_difference(local(blurred), plain(blurred)) > 1e-3
    assert torch.equal(local(blurred[..., :32, :32]), plain(blurred[..., :32, :32]))


# Restormer and those that look like it


def test_restormer_without_the_extra_says_what_to_install_and_on_what_terms(monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    with pytest.raises(CheckpointError, match=r"Restormer.*Academic Public License") as caught:
        detect_network(published.restormer())
    assert "restore-cli[extra-archs]" in caught.value.hint


def test_architectures_of_the_extra_are_found_and_their_terms_said(monkeypatch):
    from spandrel import Architecture, ArchRegistry, ArchSupport, ImageModelDescriptor

    class Stand(Architecture):
        """In place of the extra's Restormer: takes its weights and computes nothing with them."""

        def __init__(self):
            super().__init__(id="Restormer", detect=lambda state: "refinement.0.norm1.body.weight" in state)

        def load(self, state_dict):
            facts = {"purpose": "Restoration", "tags": [], "supports_half": False, "supports_bfloat16": True}
            return ImageModelDescriptor(
                torch.nn.Identity(), {}, architecture=self, scale=1, input_channels=3, output_channels=3, **facts
            )

    extra = ModuleType("spandrel_extra_arches")
    extra.EXTRA_REGISTRY = ArchRegistry()
    extra.EXTRA_REGISTRY.add(ArchSupport.from_architecture(Stand()))
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", extra)
    model = Model("derain.pth", detect_network(published.restormer()))
    _, notes = heard(model)
    assert notes == [
        "derain.pth: the code of Restormer is under the Academic Public License, which forbids commercial use."
    ]


@pytest.mark.parametrize(("channels", "biased_norms"), [(3, True), (1, False)])
def test_restormer_is_built_from_its_published_shapes_with_the_extra(channels, biased_norms):
    pytest.importorskip("spandrel_extra_arches")
    network = detect_network(published.restormer(channels, biased_norms))
    assert (network.arch, network.channels, network.size_rule.multiple) == ("Restormer", channels, 8)
    assert sum(weight.numel() for weight in network.module.parameters()) == {3: 26_126_644, 1: 26_109_076}[channels]
    assert "forbids commercial use" in network.terms


@pytest.mark.parametrize("prefix", ["", "net."])
@pytest.mark.parametrize(("name", "make"), [("PromptIR", published.promptir), ("AdaIR", published.adair)])
def test_what_has_restormers_keys_and_more_is_refused_by_its_name(name, make, prefix):
    state = {f"{prefix}{key}": value for key, value in make().items()}
    with pytest.raises(CheckpointError, match=f"weights of {name}"):
        detect_network(state)


def test_histoformer_of_the_authors_file_is_ours(tmp_path):
    path = saved(tmp_path, {"params": published.histoformer()}, "net_g_real.pth")
    network = build_model(str(path)).network
    assert network.arch == "histoformer"
    assert sum(weight.numel() for weight in network.module.parameters()) == 16_615_100
    assert (network.size_rule.multiple, network.radius_px) == (8, None)
    assert network.assumed == ("LayerNorm_type=WithBias",)
    assert load_model(str(path), device="cpu")(picture(37, 45)).shape == (1, 3, 37, 45)


# Wrappings, prefixes and kinds of files


@pytest.fixture(scope="module")
def weights():
    return small_network("resnet").float().state_dict()


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("prefix", ["", "module.", "net.", "model.", "module.net.", "model._orig_mod.", "net_g."])
@pytest.mark.parametrize("wrapping", ["params_ema", "params", "state_dict"])
def test_a_network_is_found_below_whatever_its_trainer_put_around_it(tmp_path, weights, prefix, wrapping):
    path = saved(tmp_path, {wrapping: {f"{prefix}{key}": value for key, value in weights.items()}, "epoch": 3})
    assert same(build_model(str(path)).network.module.state_dict(), weights)


def test_a_lightning_checkpoint_loads_without_its_loss_network(tmp_path, weights):
    inside = {f"net.{key}": value for key, value in weights.items()}
    inside |= {"loss_fn.vgg.0.weight": torch.zeros(4, 3, 3, 3), "ssim.window": torch.ones(3)}
    lightning = {
        "state_dict": inside,
        "epoch": 3,
        "pytorch-lightning_version": "2.0.1",
        "hyper_parameters": {"lr": 1e-4},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}}],
    }
    path = saved(tmp_path, lightning, "epoch=3.ckpt")
    assert same(build_model(str(path)).network.module.state_dict(), weights)


def test_averaged_weights_beside_plain_ones_are_preferred_under_a_prefix_too(weights):
    both = {f"model.{key}": torch.zeros_like(value) for key, value in weights.items()}
    both |= {f"ema_model.{key}": value for key, value in weights.items()}
    assert same(detect_network(both).module.state_dict(), weights)


def test_keys_that_are_published_with_a_prefix_keep_it():
    # KAIR's DnCNN: 17 layers, and 'model.' belongs to the network.
    shapes = {"model.0.weight": (64, 1, 3, 3), "model.0.bias": (64,)}
    for layer in range(1, 16):
        shapes |= {f"model.{2 * layer}.weight": (64, 64, 3, 3), f"model.{2 * layer}.bias": (64,)}
    shapes |= {"model.32.weight": (1, 64, 3, 3), "model.32.bias": (1,)}
    assert detect_network(published.random_state(shapes)).arch == "DnCNN"


def test_readings_end_and_are_never_empty():
    state = {"model.model.model.model.model.a": torch.zeros(1)}
    found = list(readings(state))
    assert len(found) == 4
    assert all(found)


def test_a_wrapping_that_holds_itself_is_an_error_and_no_endless_loop(tmp_path):
    endless = {}
    endless["state_dict"] = endless
    with pytest.raises(CheckpointError, match="holds no tensors"):
        read_checkpoint(saved(tmp_path, endless))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".bin", ".safetensors"])
def test_every_kind_of_file_builds_the_same_network(tmp_path, weights, suffix):
    path = tmp_path / f"model{suffix}"
    if suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path)
    assert same(build_model(str(path)).network.module.state_dict(), weights)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_real_torchscript_program_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.script(torch.nn.Conv2d(3, 3, 3)).save(str(path))
    with pytest.raises(CheckpointError, match="TorchScript program, which would run code of its own") as caught:
        build_model(str(path))
    assert "state dict" in caught.value.hint


# Through the whole program


def test_a_denoisers_file_demosaics_through_the_whole_program(tmp_path):
    """Wired by the task: what was measured comes out as it went in, and the level is asked of nobody."""
    from spandrel.architectures.DRUNet.__arch.network_unet import DRUNet

    torch.manual_seed(0)
    weights = saved(tmp_path, DRUNet(in_nc=4, out_nc=3, nc=[8, 8, 8, 8], nb=2).state_dict())
    mosaic = (picture(12, 14, 1)[0, 0].numpy() * 255).astype(np.uint8)
    write(tmp_path / "mosaic.png", mosaic)
    restored = restore(tmp_path / "mosaic.png", task="demosaic", model=str(weights), cfa="grbg").pixels * 255
    assert restored.shape == (12, 14, 3)
    for row, column, channel in ((0, 0, 1), (0, 1, 0), (1, 0, 2), (1, 1, 1)):
        measured = mosaic[row::2, column::2]
        np.testing.assert_allclose(restored[row::2, column::2, channel], measured, atol=1e-3)
