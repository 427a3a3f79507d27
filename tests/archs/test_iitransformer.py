"""iiTransformer: facts 9 to 17, the authors' outputs, and attention that grows with the picture, not its square."""

from __future__ import annotations

import json
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import restore_cli
from restore_cli.archs import iitransformer, patch_attention
from restore_cli.archs.iitransformer import VARIANTS, IITransformer
from restore_cli.archs.patch_attention import PatchAttention, Rectangle, plan_key_blocks
from restore_cli.archs.swinir import SwinIR
from restore_cli.errors import CheckpointError

MIB = 2**20 / 4  # numbers of float32
# Patches of 4 pixels, 3x3 of them in a training picture, whose tables so have another size than the windows'.
TINY = {"img_size": 12, "window_size": 4, "embed_dim": 12, "depths": (2, 2), "num_heads": (2, 3)}
HEADS = {
    "x1": {},
    "x3": {"upscale": 3, "upsampler": "pixelshuffle", "num_feat": 4},
    "x4": {"upscale": 4, "upsampler": "pixelshuffle", "num_feat": 4},
}
PARITY = [("x1", 0), ("x1", 1), ("x1", 2), ("x1", 3), ("x3", 0), ("x3", 1)]


def on_meta(**config):
    with torch.device("meta"):
        return IITransformer(**config)


def lively(module, seed=0):
    """In evaluation, in float64, with weights so large that every part shows in the result."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.double().eval().requires_grad_(False).parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
        start = 1.0 if parameter.ndim == 1 else 0.0
        torch.nn.init.normal_(parameter, start, spread, generator=generator)
    return module


def tiny(seed=0, **changes):
    return lively(IITransformer(**{**TINY, **changes}), seed)


def attention(grid=(3, 3), shift=0, heads=2, **changes):
    return lively(PatchAttention(12, heads, 4, grid, shift, **changes))


def tokens_of(rows, columns, batch=1):
    return torch.randn(batch, 4 * rows, 4 * columns, 12, generator=torch.Generator().manual_seed(1)).double()


def picture_of(*shape, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2), dtype=dtype)


def whole(grid):
    return Rectangle(0, grid[0], 0, grid[1])


def dense(attention, tokens, bias):
    """Attention between all patches at once; `bias` (heads, N, N) says who sees whom."""
    batch, height, width, channels = tokens.shape
    shift, heads = attention.shift, attention.heads
    rows, columns, size = height // 4, width // 4, channels // heads
    rolled = tokens.roll((-shift, -shift), (1, 2))
    parts = attention.qkv(rolled).view(batch, rows, 4, columns, 4, 3, heads, size)
    q, k, v = parts.permute(5, 0, 6, 1, 3, 2, 4, 7).reshape(3, batch, heads, rows * columns, 16 * size)
    weights = (q @ k.transpose(-2, -1) * size**-0.5 + bias).softmax(dim=-1)
    answered = (weights @ v).view(batch, heads, rows, columns, 4, 4, size).permute(0, 2, 4, 3, 5, 1, 6)
    return attention.proj(answered.reshape(tokens.shape)).roll((shift, shift), (1, 2))


def box_bias(attention, grid, wraps):
    """The paper's bias, written out pair by pair: (heads, N, N)."""
    table = attention.relative_position_bias_table
    train_rows, train_columns = attention.grid
    last = {(row, column) for row, column in product(*map(range, grid)) if row == grid[0] - 1 or column == grid[1] - 1}
    patches = list(product(*map(range, grid)))
    bias = torch.full((table.shape[1], len(patches), len(patches)), -torch.inf, dtype=table.dtype)
    for query, asking in enumerate(patches):
        for key, asked in enumerate(patches):
            down, across = asking[0] - asked[0], asking[1] - asked[1]
            if abs(down) < train_rows and abs(across) < train_columns:
                entry = (down + train_rows - 1) * (2 * train_columns - 1) + across + train_columns - 1
                hidden = wraps and asking not in last and asked in last
                bias[:, query, key] = table[entry] - 100 * hidden
    return bias


