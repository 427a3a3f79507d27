"""A recipe, pictures and runs small enough for tests."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from restore_cli.training.config import Recipe, read_recipe
from restore_cli.training.loop import Budget, train

RECIPE = """
name = "tiny"
task = "denoise"
[network]
arch = "unet"
wne = true
widths = [4, 8]
blocks = 1
body_blocks = 1
[data]
folders = ["photos"]
patch_px = 16
batch = 2
held_out = 2
[data.degradation]
kind = "gaussian-noise"
sigma_255 = [10, 30]
[optimizer]
loss = "l1"
minutes = 10
rate = 2e-3
[card]
summary = "For tests."
[card.licence]
name = "CC0"
commercial = true
training_data = "drawn by the tests"
"""
NETWORK = RECIPE[RECIPE.index("[network]") : RECIPE.index("[data]")]
DEGRADATION = RECIPE[RECIPE.index("[data.degradation]") : RECIPE.index("[optimizer]")]


def recipe_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """`RECIPE` in a file, with each (old, new) of `changes` replaced."""
    text = RECIPE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.toml"
    path.write_text(text)
    return path


def recipe_with(folder: Path, *changes: tuple[str, str]) -> Recipe:
    return read_recipe(recipe_file(folder, *changes))


def draw(path: Path, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """A picture of soft blocks, uint8 (H, W, 3), and the file of it."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = cv2.resize(blocks, (width, height), interpolation=cv2.INTER_CUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[:, :, ::-1])
    return picture


def draw_photos(folder: Path) -> Path:
    for index in range(4):
        draw(folder / f"photos/{index}.png", seed=index)
    return folder


def run(recipe: Recipe, data: Path, folder: Path, steps: int, **options: Any) -> Path:
    return train(
        recipe, data, folder, budget=Budget(60, steps), **{"validate_every": 10, "show_progress": False, **options}
    )


def logged(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))
