"""Hi-IR, columnar and U-shaped: the published sizes and what its three levels can and cannot see."""

from __future__ import annotations

import json
from functools import cache
from inspect import signature
from math import log2

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import restore_cli
from restore_cli.archs.hi_ir import RGB_MEAN, VARIANTS, HiIR
from restore_cli.archs.hi_ir_layers import (
    Layer,
    LayerPlan,
    LevelAttention,
    Stage,
    mean_view,
    merge_groups,
    partition_groups,
    stage_convolution,
)
from restore_cli.archs.hi_ir_unet import VARIANTS as UNET_VARIANTS
from restore_cli.archs.hi_ir_unet import HiIRUNet
from restore_cli.archs.norms import NORM_SCHEMES
from restore_cli.wrappers.local_stats import with_local_statistics

SMALL_PLAN = LayerPlan(width=8, heads=2, l1_window=2, l2_window=4, region=8)
SMALL = {"width": 8, "heads": 2, "stages": 1, "depth": 2, "window": 4, "region": 8}
SMALL_UNET = {
    "widths": (8, 16),
    "heads": (2, 2),
    "depth": 1,
    "l1_windows": (2, 4),
    "l2_windows": (4, 4),
    "regions": (8, 4),
}
BOTH = [pytest.param(HiIR, SMALL, id="columnar"), pytest.param(HiIRUNet, SMALL_UNET, id="unet")]
SWITCHES = [
    {},
    {"flow": "v1"},
    {"flow": "v2", "stage_conv": "conv1"},
    {"attention": "cosine", "stage_conv": "linear"},
    {"logit_scale": False, "l3_conv": False, "views": 2},
    {"channels": 1},
]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(make):
    with torch.device("meta"):
        return make()


@cache
def outline(kind, **config):
    """A network without memory for its weights; shared, so not to be changed."""
    return on_meta(lambda: kind(**config))


def random(kind, config, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return kind(**config).to(dtype).eval().requires_grad_(False)


def silence(*modules):
    for module in modules:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)


# Sizes and operation counts


def test_fact_18_parameters_of_a_layer_and_of_the_bottleneck():
    assert parameters(on_meta(lambda: Layer(LayerPlan(180, 6), 0))) == 371_838
    assert parameters(on_meta(lambda: Layer(LayerPlan(180, 6, logit_scale=False), 0))) == 371_826
    assert parameters(stage_convolution("conv3", 180)) == 148_095


@pytest.mark.parametrize(
    ("variant", "count"),
    [
        ("hi-ir-b-x2", 14_681_780),
        ("hi-ir-b-x3", 14_866_420),
        ("hi-ir-b-x4", 14_829_492),
        ("hi-ir-l-x2", 39_071_792),
        ("hi-ir-l-x3", 39_256_432),
        ("hi-ir-l-x4", 39_219_504),
        ("hi-ir-l-table17-x2", 38_889_491),
        ("hi-ir-l-table17-x3", 39_074_131),
        ("hi-ir-l-table17-x4", 39_037_203),
    ],
)
def test_fact_18_parameters_of_the_columnar_networks(variant, count):
    assert parameters(outline(HiIR, **VARIANTS[variant])) == count