@pytest.mark.parametrize(
    ("variant", "parameters", "mebibytes"),
    [
        ("iitransformer-dn", 9_941_139, 37.488),
        ("iitransformer-car", 9_864_001, 37.463),
        ("iitransformer-sr-x2", 10_118_807, None),
        ("iitransformer-sr-x3", 10_303_447, None),
        ("iitransformer-sr-x4", 10_266_519, None),
    ],
)
def test_fact_09_counts_are_the_published_ones(variant, parameters, mebibytes):
    assert_counts(on_meta(**VARIANTS[variant]), parameters, mebibytes)


def test_fact_09_a_smaller_training_picture_changes_the_tables_alone():
    assert_counts(on_meta(img_size=64), 9_870_483, 37.488)


@pytest.mark.parametrize(
    ("head", "parameters", "mebibytes"),
    [
        ({}, 11_504_163, 43.700),
        ({"upscale": 2, "upsampler": "pixelshuffle"}, 11_752_487, None),
        ({"upscale": 4, "upsampler": "pixelshuffle"}, 11_900_199, None),
    ],
)
def test_fact_09_swinir_is_the_intra_only_network_of_six_by_six_layers(head, parameters, mebibytes):
    six = (6,) * 6
    network = on_meta(depths=six, num_heads=six, attn_types=(("intra",) * 6,) * 6, **head)
    assert_counts(network, parameters, mebibytes)


def assert_counts(network, parameters, mebibytes):
    """`mebibytes` as torchsummary has them: it overlooks the bias tables."""
    tables = sum(part.numel() for name, part in network.named_parameters() if name.endswith("bias_table"))
    assert sum(part.numel() for part in network.parameters()) == parameters
    assert mebibytes is None or (parameters - tables) / MIB == pytest.approx(mebibytes, abs=6e-4)


def test_fact_10_patch_attention_is_plain_attention_on_whole_patches_scaled_by_the_heads_channels():
    patches = attention(heads=3)
    tokens = tokens_of(3, 3, batch=2)
    torch.testing.assert_close(
        patches(tokens), dense(patches, tokens, box_bias(patches, (3, 3), False)), rtol=0, atol=1e-14
    )
    exact = patches.float()(tokens.float())
    assert torch.equal(exact, dense(patches, tokens.float(), patches.bias(whole((3, 3)), whole((3, 3)), (3, 3))))


@pytest.mark.parametrize("shift", [0, 2])
def test_fact_11_at_the_training_size_paper_official_and_unmasked_are_one(shift):
    paper, official = (attention(shift=shift, bias_mode=mode) for mode in ("paper", "official"))
    tokens = tokens_of(3, 3)
    assert torch.equal(paper(tokens), official(tokens))
    everyone = whole((3, 3))
    bias = paper.bias(everyone, everyone, (3, 3))
    assert torch.equal(bias, official.bias(everyone, everyone, (3, 3)))
    assert bias.isfinite().all()
    picture = picture_of(1, 3, 12, 12)
    assert torch.equal(tiny()(picture), tiny(bias_mode="official")(picture))
    assert not torch.allclose(tiny()(picture_of(1, 3, 16, 12)), tiny(bias_mode="official")(picture_of(1, 3, 16, 12)))


