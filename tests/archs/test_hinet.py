"""HINet: facts 1 to 8 of the specification, the authors' own outputs, and the switches."""

from __future__ import annotations

import json
from math import log

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from restore_cli import load_model
from restore_cli.archs.hinet import NORM_KINDS, HINet
from restore_cli.models.build import build_model
from restore_cli.training.losses import psnr_loss

PAIRS = [("hinet", 0), ("hinet", 1), ("hinet_depth4", 0)]


def small(seed=0, **config) -> HINet:
    torch.manual_seed(seed)
    network = HINet(**{"width": 4, "depth": 3, **config}).eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, (nn.InstanceNorm2d, nn.GroupNorm, nn.BatchNorm2d)):
            layer.weight.uniform_(0.5, 2)  # as made, all gains are 1 and would prove little
            layer.bias.uniform_(-1, 1)
    return network


def on_meta(**config) -> HINet:
    with torch.device("meta"):
        return HINet(**config)


def multiply_accumulates(network: nn.Module, side: int) -> int:
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() // 2


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({"width": 64}, 88_669_702),
        ({"width": 32}, 22_176_518),
        ({"width": 64, "hin_position_left": 3}, 88_668_806),
        ({"width": 32, "hin_position_left": 3}, 22_176_070),
    ],
)
def test_fact_01_parameter_counts_are_the_published_networks(config, count):
    network = on_meta(**config)
    assert sum(each.numel() for each in network.parameters()) == count
    assert not list(network.buffers())


def test_fact_01_the_published_network_has_198_tensors():
    assert len(on_meta().state_dict()) == 198


@pytest.mark.parametrize(("width", "giga"), [(64, 157.601), (32, 39.542)])
def test_fact_01_true_macs_at_256_pixels(width, giga):
    assert multiply_accumulates(on_meta(width=width), 256) / 1e9 == pytest.approx(giga, abs=5e-4)


@pytest.mark.parametrize(("width", "giga", "published"), [(64, 170.715, 170.71), (32, 42.878, 42.88)])
def test_fact_01_the_published_macs_come_out_by_their_own_rule(width, giga, published):
    count = 0

    def add(name, layer, inputs, output):
        nonlocal count
        if isinstance(layer, nn.ConvTranspose2d):
            count += output.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
        elif isinstance(layer, nn.Conv2d):
            count += output.numel() * (layer.weight[0].numel() + (layer.bias is not None))
            # Each of a block's two large convolutions is followed by an activation.
            count += output.numel() * name.endswith(("conv_1", "conv_2"))
        elif isinstance(layer, nn.InstanceNorm2d):
            count += 2 * output.numel()

    network = on_meta(width=width)
    for name, layer in network.named_modules():
        layer.register_forward_hook(lambda layer, inputs, output, name=name: add(name, layer, inputs, output))
    network(torch.empty(1, 3, 256, 256, device="meta"))
    assert count / 1e9 == pytest.approx(giga, abs=5e-4)
    assert count / 1e9 == pytest.approx(published, abs=6e-3)


def test_fact_02_two_outputs_of_the_pictures_shape_and_the_second_is_the_answer(picture):
    network = small()
    first, second = network.every_stage(picture)
    assert first.shape == second.shape == picture.shape
    assert torch.equal(network(picture), second)
    assert not torch.equal(first, second)


def test_fact_02_with_silent_last_convolutions_both_outputs_are_the_picture_bitwise(picture):
    network = small()
    for conv in (network.sam12.conv2, network.last):
        conv.weight.zero_()
        conv.bias.zero_()
    first, second = network.every_stage(picture)
    assert torch.equal(first, picture)
    assert torch.equal(second, picture)


