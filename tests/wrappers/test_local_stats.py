"""Local statistics: the plain network up to the window's size, and at every pixel those of its window beyond."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from restore_cli.archs.hinet import HINet
from restore_cli.archs.resnet import ResNet
from restore_cli.errors import UsageError
from restore_cli.wrappers.local_stats import LocalInstanceNorm, LocalMean, with_local_statistics


def hinet() -> HINet:
    torch.manual_seed(0)
    network = HINet(width=4, depth=3).eval().requires_grad_(False)
    for layer in network.modules():
        if isinstance(layer, nn.InstanceNorm2d):
            layer.weight.uniform_(0.5, 2)
            layer.bias.uniform_(-1, 1)
    return network


class Attentive(nn.Module):
    """NAFNet's simplified channel attention at half the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 6, 2, stride=2)
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 6, 1))
        self.up = nn.ConvTranspose2d(6, 1, 2, stride=2)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        features = self.down(picture)
        return self.up(features * self.attention(features))


def window_of(pixel: int, size: int, length: int) -> slice:
    """Centred on the pixel, moved inside the picture: written as it is said, not as it is computed."""
    if size >= length:
        return slice(0, length)
    start = pixel - (size - 1) // 2
    while start < 0:
        start += 1
    while start + size > length:
        start -= 1
    return slice(start, start + size)


def by_hand(features: torch.Tensor, window: tuple[int, int], statistic) -> torch.Tensor:
    """`statistic` of each pixel's window, one after another."""
    height, width = features.shape[-2:]
    result = torch.empty_like(features)
    for y in range(height):
        for x in range(width):
            part = features[..., window_of(y, window[0], height), window_of(x, window[1], width)]
            result[..., y, x] = statistic(part)
    return result


geometry = {
    "height": st.integers(2, 14),
    "width": st.integers(2, 14),
    "window": st.tuples(st.integers(2, 16), st.integers(2, 16)),
}


@given(**geometry)
@settings(deadline=None, max_examples=40)
def test_each_pixel_gets_the_mean_of_its_window(height, width, window):
    features = torch.rand(2, 3, height, width, dtype=torch.float64)
    expected = by_hand(features, window, lambda part: part.mean(dim=(-2, -1)))
    found = LocalMean(window)(features)
    torch.testing.assert_close(found.expand_as(features), expected, atol=1e-12, rtol=0)