def test_fact_12_one_unshifted_layer_sees_its_box_and_not_a_patch_more():
    patches = attention()
    tokens = tokens_of(9, 9)
    before = patches(tokens)
    for row, column in product(range(9), range(9)):
        changed = tokens.clone()
        changed[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 1
        change = (patches(changed) != before)[0, 16:20, 16:20]
        in_box = abs(row - 4) <= 2 and abs(column - 4) <= 2
        assert change.any() == in_box
        assert change.all() == in_box


@pytest.mark.parametrize("grid", [(2, 3), (1, 2), (3, 1)])
def test_fact_13_in_pictures_smaller_than_training_ones_nothing_is_masked(grid):
    patches = attention()
    bias = patches.bias(whole(grid), whole(grid), grid)
    assert bias.isfinite().all()
    assert torch.equal(bias, box_bias(patches, grid, False))


@pytest.mark.parametrize("train", [(3, 3), (2, 4)])
@pytest.mark.parametrize("grid", [(3, 3), (2, 2), (5, 5), (4, 7), (7, 2)])
def test_fact_14_the_bias_of_a_pair_is_that_of_its_offset_in_training(train, grid):
    patches = attention(train)
    assert torch.equal(patches.bias(whole(grid), whole(grid), grid), box_bias(patches, grid, False))
    official = attention(train, bias_mode="official").bias(whole(grid), whole(grid), grid)
    assert torch.equal(official, box_bias(patches, grid, False)) == (grid == train)


@pytest.mark.parametrize(
    ("train", "grid", "kept_percent", "box_percent", "right_percent", "span"),
    [
        (16, (16, 16), 100, 100, 100, (15, 15)),
        (16, (17, 17), 97.9, 98.6, 6.0, (15, 16)),
        (16, (20, 20), 85.7, 90.2, 5.5, (12, 19)),
        (8, (16, 16), 39.4, 51.7, 11.4, (4, 15)),
        (16, (24, 10), None, None, None, (10, 9)),
    ],
)
def test_fact_14_the_authors_index_keeps_other_pairs_with_other_entries(
    train, grid, kept_percent, box_percent, right_percent, span
):
    def entries(mode):
        """For each pair the row of the table; -100 or minus infinity where it is masked."""
        patches = PatchAttention(1, 1, 1, (train, train), hides_wrapped=False, bias_mode=mode).double()
        table = patches.relative_position_bias_table.requires_grad_(False)
        table.copy_(torch.arange(len(table))[:, None])
        return patches.bias(whole(grid), whole(grid), grid)[0].view(*grid, *grid)

    official, box = entries("official"), entries("paper")
    kept = official >= 0
    queries_and_keys = kept.nonzero()
    reach = (queries_and_keys[:, :2] - queries_and_keys[:, 2:]).abs().amax(dim=0)
    assert tuple(reach.tolist()) == span
    if kept_percent is not None:
        assert 100 * kept.double().mean().item() == pytest.approx(kept_percent, abs=0.05)
        assert 100 * box.isfinite().double().mean().item() == pytest.approx(box_percent, abs=0.05)
        right = (official == box)[kept].double().mean().item()
        assert 100 * right == pytest.approx(right_percent, abs=0.05)


@pytest.mark.parametrize("grid", [(3, 3), (5, 4)])
def test_fact_15_in_a_shifted_layer_inner_patches_do_not_see_the_last_row_and_column(grid):
    patches = attention((5, 5), shift=2)
    tokens = tokens_of(*grid)
    before = patches(tokens)
    rolled_back = tokens.roll((-2, -2), (1, 2))
    rolled_back[:, -4:] += 1
    rolled_back[:, :, -4:] += 1
    change = (patches(rolled_back.roll((2, 2), (1, 2))) != before).roll((-2, -2), (1, 2))
    assert not change[:, :-4, :-4].any()
    assert change[:, -4:].all()
    rolled = tokens.roll((-2, -2), (1, 2))
    rolled[:, :4, :4] += 1
    change = (patches(rolled.roll((2, 2), (1, 2))) != before).roll((-2, -2), (1, 2))
    assert change.all()  # the last row and column see the first patch, as the rest does


@pytest.mark.parametrize("grid", [(3, 3), (2, 3), (5, 4)])
def test_fact_15_an_unshifted_layer_hides_nothing_and_the_authors_does_away_from_the_training_size(grid):
    patches = attention(bias_mode="official")
    last, first = Rectangle(grid[0] - 1, grid[0], 0, 1), Rectangle(0, 1, 0, 1)
    assert (patches.bias(first, last, grid).max() < -90) == (grid != (3, 3))
    assert patches.bias(last, first, grid).isfinite().all()
    assert attention((5, 5)).bias(first, last, grid).min() > -90


def test_fact_15_hiding_can_be_left_out():
    everyone = whole((4, 4))
    assert torch.equal(
        attention(shift=2, hides_wrapped=False).bias(everyone, everyone, (4, 4)),
        attention().bias(everyone, everyone, (4, 4)),
    )


@pytest.mark.parametrize("shift", [0, 2])
def test_fact_16_a_single_patch_sees_itself_alone(shift):
    patches = attention(shift=shift)
    tokens = tokens_of(1, 1)
    values = patches.qkv(tokens)[..., 24:]
    torch.testing.assert_close(patches(tokens), patches.proj(values), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("variant", "grid"), [("iitransformer-dn", 16), ("iitransformer-sr-x2", 8)])
def test_fact_17_blocks_take_turns_and_every_second_layer_is_shifted(variant, grid):
    network = on_meta(**VARIANTS[variant])
    assert len(network.layers) == 4
    for number, block in enumerate(network.layers):
        layers = block.residual_group.blocks
        assert [layer.attn.shift for layer in layers] == [0, 4] * 4
        for layer in layers:
            between = isinstance(layer.attn, PatchAttention)
            assert between == (number % 2 == 1)
            offsets = (2 * grid - 1) ** 2 if between else 225
            assert layer.attn.relative_position_bias_table.shape == (offsets, 6)


grids = st.integers(1, 14)
reaches = st.integers(0, 6)


@given(grids, grids, reaches, reaches, st.integers(1, 3000))
def test_the_plan_computes_every_pair_in_reach_and_at_most_twice_their_number(rows, columns, down, across, budget):
    plan = plan_key_blocks(rows, columns, down, across, budget)
    asked_by = {}
    for asking, asked in plan:
        for place in patches_of(asking):
            assert place not in asked_by
            asked_by[place] = set(patches_of(asked))
        assert asking.area * asked.area <= budget or asking.area == 1
    in_reach = {
        place: {
            other
            for other in product(range(rows), range(columns))
            if abs(other[0] - place[0]) <= down and abs(other[1] - place[1]) <= across
        }
        for place in product(range(rows), range(columns))
    }
    assert asked_by.keys() == in_reach.keys()
    assert all(in_reach[place] <= asked_by[place] for place in in_reach)
    assert products(plan) <= 2 * sum(map(len, in_reach.values()))
    assert plan == sorted(plan)


def patches_of(rectangle):
    return product(range(rectangle.top, rectangle.bottom), range(rectangle.left, rectangle.right))


def products(plan):
    return sum(asking.area * asked.area for asking, asked in plan)


def test_query_key_products_grow_with_the_picture_and_not_with_its_square():
    # The published denoiser at 1, 4 and 16 megapixels; further from the edge boxes are cut less.
    counts = [products(plan_key_blocks(side, side, 15, 15, 2**20)) for side in (128, 256, 512)]
    assert counts[0] <= 2 * 128**2 * 31**2
    assert 4 <= counts[1] / counts[0] < 4.5
    assert 4 <= counts[2] / counts[1] < 4.3
    assert counts[2] < 512**4 / 100


def test_multiply_accumulates_of_the_network_grow_with_the_picture():
    counts = []
    network = on_meta(**{**TINY, "depths": (1, 1)})
    for side in (32, 64, 128):
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, side, side, device="meta"))
        counts.append(counter.get_total_flops())
    assert counts[2] < 4.5 * counts[1] < 4.5**2 * counts[0]


