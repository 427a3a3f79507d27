"""Clean pictures in memory, and batches of patches cut from them where there is something to see.

A batch is a pure function of (seed, step), so a resumed run sees exactly what an uninterrupted one
would have, and no state of a random generator has to be saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from restore_cli.degradations.recipes import Degradation
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import InputError
from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from restore_cli.training.config import Recipe

__all__ = ["Batch", "Corpus", "PatchSampler", "read_corpus"]

Batch = tuple[torch.Tensor, torch.Tensor]  # degraded, clean: (N, C, H, W) float32

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Corpus:
    """Clean pictures, uint8 (H, W, C), for training and for validation."""

    training: list[NDArray[np.uint8]]
    validation: list[NDArray[np.uint8]]


def read_corpus(recipe: Recipe, data_dir: Path) -> Corpus:
    """Every picture of the recipe's folders below `data_dir`, at full size and reduced.

    Raises:
        InputError: a folder is missing or holds no picture.
    """
    corpus = Corpus([], [])
    for folder in recipe.data.folders:
        if not data_dir.is_dir():
            raise InputError(f"--data {data_dir}: no such folder.", "Name the folder that holds the recipe's folders.")
        paths = find_pictures(data_dir / folder, recursive=True)
        if not paths:
            raise InputError(f"{data_dir / folder}: no pictures found.", "Name the folder's parent with --data.")
        if len(paths) < 2:
            raise InputError(f"{paths[0]}: a single picture.", "Training needs another to validate on.")
        every = min(recipe.data.held_out, len(paths))
        with ThreadPoolExecutor() as readers:
            pictures = readers.map(lambda path: _read_8_bit(path, recipe.data.channels), paths)
            for index, picture in enumerate(pictures):
                held_out = index % every == every - 1
                part = corpus.validation if held_out else corpus.training
                part.extend(_reduced(picture, factor) for factor in recipe.data.reductions)
    return corpus


class PatchSampler:
    """Draws degraded and clean patches; detailed places are drawn more often than flat ones.

    Photographs hold much sky: drawn by area, half of the patches would teach nothing.

    Args:
        pictures: uint8 (H, W, C); those smaller than a patch are left out.
        degradation: applied to each patch, with a margin around it that is cut off afterwards.
        patch_px: side of a degraded patch.
        scale: clean pixels per degraded pixel.
    """

    def __init__(
        self, pictures: Sequence[NDArray[np.uint8]], degradation: Degradation, patch_px: int, scale: int
    ) -> None:
        self.degradation = degradation
        self.scale = scale
        self.margin_px = degradation.margin_px
        self.clean_px = (patch_px + 2 * self.margin_px) * scale
        self.pictures = [picture for picture in pictures if min(picture.shape[:2]) >= self.clean_px]
        if not self.pictures:
            raise InputError(
                f"All {len(pictures)} pictures are smaller than a patch of {self.clean_px} pixels.",
                "Use larger pictures or a smaller patch_px.",
            )
        places, details = [], []
        for index, picture in enumerate(self.pictures):
            rows, columns, detail = _detail_map(picture, self.clean_px)
            places.append(np.stack([np.full(rows.size, index), rows.ravel(), columns.ravel()], axis=1))
            details.append(detail.ravel())
        self._places = np.concatenate(places)
        weight = np.concatenate(details)
        # Very busy places (foliage, noise) count no more than three average ones, flat ones a tenth.
        weight = np.clip(weight / weight.mean(), 0.1, 3.0)
        self._cumulative = np.cumsum(weight) / weight.sum()

    def batch(self, size: int, key: Sequence[int]) -> Batch:
        """`size` patches, always the same ones for the same `key`."""
        rng = np.random.default_rng(list(key))
        pairs = [self._pair(rng) for _ in range(size)]
        return _stack([degraded for degraded, _ in pairs]), _stack([clean for _, clean in pairs])

    def batches(self, size: int, seed: int, first_step: int) -> Iterator[Batch]:
        """Endless batches from `first_step` on, each made while the one before is being used."""
        with ThreadPoolExecutor(max_workers=1) as maker:
            upcoming = maker.submit(self.batch, size, (seed, first_step))
            step = first_step
            while True:
                step += 1
                ready, upcoming = upcoming, maker.submit(self.batch, size, (seed, step))
                yield ready.result()

    def _pair(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        index, row, column = self._places[np.searchsorted(self._cumulative, rng.random())]
        picture = self.pictures[index]
        jitter = self.clean_px // 4
        row = int(np.clip(row + rng.integers(-jitter, jitter + 1), 0, picture.shape[0] - self.clean_px))
        column = int(np.clip(column + rng.integers(-jitter, jitter + 1), 0, picture.shape[1] - self.clean_px))
        patch = picture[row : row + self.clean_px, column : column + self.clean_px]
        patch = np.rot90(patch, int(rng.integers(4)))
        if rng.integers(2):
            patch = patch[:, ::-1]
        clean = patch.astype(np.float32) / np.float32(255)
        degraded = self.degradation(clean, rng)
        return _without_margin(degraded, self.margin_px), _without_margin(clean, self.margin_px * self.scale)


def _read_8_bit(path: Path, channels: int) -> NDArray[np.uint8]:
    pixels = read_image(path).pixels
    if channels == 1 and pixels.shape[2] == 3:
        pixels = (pixels @ LUMA)[:, :, None]
    elif channels == 3 and pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    rounded: NDArray[np.uint8] = np.floor(np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
    return rounded


def _reduced(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    if factor == 1:
        return picture
    height, width = (side // factor for side in picture.shape[:2])
    reduced: NDArray[np.uint8] = resize_bicubic(picture[: height * factor, : width * factor], (height, width))
    return reduced


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


def _without_margin(patch: NDArray[np.float32], margin: int) -> NDArray[np.float32]:
    return patch[margin : patch.shape[0] - margin, margin : patch.shape[1] - margin]


def _stack(patches: list[NDArray[np.float32]]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(patches).transpose(0, 3, 1, 2)))