@given(**geometry)
@settings(deadline=None, max_examples=40)
def test_each_pixel_is_normalised_by_its_window(height, width, window):
    torch.manual_seed(height * width)
    norm = nn.InstanceNorm2d(3, affine=True).double().requires_grad_(False)
    norm.weight.uniform_(0.5, 2)
    norm.bias.uniform_(-1, 1)
    features = torch.rand(2, 3, height, width, dtype=torch.float64)
    mean = by_hand(features, window, lambda part: part.mean(dim=(-2, -1)))
    variance = by_hand(features, window, lambda part: part.var(dim=(-2, -1), correction=0))
    expected = (features - mean) / (variance + norm.eps).sqrt()
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(LocalInstanceNorm(norm, window)(features), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("make", [hinet, Attentive])
@pytest.mark.parametrize("size", [(16, 16), (8, 16), (16, 12), (8, 8)])
def test_up_to_the_size_of_the_window_it_is_the_plain_network_bitwise(make, size):
    network = make()
    local = with_local_statistics(network, 16, channels=3 if make is hinet else 1)
    picture = torch.rand(2, 3 if make is hinet else 1, *size)
    assert torch.equal(local(picture), network(picture))


@pytest.mark.parametrize("make", [hinet, Attentive])
def test_beyond_it_a_distant_part_of_the_picture_no_longer_matters(make):
    channels = 3 if make is hinet else 1
    network = make()
    local = with_local_statistics(network, 16, channels=channels)
    wide = torch.rand(1, channels, 16, 16 * 24, generator=torch.Generator().manual_seed(4))
    changed = wide.clone()
    changed[..., -64:] *= 5
    near = (..., slice(0, 8))
    assert (network(changed) - network(wide))[near].abs().max() > 1e-4
    assert (local(changed) - local(wide))[near].abs().max() < 1e-6


def test_windows_shrink_with_the_resolution_of_the_layer():
    local = with_local_statistics(hinet(), 32)
    windows = [layer.window for layer in local.modules() if isinstance(layer, LocalInstanceNorm)]
    assert windows == [(32, 32), (16, 16), (8, 8)] * 2


def test_the_callers_network_is_not_touched_and_the_keys_stay():
    network = hinet()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    local = with_local_statistics(network, 16)
    assert not any(isinstance(layer, LocalInstanceNorm) for layer in network.modules())
    assert not any(layer._forward_pre_hooks for layer in (*network.modules(), *local.modules()))
    assert list(local.state_dict()) == list(before)
    for each in local.parameters():
        each.zero_()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert type(local) is HINet
    assert local.receptive_radius is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_its_type_and_exact_statistics(dtype):
    norm = nn.InstanceNorm2d(2, affine=True)
    features = (100 + torch.rand(1, 2, 40, 40)).to(dtype)
    found = LocalInstanceNorm(norm, (8, 8))(features)
    assert found.dtype == LocalInstanceNorm(norm, (64, 64))(features).dtype == dtype
    expected = LocalInstanceNorm(norm.double(), (8, 8))(features.double())
    torch.testing.assert_close(found.double(), expected, atol=0.03, rtol=0)
    assert LocalMean((8, 8))(features).dtype == dtype


def test_a_flat_region_on_a_pedestal_does_not_drown_in_rounding():
    torch.manual_seed(0)
    features = torch.rand(1, 1, 8, 400) * 1e-3
    features[..., 200:] += 1000  # a million times the texture, so that no one offset serves both sides
    norm = nn.InstanceNorm2d(1)
    found = LocalInstanceNorm(norm, (8, 8))(features)[..., 16:180]
    expected = LocalInstanceNorm(norm, (8, 8))(features[..., :200])[..., 16:180]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_norms_with_running_statistics_and_other_pools_are_left_alone():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.InstanceNorm2d(3),
                nn.InstanceNorm2d(3, track_running_stats=True),
                nn.AdaptiveAvgPool2d(4),
            )

        def forward(self, picture):
            return self.layers(picture)

    local = with_local_statistics(Mixed().eval(), 8)
    kinds = [type(layer) for layer in local.layers]
    assert kinds == [LocalInstanceNorm, nn.InstanceNorm2d, nn.AdaptiveAvgPool2d]


def test_a_layer_with_two_names_or_no_parent_is_replaced_everywhere():
    norm = nn.InstanceNorm2d(3, affine=True)
    twice = with_local_statistics(nn.Sequential(norm, nn.ReLU(), norm), 8)
    assert twice[0] is twice[2]
    assert isinstance(twice[0], LocalInstanceNorm)
    assert isinstance(with_local_statistics(norm, 8), LocalInstanceNorm)


def test_a_shared_layer_at_two_resolutions_is_refused():
    class TwoScales(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.InstanceNorm2d(3)

        def forward(self, picture):
            return self.norm(picture).mean() + self.norm(picture[..., ::2, ::2])

    with pytest.raises(UsageError, match="several resolutions"):
        with_local_statistics(TwoScales(), 8)


def test_a_network_without_global_statistics_is_an_error():
    with pytest.raises(UsageError, match="ResNet has no statistics"):
        with_local_statistics(ResNet(width=4, depth=1), 16)


def test_a_window_that_the_network_cannot_run_at_is_an_error():
    with pytest.raises(UsageError, match="17 pixels"):
        with_local_statistics(hinet(), 17)


def test_a_conditioned_network_is_given_its_level():
    class WithLevel(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.InstanceNorm2d(3)

        def forward(self, picture, sigma):
            return self.norm(picture) + sigma

    sigma = torch.full((1, 1, 1, 1), 0.1)
    local = with_local_statistics(WithLevel(), 8, sigma=sigma)
    assert local(torch.rand(1, 3, 20, 20), sigma=sigma).shape == (1, 3, 20, 20)


def test_a_converted_network_exports():
    local = with_local_statistics(hinet(), 16)
    picture = torch.rand(1, 3, 24, 32)
    exported = torch.export.export(local, (picture,)).module()
    torch.testing.assert_close(exported(picture), local(picture))
