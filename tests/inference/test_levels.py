"""Models by the names a user gives, and what each picture adds to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import save

from restore_cli.archs.resnet import ResNet
from restore_cli.errors import UsageError
from restore_cli.inference.engine import restore
from restore_cli.inference.levels import Models
from restore_cli.models.levels import family_sha256
from restore_cli.options import Hints, RunOptions
from restore_cli.tasks import SIGMA, TASKS
from tests.catalogue import catalogue  # noqa: F401 - a fixture
from tests.diagnosis.pictures import image, noisy, rounded, scene
from tests.pictures import write

CPU = RunOptions("cpu")
NOISY = rounded(noisy(scene()[:120, :160], 47))


@pytest.fixture
def family(catalogue):  # noqa: F811
    for seed, level in enumerate((15, 50)):
        torch.manual_seed(seed)
        catalogue.card(f"net-denoise-{level}", save(ResNet(width=8, depth=1).state_dict()), level=level)
    return catalogue


def test_a_model_that_finds_out_by_itself_takes_every_picture_as_it_is(weights):
    models = Models((str(weights["x1"]),), TASKS["denoise"], CPU)
    settled = models.settle(image(NOISY), Hints())
    assert (models.conditioning, settled.hints, settled.said) == ((), Hints(), "")
    assert settled.restorer is models.restorer
    assert settled.sha256 == models.sha256


def test_an_average_with_a_family_takes_its_checkpoint_for_the_picture(family, weights):
    other = str(weights["x1"])
    models = Models(("net-denoise", other), TASKS["denoise"], CPU)
    assert models.conditioning == (SIGMA,)
    settled = models.settle(image(NOISY), Hints())
    assert settled.names == ("net-denoise-50", other)
    assert settled.hints.sigma_255 == pytest.approx(47, rel=0.1)
    picture = torch.rand(1, 3, 20, 24)
    alone = [Models((name,), TASKS["denoise"], CPU).restorer(picture) for name in settled.names]
    torch.testing.assert_close(settled.restorer(picture), (alone[0] + alone[1]) / 2)


def test_a_checkpoint_is_opened_once(family):
    models = Models(("net-denoise",), TASKS["denoise"], CPU)
    first, second = (models.settle(image(NOISY), Hints()).restorer for _ in range(2))
    assert first is second


def test_its_sha256_is_of_the_family_until_a_picture_settles_it(family):
    models = Models(("net-denoise",), TASKS["denoise"], CPU)
    assert models.sha256 == family_sha256("net-denoise")
    assert models.settle(image(NOISY), Hints()).sha256 != models.sha256


def test_what_is_known_beforehand_opens_the_checkpoint_for_it_and_no_other(family):
    told = Hints(sigma_255=14)
    models = Models(("net-denoise",), TASKS["denoise"], CPU, hints=told)
    settled = models.settle(image(NOISY), told)
    assert (settled.names, settled.said) == (("net-denoise-15",), "")
    assert settled.restorer is models.restorer


def test_of_a_mosaic_no_level_is_guessed(family):
    with pytest.raises(UsageError, match="not for mosaics"):
        Models(("net-denoise",), TASKS["demosaic"], CPU)


def test_restore_in_python_estimates_too(family, tmp_path):
    path = write(tmp_path / "in.png", NOISY.astype(np.uint8))
    found = [restore(path, task="denoise", model=name).pixels for name in ("net-denoise", "net-denoise-50")]
    assert np.array_equal(*found)
