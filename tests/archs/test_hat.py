"""HAT: the authors' own outputs, facts 25 to 29 of the specification, counts, and spandrel's network beside ours."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import restore_cli
from restore_cli.archs.hat import HAT, VARIANTS, HybridBlock, OverlappingBlock, overlapping_index
from restore_cli.archs.windows import shifted_window_mask
from tests.archs.test_attention import count, lively, on_meta, picture_of, renamed_to_layernorm

PAIRS = [
    *((name, number) for name in ("hat_iln", "hat_iln_stdnorm") for number in range(3)),
    *((name, number) for name in ("hat_layernorm", "hat_layernorm_stdnorm") for number in range(2)),
]
TINY = {
    "img_size": 16,
    "embed_dim": 12,
    "depths": [2, 3],
    "num_heads": [2, 3],
    "window_size": 4,
    "compress_ratio": 3,
    "squeeze_factor": 4,
    "upscale": 2,
}
BLOCKS = ["unshifted", "shifted", "overlapping"]


def tiny(**changes) -> HAT:
    return lively(HAT(**{**TINY, **changes}))


def parity(shared, name: str, number: int):
    """The authors' (configuration, weights, input, output)."""
    with safe_open(shared / "parity" / f"{name}.safetensors", "pt") as file:
        keys = [key for key in file.keys() if key.startswith("weights.")]  # noqa: SIM118 - no iterator
        weights = {key.removeprefix("weights."): file.get_tensor(key) for key in keys}
        config = json.loads(file.metadata()["config"])
        return config, weights, file.get_tensor(f"input.{number}"), file.get_tensor(f"output.{number}.0")


def assert_same_to_parity(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert (found - expected).abs().max() <= 1e-4 * (expected.max() - expected.min())


def block_of(kind: str, norm: str, eps: float | None = None):
    """A block of a random network in float64, as a function of tokens (B, 8, 12, 12) alone."""
    network = tiny(norm=norm, eps=eps).double()
    mask = shifted_window_mask(8, 12, 4, 2, torch.device("cpu"), torch.float64)
    group = network.layers[0].residual_group
    if kind == "overlapping":
        return group.overlap_attn, lambda tokens: group.overlap_attn(tokens, network.relative_position_index_OCA)
    block = group.blocks[BLOCKS.index(kind)]
    assert block.attn.shift == (2 if kind == "shifted" else 0)
    return block, lambda tokens: block(tokens, mask, network.relative_position_index_SA)


def tokens_of(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 8, 12, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.shared
@pytest.mark.parametrize(("name", "number"), PAIRS)
def test_the_authors_weights_give_the_authors_output(shared, name, number):
    config, weights, picture, expected = parity(shared, name, number)
    network = HAT(**config, norm="iln" if "iln" in name else "layernorm").eval().requires_grad_(False)
    assert network.state_dict().keys() == weights.keys()
    for index in ("relative_position_index_SA", "relative_position_index_OCA"):
        assert torch.equal(network.state_dict()[index], weights[index])
    network.load_state_dict(weights)
    assert_same_to_parity(network(picture), expected)


@pytest.mark.shared
@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize(("name", "number"), [pair for pair in PAIRS if pair[1] < 2])
def test_the_authors_weights_load_from_a_bare_file(shared, tmp_path, name, number):
    config, weights, picture, expected = parity(shared, name, number)
    path = tmp_path / "model.safetensors"
    save_file(weights, path, {"config": json.dumps(config)})
    assert_same_to_parity(restore_cli.load_model(str(path))(picture), expected)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["hat_iln", "hat_iln_stdnorm"])
def test_the_configuration_is_read_off_the_authors_weights(shared, name):
    config, weights, *_ = parity(shared, name, 0)
    found = HAT.config_of(weights, config)
    assert {key: found[key] for key in config} == config
    assert found["norm"] == "iln"
    # Without a word in the file: as the authors publish i-LN.
    assert HAT.config_of(weights, {})["stdnorm"]
    assert not HAT.config_of(renamed_to_layernorm(weights), {})["stdnorm"]


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("hat-1-x2", 4_476_095),
        ("hat-1-x4", 4_623_807),
        ("hat-x2", 20_624_795),
        ("hat-x4", 20_772_507),
        ("hat-s-x2", 9_473_471),
        ("hat-s-x4", 9_621_183),
    ],
)
def test_fact_27_counts_are_the_published_ones_for_layernorm_and_iln(variant, parameters):
    assert count(on_meta("hat", **VARIANTS[variant])) == parameters
    assert count(on_meta("hat", **VARIANTS[f"{variant}-iln"])) == parameters


def test_fact_27_iln_renames_172_pairs_of_the_862_entries_of_hat_1():
    with_layernorm = on_meta("hat", **VARIANTS["hat-1-x2"]).state_dict()
    with_iln = on_meta("hat", **VARIANTS["hat-1-x2-iln"]).state_dict()
    assert len(with_layernorm) == len(with_iln) == 862
    renamed = with_iln.keys() - with_layernorm.keys()
    assert len(renamed) == 172
    assert all(key.rsplit(".", 2)[-2] in ("norm1", "norm2", "norm") for key in renamed)
    assert renamed_to_layernorm(with_iln).keys() == with_layernorm.keys()


def test_multiply_accumulates_are_the_published_ones_less_norms_and_pooling():
    network = on_meta("hat", **VARIANTS["hat-x4"])
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, 128, 128, device="meta"))
    # 416.895 G is published; 0.106 of it are channel attention's pooling, and LayerNorm counts 5 an element.
    layernorms = 2 * 42 + 2
    assert counter.get_total_flops() / 2 + 5 * layernorms * 128**2 * 180 == pytest.approx(416.789e9, rel=2e-6)


