"""Which test sets score a model: where the pictures are, how the degraded ones are made, what to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from restore_cli.degradations.mosaic import BAYER_PATTERNS, mosaic_to_sparse_rgb
from restore_cli.degradations.recipes import DEGRADATIONS
from restore_cli.errors import InputError
from restore_cli.evaluation.baselines import baseline
from restore_cli.evaluation.conditions import AS_THEY_ARE, Condition, bayer, by_recipe, gaussian_noise, jpeg
from restore_cli.evaluation.pairs import References
from restore_cli.evaluation.pixels import Pixels, Restore
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

    bicubic = baseline("bicubic", TASKS["sr"], scale)
    for name in SR_SETS:
        # Set14 comes at x4 only; a set that is not there at all is an error.
        if (_existing(test_dir / name) / "LR_bicubic" / f"X{scale}").is_dir():
            yield Benchmark("sr", name, "", partial(pairs, test_dir / name), {"bicubic": bicubic})


def _denoising(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    folder = test_dir / DENOISING_SETS[card.channels]
    for sigma in SIGMAS_255:
        condition = f"sigma {sigma}, numpy RandomState(0) per picture, not clipped"
        yield _made("denoise", folder, condition, gaussian_noise(sigma), ("input",))
    yield _clean("denoise", folder)


def _jpeg(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    # A colour network takes grey pictures too.
    for channels in (3, 1) if card.channels == 3 else (1,):
        for quality in JPEG_QUALITIES:
            condition = f"quality {quality}, OpenCV's encoder"
            yield _made("jpeg", test_dir / JPEG_SETS[channels], condition, jpeg(quality), ("input",))
    yield _clean("jpeg", test_dir / JPEG_SETS[card.channels])


def _demosaicking(card: Card, test_dir: Path) -> Iterator[Benchmark]:
    for pattern in BAYER_PATTERNS:
        yield _made("demosaic", test_dir / "McMaster", pattern, bayer(pattern), ("opencv-vng",))


def _own_degradations(task: str, card: Card, test_dir: Path) -> Iterator[Benchmark]:
    """The degradations that the task's row names, in their default settings."""
    folder = test_dir / OWN_DEGRADATIONS_SET
    for kind in TASKS[task].degradations:
        # Not a network, and yet something to beat: what one has at hand against streaks.
        beside = ("input", "opencv-median", "opencv-bilateral") if kind == "rain" else ("input",)
        condition = f"{kind}, restore degrade {kind} --seed 0"
        yield _made(task, folder, condition, by_recipe(kind, DEGRADATIONS[kind]()), beside)
    yield _clean(task, folder)


_MAKERS: dict[str, Callable[[Card, Path], Iterator[Benchmark]]] = {
    "sr": _super_resolution,
    "denoise": _denoising,
    "jpeg": _jpeg,
    "demosaic": _demosaicking,
    **{task: partial(_own_degradations, task) for task in ("deblur", "derain", "weather")},
}
# As cards and README call them.
_LABELS = {"opencv-median": "OpenCV median", "opencv-bilateral": "OpenCV bilateral", "opencv-vng": "OpenCV VNG"}


def _made(task: str, folder: Path, text: str, condition: Condition, beside: tuple[str, ...]) -> Benchmark:
    def pairs() -> Pairs:
        for path in find_pictures(_existing(folder)):
            clean = read_image(path).pixels
            degraded = condition.degrade(clean, path.stem)
            # A network takes the values of a mosaic in their colours' channels.
            yield mosaic_to_sparse_rgb(degraded[:, :, 0], condition.cfa) if task == "demosaic" else degraded, clean

    baselines = {_LABELS.get(name, name): baseline(name, TASKS[task], cfa=condition.cfa) for name in beside}
    return Benchmark(task, folder.name, text, pairs, baselines)


def _clean(task: str, folder: Path) -> Benchmark:
    """A picture that nothing ails should come back as it was."""
    return _made(task, folder, "clean pictures", AS_THEY_ARE, ())


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.", "Name the folder of test sets with --data.")
    return folder
