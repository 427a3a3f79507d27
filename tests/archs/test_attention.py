"""What must hold of HAT, SwinIR and DRCT alike: norms, checkpoints, precisions, compilation."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import restore_cli
from restore_cli.archs import architecture
from restore_cli.archs.attention import DropPath, SwinLayer, WindowAttention, attend, drop_rates, position_bias
from restore_cli.archs.norms import NORM_SCHEMES
from restore_cli.archs.windows import merge_windows, partition_windows, shifted_window_mask
from restore_cli.errors import CheckpointError
from tests.networks import SMALL_CONFIGS

THREE = ["drct", "hat", "swinir"]
GREY = {"in_chans": 1}


def lively(network: nn.Module, seed: int = 0) -> nn.Module:
    """With weights far from their narrow initial values, so that every part shows in the result."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            fan_in = parameter[0].numel() if "bias_table" not in name else 1
            nn.init.normal_(parameter, std=fan_in**-0.5, generator=generator)
        else:
            low, high = (-0.3, 0.3) if name.endswith(("bias", "beta")) else (0.5, 1.5)
            nn.init.uniform_(parameter, low, high, generator=generator)
    return network.eval().requires_grad_(False)


def small(arch_id: str, **changes) -> nn.Module:
    return lively(architecture(arch_id)(**{**SMALL_CONFIGS[arch_id], **changes}))


