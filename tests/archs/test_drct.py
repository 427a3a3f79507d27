"""DRCT: counts, spandrel's network beside ours, and its widths."""

from __future__ import annotations

import pytest
import torch

from restore_cli.archs.drct import DRCT, VARIANTS
from tests.archs.test_attention import count, lively, on_meta, picture_of

TINY = {
    "img_size": 16,
    "embed_dim": 12,
    "depths": [6, 6],
    "num_heads": [3, 4],
    "window_size": 4,
    "gc": 4,
    "upscale": 2,
}


@pytest.mark.parametrize(("variant", "parameters"), [("drct-x4", 14_139_579), ("drct-l-x4", 27_580_719)])
def test_counts_are_the_published_14_1_and_27_6_million_for_layernorm_and_iln(variant, parameters):
    assert count(on_meta("drct", **VARIANTS[variant])) == parameters
    assert count(on_meta("drct", **VARIANTS[f"{variant}-iln"])) == parameters


@pytest.mark.parametrize(
    "changes", [{}, {"upscale": 3, "window_size": 8, "in_chans": 1, "mlp_ratio": 4.0}, {"resi_connection": "identity"}]
)
def test_spandrels_drct_with_the_same_weights_computes_the_same(changes):
    from spandrel.architectures.DRCT import DRCT as SpandrelDRCT

    config = {**TINY, "upsampler": "pixelshuffle", **changes}
    network = lively(DRCT(**config)).double()
    other = SpandrelDRCT(**config).double().eval()
    assert network.state_dict().keys() == other.state_dict().keys()
    other.load_state_dict(network.state_dict())
    window = config["window_size"]
    for height, width in ((3 * window, 2 * window), (window, window), (16, 16)):
        picture = picture_of(height, width, batch=2, channels=config.get("in_chans", 3), dtype=torch.float64)
        torch.testing.assert_close(network(picture), other(picture), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("norm", ["iln", "layernorm"])
def test_the_configuration_is_read_off_the_shapes(norm):
    for changes in ({}, {"in_chans": 1, "upscale": 4, "num_feat": 8}, {"img_size": 4}, {"mlp_ratio": 3.0, "gc": 5}):
        config = {**TINY, "norm": norm, "stdnorm": norm == "iln", **changes}
        found = DRCT.config_of(DRCT(**config).state_dict(), {})
        assert {key: found[key] for key in config} == config


def test_each_layer_of_a_group_has_a_norm_of_its_own_width():
    group = DRCT(**TINY, norm="iln").layers[0]
    widths = [12, 16, 20, 24, 28]
    for number, width in enumerate(widths, start=1):
        layer = getattr(group, f"swin{number}")
        assert layer.norm1.gamma.shape == layer.norm2.gamma.shape == (width,)
        assert layer.attn.shift == (0 if number % 2 else 2)


def test_with_the_last_1x1_convolution_silent_a_group_is_the_identity():
    group = lively(DRCT(**TINY, norm="iln")).layers[0]
    torch.nn.init.zeros_(group.adjust5.weight)
    torch.nn.init.zeros_(group.adjust5.bias)
    tokens = torch.randn(1, 8, 8, 12)
    assert torch.equal(group(tokens, torch.zeros(4, 16, 16)), tokens)


def test_every_variant_can_be_built():
    for config in VARIANTS.values():
        assert on_meta("drct", **config).size_multiple == 16
