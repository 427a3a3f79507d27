"""Batches of patches, cut from scenes where there is something to see.

A patch is a pure function of (seed, step, its number in the batch), so a resumed run sees exactly what an
uninterrupted one would have, several processes share a batch without speaking to each other, and no state
of a random generator has to be saved.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from restore_cli.degradations.recipes import Degradation
from restore_cli.errors import InputError
from restore_cli.training.corpus import Scene, to_grey

__all__ = ["Batch", "PatchSampler", "patch_batches"]

Batch = tuple[torch.Tensor, torch.Tensor]  # degraded, clean: (N, C, H, W) float32


class PatchSampler:
    """Draws degraded and clean patches; detailed places are drawn more often than flat ones.

    Photographs hold much sky: drawn by area, half of the patches would teach nothing.

    Args:
        scenes: those smaller than a patch are left out.
        patch_px: side of a degraded patch.
        scale: clean pixels per degraded pixel.
        degradation: makes the degraded patch where the scene has none, with a margin around it that is
            cut off afterwards; None where every scene has one.
        grey_share: of the patches, RGB ones, that lose their colour before anything else.
        saturation: factors between which the colours of patches to be degraded are stretched.
        name: what errors call the pictures.
    """

    def __init__(
        self,
        scenes: Sequence[Scene],
        patch_px: int,
        scale: int,
        degradation: Degradation | None = None,
        grey_share: float = 0.0,
        saturation: tuple[float, float] = (1.0, 1.0),
        name: str = "given",
    ) -> None:
        self.degradation = degradation
        self.grey_share = grey_share
        self.saturation = saturation
        self.scale = scale
        self.margin_px = degradation.margin_px if degradation else 0
        self.degraded_px = patch_px + 2 * self.margin_px
        self.clean_px = self.degraded_px * scale
        self.scenes = [scene for scene in scenes if min(scene.clean.shape[:2]) >= self.clean_px]
        if not self.scenes:
            raise InputError(
                f"The {name} pictures are all smaller than a patch of {self.clean_px} pixels.",
                "Use larger pictures or a smaller patch_px.",
            )
        places, details = [], []
        for index, scene in enumerate(self.scenes):
            rows, columns, detail = _detail_map(scene.clean, self.clean_px)
            places.append(np.stack([np.full(rows.size, index), rows.ravel(), columns.ravel()], axis=1))
            details.append(detail.ravel())
        self._places = np.concatenate(places)
        weight = np.concatenate(details)
        # Very busy places (foliage, noise) count no more than three average ones, flat ones a tenth.
        weight = np.clip(weight / max(weight.mean(), 1e-6), 0.1, 3.0)
        # In double precision: in single the last of many thousand places would never be drawn.
        self._cumulative = np.cumsum(weight, dtype=np.float64) / weight.sum(dtype=np.float64)

    def batch(self, size: int, key: Sequence[int], *, first_patch: int = 0) -> Batch:
        """Patches `first_patch` to `first_patch + size` of the batch `key`, always the same ones."""
        numbers = range(first_patch, first_patch + size)
        pairs = [self._pair(np.random.default_rng([*key, number])) for number in numbers]
        return _stack([degraded for degraded, _ in pairs]), _stack([clean for _, clean in pairs])

    def _pair(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        index, row, column = self._places[np.searchsorted(self._cumulative[:-1], rng.random())]
        scene = self.scenes[index]
        row, column = (
            self._jittered(int(start), length, rng)
            for start, length in zip((row, column), scene.clean.shape[:2], strict=True)
        )
        quarter_turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        is_grey = self.grey_share > 0 and rng.random() < self.grey_share

        def cut(picture: NDArray[np.uint8], row: int, column: int, side: int) -> NDArray[np.float32]:
            patch = np.rot90(picture[row : row + side, column : column + side], quarter_turns)
            patch = patch[:, ::-1] if mirrored else patch
            scaled: NDArray[np.float32] = patch.astype(np.float32) / np.float32(255)
            return np.repeat(to_grey(scaled), 3, axis=2) if is_grey else scaled

        clean = cut(scene.clean, row, column, self.clean_px)
        if scene.degraded is not None:
            return cut(scene.degraded, row // self.scale, column // self.scale, self.degraded_px), clean
        if self.saturation != (1, 1):
            clean = _stretched(clean, np.float32(rng.uniform(*self.saturation)))
        degraded = clean if self.degradation is None else self.degradation(clean, rng)
        return _without_margin(degraded, self.margin_px), _without_margin(clean, self.margin_px * self.scale)

    def _jittered(self, start: int, length: int, rng: np.random.Generator) -> int:
        """`start`, moved by up to a quarter of a patch, on a multiple of the scale: where degraded pixels begin."""
        jitter = self.clean_px // 4
        moved = int(np.clip(start + rng.integers(-jitter, jitter + 1), 0, length - self.clean_px))
        return moved - moved % self.scale


def patch_batches(
    sampler: PatchSampler, size: int, seed: int, first_step: int, *, first_patch: int = 0, workers: int = 0
) -> Iterator[Batch]:
    """Endless batches from `first_step` on, made while those before are being used.

    Args:
        sampler: draws the patches.
        size: patches in a batch.
        seed: of the run.
        first_step: number of the first batch.
        first_patch: number of a batch's first patch, where others make the patches before it.
        workers: processes that make batches; with 0 a thread makes one ahead.
    """
    steps = _Steps(sampler, size, seed, first_patch)
    numbers = itertools.count(first_step)
    if workers:
        yield from DataLoader(
            steps,
            sampler=numbers,
            batch_size=None,  # each step is a batch already
            num_workers=workers,
            collate_fn=_unchanged,
            worker_init_fn=_start_worker,
        )
    else:
        with ThreadPoolExecutor(max_workers=1) as maker:
            upcoming = maker.submit(steps.__getitem__, next(numbers))
            for step in numbers:
                ready, upcoming = upcoming, maker.submit(steps.__getitem__, step)
                yield ready.result()


class _Steps(Dataset[Batch]):
    """The batch of each step."""

    def __init__(self, sampler: PatchSampler, size: int, seed: int, first_patch: int) -> None:
        self._sampler = sampler
        self._size = size
        self._seed = seed
        self._first_patch = first_patch

    def __getitem__(self, step: int) -> Batch:
        return self._sampler.batch(self._size, (self._seed, step), first_patch=self._first_patch)


def _unchanged(batch: Any) -> Any:  # noqa: ANN401 - a Batch; the loader believes it to be a list
    return batch


def _start_worker(number: int) -> None:
    """Ctrl-C is for the training to answer, and OpenCV's threads do not survive a fork."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(0)


def _detail_map(picture: NDArray[np.uint8], side: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray]:
    """Corners of half-overlapping squares of `side` pixels and the mean gradient inside each."""
    grey = picture.astype(np.float32).mean(axis=2)
    gradient = np.abs(np.diff(grey, axis=0, append=grey[-1:])) + np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    mean = cv2.boxFilter(gradient, -1, (side, side), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    step = max(1, side // 2)
    rows, columns = np.meshgrid(
        np.arange(0, picture.shape[0] - side + 1, step), np.arange(0, picture.shape[1] - side + 1, step), indexing="ij"
    )
    return rows, columns, mean[rows, columns]


def _stretched(clean: NDArray[np.float32], factor: np.float32) -> NDArray[np.float32]:
    """Every colour moved away from its grey (or towards it, below 1), within [0, 1]."""
    grey = to_grey(clean)
    stretched: NDArray[np.float32] = np.clip(grey + factor * (clean - grey), 0, 1)
    return stretched


def _without_margin(patch: NDArray[np.float32], margin: int) -> NDArray[np.float32]:
    return patch[margin : patch.shape[0] - margin, margin : patch.shape[1] - margin]


def _stack(patches: list[NDArray[np.float32]]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(patches).transpose(0, 3, 1, 2)))
