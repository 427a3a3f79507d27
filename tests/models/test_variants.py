"""Published networks are computed, and come out as printed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from restore_cli.errors import ModelNotFoundError
from restore_cli.models.variants import PUBLISHED, count_macs, measure_variant, variants


def test_every_published_figure_belongs_to_a_network_we_can_build():
    assert set(PUBLISHED) <= set(variants())


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("hinet-1x", 88_669_702, 157.601e9),
        ("hinet-0.5x", 22_176_518, 39.542e9),
        ("hi-ir-b-x4", 14_829_492, None),
    ],
)
def test_exact_counts(name, parameters, macs):
    facts = measure_variant(name)
    assert facts.parameters == parameters
    assert macs is None or facts.macs == pytest.approx(macs, rel=1e-5)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("hi-ir-") and "table17" not in name])
def test_hi_ir_has_the_published_sizes(name):
    share = 0.005 if name == "hi-ir-unet" else 0.005e6 / PUBLISHED[name].parameters
    assert abs(measure_variant(name).parameters_difference) <= share


def test_macs_of_a_layer_worked_by_hand():
    class Two(nn.Module):
        channels, size_multiple, minimum_size = 3, 2, 2

        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 8, 2, stride=2)
            self.up = nn.ConvTranspose2d(8, 3, 2, stride=2)

        def forward(self, picture):
            return self.up(self.down(picture))

    with torch.device("meta"):
        network = Two()
    # 9x10 is padded to 10x10: 25 positions of 3*8*4 products each way.
    assert count_macs(network, (9, 10)) == 2 * 25 * 96


def test_an_unknown_network_names_the_known_ones():
    with pytest.raises(ModelNotFoundError, match="hinet-9x") as caught:
        measure_variant("hinet-9x")
    assert "hinet-1x" in caught.value.hint