def picture_of(height: int = 12, width: int = 20, *, batch: int = 1, channels: int = 3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(batch, channels, height, width, generator=generator, dtype=dtype)


def on_meta(arch_id: str, **config) -> nn.Module:
    with torch.device("meta"):
        return architecture(arch_id)(**config)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def saved(path, network: nn.Module, **stated):
    save_file(network.state_dict(), path, {"config": json.dumps(stated)} if stated else None)
    return str(path)


def renamed_to_layernorm(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.replace(".gamma", ".weight").replace(".beta", ".bias"): value for key, value in state_dict.items()}


@pytest.mark.parametrize("norm", NORM_SCHEMES)
@pytest.mark.parametrize("arch_id", THREE)
def test_every_norm_scheme_gives_a_network_that_is_saved_and_rebuilt(arch_id, norm):
    config = {**SMALL_CONFIGS[arch_id], "norm": norm, "stdnorm": False}
    network = small(arch_id, norm=norm, stdnorm=False)
    restored = network(picture_of())
    assert restored.isfinite().all()
    stated = {"norm": norm, "stdnorm": False}
    rebuilt = architecture(arch_id)(**network.config_of(network.state_dict(), stated)).eval().requires_grad_(False)
    rebuilt.load_state_dict(network.state_dict())
    assert torch.equal(rebuilt(picture_of()), restored)
    assert network.config_of(network.state_dict(), stated)["norm"] == config["norm"]


@pytest.mark.parametrize("arch_id", THREE)
def test_norm_schemes_are_different_networks(arch_id):
    restored = torch.cat([small(arch_id, norm=norm)(picture_of()) for norm in NORM_SCHEMES])
    apart = (restored[:, None] - restored[None]).abs().amax(dim=(2, 3, 4))
    assert (apart + torch.eye(len(NORM_SCHEMES))).min() > 1e-3


@pytest.mark.parametrize("arch_id", THREE)
def test_fact_27_iln_has_the_count_and_shapes_of_layernorm(arch_id):
    with_iln, with_layernorm = (small(arch_id, norm=norm).state_dict() for norm in ("iln", "layernorm"))
    renamed = renamed_to_layernorm(with_iln)
    assert {key: value.shape for key, value in renamed.items()} == {
        key: value.shape for key, value in with_layernorm.items()
    }
    assert renamed.keys() != with_iln.keys()


@pytest.mark.parametrize("arch_id", THREE)
def test_fact_27_the_two_norms_without_a_residual_hold_no_statistics(arch_id):
    network = small(arch_id)
    for norm in (network.patch_embed["norm"], network.norm):
        each = torch.randn(2, 3, 5, 12)
        assert torch.equal(norm(each), each * norm.gamma + norm.beta)


@pytest.mark.parametrize("arch_id", THREE)
def test_fact_28_pictures_of_an_odd_batch_are_independent_and_training_computes_the_same(arch_id):
    network = small(arch_id).double()
    batch = picture_of(batch=3, dtype=torch.float64)
    restored = network(batch)
    for number in range(3):
        torch.testing.assert_close(network(batch[number : number + 1]), restored[number : number + 1])
    assert torch.equal(network.train()(batch), restored)


@pytest.mark.parametrize("arch_id", THREE)
def test_fact_28_eps_is_accepted_as_text(arch_id):
    expected = small(arch_id, eps=1e-4)(picture_of())
    assert torch.equal(small(arch_id, eps="1e-4")(picture_of()), expected)
    assert torch.equal(small(arch_id)(picture_of()), expected)
    assert not torch.equal(small(arch_id, eps=1.0)(picture_of()), expected)


@pytest.mark.parametrize("arch_id", THREE)
def test_weights_trained_with_layernorm_are_refused_by_an_iln_network_with_the_reason(arch_id):
    weights = small(arch_id, norm="layernorm").state_dict()
    with pytest.raises(RuntimeError, match="belongs to a LayerNorm; .* must be trained with i-LN") as info:
        small(arch_id).load_state_dict(weights)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("arch_id", THREE)
def test_a_layernorm_file_with_iln_asked_for_is_refused_with_the_reason(arch_id, tmp_path):
    path = saved(tmp_path / "layernorm.safetensors", small(arch_id, norm="layernorm", stdnorm=False))
    with pytest.raises(CheckpointError, match="must be trained with i-LN"):
        restore_cli.load_model(path, norm="iln")


@pytest.mark.parametrize("arch_id", THREE)
def test_an_iln_file_is_recognised_by_its_keys_and_restores_the_same(arch_id, tmp_path):
    network = small(arch_id)
    restorer = restore_cli.load_model(saved(tmp_path / "iln.safetensors", network))
    assert restorer.model.network.arch == arch_id
    torch.testing.assert_close(restorer(picture_of()), network(picture_of()))


@pytest.mark.parametrize("norm", [norm for norm in NORM_SCHEMES if norm != "iln"])
@pytest.mark.parametrize("arch_id", THREE)
def test_a_file_that_says_norm_and_colours_restores_the_same(arch_id, norm, tmp_path):
    network = small(arch_id, norm=norm, stdnorm=True)
    path = saved(tmp_path / "stated.safetensors", network, norm=norm, stdnorm=True, img_size=16)
    restorer = restore_cli.load_model(path)
    assert restorer.model.network.arch == arch_id
    torch.testing.assert_close(restorer(picture_of()), network(picture_of()))


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize("arch_id", THREE)
def test_a_layernorm_file_of_ours_is_left_to_spandrel_and_restores_the_same(arch_id, tmp_path):
    network = small(arch_id, norm="layernorm", stdnorm=False, num_feat=64)
    restorer = restore_cli.load_model(saved(tmp_path / "layernorm.safetensors", network))
    assert restorer.model.network.arch not in THREE
    torch.testing.assert_close(restorer(picture_of(16, 16)), network(picture_of(16, 16)))


@pytest.mark.parametrize("arch_id", THREE)
def test_recognition_leaves_published_forms_alone(arch_id):
    network = small(arch_id, norm="layernorm")
    weights = network.state_dict()
    assert not network.recognises(weights, {})
    assert not network.recognises(weights, {"norm": "layernorm", "stdnorm": False, "img_range": 1.0, "upscale": 2})
    assert network.recognises(weights, {"stdnorm": True})
    assert network.recognises(weights, {"norm": "iln"})
    assert network.recognises(small(arch_id).state_dict(), {})
    others = [other for other in THREE if other != arch_id]
    assert not any(network.recognises(small(other).state_dict(), {"stdnorm": True}) for other in others)


@pytest.mark.parametrize("arch_id", THREE)
def test_stdnorm_divides_colours_by_their_deviation_and_multiplies_back(arch_id):
    mean, deviation = torch.tensor([[0.4488, 0.4371, 0.4040], [0.2842, 0.2701, 0.2920]]).view(2, 3, 1, 1)
    plain, divided = (small(arch_id, stdnorm=stdnorm) for stdnorm in (False, True))
    picture = picture_of()
    same_inside = (picture - mean) / deviation + mean
    expected = (plain(same_inside) - mean) * deviation + mean
    torch.testing.assert_close(divided(picture), expected, rtol=1e-4, atol=1e-5)
    grey, grey_divided = (small(arch_id, **GREY, stdnorm=stdnorm) for stdnorm in (False, True))
    picture = picture_of(channels=1)
    torch.testing.assert_close(grey_divided(picture), grey(picture / 0.2842) * 0.2842, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch_id", THREE)
def test_img_range_is_undone_at_the_end(arch_id):
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(3, 1, 1)
    expected = (small(arch_id, stdnorm=False)((picture_of() - mean) * 4 + mean) - mean) / 4 + mean
    found = small(arch_id, stdnorm=False, img_range=4.0)(picture_of())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arch_id", ["drct", "swinir"])
def test_state_dicts_carry_the_published_mask_and_load_with_or_without_it(arch_id):
    network = small(arch_id)
    weights = network.state_dict()
    masks = {key: value for key, value in weights.items() if key.endswith("attn_mask")}
    assert masks
    expected = shifted_window_mask(16, 16, 4, 2, torch.device("cpu"), torch.float32)
    assert all(torch.equal(mask, expected) for mask in masks.values())
    without = {key: value for key, value in weights.items() if key not in masks}
    network.load_state_dict(weights)
    network.load_state_dict(without)
    # Not one training size, but any.
    network.load_state_dict({**weights, **{key: value[:4] for key, value in masks.items()}})
    assert weights.keys() >= masks.keys()  # the caller's dict is left alone


@pytest.mark.parametrize("arch_id", THREE)
def test_a_network_trained_on_one_window_never_shifts(arch_id):
    one_window, more = small(arch_id, img_size=4), small(arch_id, img_size=8)
    assert not torch.allclose(one_window(picture_of()), more(picture_of()))
    assert not any(key.endswith("attn_mask") for key in one_window.state_dict())
    shifts = [module.shift for module in one_window.modules() if hasattr(module, "shift")]
    assert shifts
    assert not any(shifts)


@pytest.mark.parametrize("arch_id", THREE)
def test_each_of_three_random_networks_survives_every_precision_it_promises(arch_id):
    for norm in ("iln", "layernorm"):
        network = small(arch_id, norm=norm)
        exact = network(picture_of())
        tolerance = {"fp16": 5e-3, "bf16": 3e-2}
        for precision in network.precisions:
            dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[precision]
            with torch.autocast("cpu", dtype=dtype):
                restored = network(picture_of()).float()
            assert (restored - exact).abs().max() <= tolerance[precision] * (exact.max() - exact.min())


@pytest.mark.parametrize(("norm", "factor"), [("iln", 100), ("layernorm", 1e6)])
@pytest.mark.parametrize("arch_id", THREE)
def test_promised_precisions_survive_large_features(arch_id, norm, factor):
    network = small(arch_id, norm=norm)
    peaks = []
    for group in network.layers:
        group.register_forward_hook(lambda group, given, tokens: peaks.append(tokens.abs().max().item()))
    for name, parameter in network.named_parameters():
        # What a branch adds no longer follows the features once LayerNorm has seen them.
        if name.startswith("conv_first") or (norm == "layernorm" and ("proj." in name or "fc2." in name)):
            parameter *= factor
    exact = network(picture_of())
    for precision in network.precisions:
        with torch.autocast("cpu", dtype={"fp16": torch.float16, "bf16": torch.bfloat16}[precision]):
            restored = network(picture_of()).float()
        assert (restored - exact).abs().max() <= 0.05 * (exact.max() - exact.min())
    assert max(peaks) > (65504 if norm == "layernorm" else 100)


@pytest.mark.parametrize("arch_id", THREE)
def test_it_compiles_in_one_graph_and_exports(arch_id):
    network = small(arch_id, depths=(2,), num_heads=(2,))
    picture = picture_of(8, 8)
    expected = network(picture)
    torch.testing.assert_close(torch.compile(network, fullgraph=True, backend="eager")(picture), expected)
    torch.testing.assert_close(torch.export.export(network, (picture,)).module()(picture), expected)


@pytest.mark.parametrize("arch_id", THREE)
def test_gradients_reach_every_parameter(arch_id):
    network = small(arch_id).train().requires_grad_(True)
    network(picture_of(batch=2)).square().mean().backward()
    dead = [name for name, parameter in network.named_parameters() if not parameter.grad.any()]
    # The few rectifiers of a channel attention may all be closed.
    assert all(".attention." in name for name in dead)


@pytest.mark.parametrize("arch_id", THREE)
def test_stochastic_depth_is_for_training_alone(arch_id):
    network = small(arch_id, drop_path_rate=0.5)
    assert torch.equal(network(picture_of()), small(arch_id)(picture_of()))
    network.train()
    torch.manual_seed(0)
    assert not torch.equal(network(picture_of()), network(picture_of()))


def test_stochastic_depth_drops_whole_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    dropped = DropPath(0.25).train()(torch.ones(4000, 2, 3))
    assert sorted(set(dropped.flatten().tolist())) == [0.0, pytest.approx(4 / 3)]
    assert torch.equal(dropped.amin((1, 2)), dropped.amax((1, 2)))
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)


def test_rates_of_stochastic_depth_rise_evenly():
    assert drop_rates(0.1, [2, 3]) == [[0.0, pytest.approx(0.025)], pytest.approx([0.05, 0.075, 0.1])]
    assert drop_rates(0.1, [1]) == [[0.0]]


def test_attention_is_softmax_of_scaled_products_plus_bias():
    torch.manual_seed(0)
    queries, keys, values = torch.randn(6, 4, 8), torch.randn(6, 9, 8), torch.randn(6, 9, 8)
    bias = torch.randn(1, 2, 4, 9)  # two heads
    found = attend(queries, keys, values, bias)
    for window in range(6):
        for head, channels in enumerate((slice(0, 4), slice(4, 8))):
            logits = queries[window, :, channels] @ keys[window, :, channels].T / 2 + bias[0, head]
            expected = logits.softmax(-1) @ values[window, :, channels]
            torch.testing.assert_close(found[window, :, channels], expected)


def one_by_one(attention: WindowAttention, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What shifted attention computes, each window on its own with the mask at its place."""
    bias = position_bias(attention.relative_position_bias_table, attention.relative_position_index)
    windows = partition_windows(tokens.roll((-2, -2), (1, 2)), 4)
    parts = [attention.qkv(window[None]).chunk(3, dim=-1) for window in windows]
    attended = [attend(*each, bias + mask[number % len(mask)]) for number, each in enumerate(parts)]
    return merge_windows(attention.proj(torch.cat(attended)), 4, *tokens.shape[1:3]).roll((2, 2), (1, 2))


@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 12), (12, 4), (8, 8), (12, 16)])
def test_each_shifted_window_sees_what_its_own_mask_allows(height, width):
    attention = lively(WindowAttention(8, 2, 4, 2)).double()
    tokens = torch.randn(3, height, width, 8, dtype=torch.float64)
    mask = shifted_window_mask(height, width, 4, 2, tokens.device, tokens.dtype)
    torch.testing.assert_close(attention(tokens, mask), one_by_one(attention, tokens, mask))
    # Rows of windows of a taller map, of which the last alone was wrapped round the bottom.
    above = shifted_window_mask(height + 4, width, 4, 2, tokens.device, tokens.dtype)[: len(mask)]
    torch.testing.assert_close(attention(tokens, above), one_by_one(attention, tokens, above))
    assert not torch.allclose(attention(tokens, above), attention(tokens, mask))


@pytest.mark.parametrize("shift", [0, 2])
def test_fact_26_a_layernorm_sublayer_forgets_the_contrast(shift):
    layer = lively(SwinLayer(8, 2, 4, shift, 2.0, 16, "layernorm", eps=0)).double()
    nn.init.zeros_(layer.mlp.fc2.weight)
    nn.init.zeros_(layer.mlp.fc2.bias)
    tokens = torch.randn(2, 8, 12, 8, dtype=torch.float64)
    mask = shifted_window_mask(8, 12, 4, 2, tokens.device, tokens.dtype)
    branch = layer(tokens, mask) - tokens
    for scale in (0.01, 3):
        torch.testing.assert_close(layer(scale * tokens, mask) - scale * tokens, branch)


@pytest.mark.parametrize("shift", [0, 2])
def test_fact_25_an_iln_layer_is_equivariant_to_contrast_and_brightness(shift):
    layer = lively(SwinLayer(8, 2, 4, shift, 2.0, 16, "iln", eps=0)).double()
    tokens = torch.randn(2, 8, 12, 8, dtype=torch.float64)
    mask = shifted_window_mask(8, 12, 4, 2, tokens.device, tokens.dtype)
    result = layer(tokens, mask)
    for scale in (0.01, 3):
        torch.testing.assert_close(layer(scale * tokens, mask), scale * result, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(layer(tokens + 5, mask), result + 5, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upsampler": "bilinear"}, "upsampler 'bilinear' is unknown; known: '', 'pixelshuffle'"),
        ({"upsampler": "", "upscale": 2}, "without an upsampler the scale is 1, not 2"),
        ({"upscale": 5, "upsampler": "pixelshuffle"}, "upscale 5 is neither 3 nor a power of 2"),
        ({"upscale": 3, "upsampler": "nearest+conv"}, "powers of 2, not by 3"),
        ({"img_size": 2}, "img_size 2 is smaller than a window of 4 pixels"),
        ({"resi_connection": "2conv"}, "resi_connection '2conv' is unknown"),
        ({"norm": "groupnorm"}, "norm 'groupnorm' is unknown"),
    ],
)
@pytest.mark.parametrize("arch_id", THREE)
def test_impossible_configurations_are_refused(arch_id, changes, message):
    with pytest.raises(ValueError, match=message):
        small(arch_id, **changes)