def before_activation(network: HINet, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the first encoder block: what conv_1 gives, and what the activation gets, told by a slope of 1."""
    assert network.down_path_1[0].relu_slope == 1
    seen = {}
    block = network.down_path_1[0]
    hooks = [
        block.conv_1.register_forward_hook(lambda layer, inputs, output: seen.update(convolved=output)),
        block.conv_2.register_forward_hook(lambda layer, inputs, output: seen.update(normalized=inputs[0])),
    ]
    network(picture)
    for hook in hooks:
        hook.remove()
    return seen["convolved"], seen["normalized"]


def test_fact_03_the_first_half_of_the_channels_is_normalised_and_the_second_passes_bitwise(picture):
    network = small(width=8, relu_slope=1.0)
    norm = network.down_path_1[0].norm
    convolved, normalized = before_activation(network, 10 * picture)
    assert torch.equal(normalized[:, 4:], convolved[:, 4:])
    half = normalized[:, :4]
    torch.testing.assert_close(half.mean(dim=(2, 3)), norm.bias.expand(2, 4), atol=3e-4, rtol=0)
    deviation = half.std(dim=(2, 3), correction=0)
    torch.testing.assert_close(deviation, norm.weight.abs().expand(2, 4), atol=3e-4, rtol=0)


def test_fact_04_the_first_half_ignores_scale_and_bias_of_its_convolution_and_the_second_does_not(picture):
    network = small(width=8, relu_slope=1.0)
    _, before = before_activation(network, 10 * picture)
    conv = network.down_path_1[0].conv_1
    conv.weight.mul_(3)
    conv.bias.mul_(3).add_(2)
    _, after = before_activation(network, 10 * picture)
    torch.testing.assert_close(after[:, :4], before[:, :4], atol=6e-4, rtol=0)
    assert (after[:, 4:] - before[:, 4:]).abs().mean(dim=(0, 2, 3)).min() > 0.1


def test_fact_05_training_mode_computes_the_same_and_keeps_no_statistics(picture):
    network = small()
    expected = network(picture)
    assert not list(network.buffers())
    assert torch.equal(network.train()(picture), expected)


def test_fact_05_a_batch_of_two_is_two_batches_of_one(picture):
    network = small().double()
    both = network(picture.double())
    torch.testing.assert_close(both, torch.cat([network(each[None]) for each in picture.double()]))


def test_fact_06_attention_gates_the_features_by_the_picture_it_makes(picture):
    attention = small().sam12
    features = torch.randn(2, 4, 16, 24)
    gated, restored = attention(features, picture)
    assert torch.equal(restored, attention.conv2(features) + picture)
    gate = torch.sigmoid(attention.conv3(restored))
    assert torch.equal(gated, features + attention.conv1(features) * gate)


@pytest.mark.parametrize("size", [(17, 32), (40, 40), (16, 16)])
def test_fact_07_sizes_that_do_not_fit_are_errors(size):
    with pytest.raises((RuntimeError, ValueError)):
        small(width=2, depth=5)(torch.rand(1, 3, *size))


@pytest.mark.parametrize("size", [(16, 32), (32, 32)])
def test_fact_07_sizes_that_fit_work(size):
    network = small(width=2, depth=5)
    assert (network.size_multiple, network.minimum_size) == (16, 32)
    assert network(torch.rand(1, 3, *size)).shape == (1, 3, *size)


def test_fact_07_what_the_blocks_carry():
    keys = set(on_meta().state_dict())
    assert not any("norm" in key for key in keys if key.startswith("up_path"))
    assert not any("csff" in key for key in keys if key.startswith(("down_path_1", "down_path_2.4", "up_path")))
    assert {f"down_path_2.{level}.csff_dec.bias" for level in range(4)} <= keys
    assert "down_path_1.3.downsample.weight" in keys
    assert not any(key.endswith("downsample.bias") for key in keys)


def test_without_a_norm_at_the_bottleneck_a_single_pixel_there_works():
    network = small(width=2, hin_position_right=1)
    assert network.minimum_size == network.size_multiple == 4
    assert network(torch.rand(1, 3, 4, 4)).shape == (1, 3, 4, 4)


def test_fact_08_loss_in_decibels(picture):
    assert psnr_loss(picture, picture).item() == pytest.approx(-80)
    assert psnr_loss(picture + 0.1, picture).item() == pytest.approx(-20, abs=1e-4)
    other = torch.rand_like(picture)
    mean_square = (other - picture).square().mean(dim=(1, 2, 3))
    natural = (10 / log(10)) * torch.log(mean_square + 1e-8).mean()
    torch.testing.assert_close(psnr_loss(other, picture), natural)


def loss_of_both(network: HINet, picture: torch.Tensor) -> torch.Tensor:
    return sum(psnr_loss(output, picture) for output in network.every_stage(picture))


def test_fact_08_the_loss_is_the_sum_over_both_outputs_minus_160_at_best(picture):
    network = small()
    for conv in (network.sam12.conv2, network.last):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    assert loss_of_both(network, picture).item() == pytest.approx(-160)


def test_fact_08_the_loss_of_both_reaches_every_weight(picture):
    network = small().train().requires_grad_()
    loss_of_both(network, picture).backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in network.parameters())
    assert all(each.grad.abs().sum() > 0 for name, each in network.named_parameters() if name.endswith("weight"))


def parity_pair(shared, name):
    with safe_open(shared / "parity" / f"{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["config"])
    weights = {key.removeprefix("weights."): each for key, each in tensors.items() if key.startswith("weights.")}
    return config, weights, tensors


def assert_same_to_parity(found, expected):
    assert (found - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())


@pytest.mark.shared
@pytest.mark.parametrize(("name", "pair"), PAIRS)
def test_both_stages_equal_the_authors_outputs(shared, name, pair):
    config, weights, tensors = parity_pair(shared, name)
    network = HINet(**HINet.config_of(weights, config))
    network.load_state_dict(weights)
    with torch.no_grad():
        stages = network.every_stage(tensors[f"input.{pair}"])
    for stage in range(2):
        assert_same_to_parity(stages[stage], tensors[f"output.{pair}.{stage}"])


@pytest.mark.shared
@pytest.mark.parametrize(("name", "pair"), PAIRS)
def test_an_authors_checkpoint_loads_as_a_bare_file_and_gives_the_authors_output(shared, tmp_path, name, pair):
    config, weights, tensors = parity_pair(shared, name)
    path = tmp_path / "hinet.safetensors"
    save_file(weights, path, metadata={"config": json.dumps(config)})
    assert build_model(str(path)).network.arch == "hinet"
    assert_same_to_parity(load_model(str(path))(tensors[f"input.{pair}"]), tensors[f"output.{pair}.1"])


def test_saved_detected_and_loaded_it_computes_the_same(tmp_path, picture):
    network = small(relu_slope=0.1, hin_position_left=1)
    path = tmp_path / "hinet.pth"
    torch.save({"params": network.state_dict()}, path)
    restored = load_model(str(path), relu_slope=0.1)(picture)
    torch.testing.assert_close(restored, network(picture), atol=1e-6, rtol=0)
    # What keys cannot tell is the published value.
    assert not torch.allclose(load_model(str(path))(picture), restored)


CONFIG = {
    "channels": 3,
    "width": 4,
    "depth": 3,
    "relu_slope": 0.2,
    "hin_position_left": 0,
    "hin_position_right": 2,
    "norm": "hin",
    "extra_blocks": 0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"channels": 1},
        {"width": 6, "depth": 4, "hin_position_right": 3},
        {"hin_position_left": 1},
        {"hin_position_left": 1, "hin_position_right": 1},
        {"extra_blocks": 2},
        *({"norm": kind} for kind in NORM_KINDS),
    ],
)
def test_every_configuration_is_recovered_from_its_weights(change):
    config = {**CONFIG, **change}
    state = HINet(**config).state_dict()
    # A file says which full-width norm it has; anything else it says is not believed over the keys.
    assert HINet.config_of(state, {"norm": config["norm"], "wf": 999}) == config


def test_settings_of_authors_and_of_ours_are_both_understood():
    state = HINet(**CONFIG).state_dict()
    stated = {"in_chn": 3, "wf": 4, "relu_slope": 0.3, "hin_position_left": 0, "hin_position_right": 4}
    assert HINet.config_of(state, stated) == {**CONFIG, "relu_slope": 0.3}


def test_an_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="'batch'"):
        HINet(norm="batch")


@pytest.mark.parametrize("kind", NORM_KINDS)
def test_each_norm_of_the_ablation_runs_and_has_the_statistics_it_says(kind):
    network = small(width=32, relu_slope=1.0, norm=kind, hin_position_right=0, depth=2)
    picture = 10 * torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    if kind in ("bn", "ibn"):
        network.train()  # where batch norm has statistics of the batch
    for layer in network.modules():
        if isinstance(layer, (nn.InstanceNorm2d, nn.GroupNorm, nn.BatchNorm2d)):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
    convolved, normalized = before_activation(network, picture)
    statistics = {  # what is normalised, and the view whose last axis then has mean 0 and deviation 1
        "hin": lambda x: x[:, :16].flatten(2),
        "in": lambda x: x.flatten(2),
        "bn": lambda x: x.transpose(0, 1).flatten(1),
        "ln": lambda x: x.flatten(1),
        "gn": lambda x: x.unflatten(1, (2, 16)).flatten(2),
        "ibn": lambda x: x[:, :16].flatten(2),
        "none": None,
    }[kind]
    if statistics is None:
        assert torch.equal(normalized, convolved)
        return
    values = statistics(normalized)
    torch.testing.assert_close(values.mean(-1), torch.zeros(values.shape[:-1]), atol=1e-4, rtol=0)
    torch.testing.assert_close(values.std(-1, correction=0), torch.ones(values.shape[:-1]), atol=1e-3, rtol=0)
    if kind == "ibn":
        rest = normalized[:, 16:].transpose(0, 1).flatten(1)
        torch.testing.assert_close(rest.std(-1, correction=0), torch.ones(16), atol=1e-3, rtol=0)


def test_the_contest_form_has_two_more_residual_blocks_at_every_encoder_and_decoder_block(picture):
    plain, deep = on_meta(width=4), on_meta(width=4, extra_blocks=2)
    added = set(deep.state_dict()) - set(plain.state_dict())
    assert set(plain.state_dict()) <= set(deep.state_dict())
    assert len({key.split(".conv_1.")[0] for key in added if ".conv_1." in key}) == 2 * (5 + 4) * 2
    assert sum(each.numel() for each in on_meta(width=128, extra_blocks=2).parameters()) == 885_125_126
    network = small(extra_blocks=1)
    assert network(picture).shape == picture.shape


def test_a_grey_network_restores_grey():
    assert small(channels=1)(torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_finite_and_near(picture, dtype):
    network = small(width=16)
    expected = network(picture)
    with torch.autocast("cpu", dtype):
        found = network(picture)
    assert (found - expected).abs().max() < 0.01 * (expected.max() - expected.min())


def test_it_compiles_in_one_graph_and_exports(picture):
    network = small()
    expected = network(picture)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(picture), expected)
    exported = torch.export.export(network, (picture,)).module()
    torch.testing.assert_close(exported(picture), expected)


def test_any_size_runs_through_the_product(tmp_path):
    path = tmp_path / "hinet.safetensors"
    save_file(small(hin_position_right=2).state_dict(), path)
    restorer = load_model(str(path))
    for size in ((1, 1), (7, 33), (31, 18)):
        restored = restorer(torch.rand(1, 3, *size))
        assert restored.shape == (1, 3, *size)
        assert restored.isfinite().all()
