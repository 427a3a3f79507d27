"""The embedded models do what their cards say, also in the precisions they call safe."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch

from restore_cli.inference.restorer import load_model
from restore_cli.io.read import read_image
from restore_cli.models.catalog import read_catalog, weights_path

EMBEDDED = [card for card in read_catalog().values() if card.embedded]
EXAMPLES = Path(__file__).parents[2] / "examples"


def picture(card) -> torch.Tensor:
    pixels = torch.from_numpy(read_image(EXAMPLES / "coffee_small.png").pixels).permute(2, 0, 1)[None]
    return pixels.mean(dim=1, keepdim=True) if card.channels == 1 else pixels


def psnr(first: torch.Tensor, second: torch.Tensor) -> float:
    return -10 * math.log10((first - second).square().mean().item())


@pytest.mark.parametrize(
    ("card", "precision"),
    [(card, precision) for card in EMBEDDED for precision in card.precisions if precision != "fp32"],
    ids=lambda value: getattr(value, "id", value),
)
def test_a_precision_the_card_calls_safe_is_close_to_single(card, precision):
    exact = load_model(card.id, device="cpu", precision="fp32")(picture(card))
    rounded = load_model(card.id, device="cpu", precision=precision)(picture(card))
    # 45 dB: well below what separates any two models.
    assert psnr(rounded, exact) > 45


@pytest.mark.parametrize("card", EMBEDDED, ids=lambda card: card.id)
def test_a_copy_of_the_file_alone_is_the_same_model(card, tmp_path):
    copy = shutil.copy(weights_path(card), tmp_path)
    expected = load_model(card.id, device="cpu")(picture(card))
    torch.testing.assert_close(load_model(copy, device="cpu")(picture(card)), expected, atol=0, rtol=0)


@pytest.mark.parametrize("card", EMBEDDED, ids=lambda card: card.id)
def test_tiles_of_an_embedded_model_cannot_be_seen(card):
    restorer = load_model(card.id, device="cpu", tile_px=0)
    whole = restorer(picture(card))
    tiled = load_model(card.id, device="cpu", tile_px=24)(picture(card))
    if restorer.model.network.radius_px is not None:
        assert (tiled - whole).abs().max() < 1e-5
    else:  # it looks farther than any overlap: seams are faded, and tell no more than half precision does
        assert psnr(tiled, whole) > 45


@pytest.mark.parametrize("card", [card for card in EMBEDDED if card.wne], ids=lambda card: card.id)
def test_exposure_passes_through_a_model_wrapped_in_wne(card):
    model = load_model(card.id, device="cpu")
    torch.testing.assert_close(model(0.5 * picture(card) + 0.1), 0.5 * model(picture(card)) + 0.1, atol=1e-5, rtol=0)
