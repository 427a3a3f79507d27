"""SwinIR: counts, spandrel's network beside ours, and what its shapes tell."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from restore_cli.archs.swinir import VARIANTS, SwinIR
from tests.archs.test_attention import count, lively, on_meta, picture_of

TINY = {"img_size": 16, "embed_dim": 12, "depths": [2, 3], "num_heads": [2, 3], "window_size": 4}
HEADS = {
    "denoise": {"upsampler": "", "upscale": 1},
    "x2": {"upsampler": "pixelshuffle", "upscale": 2},
    "x3": {"upsampler": "pixelshuffle", "upscale": 3},
    "x4": {"upsampler": "pixelshuffle", "upscale": 4},
    "light-x3": {"upsampler": "pixelshuffledirect", "upscale": 3},
    "light-grey-x4": {"upsampler": "pixelshuffledirect", "upscale": 4, "in_chans": 1},
    "real-x2": {"upsampler": "nearest+conv", "upscale": 2},
    "real-x4-bottleneck": {"upsampler": "nearest+conv", "upscale": 4, "resi_connection": "3conv"},
    "jpeg-grey": {"upsampler": "", "upscale": 1, "window_size": 7, "img_size": 14, "img_range": 255.0, "in_chans": 1},
    "one-window": {"upsampler": "", "upscale": 1, "img_size": 4},
}


@pytest.mark.parametrize(
    ("variant", "parameters"),
    [
        ("swinir-m-x2", 11_752_487),
        ("swinir-m-x3", 11_937_127),
        ("swinir-m-x4", 11_900_199),
        ("swinir-m-denoise", 11_504_163),
        ("swinir-lite-denoise-grey", 903_121),
    ],
)
def test_counts_are_the_published_ones_for_layernorm_and_iln(variant, parameters):
    assert count(on_meta("swinir", **VARIANTS[variant])) == parameters
    assert count(on_meta("swinir", **VARIANTS[f"{variant}-iln"])) == parameters


@pytest.mark.parametrize(
    ("variant", "side", "published"), [("swinir-m-x4", 128, 215.317), ("swinir-m-denoise", 256, 804.661)]
)
def test_multiply_accumulates_are_the_published_ones_less_norms(variant, side, published):
    network = on_meta("swinir", **VARIANTS[variant])
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side, side, device="meta"))
    layernorms = 2 * 36 + 2  # each counts 5 an element in the published convention
    assert counter.get_total_flops() / 2 + 5 * layernorms * side**2 * 180 == pytest.approx(published * 1e9, rel=3e-6)


@pytest.mark.parametrize("head", HEADS)
def test_spandrels_swinir_with_the_same_weights_computes_the_same(head):
    from spandrel.architectures.SwinIR import SwinIR as SpandrelSwinIR

    config = {**TINY, "mlp_ratio": 2.0, **HEADS[head]}
    network = lively(SwinIR(**config)).double()
    other = SpandrelSwinIR(**config).double().eval()
    assert network.state_dict().keys() == other.state_dict().keys()
    other.load_state_dict(network.state_dict())
    window = config["window_size"]
    for height, width in ((3 * window, 2 * window), (window, window), (config["img_size"],) * 2):
        picture = picture_of(height, width, batch=2, channels=config.get("in_chans", 3), dtype=torch.float64)
        torch.testing.assert_close(network(picture), other(picture), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("norm", ["iln", "layernorm"])
def test_the_configuration_is_read_off_the_shapes(norm, head):
    config = {**TINY, "mlp_ratio": 2.0, "norm": norm, "stdnorm": norm == "iln", **HEADS[head]}
    found = SwinIR.config_of(SwinIR(**config).state_dict(), {})
    assert {key: found[key] for key in config} == config


def test_the_variants_of_jpeg_repair_have_the_authors_range_unless_the_file_says_otherwise():
    weights = SwinIR(**{**TINY, "window_size": 7, "img_size": 14}).state_dict()
    assert SwinIR.config_of(weights, {})["img_range"] == 255
    assert SwinIR.config_of(weights, {"img_range": 1})["img_range"] == 1


def test_every_variant_can_be_built():
    for config in VARIANTS.values():
        network = on_meta("swinir", **config)
        assert network.size_multiple == (7 if network.img_range == 255 else 8)