@pytest.mark.parametrize("in_place", [False, True])
def test_no_tensor_has_a_number_for_every_pair_of_patches(in_place, monkeypatch):
    monkeypatch.setattr(iitransformer, "STRIP_TOKENS", 256)
    network = tiny(attn_types=(("inter",) * 2,) * 2).requires_grad_(not in_place)
    patches = 32 * 40
    largest = Largest()
    with largest, torch.set_grad_enabled(not in_place):
        network(picture_of(1, 3, 4 * 32, 4 * 40))
    assert 0 < largest.numbers < patches**2 / 2


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that was computed."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        if isinstance(result, torch.Tensor):
            self.numbers = max(self.numbers, result.numel())
        return result


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("train", [(3, 3), (2, 4)])
@pytest.mark.parametrize("grid", [(3, 3), (2, 3), (1, 1), (6, 6), (4, 9), (11, 5)])
def test_attention_in_rectangles_equals_dense_masked_attention(grid, train, shift, monkeypatch):
    patches = attention(train, shift)
    tokens = tokens_of(*grid, batch=2)
    expected = dense(patches, tokens, box_bias(patches, grid, shift > 0))
    torch.testing.assert_close(patches(tokens), expected, rtol=0, atol=1e-12)
    monkeypatch.setattr(patch_attention, "LOGIT_BYTES", 1)  # each query by itself
    assert len(patches.plan(2, grid)) == grid[0] * grid[1]
    torch.testing.assert_close(patches(tokens), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("logit_bytes", [1, 2**26])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("mode", ["paper", "official"])
def test_working_in_place_computes_the_same(mode, head, logit_bytes, monkeypatch):
    monkeypatch.setattr(patch_attention, "LOGIT_BYTES", logit_bytes)
    network = tiny(bias_mode=mode, resi_connection="3conv" if head == "x3" else "1conv", **HEADS[head])
    for tokens, size in ((1, (31, 22)), (1, (4, 4)), (200, (16, 40))):
        picture = picture_of(2, 3, *size)
        expected, untouched = network(picture), picture.clone()
        with monkeypatch.context() as patch:
            patch.setattr(iitransformer, "STRIP_TOKENS", tokens)
            with torch.no_grad():
                torch.testing.assert_close(network(picture), expected, rtol=1e-10, atol=1e-10)
        assert torch.equal(picture, untouched)


@pytest.mark.parametrize("shifts", [((0, 1), (3, 2)), ((0, 0), (0, 0))])
def test_any_shift_works_in_place_too(shifts, monkeypatch):
    network = tiny(shift_sizes=shifts)
    picture = picture_of(1, 3, 20, 16)
    expected = network(picture)
    monkeypatch.setattr(iitransformer, "STRIP_TOKENS", 1)
    with torch.no_grad():
        torch.testing.assert_close(network(picture), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", ["iln", "rmsnorm", "layerscale", "rezero", "instance", "batch", "none"])
def test_every_norm_scheme_gives_the_same_with_and_without_gradients(norm, monkeypatch):
    monkeypatch.setattr(iitransformer, "STRIP_TOKENS", 1)
    network = tiny(norm=norm)
    picture = picture_of(1, 3, 16, 24)
    expected = network(picture)
    assert expected.isfinite().all()
    with torch.no_grad():
        torch.testing.assert_close(network(picture), expected, rtol=1e-10, atol=1e-10)
    assert IITransformer.config_of(network.state_dict(), {"norm": norm})["norm"] == norm


def test_gradients_reach_every_parameter_also_where_attention_is_cut_into_rectangles():
    network = tiny().requires_grad_(True)
    network(picture_of(1, 3, 40, 24)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_sizes_that_are_no_multiple_of_the_window_are_mirrored_and_cropped():
    network = tiny(**HEADS["x3"])
    picture = picture_of(1, 3, 9, 14)
    padded = torch.nn.functional.pad(picture, (0, 2, 0, 3), mode="reflect")
    assert torch.equal(network(picture), network(padded)[..., :27, :42])


def test_half_precision_is_finite_and_near_in_place_too(monkeypatch):
    network = tiny().float()
    picture = picture_of(1, 3, 32, 32, dtype=torch.float32)
    expected = network(picture)
    monkeypatch.setattr(iitransformer, "STRIP_TOKENS", 1)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.no_grad(), torch.autocast("cpu", dtype):
            restored = network(picture)
        assert restored.dtype == torch.float32
        assert (restored - expected).abs().max() < 0.05 * (expected.max() - expected.min())


def test_it_compiles_in_one_graph_where_attention_is_cut_into_rectangles():
    network = tiny(depths=(1, 1)).float()
    picture = picture_of(1, 3, 28, 8, dtype=torch.float32)
    assert len(network.layers[1].residual_group.blocks[0].attn.plan(1, (7, 2))) > 1
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(picture), network(picture))
    with torch.no_grad():
        torch.testing.assert_close(compiled(picture), network(picture))


def test_stochastic_depth_skips_branches_in_training_alone():
    network, steady = tiny(drop_path_rate=0.5), tiny()
    picture = picture_of(1, 3, 12, 12)
    assert torch.equal(network(picture), steady(picture))
    torch.manual_seed(0)
    assert not torch.equal(network.train()(picture), steady(picture))


def test_the_intra_only_network_is_swinir():
    config = {name: value for name, value in TINY.items() if name != "img_size"}
    network = tiny(attn_types=(("intra",) * 2,) * 2, inter_pos=False)
    other = SwinIR(**config, img_size=12).double().eval()
    other.load_state_dict(network.state_dict())
    picture = picture_of(1, 3, 16, 12)
    torch.testing.assert_close(network(picture), other(picture), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"img_size": 16},  # tables as large as the windows'
        {"attn_types": (("inter", "intra"), ("intra", "inter")), "img_size": 16, "window_size": 8},
        {"attn_types": (("inter",) * 2,) * 2, "img_size": 64, "window_size": 8},
        {"attn_types": (("inter",) * 2,) * 2, "img_size": 24, "window_size": 8},
        {"shift_sizes": ((0, 0), (2, 2)), "resi_connection": "3conv", "mlp_ratio": 1.5},
        {"in_chans": 1, "upscale": 4, "upsampler": "pixelshuffle", "num_feat": 6},
        {"norm": "iln", "stdnorm": True},
    ],
)
def test_a_bare_state_dict_tells_the_configuration_and_that_it_is_no_swinir(changes):
    network = tiny(**changes)
    weights = network.state_dict()
    assert IITransformer.recognises(weights, {})
    found = IITransformer.config_of(weights, {})
    wanted = {"attn_types": (("intra",) * 2, ("inter",) * 2), "shift_sizes": ((0, 2),) * 2, **TINY, **changes}
    if wanted["window_size"] == 8 and "shift_sizes" not in changes:
        wanted["shift_sizes"] = ((0, 4),) * 2
    assert {name: found[name] for name in wanted} == wanted
    assert_rebuilt(found, network)


