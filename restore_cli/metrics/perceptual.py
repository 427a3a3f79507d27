"""Distances that trained networks and statistics of nature see, computed by other people's libraries.

LPIPS and DISTS come from torchmetrics (Apache-2.0; the extra `[perceptual]`), which carries their small
learned heads; the ImageNet networks below them are files of torchvision. NIQE comes from pyiqa, whose terms
are non-commercial: it is no dependency of ours, and used where the user has installed it.

Nothing is ever downloaded from here, with `--offline` or without: a file that is missing is an error that
names it and the command that fetches it. All are imported on use.
"""

from __future__ import annotations

import hashlib
import shlex
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import ModelNotFoundError, UsageError
from restore_cli.metrics.check import check_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torchmetrics import Metric

__all__ = [
    "MIN_SIDE_PX",
    "NIQE_MIN_SIDE_PX",
    "dists",
    "lpips",
    "niqe",
    "prepare_dists",
    "prepare_lpips",
    "prepare_niqe",
]

MIN_SIDE_PX = 32  # what AlexNet's and VGG's poolings leave a pixel of
NIQE_MIN_SIDE_PX = 192  # its model is fitted to blocks of 96; two each way are the least to fit anything to

# torchvision's, whose names end in the first digits of their SHA-256.
ALEXNET = "alexnet-owt-7be5be79.pth"
VGG16 = "vgg16-397923af.pth"
TORCHVISION_URL = "https://download.pytorch.org/models"
NIQE_FILE = "niqe_modelparameters.mat"
NIQE_URL = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main"


def lpips(restored: NDArray[Any], reference: NDArray[Any]) -> float:
    """Learned perceptual distance, 0 for identical pictures; lower is better.

    Convention: Zhang et al., CVPR 2018, version 0.1 on AlexNet, as restoration papers quote it; pictures
    clipped to [0, 1], then in [-1, 1]; a grey picture as RGB with three equal channels.
    Differs from: the VGG version, whose values are larger.

    Args:
        restored, reference: (H, W), (H, W, 1) or (H, W, 3), floating, in [0, 1], at least 32 pixels each way.

    Raises:
        UsageError: the extra `[perceptual]` is not installed.
        ModelNotFoundError: AlexNet's weights are not on this machine, or damaged.
        ValueError: shapes differ, or a value is not a number.
    """
    check_pair(restored, reference)
    return _distance(prepare_lpips(), restored, reference)


def dists(restored: NDArray[Any], reference: NDArray[Any]) -> float:
    """Deep structure and texture distance, 0 for identical pictures; lower is better.

    Convention: Ding et al., TPAMI 2020, on VGG16; pictures clipped to [0, 1] and not resized; a grey
    picture as RGB with three equal channels.
    Differs from: the authors' program as called on files, which first reduces the shorter side to 256 pixels.

    Args and errors as those of `lpips`, with VGG16's weights.
    """
    check_pair(restored, reference)
    return _distance(prepare_dists(), restored, reference)


def niqe(picture: NDArray[Any]) -> float:
    """Natural image quality evaluator of one picture, without a reference; lower is better.

    Convention: Mittal et al., SPL 2013, with the authors' model of pristine pictures, on full-range luma
    rounded to 8 bits, blocks of 96 pixels, no border cropped, by pyiqa.
    Differs from: BasicSR's, which crops a border of the scale, and MATLAB's, by a few hundredths.

    Args:
        picture: (H, W), (H, W, 1) or (H, W, 3), floating, in [0, 1], at least 192 pixels each way.

    Raises:
        UsageError: pyiqa is not installed.
        ModelNotFoundError: the model's file is not on this machine.
        ValueError: no such shape, or a value is not a number.
    """
    check_pair(picture, picture)
    return float(prepare_niqe()(_batch(picture)))


@lru_cache(maxsize=1)
def prepare_lpips() -> Metric:
    """The network of `lpips`, loaded once a process. Raises what `lpips` does where it cannot be had."""
    try:
        from torchmetrics.image import LearnedPerceptualImagePatchSimilarity
    except ImportError as error:
        raise _missing_extra("lpips") from error
    _check_weights(ALEXNET, "lpips")
    return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)


@lru_cache(maxsize=1)
def prepare_dists() -> Metric:
    """The network of `dists`, loaded once a process. Raises what `dists` does where it cannot be had."""
    try:
        from torchmetrics.image.dists import DeepImageStructureAndTextureSimilarity
    except ImportError as error:
        raise _missing_extra("dists") from error
    _check_weights(VGG16, "dists")
    return DeepImageStructureAndTextureSimilarity()


@lru_cache(maxsize=1)
def prepare_niqe() -> Callable[[Tensor], Tensor]:
    """The model of `niqe`, loaded once a process. Raises what `niqe` does where it cannot be had."""
    try:
        import pyiqa
    except ImportError as error:
        raise UsageError(
            "niqe needs pyiqa, which is not installed.",
            "pip install pyiqa (terms: PolyForm Noncommercial, which is why no extra of ours installs it).",
        ) from error
    path = _hub_dir() / "pyiqa" / NIQE_FILE
    if not path.is_file():
        raise _missing_file("niqe", path, f"{NIQE_URL}/{NIQE_FILE}")
    # Given the path, it asks no server.
    model: Callable[[Tensor], Tensor] = pyiqa.create_metric("niqe", device="cpu", pretrained_model_path=str(path))
    return model


def _distance(metric: Metric, restored: NDArray[Any], reference: NDArray[Any]) -> float:
    import torch

    with torch.inference_mode():
        distance = float(metric(_batch(restored), _batch(reference)))
    metric.reset()  # it keeps every score for an average that nobody asks of it
    return distance


def _batch(picture: NDArray[Any]) -> Tensor:
    import torch

    rgb = np.broadcast_to(np.atleast_3d(picture), (*picture.shape[:2], 3))
    return torch.from_numpy(np.clip(rgb, 0, 1).astype(np.float32).transpose(2, 0, 1)[None])


def _hub_dir() -> Path:
    import torch.hub

    return Path(torch.hub.get_dir())


def _check_weights(name: str, metric: str) -> None:
    path, url = _hub_dir() / "checkpoints" / name, f"{TORCHVISION_URL}/{name}"
    if not path.is_file():
        raise _missing_file(metric, path, url)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    expected = name.removesuffix(".pth").rpartition("-")[2]
    if not digest.hexdigest().startswith(expected):
        raise ModelNotFoundError(
            f"{path}: {metric}'s weights are damaged: SHA-256 {digest.hexdigest()[:8]}, not {expected}.",
            f"Fetch them again: {_fetching(path, url)}",
        )


def _missing_extra(metric: str) -> UsageError:
    return UsageError(f"{metric} needs torchmetrics and torchvision.", "pip install 'restore-cli[perceptual]'")


def _missing_file(metric: str, path: Path, url: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"{metric} needs {path}, which is not there.", f"Fetch it: {_fetching(path, url)}")


def _fetching(path: Path, url: str) -> str:
    return f"curl -fL --create-dirs -o {shlex.quote(str(path))} {url}"
