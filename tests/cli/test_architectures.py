"""Every architecture of the catalogue, end to end: `restore TASK -n ID` with random weights of its published shape.

The catalogue is the package's own, with the same repositories, revisions and file names, served on the loopback; only
size and sha256 are those of the random files, and checked as always. One card an architecture, the smallest; with
RESTORE_EVERY_SHAPE=1 every shape that a card has, through every task of the card.
"""

from __future__ import annotations

import os
from urllib.parse import unquote

import numpy as np
import pytest

from restore_cli.io.provenance import find
from restore_cli.io.read import read_image
from restore_cli.models.catalog import read_catalog
from restore_cli.models.choose import EXTRA_MODULES
from restore_cli.tasks import TASKS
from tests.catalogue import catalogue  # noqa: F401 - a fixture
from tests.checkpoints import content_of, recipe_of, serve, state_of
from tests.pictures import values, write

CARDS = {card.id: card for card in read_catalog().values() if not card.embedded}
SMALLEST = {
    "DAT": "dat-s-sr-x4",
    "DRUNet": "drunet-grey",
    "ESRGAN": "realesrgan-sr-x4",
    "FBCNN": "fbcnn-grey",
    "GRL": "grl-s-demosaic",
    "HAT": "hat-s-sr-x2",
    "Histoformer": "histoformer-weather",
    "KBNet": "kbnet-derain",
    "NAFNet": "nafnet-gopro-width32",
    "OmniSR": "omnisr-sr-x2",
    "PLKSR": "realplksr-jpeg",
    "Restormer": "restormer-denoise-grey-25",
    "SCUNet": "scunet-color-psnr",
    "SwinIR": "swinir-s-sr-x2",
}
EVERY_SHAPE = {recipe_of(card): card.id for card in reversed(CARDS.values())}
CHOSEN = EVERY_SHAPE.values() if os.environ.get("RESTORE_EVERY_SHAPE") else SMALLEST.values()
SIDES = (18, 13)  # multiples of nothing that networks ask for


def test_every_architecture_on_the_cards_is_among_them():
    assert {card.network for card in CARDS.values()} == set(SMALLEST)
    for network, card_id in SMALLEST.items():
        assert CARDS[card_id].network == network


@pytest.mark.parametrize("card_id", CHOSEN)
def test_a_card_is_downloaded_checked_built_and_run(restore, catalogue, tmp_path, card_id):  # noqa: F811
    card = CARDS[card_id]
    if card.requires:
        pytest.importorskip(EXTRA_MODULES[card.requires])
    state = state_of(recipe_of(card))
    _check_size(card, state)
    content = content_of(card, state)
    serve(catalogue, card, content)
    for task in card.tasks if os.environ.get("RESTORE_EVERY_SHAPE") else card.tasks[:1]:
        channels = 1 if TASKS[task].input == "mosaic" or card.channels == 1 else 3
        write(tmp_path / "in.png", values(*SIDES, channels))
        options = ["--sigma", "25"] if card.conditioning == "sigma_255" and task == "denoise" else []
        if card.channels == 6:
            options += ["--second-view", write(tmp_path / "other.png", values(*SIDES, seed=1))]
        # Floats: of random weights the result may lie anywhere.
        target = tmp_path / f"{task}.tif"
        command = (task, "in.png", "-n", card_id, "-o", target.name, "--bit-depth", "32f", "--device", "cpu")
        result = restore(*command, *options)
        assert result.exit_code == 0, result.stderr
        pixels = read_image(target).pixels
        expected_channels = 3 if TASKS[task].input == "mosaic" else channels
        assert pixels.shape == (SIDES[0] * card.scale, SIDES[1] * card.scale, expected_channels)
        assert np.isfinite(pixels).all() and pixels.std() > 0
        (model,) = find(target).models
        assert (model.name, len(model.sha256)) == (card_id, 64)
    asked = [unquote(request.path) for request in catalogue.hub.requests if request.method == "GET"]
    assert sum(path.endswith(card.file.name) for path in asked) == 1, asked  # and from there on in the cache


def test_a_file_that_is_not_the_cards_is_refused_here_as_everywhere(restore, catalogue, tmp_path):  # noqa: F811
    card = CARDS["omnisr-sr-x2"]
    content = content_of(card, state_of(recipe_of(card)))
    serve(catalogue, card, content)
    for name in catalogue.hub.files:
        catalogue.hub.files[name] = content[:-1] + bytes([content[-1] ^ 1])
    write(tmp_path / "in.png")
    result = restore("sr", "in.png", "-n", card.id)
    assert result.exit_code == 1
    assert "sha256" in result.stderr
    assert not list(tmp_path.glob("in_*"))


def _check_size(card, state):
    """The shape is the published one if the weights fill the published file, or half of it: some hold them twice."""
    weights_bytes = sum(value.numel() * value.element_size() for value in state.values())
    # What a file has beside its weights: names, and a little for each.
    most = weights_bytes + 600 * len(state) + 1000
    size = card.file.bytes
    assert not size or any(count * weights_bytes <= size <= count * most for count in (1, 2)), (size, weights_bytes)
