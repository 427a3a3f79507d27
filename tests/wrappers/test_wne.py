"""Facts of the normalization-equivariant wrapper, in the numbering of the specification (30 to 40)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from restore_cli.wrappers.ensemble import Ensemble
from restore_cli.wrappers.pad import Padded, SizeRule
from restore_cli.wrappers.tile import Tiled, TilePolicy
from restore_cli.wrappers.wne import NormalizationEquivariant
from tests.networks import small_network


class Attentive(nn.Module):
    """A backbone of all that breaks equivariance by itself: GELU, batch and layer norm, attention, biases."""

    def __init__(self, channels: int = 3, width: int = 8) -> None:
        super().__init__()
        self.head = nn.Conv2d(channels, width, 3, padding=1)
        self.batch_norm = nn.BatchNorm2d(width)
        self.layer_norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.tail = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        features = nn.functional.gelu(self.batch_norm(self.head(picture)))
        tokens = self.layer_norm(features.flatten(2).transpose(1, 2))
        attended = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.tail(features + attended.transpose(1, 2).unflatten(2, features.shape[2:]))


class WithLevel(nn.Module):
    """A noise-conditioned backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, picture: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        level = sigma.expand(picture.shape[0], 1, *picture.shape[2:])
        return torch.tanh(self.inner(torch.cat([picture, level], 1)))