# Of all 30 sizes the paper prints (Tables 4, 7, 8, 18) those that are not above; its Table 4 and 18 scale
# the network up to 12 stages of 12 layers.
@pytest.mark.parametrize(
    ("config", "millions"),
    [
        ({"stage_conv": "conv1"}, {2: 15.69, 3: 15.87, 4: 15.84}),
        ({"stage_conv": "conv1", "l3_conv": False}, {2: 13.21, 4: 13.36}),
        ({"stage_conv": "conv1", "flow": "v1"}, {2: 14.35, 4: 14.50}),
        ({"stage_conv": "conv1", "flow": "v1", "l3_conv": False}, {2: 11.87, 4: 12.02}),
        ({"stage_conv": "conv1", "flow": "v2"}, {2: 19.22, 4: 19.37}),
        ({"stage_conv": "conv1", "flow": "v2", "l3_conv": False}, {2: 16.74, 4: 16.89}),
        ({"stages": 12, "depth": 12, "stage_conv": "conv1"}, {2: 57.60, 3: 57.78, 4: 57.74}),
        ({"stages": 12, "depth": 12, "stage_conv": "linear"}, {2: 54.23, 3: 54.41, 4: 54.37}),
        ({"stages": 12, "depth": 12, "stage_conv": "conv3"}, {2: 55.73, 3: 55.91, 4: 55.88}),
    ],
)
def test_fact_18_every_ablated_variant_has_the_size_the_paper_prints(config, millions):
    heads = {scale: parameters(outline(HiIR, stages=0, scale=scale)) for scale in (2, 3, 4)}
    of_x2 = parameters(outline(HiIR, scale=2, **config))
    for scale, published in millions.items():
        # Scales differ in the head alone, which is quicker to build without the stages.
        assert round((of_x2 - heads[2] + heads[scale]) / 1e6, 2) == published


def test_the_u_shape_is_within_half_a_percent_of_the_published_size():
    assert parameters(outline(HiIRUNet)) == 22_283_712
    assert parameters(outline(HiIRUNet, logit_scale=False)) == 22_282_920
    assert abs(22_283_712 / 22.33e6 - 1) < 0.005
    counts = {name: parameters(outline(HiIRUNet, **config)) for name, config in UNET_VARIANTS.items()}
    assert counts == {
        "hi-ir-unet": 22_283_712,
        "hi-ir-unet-gray": 22_281_120,
        "hi-ir-unet-dual-pixel": 22_285_008,
    }


def counted_as_published(network, side):
    """Multiply-accumulates of convolutions, linear layers and matrix products, plus one per pooled element."""
    pooled = []
    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0].numel()))
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side, side, device="meta"))
    return counter.get_total_flops() // 2 + sum(pooled)


def test_fact_19_operations_of_the_base_network():
    network = outline(HiIR, **VARIANTS["hi-ir-b-x4"])
    assert counted_as_published(network, 128) == 287_203_711_104
    assert round(287_203_711_104 / 1e9, 2) == 287.20  # as printed


def test_operations_of_the_u_shape_are_within_a_percent_of_the_published():
    operations = counted_as_published(outline(HiIRUNet), 256)
    assert operations == 152_410_291_200
    assert abs(operations / 153.66e9 - 1) < 0.01


# Partition, attention, layer

few = st.integers(1, 3)


@given(batch=few, rows=few, columns=few, window=st.integers(1, 4), dilation=few)
def test_fact_20_merging_undoes_partitioning_bitwise(batch, rows, columns, window, dilation):
    height, width = rows * window * dilation, columns * window * dilation
    tokens = torch.rand(batch, height, width, 3)
    groups = partition_groups(tokens, window, dilation)
    assert groups.shape == (batch * rows * columns * dilation**2, window**2, 3)
    assert torch.equal(merge_groups(groups, window, dilation, height, width), tokens)
    assert torch.equal(
        partition_groups(merge_groups(groups, window, dilation, height, width), window, dilation), groups
    )


