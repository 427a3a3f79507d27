"""Make the pictures of this folder from public-domain photographs that scikit-image carries.

    python examples/make_pictures.py [FOLDER]

coffee: by Rachel Michetti, CC0.  chelsea: by Stefan van der Walt, CC0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.inference.engine import restore

SCALE = 4


def save(path: Path, rgb: np.ndarray) -> np.ndarray:
    """Write 8-bit RGB; returns it."""
    if rgb.dtype != np.uint8:
        rgb = np.floor(np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)
    path.write_bytes(cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes())
    return rgb


def main(folder: Path) -> None:
    coffee = data.coffee()
    small = save(
        folder / "coffee_small.png", resize_bicubic(coffee, (coffee.shape[0] // SCALE, coffee.shape[1] // SCALE))
    )
    chelsea = data.chelsea()[10:290, 60:420].astype(np.float32) / 255
    noisy = save(folder / "chelsea_noisy.png", GaussianNoise((25, 25))(chelsea, np.random.default_rng(0)))

    # The README's picture: bicubic against ours above, noisy against ours below, 270 pixels each.
    enlarged = restore(folder / "coffee_small.png", task="sr", scale=SCALE).pixels
    bicubic = resize_bicubic(small, coffee.shape[:2]).astype(np.float32) / 255
    denoised = restore(folder / "chelsea_noisy.png", task="denoise").pixels
    pairs = [
        (bicubic[90:300, 170:500], enlarged[90:300, 170:500]),
        (noisy[30:240, 15:345].astype(np.float32) / 255, denoised[30:240, 15:345]),
    ]
    gap = np.ones((210, 6, 3), np.float32)
    rows = [np.concatenate([before, gap, after], axis=1) for before, after in pairs]
    save(folder / "before_after.png", np.concatenate([rows[0], np.ones((6, rows[0].shape[1], 3)), rows[1]]))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
