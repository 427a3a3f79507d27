"""Which test sets score a model: where the pictures are, how the degraded ones are made, what to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.jpeg import compress
from restore_cli.degradations.mosaic import Mosaic
from restore_cli.degradations.recipes import DEGRADATIONS, generator_for
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import InputError
from restore_cli.evaluation.pairs import References
from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from restore_cli.models.card import Card
from restore_cli.tasks import TASKS

__all__ = ["Benchmark", "Pixels", "Restore", "benchmarks"]

SR_SETS = ("Set5", "Set14")
DENOISING_SETS = {3: "CBSD68", 1: "Set12"}
SIGMAS_255 = (15, 25, 50)
JPEG_SETS = {3: "LIVE1", 1: "classic5"}
JPEG_QUALITIES = (10, 20, 30, 40)
OWN_DEGRADATIONS_SET = "CBSD68"

Pixels = NDArray[np.float32]
Restore = Callable[[Pixels], Pixels]
Pairs = Iterator[tuple[Pixels, Pixels]]  # degraded, clean


@dataclass(frozen=True)
class Benchmark:
    """A test set in one condition.

    Attributes:
        task: whose protocol scores it.
        dataset: folder of the test sets.
        condition: how the degraded pictures come about, where the set does not hold them.
        pairs: makes (degraded, clean) pictures, always the same ones, one at a time.
        baselines: by name, what a network has to beat. None for clean pictures, which nothing need change.
    """

    task: str
    dataset: str
    condition: str
    pairs: Callable[[], Pairs]
    baselines: dict[str, Restore] = field(default_factory=dict)


def benchmarks(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    """Every benchmark of the tasks that `card` serves.

    Raises:
        InputError: a test set is missing.
    """
    for task in card.tasks:
        yield from _MAKERS[task](card, test_dir)


def _super_resolution(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    scale = card.scale

    def pairs(folder: Path) -> Pairs:
        references = References(_existing(folder / "HR"))
        for path in find_pictures(_existing(folder / "LR_bicubic" / f"X{scale}")):
            yield read_image(path).pixels, read_image(references.find(path)).pixels

    def bicubic(pixels: Pixels) -> Pixels:
        return resize_bicubic(pixels, (pixels.shape[0] * scale, pixels.shape[1] * scale))

    for name in SR_SETS:
        # Set14 comes at x4 only; a set that is not there at all is an error.
        if (_existing(test_dir / name) / "LR_bicubic" / f"X{scale}").is_dir():
            yield Benchmark("sr", name, "", partial(pairs, test_dir / name), {"bicubic": bicubic})


def _denoising(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    name = DENOISING_SETS[card.channels]

    def noisy(clean: Pixels, path: Path, sigma_255: float) -> Pixels:
        noise = np.random.RandomState(0).normal(0, sigma_255 / 255, clean.shape)
        return np.asarray(clean + noise, np.float32)

    for sigma in SIGMAS_255:
        condition = f"sigma {sigma}, numpy RandomState(0) per picture, not clipped"
        yield _made("denoise", test_dir / name, condition, partial(noisy, sigma_255=sigma))
    yield _clean("denoise", test_dir / name)


def _jpeg(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    def compressed(clean: Pixels, path: Path, quality: int) -> Pixels:
        return _from_8_bit(compress(_to_8_bit(clean), quality))

    # A colour network takes grey pictures too.
    for channels in (3, 1) if card.channels == 3 else (1,):
        for quality in JPEG_QUALITIES:
            condition = f"quality {quality}, OpenCV's encoder"
            yield _made("jpeg", test_dir / JPEG_SETS[channels], condition, partial(compressed, quality=quality))
    yield _clean("jpeg", test_dir / JPEG_SETS[card.channels])


def _demosaicking(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    def sparse(clean: Pixels, path: Path, pattern: str) -> Pixels:
        return Mosaic((pattern,))(clean, np.random.default_rng(0))

    for pattern in ("rggb", "bggr", "grbg", "gbrg"):
        make = partial(sparse, pattern=pattern)
        yield _made("demosaic", test_dir / "McMaster", pattern, make, {"OpenCV VNG": partial(_vng, pattern=pattern)})


def _own_degradations(task: str, card: Card, test_dir: Path) -> Iterator[Benchmark]:
    """The degradations that the task's row names, in their default settings."""
    folder = test_dir / OWN_DEGRADATIONS_SET

    def degraded(clean: Pixels, path: Path, kind: str) -> Pixels:
        pixels = DEGRADATIONS[kind]()(clean, generator_for(0, path.stem))
        return _from_8_bit(_to_8_bit(pixels))

    for kind in TASKS[task].degradations:
        # Not a network, and yet something to beat: what one has at hand against streaks.
        classical: dict[str, Restore] = {"OpenCV median": _median, "OpenCV bilateral": _bilateral}
        baselines = {"input": _as_it_is, **(classical if kind == "rain" else {})}
        condition = f"{kind}, restore degrade {kind} --seed 0"
        yield _made(task, folder, condition, partial(degraded, kind=kind), baselines)
    yield _clean(task, folder)


_MAKERS: dict[str, Callable[[Card, Path], Iterator[Benchmark]]] = {
    "sr": _super_resolution,
    "denoise": _denoising,
    "jpeg": _jpeg,
    "demosaic": _demosaicking,
    **{task: partial(_own_degradations, task) for task in ("deblur", "derain", "weather")},
}


def _made(
    task: str,
    folder: Path,
    condition: str,
    degrade: Callable[[Pixels, Path], Pixels],
    baselines: dict[str, Restore] | None = None,
) -> Benchmark:
    def pairs() -> Pairs:
        for path in find_pictures(_existing(folder)):
            clean = read_image(path).pixels
            yield degrade(clean, path), clean

    return Benchmark(task, folder.name, condition, pairs, {"input": _as_it_is} if baselines is None else baselines)


def _clean(task: str, folder: Path) -> Benchmark:
    """A picture that nothing ails should come back as it was."""
    return _made(task, folder, "clean pictures", lambda clean, path: clean, {})


def _as_it_is(degraded: Pixels) -> Pixels:
    return degraded


def _median(degraded: Pixels) -> Pixels:
    return np.asarray(cv2.medianBlur(degraded, 5), np.float32)


def _bilateral(degraded: Pixels) -> Pixels:
    return np.asarray(cv2.bilateralFilter(degraded, 9, 0.3, 5), np.float32)


def _vng(sparse: Pixels, pattern: str) -> Pixels:
    # OpenCV names a pattern by the second row's second and third values, in BGR: RGGB is its BayerBG.
    codes = {
        "rggb": cv2.COLOR_BayerBG2RGB_VNG,
        "bggr": cv2.COLOR_BayerRG2RGB_VNG,
        "grbg": cv2.COLOR_BayerGB2RGB_VNG,
        "gbrg": cv2.COLOR_BayerGR2RGB_VNG,
    }
    return _from_8_bit(np.asarray(cv2.cvtColor(_to_8_bit(sparse.sum(axis=2)), codes[pattern]), np.uint8))


def _to_8_bit(pixels: Pixels) -> NDArray[np.uint8]:
    return np.asarray(np.floor(np.clip(pixels, 0, 1) * 255 + 0.5), np.uint8)


def _from_8_bit(pixels: NDArray[np.uint8]) -> Pixels:
    return np.asarray(pixels / np.float32(255), np.float32)


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.", "Name the folder of test sets with --data.")
    return folder