@given(rows=few, columns=few, window=st.integers(2, 4), dilation=few)
def test_fact_20_a_group_is_a_grid_spaced_by_the_dilation_inside_one_region(rows, columns, window, dilation):
    region = window * dilation
    place = torch.stack(
        torch.meshgrid(torch.arange(rows * region), torch.arange(columns * region), indexing="ij"), dim=-1
    )
    groups = partition_groups(place[None], window, dilation).unflatten(1, (window, window))
    assert (groups.diff(dim=1) == torch.tensor([dilation, 0])).all()
    assert (groups.diff(dim=2) == torch.tensor([0, dilation])).all()
    assert (groups // region == groups[:, :1, :1] // region).all()


def influence(function, side, row, column):
    """Where the gradient of one output token is not zero, (side, side)."""
    tokens = torch.rand(1, side, side, SMALL_PLAN.width, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(function(tokens)[0, row, column].sum(), tokens)
    return gradient[0].abs().sum(dim=-1) > 0


def square(side, top, left, width):
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[top : top + width, left : left + width] = True
    return inside


@pytest.mark.parametrize(("row", "column"), [(9, 6), (15, 15), (0, 23)])
def test_fact_21_l1_and_l2_together_see_exactly_a_region_and_l1_a_window(row, column):
    plan = LayerPlan(width=8, heads=2, l1_window=4, l2_window=4, region=8)
    torch.manual_seed(0)
    (flow,) = Layer(plan, 0).double().flows
    assert torch.equal(influence(flow, 24, row, column), square(24, row // 8 * 8, column // 8 * 8, 8))
    assert torch.equal(influence(flow.levels["l1"], 24, row, column), square(24, row // 4 * 4, column // 4 * 4, 4))


def test_fact_21_at_the_published_sizes_a_pixel_sees_4096():
    plan = LayerPlan(width=8, heads=2)
    torch.manual_seed(0)
    (flow,) = Layer(plan, 0).double().flows
    assert torch.equal(influence(flow, 128, 70, 40), square(128, 64, 0, 64))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_fact_21_v2_sees_a_region_in_one_layer_and_v1_in_two(version):
    plan = LayerPlan(width=8, heads=2, l1_window=4, l2_window=4, region=8, flow=version)
    torch.manual_seed(0)
    layers = 2 if version == "v1" else 1
    flows = nn.Sequential(*(flow for index in range(layers) for flow in Layer(plan, index).flows)).double()
    assert len(flows) == 2
    assert torch.equal(influence(flows, 24, 9, 6), square(24, 8, 0, 8))
    assert torch.equal(influence(flows[0], 24, 9, 6), square(24, 8, 4, 4))


def test_fact_22_nothing_linear_stands_between_l1_and_l2_but_the_projection_to_queries_of_l2():
    (flow,) = on_meta(lambda: Layer(LayerPlan(180, 6), 0)).flows
    linear = [
        (name, module.in_features, module.out_features)
        for name, module in flow.named_modules()
        if isinstance(module, nn.Linear) and "position" not in name
    ]
    assert linear == [("levels.l1.qkv", 180, 360), ("levels.l2.qkv", 180, 360), ("proj", 180, 180)]
    for level in flow.levels.values():
        assert level.widths == [90, 90, 180]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_v1_and_v2_have_whole_queries_and_a_projection_after_each_attention(version):
    for flow in on_meta(lambda: Layer(LayerPlan(180, 6, flow=version), 1)).flows:
        (attention,) = flow.levels.values()
        assert attention.widths == [180, 180, 180]


def test_v1_takes_l1_and_l2_by_turns():
    stage = Stage(LayerPlan(width=8, heads=2, flow="v1"), depth=4)
    assert [list(layer.flows[0].levels) for layer in stage.layers] == [["l1"], ["l2"], ["l1"], ["l2"]]


@pytest.mark.parametrize("flow", ["v1", "v2", "v3"])
@pytest.mark.parametrize("l3_conv", [True, False])
def test_fact_23_a_layer_with_silent_projections_is_the_identity(flow, l3_conv):
    torch.manual_seed(0)
    layer = Layer(LayerPlan(8, 2, l1_window=2, l2_window=4, region=8, flow=flow, l3_conv=l3_conv), 0)
    silence(layer.l3.reduce, *(each.proj for each in layer.flows))
    tokens = torch.rand(2, 8, 16, 8)
    assert torch.equal(layer(tokens), tokens)


def test_fact_23_a_stage_with_a_silent_last_convolution_is_the_identity():
    stage = Stage(SMALL_PLAN, depth=2)
    silence(stage.conv[-1])
    features = torch.rand(1, 8, 16, 8)
    assert torch.equal(stage(features), features)


@pytest.mark.parametrize("flow", ["v2", "v3"])
@pytest.mark.parametrize("attention", ["dot", "cosine"])
@pytest.mark.parametrize("dilation", [1, 2])
def test_attention_is_the_softmax_of_scaled_products_plus_bias(flow, attention, dilation):
    plan = LayerPlan(width=12, heads=2, flow=flow, attention=attention)
    torch.manual_seed(0)
    level = LevelAttention(plan, window=3, dilation=dilation).double()
    with torch.no_grad():
        level.logit_scale += torch.randn_like(level.logit_scale) / 4
    tokens = torch.rand(2, 6, 12, 12, dtype=torch.float64)
    groups = partition_groups(tokens, 3, dilation)
    query_width = 6 if flow == "v3" else 12
    query, key, value = level.qkv(groups).split([query_width, query_width, 12], dim=-1)
    heads = []
    for head in range(2):
        q, k, v = (part.chunk(2, dim=-1)[head] for part in (query, key, value))
        if attention == "cosine":
            q, k = q / q.norm(dim=-1, keepdim=True), k / k.norm(dim=-1, keepdim=True)
        logits = level.logit_scale[head].exp() * q @ k.transpose(1, 2) + level.position_bias()[head]
        heads.append(logits.softmax(dim=-1) @ v)
    expected = merge_groups(torch.cat(heads, dim=-1), 3, dilation, 6, 12)
    torch.testing.assert_close(level(tokens), expected)


def test_heads_start_at_the_usual_scale():
    assert LevelAttention(LayerPlan(180, 6), 16, 1).logit_scale.exp().flatten().tolist() == pytest.approx(
        [15**-0.5] * 6
    )
    cosine = LevelAttention(LayerPlan(180, 6, attention="cosine"), 16, 1)
    assert cosine.logit_scale.exp().flatten().tolist() == pytest.approx([10.0] * 6)


def test_the_position_bias_of_a_pair_is_that_of_its_offset():
    torch.manual_seed(0)
    level = LevelAttention(SMALL_PLAN, window=4, dilation=1).double()
    bias = level.position_bias().detach().unflatten(1, (4, 4)).unflatten(3, (4, 4))
    for query in [(0, 0), (3, 1), (2, 2)]:
        for key in [(0, 3), (1, 1), (3, 0)]:
            offset = [(q - k) / 3 for q, k in zip(query, key, strict=True)]
            spaced = [(1 if x > 0 else -1) * log2(1 + 8 * abs(x)) / log2(8) for x in offset]
            expected = 8 * torch.tanh(level.position(torch.tensor(spaced, dtype=torch.float64)) / 2)
            torch.testing.assert_close(bias[:, query[0], query[1], key[0], key[1]], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"flow": "v4"}, "flow must be one of v1, v2, v3, not 'v4'"),
        ({"attention": "linear"}, "dot, cosine"),
        ({"stage_conv": "conv2"}, "conv1, linear, conv3"),
        ({"width": 10, "heads": 4}, "twice the 4 heads"),
        ({"region": 24}, "multiple of the windows"),
        ({"norm": "group"}, "layernorm, iln"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_accepted(change, message):
    with pytest.raises(ValueError, match=message):
        Stage(LayerPlan(**{"width": 12, "heads": 2, **change}), depth=1)


# Whole networks


@pytest.mark.parametrize(("kind", "config"), BOTH)
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_a_saved_network_is_detected_loaded_and_computes_the_same(tmp_path, kind, config, switches):
    config = {**config, **switches, **({"scale": 3} if kind is HiIR and "views" not in switches else {})}
    network = random(kind, config, dtype=torch.float32)
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path, metadata={"config": json.dumps(config)})
    restorer = restore_cli.load_model(str(path), precision="fp32", device="cpu")
    multiple = network.size_multiple
    picture = torch.rand(1, network.channels, 2 * multiple, 3 * multiple)
    torch.testing.assert_close(restorer(picture), network(picture))
    found = kind.config_of(network.state_dict(), json.loads(json.dumps(config)))
    assert {name: found[name] for name in config} == config


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_a_file_that_says_nothing_is_taken_for_the_published_network(kind, config):
    state_dict = outline(kind, **{**config, "attention": "cosine"}).state_dict()
    found = kind.config_of(state_dict, {})
    assert found["attention"] == "dot"
    if kind is HiIR:
        assert (found["window"], found["region"]) == (16, 64)
    else:
        assert (found["l1_windows"], found["l2_windows"], found["regions"]) == ((8, 16), (16, 16), (64, 64))


@pytest.mark.parametrize("kind", [HiIR, HiIRUNet])
def test_the_defaults_are_the_published_network(kind):
    defaults = {name: parameter.default for name, parameter in signature(kind).parameters.items()}
    assert kind.config_of(outline(kind).state_dict(), {}) == defaults


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_is_named_after_its_scale(variant):
    assert variant.endswith(f"-x{VARIANTS[variant]['scale']}")


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_any_size_comes_out_at_its_scale_through_the_product(tmp_path, kind, config):
    network = random(kind, config, dtype=torch.float32)
    path = tmp_path / "model.safetensors"
    save_file(network.state_dict(), path, metadata={"config": json.dumps(config)})
    restorer = restore_cli.load_model(str(path), precision="fp32", device="cpu")
    for height, width in [(1, 1), (7, 19), (33, 10)]:
        assert restorer(torch.rand(3, 3, height, width)).shape == (3, 3, height, width)


def test_the_columnar_network_pads_to_its_region_and_the_u_shape_to_128():
    assert (outline(HiIR).size_multiple, outline(HiIRUNet).size_multiple) == (64, 128)


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_the_gate_sees_the_whole_picture(kind, config):
    network = random(kind, config)
    picture = torch.rand(1, 3, 16, 80, dtype=torch.float64)
    changed = picture.clone()
    changed[..., :4, :4] += 1
    far = (network(changed) - network(picture))[..., -4:, -4:].abs().max()
    assert far > 1e-9
    assert network.receptive_radius is None


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_without_the_gate_a_crop_at_a_multiple_of_the_size_rule_is_restored_as_in_the_whole_picture(kind, config):
    network = random(kind, {**config, "l3_conv": False})
    multiple = network.size_multiple
    picture = torch.rand(1, 3, 2 * multiple, 12 * multiple, dtype=torch.float64)
    crop = picture[..., multiple:]
    whole, part = network(picture)[..., multiple:], network(crop)
    torch.testing.assert_close(part[..., 6 * multiple :], whole[..., 6 * multiple :])
    assert not torch.allclose(part[..., :multiple], whole[..., :multiple])


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_the_gate_can_be_given_local_statistics(kind, config):
    network = random(kind, config)
    local = with_local_statistics(network, 16)
    fits, larger = torch.rand(1, 3, 16, 16, dtype=torch.float64), torch.rand(1, 3, 16, 192, dtype=torch.float64)
    assert torch.equal(local(fits), network(fits))
    assert not torch.equal(local(larger), network(larger))
    changed = larger.clone()
    changed[..., :2, :2] += 1
    assert torch.equal(local(changed)[..., -2:, -2:], local(larger)[..., -2:, -2:])


@pytest.mark.parametrize(("kind", "config"), BOTH)
@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_a_batch_of_three_is_three_pictures_and_training_mode_computes_the_same(kind, config, switches):
    network = random(kind, {**config, **switches})
    batch = torch.rand(3, network.channels, 16, 24, dtype=torch.float64)
    expected = torch.cat([network(picture[None]) for picture in batch])
    torch.testing.assert_close(network(batch), expected)
    assert torch.equal(network.train()(batch), network.eval()(batch))


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_every_parameter_learns(kind, config):
    torch.manual_seed(0)
    network = kind(**config, **({"scale": 4} if kind is HiIR else {}))
    network(torch.rand(1, 3, 16, 16)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_two_views_with_a_silent_last_layer_give_their_mean(kind, config, channels):
    network = random(kind, {**config, "channels": channels, "views": 2})
    assert (network.channels, network.output_channels) == (2 * channels, channels)
    silence(network.to_picture)
    left, right = torch.rand(2, 1, channels, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(network(torch.cat([left, right], dim=1)), (left + right) / 2)


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_one_view_with_a_silent_last_layer_is_the_identity(kind, config):
    network = random(kind, config)
    silence(network.to_picture)
    picture = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    assert torch.equal(network(picture), picture)


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_each_of_two_views_matters_beyond_their_mean(kind, config):
    network = random(kind, {**config, "views": 2})
    left, right = torch.rand(2, 1, 3, 16, 16, dtype=torch.float64)
    swapped = torch.cat([right, left], dim=1)
    torch.testing.assert_close(mean_view(swapped, 2), (left + right) / 2)
    assert not torch.allclose(network(swapped), network(torch.cat([left, right], dim=1)))


def test_an_enlarger_with_a_silent_last_layer_gives_the_mean_colour():
    network = random(HiIR, {**SMALL, "scale": 2})
    silence(network.to_picture)
    expected = torch.tensor(RGB_MEAN).double().view(1, 3, 1, 1).expand(1, 3, 16, 32)
    torch.testing.assert_close(network(torch.rand(1, 3, 8, 16, dtype=torch.float64)), expected)


@pytest.mark.parametrize("norm", NORM_SCHEMES)
@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_any_norm_scheme_runs_and_is_recovered(kind, config, norm):
    network = random(kind, {**config, "norm": norm}, dtype=torch.float32)
    assert torch.isfinite(network(torch.rand(2, 3, 16, 16))).all()
    found = kind.config_of(network.state_dict(), {"norm": norm} if norm == "instance" else {})
    assert found["norm"] == norm


def test_with_iln_a_layer_keeps_the_contrast_of_its_features():
    torch.manual_seed(0)
    plan = LayerPlan(width=8, heads=2, l1_window=2, l2_window=4, region=8, norm="iln")
    layer = Layer(plan, 0).double()
    tokens = 100 * torch.rand(1, 8, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(layer(1000 * tokens), 1000 * layer(tokens), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_weights_trained_with_layernorm_are_refused_by_iln(kind, config):
    state_dict = random(kind, config).state_dict()
    with pytest.raises(RuntimeError, match="LayerNorm"):
        kind(**config, norm="iln").load_state_dict(state_dict)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("attention", ["dot", "cosine"])
@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_half_precision_is_finite_and_close(kind, config, attention, dtype):
    network = random(kind, {**config, "attention": attention}, dtype=torch.float32)
    picture = torch.rand(1, 3, 16, 16)
    exact = network(picture)
    with torch.autocast("cpu", dtype):
        rounded = network(picture)
    change = (exact - picture).abs().max()
    tolerance = {torch.bfloat16: 0.03, torch.float16: 0.004}[dtype]
    assert torch.isfinite(rounded).all()
    assert (rounded - exact).abs().max() < tolerance * max(change, 1)


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_it_compiles_into_one_graph(kind, config):
    network = random(kind, config, dtype=torch.float32)
    picture = torch.rand(2, 3, 16, 24)
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(picture), network(picture))


@pytest.mark.parametrize(("kind", "config"), BOTH)
def test_it_exports(kind, config):
    network = random(kind, config, dtype=torch.float32)
    picture = torch.rand(1, 3, 16, 16)
    exported = torch.export.export(network, (picture,)).module()
    torch.testing.assert_close(exported(picture), network(picture))
