"""Large pictures go through the wrappers by pieces, and come out as small ones do."""

from __future__ import annotations

import pytest
import torch

from restore_cli.io import canvas
from restore_cli.wrappers.canvases import blank, turned
from restore_cli.wrappers.crops import AveragedCrops
from restore_cli.wrappers.ensemble import Ensemble
from restore_cli.wrappers.pad import Padded, SizeRule
from restore_cli.wrappers.tile import Tiled, TilePolicy
from restore_cli.wrappers.wne import NormalizationEquivariant
from tests.networks import small_network


@pytest.fixture
def all_is_large(monkeypatch):
    """Every array is a mapped file, and a band two rows high."""

    def switch() -> None:
        monkeypatch.setattr(canvas, "LIMIT_BYTES", 0)
        monkeypatch.setattr(canvas, "BAND_BYTES", 256)

    return switch


def pictures():
    planes = torch.rand(2, 3, 21, 34, dtype=torch.float64)
    yield "planes", planes
    yield "pixels", torch.rand(21, 34, 3, dtype=torch.float64).permute(2, 0, 1)[None]
    yield (
        "one plane a picture",
        torch.rand(21, 34, 3, dtype=torch.float64).permute(2, 0, 1)[:, None].expand(-1, 3, -1, -1),
    )


PICTURES = dict(pictures())


@pytest.mark.parametrize("order", PICTURES)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda network: Ensemble(Tiled(network, TilePolicy(16, 4, 2), 2)),
        lambda network: NormalizationEquivariant(Tiled(network, TilePolicy(16, 4, 2), 2)),
        lambda network: Ensemble(NormalizationEquivariant(network)),
        lambda network: AveragedCrops(network, 16, 2),
    ],
    ids=["ensemble", "wne", "both", "crops"],
)
def test_a_large_picture_is_restored_as_a_small_one(order, wrap, all_is_large):
    network = small_network("resnet")
    chain, picture = wrap(Padded(network, SizeRule(network.size_multiple), 2)), PICTURES[order]
    before = picture.clone()
    with torch.no_grad():
        expected = chain(picture)
        all_is_large()
        found = chain(picture)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert torch.equal(picture, before)


@pytest.mark.parametrize("order", PICTURES)
def test_a_new_canvas_has_the_memory_order_of_the_picture(order, all_is_large):
    picture = PICTURES[order]
    for _ in range(2):
        new = blank(picture, 42, 68, batch=len(picture), channels=3, dtype=torch.float32)
        assert new.shape == (len(picture), 3, 42, 68) and new.dtype == torch.float32 and not new.any()
        assert new.permute(2, 3, 0, 1).is_contiguous() == (order == "pixels")
        all_is_large()


@pytest.mark.parametrize("quarter_turns", [-3, -1, 0, 2])
def test_turning_a_large_picture_turns_it(quarter_turns, all_is_large):
    picture = PICTURES["planes"]
    expected = torch.rot90(picture.flip(-1), quarter_turns, (-2, -1))
    all_is_large()
    assert torch.equal(turned(picture, quarter_turns, flip_first=True), expected)
    assert torch.equal(turned(picture, quarter_turns, flip_first=True, flip_last=True), expected.flip(-1))
