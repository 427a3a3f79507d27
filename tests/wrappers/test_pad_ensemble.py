from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from restore_cli.wrappers.ensemble import Ensemble
from restore_cli.wrappers.pad import Padded, SizeRule


class Picky(nn.Module):
    """Accepts only sizes that fit the rule, and remembers the last."""

    def __init__(self, rule: SizeRule) -> None:
        super().__init__()
        self.rule = rule
        self.seen: torch.Size | None = None

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        height, width = self.seen = picture.shape[-2:]
        assert height % self.rule.multiple == width % self.rule.multiple == 0
        assert min(height, width) >= self.rule.minimum
        assert not self.rule.square or height == width
        return picture.repeat_interleave(2, 2).repeat_interleave(2, 3)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    multiple=st.sampled_from([1, 4, 7, 16]),
    minimum=st.sampled_from([1, 16, 33]),
    square=st.booleans(),
)
@settings(deadline=None)
def test_any_size_fits_after_padding_and_comes_back_cropped(height, width, multiple, minimum, square):
    rule = SizeRule(multiple, minimum, square)
    picture = torch.rand(1, 3, height, width)
    restored = Padded(Picky(rule), rule, scale=2)(picture)
    assert torch.equal(restored, picture.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_a_size_that_fits_is_not_padded():
    picky = Picky(SizeRule(8))
    Padded(picky, SizeRule(8), 2)(torch.rand(1, 1, 24, 16))
    assert picky.seen == (24, 16)


def test_padding_mirrors_without_repeating_the_edge():
    class Keep(nn.Module):
        def forward(self, picture):
            self.picture = picture
            return picture

    keep = Keep()
    Padded(keep, SizeRule(8), 1)(torch.arange(5.0).view(1, 1, 1, 5))
    assert keep.picture[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 3, 2, 1]


def test_ensemble_of_an_equivariant_network_changes_nothing():
    blur = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    picture = torch.rand(2, 3, 9, 14, dtype=torch.float64)
    torch.testing.assert_close(Ensemble(blur)(picture), blur(picture))


def test_ensemble_is_equivariant_to_flips_and_quarter_turns():
    torch.manual_seed(0)
    network = nn.Conv2d(3, 3, 3, padding=1).double()
    ensemble = Ensemble(network)
    picture = torch.rand(1, 3, 9, 14, dtype=torch.float64)
    turned = torch.rot90(picture.flip(-1), 1, (-2, -1))
    torch.testing.assert_close(ensemble(turned), torch.rot90(ensemble(picture).flip(-1), 1, (-2, -1)))
    assert not torch.allclose(network(turned), torch.rot90(network(picture).flip(-1), 1, (-2, -1)))


def test_ensemble_is_the_mean_of_eight_runs():
    class Counts(nn.Module):
        calls = 0

        def forward(self, picture):
            self.calls += 1
            return torch.full_like(picture, float(self.calls))

    counts = Counts()
    assert Ensemble(counts)(torch.zeros(1, 1, 4, 6)).unique().item() == pytest.approx(4.5)
    assert counts.calls == 8
