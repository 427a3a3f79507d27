"""What is asked of the libraries, and what is said where they or their files are missing.

The libraries are stood in for: their networks are hundreds of megabytes that no test may download.
"""

from __future__ import annotations

import hashlib
import sys
import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from restore_cli.errors import ModelNotFoundError, UsageError
from restore_cli.metrics import perceptual
from restore_cli.metrics.catalog import METRICS, check_metrics
from tests.metrics.pictures import pair


@dataclass
class Recorder:
    """Made in place of a library's metric; remembers how, and what it was shown."""

    options: dict[str, Any] = field(default_factory=dict)
    shown: list[tuple[torch.Tensor, ...]] = field(default_factory=list)
    resets: int = 0

    def make(self, *names: str, **options: Any) -> Recorder:
        self.options = dict(enumerate(names)) | options
        return self

    def __call__(self, *pictures: torch.Tensor) -> torch.Tensor:
        self.shown.append(pictures)
        return torch.tensor(0.25)

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture(autouse=True)
def nothing_kept():
    def forget():
        for prepare in (perceptual.prepare_lpips, perceptual.prepare_dists, perceptual.prepare_niqe):
            prepare.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Torch's folder of downloads, empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub"


@pytest.fixture
def library(monkeypatch):
    """torchmetrics and pyiqa, stood in for."""
    recorder = Recorder()
    image = types.ModuleType("torchmetrics.image")
    dists = types.ModuleType("torchmetrics.image.dists")
    pyiqa = types.ModuleType("pyiqa")
    image.LearnedPerceptualImagePatchSimilarity = recorder.make
    dists.DeepImageStructureAndTextureSimilarity = recorder.make
    pyiqa.create_metric = recorder.make
    for module in (types.ModuleType("torchmetrics"), image, dists, pyiqa):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return recorder


@pytest.fixture
def weights(hub, monkeypatch):
    """Files under the names that are looked for, with content to match."""
    folder = hub / "checkpoints"
    folder.mkdir(parents=True)
    for constant in ("ALEXNET", "VGG16"):
        content = constant.encode()
        name = f"{constant.lower()}-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        (folder / name).write_bytes(content)
        monkeypatch.setattr(perceptual, constant, name)
    (hub / "pyiqa").mkdir()
    (hub / "pyiqa" / perceptual.NIQE_FILE).write_bytes(b"model")
    return folder


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_without_the_extra_the_command_that_installs_it_is_named(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(UsageError, match=rf"{name} needs torchmetrics.*pip install 'restore-cli\[perceptual\]'"):
        check_metrics([name])


def test_without_pyiqa_its_terms_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(UsageError, match=r"niqe needs pyiqa.*pip install pyiqa.*Noncommercial"):
        check_metrics(["niqe"])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lpips", "checkpoints/alexnet-owt-7be5be79.pth"),
        ("dists", "checkpoints/vgg16-397923af.pth"),
        ("niqe", "pyiqa/niqe_modelparameters.mat"),
    ],
)
def test_a_missing_file_is_named_with_the_command_that_fetches_it_and_not_downloaded(name, file, hub, library):
    with pytest.raises(ModelNotFoundError) as caught:
        check_metrics([name])
    assert str(hub / file) in caught.value.message
    assert caught.value.hint.startswith(f"Fetch it: curl -fL --create-dirs -o {hub / file} https://")
    assert caught.value.hint.endswith(file.rpartition("/")[2])
    assert not hub.exists()
    assert library.options == {}


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_a_damaged_file_is_an_error_before_anything_reads_it(name, weights, library):
    for file in weights.iterdir():
        file.write_bytes(b"cut short")
    with pytest.raises(ModelNotFoundError, match="damaged.*Fetch them again: curl"):
        check_metrics([name])
    assert library.options == {}


@pytest.mark.parametrize("name", ["lpips", "dists"])
def test_a_distance_is_the_librarys_of_rgb_batches_within_0_and_1(name, weights, library):
    restored, clean = pair(40, 50, noise=0)
    assert METRICS[name].compute(restored * 2 - 0.5, clean) == 0.25
    ((first, second),) = library.shown
    assert first.shape == second.shape == (1, 3, 40, 50)
    assert first.dtype == torch.float32
    assert (float(first.min()), float(first.max())) == (0, 1)
    np.testing.assert_allclose(second[0].permute(1, 2, 0).numpy(), clean, atol=1e-6)
    assert library.resets == 1


def test_lpips_is_the_alexnet_version_of_pictures_between_0_and_1(weights, library):
    perceptual.prepare_lpips()
    assert library.options == {"net_type": "alex", "normalize": True}


def test_the_network_is_loaded_once(weights, library, monkeypatch):
    perceptual.lpips(*pair())
    monkeypatch.setattr(perceptual, "_check_weights", lambda *names: pytest.fail("loaded again"))
    perceptual.lpips(*pair())
    assert len(library.shown) == 2


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 1)])
def test_grey_counts_as_equal_channels(shape, weights, library):
    grey = np.random.default_rng(0).random(shape)
    perceptual.dists(grey, grey)
    ((first, _),) = library.shown
    for channel in first[0].numpy():
        np.testing.assert_allclose(channel, grey.reshape(40, 50), atol=1e-6)


def test_niqe_looks_at_the_restored_picture_alone_with_the_model_at_hand(hub, weights, library):
    restored, clean = pair(200, 210)
    assert METRICS["niqe"].compute(restored, clean) == 0.25
    ((only,),) = library.shown
    np.testing.assert_allclose(only[0].permute(1, 2, 0).numpy(), restored, atol=1e-6)
    path = str(hub / "pyiqa" / perceptual.NIQE_FILE)
    assert library.options == {0: "niqe", "device": "cpu", "pretrained_model_path": path}


@pytest.mark.parametrize("metric", [perceptual.lpips, perceptual.dists])
def test_what_cannot_be_scored_is_an_error_whatever_is_installed(metric):
    with pytest.raises(ValueError, match="shapes differ"):
        metric(np.zeros((40, 40, 3)), np.zeros((40, 40)))
    with pytest.raises(ValueError, match="not numbers"):
        metric(np.full((40, 40, 3), np.nan), np.zeros((40, 40, 3)))