@pytest.mark.filterwarnings("ignore:torch.meshgrid")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"window_size": 8, "depths": [2], "num_heads": [2], "upscale": 4, "overlap_ratio": 0.25, "mlp_ratio": 2.7},
        {"window_size": 16, "depths": [2], "num_heads": [4], "upscale": 3, "resi_connection": "identity"},
        {"in_chans": 1, "embed_dim": 10, "num_heads": [2, 5], "img_range": 255.0, "conv_scale": 0.5},
    ],
)
def test_spandrels_hat_with_the_same_weights_computes_the_same(changes):
    from spandrel.architectures.HAT import HAT as SpandrelHAT

    config = {**TINY, "mlp_ratio": 2.0, **changes}
    network = lively(HAT(**config)).double()
    other = SpandrelHAT(**config).double().eval()
    other.load_state_dict(network.state_dict())
    window = config["window_size"]
    for height, width in ((3 * window, 2 * window), (window, window)):
        picture = picture_of(height, width, batch=2, channels=config.get("in_chans", 3), dtype=torch.float64)
        torch.testing.assert_close(network(picture), other(picture), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", BLOCKS)
def test_fact_25_without_eps_iln_blocks_are_equivariant_to_contrast_and_brightness(kind):
    _, block = block_of(kind, "iln", eps=0)
    for scale in (0.01, 3):
        assert relative_error(block(scale * tokens_of()), scale * block(tokens_of())) < 1e-14
    assert relative_error(block(tokens_of() + 1), block(tokens_of()) + 1) < 1e-14


@pytest.mark.parametrize("kind", BLOCKS)
def test_fact_25_with_the_authors_eps_iln_blocks_are_nearly_so_unless_features_are_tiny(kind):
    _, block = block_of(kind, "iln")
    errors = {s: relative_error(block(s * tokens_of()), s * block(tokens_of())) for s in (1.5, 3, 100, 0.01)}
    assert max(errors[1.5], errors[3], errors[100]) < 1e-4
    assert errors[0.01] > 1e-2  # whose variance is that eps


@pytest.mark.parametrize("kind", BLOCKS)
def test_fact_26_layernorm_blocks_follow_brightness_and_not_contrast(kind):
    _, block = block_of(kind, "layernorm")
    errors = {s: relative_error(block(s * tokens_of()), s * block(tokens_of())) for s in (3, 0.01)}
    assert errors[3] > 5e-2
    assert errors[0.01] > 1
    assert relative_error(block(tokens_of() + 1), block(tokens_of()) + 1) < 1e-13


@pytest.mark.parametrize("kind", BLOCKS)
def test_fact_26_a_layernorm_sublayer_adds_the_same_whatever_the_contrast(kind):
    module, block = block_of(kind, "layernorm", eps=0)
    silence(module.mlp.fc2)
    for scale in (0.01, 3):
        branch = block(scale * tokens_of()) - scale * tokens_of()
        assert relative_error(branch, block(tokens_of()) - tokens_of()) < 1e-12


@pytest.mark.parametrize("heard", ["attention", "convolutions"])
def test_fact_29_doubling_tokens_doubles_what_attention_and_what_convolutions_add(heard):
    module, block = block_of("shifted", "iln", eps=0)
    silence(module.mlp.fc2)
    if heard == "attention":
        silence(module.conv_block.cab[2])
    else:
        silence(module.attn.proj)
    added = block(tokens_of()) - tokens_of()
    assert added.norm() > 0
    doubled = block(2 * tokens_of()) - 2 * tokens_of()
    assert relative_error(doubled, 2 * added) < 1e-12
    # With LayerNorm neither follows.
    module, block = block_of("shifted", "layernorm", eps=0)
    silence(module.mlp.fc2)
    assert relative_error(block(2 * tokens_of()) - 2 * tokens_of(), block(tokens_of()) - tokens_of()) < 1e-12


def test_each_pair_of_a_query_and_an_overlapping_key_has_the_row_of_its_offset():
    index = overlapping_index(4, 6)
    rows = index % 81  # the table has (4 + 6 - 1)**2, and negative rows count from its end
    offsets = {}
    for query in range(16):
        for key in range(36):
            offset = (key // 6 - query // 4, key % 6 - query % 4)
            offsets.setdefault(offset, set()).add(rows[query, key].item())
    assert all(len(found) == 1 for found in offsets.values())
    assert len(set().union(*offsets.values())) == len(offsets) == 81


def test_keys_of_the_overlapping_block_are_centred_on_the_queries():
    block = OverlappingBlock(1, 1, 4, 6, 1.0, "none", None)
    column = torch.arange(8.0).expand(8, 8)[None, ..., None]
    windows = block._overlapping_windows(column).view(4, 6, 6)
    assert windows[0, 1].tolist() == [0, 0, 1, 2, 3, 4]  # a zero from beyond the map
    assert windows[1, 1].tolist() == [3, 4, 5, 6, 7, 0]
    assert windows[:, 0].sum() == windows[2:, 0].sum()  # the upper windows' first row is beyond the map


def test_published_ratios_are_recovered_from_the_shapes():
    for name in ("hat-1-x2-iln", "hat-s-x3", "hat-x4", "hat-l-x4"):
        network = on_meta("hat", **VARIANTS[name])
        found = network.config_of(network.state_dict(), {})
        assert {key: found[key] for key in VARIANTS[name]} == {
            key: list(value) if isinstance(value, tuple) else value for key, value in VARIANTS[name].items()
        }


def test_every_second_block_is_shifted_by_half_a_window():
    shifts = [block.attn.shift for block in tiny().modules() if isinstance(block, HybridBlock)]
    assert shifts == [0, 2, 0, 2, 0]


def silence(layer: nn.Module) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