@pytest.mark.parametrize(
    "stated",
    [
        {"img_size": [12, 20]},  # as many offsets as 16x16 would have: 5 * 9 = 45, no square
        {"inter_pos": False, "num_heads": [2, 3], "img_size": 12},
        {"inter_mask": False, "shift_sizes": [[0, 2], [0, 2]]},
        {"bias_mode": "official"},
        {"img_range": 255.0},
        {"eps": 1e-3},
    ],
)
def test_what_shapes_cannot_tell_is_taken_from_what_the_file_says(stated):
    network = tiny(**stated)
    assert_rebuilt(IITransformer.config_of(network.state_dict(), stated), network)
    picture = picture_of(1, 3, 16, 28)
    assert not torch.allclose(tiny()(picture), network(picture))


def assert_rebuilt(config, network):
    rebuilt = lively(IITransformer(**config), seed=1)
    rebuilt.load_state_dict(network.state_dict())
    picture = picture_of(1, network.channels, 16, 28)
    assert torch.equal(rebuilt(picture), network(picture))


def test_weights_of_a_swinir_are_not_taken_for_ours():
    config = {name: value for name, value in TINY.items() if name != "img_size"}
    assert not IITransformer.recognises(SwinIR(**config, img_size=12).state_dict(), {})
    assert not IITransformer.recognises({"conv_first.weight": torch.empty(1, 1, 3, 3)}, {"attn_types": []})


