"""The pictures of a recipe in memory, split into those to train on and those held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import InputError
from restore_cli.io.colour import to_srgb
from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from restore_cli.training.config import PairFolders, Recipe

__all__ = ["Corpus", "Scene", "read_corpus", "to_grey"]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Place = TypeVar("Place", Path, tuple[Path, Path])


@dataclass(frozen=True)
class Scene:
    """What there is of one scene, uint8.

    Attributes:
        clean: (scale*H, scale*W, C).
        degraded: (H, W, C); None where it is made from `clean` as it is needed.
    """

    clean: NDArray[np.uint8]
    degraded: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Corpus:
    """Scenes for training and for validation."""

    training: list[Scene] = field(default_factory=list)
    validation: list[Scene] = field(default_factory=list)


def read_corpus(recipe: Recipe, data_dir: Path) -> Corpus:
    """Every picture of the recipe's folders below `data_dir`; clean ones at full size and reduced.

    Raises:
        InputError: a folder is missing or holds no picture, a picture cannot be read, or a pair does not match.
    """
    if not data_dir.is_dir():
        raise InputError(f"--data {data_dir}: no such folder.", "Name the folder that holds the recipe's folders.")
    data, corpus = recipe.data, Corpus()
    for folder in data.folders:
        read = partial(_clean_scenes, reductions=data.reductions, channels=data.channels)
        _fill(corpus, _pictures(data_dir, folder), read, data.held_out)
    for pair in data.pairs:
        matched = partial(_matched_scene, scale=recipe.scale, channels=data.channels)
        _fill(corpus, _matches(data_dir, pair, recipe.scale), matched, data.held_out)
    return corpus


def to_grey(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 3) -> (H, W, 1): BT.601 luma, as JPEG has it."""
    grey: NDArray[np.float32] = picture @ LUMA
    return grey[:, :, None]


def _fill(corpus: Corpus, places: Sequence[Place], read: Callable[[Place], list[Scene]], held_out: int) -> None:
    """Read `places` and keep every `held_out`-th for validation, one at least."""
    if len(places) < 2:
        raise InputError(f"{places[0]}: a single picture.", "Training needs another to validate on.")
    every = min(held_out, len(places))
    with ThreadPoolExecutor() as readers:
        for index, scenes in enumerate(readers.map(read, places)):
            part = corpus.validation if index % every == every - 1 else corpus.training
            part.extend(scenes)


def _pictures(data_dir: Path, name: str) -> list[Path]:
    folder = data_dir / name
    if not folder.is_dir():
        there = sorted(each.name for each in data_dir.iterdir() if each.is_dir())
        raise InputError(
            f"{folder}: no such folder.", f"--data {data_dir} holds {', '.join(there[:8]) or 'no folders'}."
        )
    found = find_pictures(folder, recursive=True)
    if not found:
        raise InputError(f"{folder}: no pictures in this folder.", "Check the recipe's folders and --data.")
    return found


def _matches(data_dir: Path, pair: PairFolders, scale: int) -> list[tuple[Path, Path]]:
    """(degraded, clean) by name: the same but for the suffix, or but for an 'x4' at the degraded one's end."""
    by_name: dict[Path, Path] = {}
    for path in _pictures(data_dir, pair.clean):
        other = by_name.setdefault(path.relative_to(data_dir / pair.clean).with_suffix(""), path)
        if other != path:
            raise InputError(f"{path}: {other.name} beside it has the same name.", "Keep one of the two.")
    matches = []
    for path in _pictures(data_dir, pair.degraded):
        name = path.relative_to(data_dir / pair.degraded).with_suffix("")
        plain = name.name.removesuffix(f"x{scale}").rstrip("_-")
        clean = by_name.get(name) or (by_name.get(name.with_name(plain)) if plain else None)
        if clean is None:
            raise InputError(f"{path}: no picture named '{name}' in {data_dir / pair.clean}.", "Pairs match by name.")
        matches.append((path, clean))
    return matches


def _clean_scenes(path: Path, *, reductions: Sequence[int], channels: int) -> list[Scene]:
    picture = _read_8_bit(path, channels)
    return [Scene(_reduced(picture, factor)) for factor in reductions if min(picture.shape[:2]) >= factor]


def _matched_scene(paths: tuple[Path, Path], *, scale: int, channels: int) -> list[Scene]:
    degraded, clean = (_read_8_bit(path, channels) for path in paths)
    height, width = (side * scale for side in degraded.shape[:2])
    if clean.shape[:2] != (height, width):
        raise InputError(
            f"{paths[1]}: {clean.shape[1]}x{clean.shape[0]}, but {paths[0]} is "
            f"{degraded.shape[1]}x{degraded.shape[0]}: at x{scale} it must be {width}x{height}."
        )
    return [Scene(clean, degraded)]


def _read_8_bit(path: Path, channels: int) -> NDArray[np.uint8]:
    image = read_image(path)
    pixels = to_srgb(image.pixels, image.icc_profile)
    if channels == 1 and pixels.shape[2] == 3:
        pixels = to_grey(pixels)
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
