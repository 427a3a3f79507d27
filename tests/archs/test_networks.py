"""What must hold of every network of ours."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from restore_cli.archs import ARCHITECTURES, architecture
from restore_cli.archs.deblur_unet import ANSWERS, DISC_RADII_PX, GUESSES, DeblurUNet, by_kernels, inverse_filters
from restore_cli.archs.mosaic_unet import interpolate
from restore_cli.archs.resnet import ResNet
from restore_cli.archs.unet import UNet
from restore_cli.degradations.mosaic import BAYER_PATTERNS, Mosaic
from tests.networks import SMALL_CONFIGS, small_network

ALL = sorted(ARCHITECTURES)
# Those with statistics or attention over the whole picture say so instead of giving a radius.
UNBOUNDED = [arch_id for arch_id in ALL if small_network(arch_id).receptive_radius is None]
BOUNDED = [arch_id for arch_id in ALL if arch_id not in UNBOUNDED]
# Arguments that neither keys nor shapes tell and that the small networks have otherwise than the published.
NOT_IN_SHAPES = {
    "hat": ("img_size",),
    "hi-ir": ("window", "region"),
    "hi-ir-unet": ("l1_windows", "l2_windows", "regions"),
}


@pytest.mark.parametrize("arch_id", ALL)
def test_output_has_scale_times_the_size(arch_id):
    network = small_network(arch_id)
    side = 3 * network.size_multiple
    picture = torch.rand(2, 3, side, 2 * side, dtype=torch.float64)
    assert network(picture).shape == (2, 3, network.scale * side, network.scale * 2 * side)


@pytest.mark.parametrize("arch_id", ALL)
def test_pictures_of_a_batch_do_not_see_each_other(arch_id):
    network = small_network(arch_id)
    batch = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(network(batch)[1:], network(batch[1:]))


@pytest.mark.parametrize("arch_id", ALL)
def test_training_mode_computes_the_same(arch_id):
    network = small_network(arch_id)
    picture = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    expected = network(picture)
    assert torch.equal(network.train()(picture), expected)


@pytest.mark.parametrize("arch_id", BOUNDED)
def test_nothing_beyond_the_receptive_radius_matters_and_the_bound_is_tight(arch_id):
    network = small_network(arch_id)
    radius, multiple = network.receptive_radius, network.size_multiple
    side = (2 * radius // multiple + 4) * multiple
    centre = side // 2
    reach = 0
    # Every phase of the size rule, since pixels of a stride-2 cell see differently far.
    for phase in range(multiple):
        picture = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
        out = network.scale * (centre + phase)
        (gradient,) = torch.autograd.grad(network(picture)[0, :, out, out].sum(), picture)
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten() - (centre + phase)
        reach = max(reach, int(rows.abs().max()))
    assert reach <= radius
    # A bound that is far too large would pass the line above and waste most of every tile.
    assert reach >= 0.8 * radius


@pytest.mark.parametrize("arch_id", UNBOUNDED)
def test_a_network_that_gives_no_receptive_radius_sees_far_and_advises_an_overlap(arch_id):
    network = small_network(arch_id)
    side = 2 * network.minimum_size + 4 * network.size_multiple
    picture = torch.rand(1, 3, side, side, dtype=torch.float64)
    changed = picture.clone()
    changed[..., -1] = 1 - changed[..., -1]
    assert not torch.equal(network(changed)[0, :, 0, 0], network(picture)[0, :, 0, 0])
    assert network.overlap_px > 0


@pytest.mark.parametrize("arch_id", ALL)
def test_configuration_is_recovered_from_the_state_dict(arch_id):
    grey = {name: 1 for name in ("in_chans", "channels") if name in SMALL_CONFIGS[arch_id]}
    config = {**SMALL_CONFIGS[arch_id], **grey}
    network = small_network(arch_id, **grey)
    stated = {name: config[name] for name in NOT_IN_SHAPES.get(arch_id, ())}
    found = network.config_of(network.state_dict(), stated)
    rebuilt = architecture(arch_id)(**found).double()
    rebuilt.load_state_dict(network.state_dict())
    assert {name: tuple(v) if isinstance(v, list) else v for name, v in found.items()} == config


def small_picture(network, batch=1, dtype=torch.float32):
    side = max(2 * network.size_multiple, network.minimum_size)
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("arch_id", ALL)
def test_a_network_can_be_exported_and_the_program_computes_the_same(arch_id):
    network = small_network(arch_id).float()
    picture = small_picture(network)
    program = torch.export.export(network, (picture,))
    torch.testing.assert_close(program.module()(picture), network(picture), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("arch_id", ALL)
def test_a_network_can_be_compiled_and_computes_the_same(arch_id):
    network = small_network(arch_id).float()
    picture = small_picture(network)
    # The graph is what a network can break; which code is made of it is the compiler's affair.
    compiled = torch.compile(network, backend="eager")
    torch.testing.assert_close(compiled(picture), network(picture), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("arch_id", ALL)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_half_precision_is_finite_and_near(arch_id, dtype):
    network = small_network(arch_id).float()
    picture = small_picture(network)
    exact = network(picture)
    with torch.autocast("cpu", dtype), torch.no_grad():
        rounded = network(picture).float()
    assert torch.isfinite(rounded).all()
    assert (rounded - exact).abs().max() < 0.05 * (exact.max() - exact.min())


@pytest.mark.parametrize("arch_id", ALL)
def test_an_odd_batch_works(arch_id):
    network = small_network(arch_id)
    assert network(small_picture(network, batch=3, dtype=torch.float64)).shape[0] == 3


def test_resnet_starts_from_nearest_neighbour():
    network = ResNet(width=4, depth=1, scale=3)
    torch.nn.init.zeros_(network.to_subpixels.weight)
    torch.nn.init.zeros_(network.to_subpixels.bias)
    picture = torch.rand(1, 3, 5, 4)
    expected = picture.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    assert torch.equal(network(picture), expected)


@pytest.mark.parametrize(("arch_id", "channels", "norm"), [("swinir", 3, "iln"), ("iitransformer", 1, "layernorm")])
def test_a_transformer_that_enlarges_by_one_convolution_starts_from_nearest_neighbour(arch_id, channels, norm):
    config = {**SMALL_CONFIGS[arch_id], "in_chans": channels, "norm": norm, "upscale": 3}
    network = architecture(arch_id)(**config | {"upsampler": "pixelshuffledirect"})
    picture = torch.rand(1, channels, 16, 16)
    expected = picture.repeat_interleave(3, dim=2).repeat_interleave(3, dim=3)
    torch.testing.assert_close(network(picture), expected, atol=1e-5, rtol=0)


def test_unet_with_a_silent_last_layer_is_the_identity():
    network = UNet(widths=(4, 8), blocks=1, body_blocks=1)
    torch.nn.init.zeros_(network.to_picture.weight)
    torch.nn.init.zeros_(network.to_picture.bias)
    picture = torch.rand(1, 3, 8, 8)
    assert torch.equal(network(picture), picture)


@pytest.mark.parametrize(("channels", "unshuffle"), [(1, 1), (3, 1), (1, 2), (3, 2), (1, 4), (3, 4)])
def test_the_weights_of_a_unet_tell_channels_and_unshuffling(channels, unshuffle):
    network = UNet(channels, widths=(4, 8), blocks=1, body_blocks=1, unshuffle=unshuffle)
    found = UNet.config_of(network.state_dict(), {})
    assert (found["channels"], found["unshuffle"]) == (channels, unshuffle)
    assert network.size_multiple == 2 * unshuffle


@pytest.mark.parametrize("chosen", range(1 + GUESSES))
def test_a_deblurred_picture_can_be_the_picture_itself_or_any_guess(chosen):
    network = DeblurUNet(widths=(4, 8), blocks=1, body_blocks=1)
    shares = torch.zeros(ANSWERS)
    shares[3 + chosen] = 100
    torch.nn.init.zeros_(network.to_picture.weight)
    network.to_picture.bias.data = shares.repeat_interleave(network.unshuffle**2)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    options = [picture, *by_kernels(picture)]
    torch.testing.assert_close(network(picture), options[chosen])
    assert not any(torch.allclose(each, picture, atol=0.01) for each in options[1:])


@pytest.mark.parametrize("pattern", BAYER_PATTERNS)
def test_a_mosaic_is_interpolated_bilinearly_whatever_its_phase(pattern):
    # A plane is what bilinear interpolation reproduces, up to the border, where reflection bends it.
    rows, columns = np.meshgrid(np.arange(8.0), np.arange(10.0), indexing="ij")
    plane = np.stack([0.1 + 0.02 * rows, 0.2 + 0.03 * columns, 0.5 - 0.01 * rows + 0.02 * columns], axis=2)
    sparse = Mosaic((pattern,))(plane.astype(np.float32), np.random.default_rng(0))
    found = interpolate(torch.from_numpy(sparse).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found[1:-1, 1:-1], plane[1:-1, 1:-1], atol=1e-6)
    # What was measured stays, also at the border; and a flat picture is flat there too.
    np.testing.assert_array_equal(found[sparse > 0], sparse[sparse > 0])
    flat = torch.from_numpy(Mosaic((pattern,))(np.full((6, 6, 3), 0.25, np.float32), np.random.default_rng(0)))
    torch.testing.assert_close(interpolate(flat.permute(2, 0, 1)[None]), torch.full((1, 3, 6, 6), 0.25))


def test_the_right_filter_of_the_bank_undoes_its_blur_better_than_its_neighbours():
    # Steps at random places, whose spectrum falls as that of photographs.
    steps = torch.randn(2, 100, generator=torch.Generator().manual_seed(0)).cumsum(dim=1)
    picture = (steps[0, :, None] * steps[1]).div(20).sin()[None, None]
    filters = inverse_filters()
    torch.testing.assert_close(filters.sum(dim=(1, 2)), torch.ones(len(filters)))
    for index, radius in enumerate(DISC_RADII_PX):
        across = torch.arange(13.0) - 6
        disc = (radius + 0.5 - torch.hypot(across[:, None], across[None])).clamp(0, 1)
        blurred = torch.nn.functional.conv2d(picture, (disc / disc.sum())[None, None], padding=6)
        undone = torch.nn.functional.conv2d(blurred, filters[:, None], padding=filters.shape[-1] // 2)
        inner = slice(30, 70)  # away from the border, where zeros were blurred in
        errors = (undone - picture)[0, :, inner, inner].square().mean(dim=(1, 2))
        assert errors[: len(DISC_RADII_PX)].argmin() == index
        assert errors[index] < 0.8 * (blurred - picture)[0, 0, inner, inner].square().mean()


@pytest.mark.parametrize(
    ("arch_id", "config", "count"),
    [
        ("resnet", {"channels": 3, "width": 64, "depth": 16, "scale": 4}, 1_248_112),
        ("unet", {"channels": 3, "widths": (40, 80, 160), "blocks": 2, "body_blocks": 4}, 2_552_003),
        ("unet", {"channels": 3, "widths": (48, 96, 192), "blocks": 2, "body_blocks": 4, "unshuffle": 2}, 3_681_516),
        ("deblur-unet", {"widths": (48, 96, 192), "blocks": 2, "body_blocks": 4, "unshuffle": 2}, 3_761_024),
        ("mosaic-unet", {"widths": (40, 80, 160), "blocks": 2, "body_blocks": 4}, 2_553_083),
    ],
)
def test_parameter_counts_of_the_embedded_networks(arch_id, config, count):
    assert sum(p.numel() for p in architecture(arch_id)(**config).parameters()) == count