@pytest.mark.parametrize(
    "wrong", [{"bias_mode": "fast"}, {"attn_types": (("intra", "both"),) * 2}, {"upsampler": "magic"}, {"upscale": 2}]
)
def test_arguments_that_are_no_choice_are_refused(wrong):
    with pytest.raises(ValueError, match=r"unknown|without an upsampler"):
        IITransformer(**{**TINY, **wrong})


def test_a_saved_network_is_detected_and_restores_the_same_and_its_bias_mode_can_be_overridden(tmp_path):
    network = tiny(img_size=16).float()
    path = tmp_path / "bare.safetensors"
    save_file(network.state_dict(), path)
    picture = picture_of(1, 3, 33, 26, dtype=torch.float32)
    for mode in ("paper", "official"):
        restorer = restore_cli.load_model(str(path), bias_mode=mode, device="cpu")
        assert restorer.model.network.arch == "iitransformer"
        expected = tiny(img_size=16, bias_mode=mode).float()(picture)
        torch.testing.assert_close(restorer(picture), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(CheckpointError, match="bias_mode"):
        restore_cli.load_model(str(path), bias_mode="fast")


def parity(shared, name, number):
    with safe_open(shared / "parity" / f"iitransformer_{name}.safetensors", "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no iterator
        config = json.loads(file.metadata()["config"])
    weights = {key.removeprefix("weights."): value for key, value in tensors.items() if key.startswith("weights.")}
    return config, weights, tensors[f"input.{number}"], tensors[f"output.{number}.0"]


def assert_same_to_parity(restored, expected):
    assert (restored - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())


@pytest.mark.shared
@pytest.mark.parametrize(("name", "number"), PARITY)
def test_official_mode_gives_the_authors_outputs_at_every_size_and_paper_mode_at_the_training_size(
    shared, name, number, monkeypatch
):
    config, weights, picture, expected = parity(shared, name, number)
    official, paper = (IITransformer(**config, bias_mode=mode).eval() for mode in ("official", "paper"))
    for network in (official, paper):
        network.load_state_dict(weights)
    assert_same_to_parity(official(picture), expected)
    with torch.no_grad():
        at_training_size = number == 0
        assert torch.equal(paper(picture), official(picture)) == at_training_size
        monkeypatch.setattr(iitransformer, "STRIP_TOKENS", 512)
        assert_same_to_parity(official(picture), expected)


@pytest.mark.shared
@pytest.mark.parametrize(("name", "number"), PARITY)
@pytest.mark.parametrize("says_what_it_is", [False, True])
def test_the_authors_weights_load_from_a_file_and_give_their_output(shared, tmp_path, name, number, says_what_it_is):
    config, weights, picture, expected = parity(shared, name, number)
    path = tmp_path / "authors.safetensors"
    save_file(weights, path, {"config": json.dumps(config)} if says_what_it_is else None)
    restorer = restore_cli.load_model(str(path), device="cpu", bias_mode="official")
    assert_same_to_parity(restorer(picture), expected)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["x1", "x3"])
def test_our_state_dict_is_the_authors_to_the_bit(shared, name):
    config, weights, *_ = parity(shared, name, 0)
    network = IITransformer(**config)
    network.load_state_dict(weights)
    saved = network.state_dict()
    assert saved.keys() == weights.keys()
    assert all(saved[key].dtype == value.dtype and torch.equal(saved[key], value) for key, value in weights.items())