def backbone(kind=Attentive, **arguments) -> nn.Module:
    torch.manual_seed(1)
    return kind(**arguments).double().eval().requires_grad_(False)


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(2, 3, 12, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def relative_defect(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(("a", "b"), [(2.0, 0.3), (0.01, -0.2), (100.0, 5.0)])
def test_30_contrast_and_brightness_pass_through_to_rounding(picture, a, b):
    wrapped = NormalizationEquivariant(backbone())
    assert relative_defect(wrapped(a * picture + b), a * wrapped(picture) + b) < 1e-14
    bare = backbone()
    assert relative_defect(bare(a * picture + b), a * bare(picture) + b) > 1e-3


def test_30_in_single_precision_too(picture):
    wrapped = NormalizationEquivariant(backbone().float())
    single = picture.float()
    assert relative_defect(wrapped(1.7 * single + 0.2), 1.7 * wrapped(single) + 0.2) < 1e-6


def test_30_bitwise_for_powers_of_two(picture):
    wrapped = NormalizationEquivariant(backbone())
    assert torch.equal(wrapped(4 * picture), 4 * wrapped(picture))


def test_31_a_negative_contrast_is_not_covered(picture):
    wrapped = NormalizationEquivariant(backbone())
    assert relative_defect(wrapped(-picture), -wrapped(picture)) > 1e-2


def test_32_every_picture_of_a_batch_has_its_own_statistics(picture):
    wrapped = NormalizationEquivariant(backbone())
    a, b = torch.tensor([0.5, 3.0]).view(2, 1, 1, 1).double(), torch.tensor([0.1, -0.4]).view(2, 1, 1, 1).double()
    assert relative_defect(wrapped(a * picture + b), a * wrapped(picture) + b) < 1e-14


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_32_a_constant_picture_comes_out_as_itself_with_finite_gradients(picture, value):
    batch = picture.clone()
    batch[0] = value
    batch.requires_grad_()
    restored = NormalizationEquivariant(backbone())(batch)
    assert torch.equal(restored[0], torch.full_like(restored[0], value))
    (gradient,) = torch.autograd.grad(restored.square().sum(), batch)
    assert torch.isfinite(gradient).all()


def test_32_a_single_pixel_works():
    one = torch.full((1, 1, 1, 1), 0.25)
    assert torch.equal(NormalizationEquivariant(nn.Conv2d(1, 1, 3, padding=1))(one), one)


def test_33_the_backbone_sees_zero_mean_and_unit_deviation_over_all_channels_jointly(picture):
    class Keep(nn.Module):
        def forward(self, normalized):
            self.seen = normalized
            return normalized

    keep = Keep()
    NormalizationEquivariant(keep)(picture * torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1))
    flat = keep.seen.flatten(1)
    torch.testing.assert_close(flat.mean(1), torch.zeros(2, dtype=torch.float64), atol=1e-14, rtol=0)
    torch.testing.assert_close(flat.std(1, correction=0), torch.ones(2, dtype=torch.float64))
    assert keep.seen.mean(dim=(2, 3)).abs().min() > 0.05  # not per channel


def test_34_the_direct_form_equals_the_residual_form(picture):
    g = backbone()
    wrapped = NormalizationEquivariant(g)
    mean, deviation = wrapped.statistics(picture)
    normalized = (picture - mean) / deviation
    residual = picture - deviation * (normalized - g(normalized))
    torch.testing.assert_close(wrapped(picture), residual)


def test_35_tiles_use_the_statistics_of_the_whole_picture():
    network = small_network("unet")
    radius = network.receptive_radius
    padded = Padded(network, SizeRule(network.size_multiple), 1)
    policy = TilePolicy(2 * radius + 16, 2 * radius, network.size_multiple, radius)
    picture = torch.rand(1, 3, 30, 2 * radius + 60, dtype=torch.float64)
    picture[..., : radius + 30] *= 0.1  # the halves differ, so that a tile's own statistics would show
    whole = NormalizationEquivariant(padded)
    inside = NormalizationEquivariant(Tiled(padded, policy, 1))
    outside = Tiled(NormalizationEquivariant(padded), policy, 1)
    torch.testing.assert_close(inside(picture), whole(picture), atol=1e-10, rtol=0)
    assert (outside(picture) - whole(picture)).abs().max() > 1e-4


def test_35_a_part_can_be_given_the_statistics_of_the_whole(picture):
    wrapped = NormalizationEquivariant(nn.Conv2d(3, 3, 1).double())
    whole = wrapped(picture)
    part = wrapped(picture[..., 3:8], statistics=wrapped.statistics(picture))
    torch.testing.assert_close(part, whole[..., 3:8])


def test_36_a_noise_level_scales_with_the_contrast(picture):
    wrapped = NormalizationEquivariant(backbone(WithLevel))
    sigma = torch.full((1, 1, 1, 1), 0.1, dtype=torch.float64)
    found = wrapped(3 * picture + 0.2, sigma=3 * sigma)
    assert relative_defect(found, 3 * wrapped(picture, sigma=sigma) + 0.2) < 1e-14
    assert relative_defect(wrapped(3 * picture + 0.2, sigma=sigma), 3 * wrapped(picture, sigma=sigma) + 0.2) > 1e-3


def test_37_it_holds_across_resolutions_and_commutes_with_the_ensemble(picture):
    network = NormalizationEquivariant(small_network("resnet"))
    assert relative_defect(network(2.5 * picture + 0.1), 2.5 * network(picture) + 0.1) < 1e-14
    inside = NormalizationEquivariant(Ensemble(network.backbone))
    torch.testing.assert_close(Ensemble(network)(picture), inside(picture))
    turned = network.statistics(torch.rot90(picture.flip(-1), 1, (2, 3)))
    torch.testing.assert_close(tuple(turned), tuple(network.statistics(picture)))


def test_38_it_adds_no_parameters_and_one_prefix():
    g = backbone()
    wrapped = NormalizationEquivariant(g)
    assert set(wrapped.state_dict()) == {f"backbone.{key}" for key in g.state_dict()}


def test_39_identity_and_zero_backbones(picture):
    torch.testing.assert_close(NormalizationEquivariant(nn.Identity())(picture), picture)

    class Zero(nn.Module):
        def forward(self, normalized):
            return torch.zeros_like(normalized)

    means = picture.mean(dim=(1, 2, 3), keepdim=True).expand_as(picture)
    torch.testing.assert_close(NormalizationEquivariant(Zero())(picture), means)


def test_40_wrapping_twice_changes_nothing(picture):
    once = NormalizationEquivariant(backbone())
    assert relative_defect(NormalizationEquivariant(once)(picture), once(picture)) < 1e-13


def test_the_papers_epsilon_is_nearly_equivariant_and_the_default_exactly(picture):
    papers = NormalizationEquivariant(backbone(), eps=1e-5)
    dark = picture * 1e-3
    assert 1e-9 < relative_defect(papers(2 * dark), 2 * papers(dark)) < 1e-1
    exact = NormalizationEquivariant(backbone())
    assert torch.equal(exact(2 * dark), 2 * exact(dark))


def test_half_precision_pictures_get_single_precision_statistics():
    picture = (torch.rand(1, 3, 64, 64) * 1e-3 + 100).half()
    mean, deviation = NormalizationEquivariant(nn.Identity()).statistics(picture)
    assert mean.dtype == deviation.dtype == torch.float32
