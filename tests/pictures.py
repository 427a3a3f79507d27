"""Small pictures for tests, written and read by Pillow and OpenCV rather than by our own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image


def values(height: int = 20, width: int = 24, channels: int = 3, bits: int = 8, seed: int = 0) -> np.ndarray:
    """Soft random samples (H, W, C) as whole numbers of 8 or 16 bits; (H, W) for one channel."""
    noise = np.random.default_rng(seed).random((height, width, channels))
    soft = np.atleast_3d(cv2.GaussianBlur(noise, (0, 0), 1.5))
    peak = 2**bits - 1
    return (soft * peak).astype(np.uint8 if bits == 8 else np.uint16).squeeze(2 if channels == 1 else ())


def write(path: Path, samples: np.ndarray | None = None, **options: Any) -> Path:
    """`samples` (or some) as a picture file: RGB, RGBA, grey, or grey and alpha."""
    samples = values() if samples is None else samples
    path.parent.mkdir(parents=True, exist_ok=True)
    if samples.dtype == np.uint16:
        reordered = samples[..., [2, 1, 0, 3][: samples.shape[2]]] if samples.ndim == 3 else samples
        path.write_bytes(cv2.imencode(path.suffix, reordered)[1].tobytes())
    else:
        Image.fromarray(samples).save(path, **options)
    return path


def read(path: Path) -> np.ndarray:
    """The samples as the file holds them, RGB order."""
    samples = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if samples.ndim == 2:
        return samples
    return samples[..., [2, 1, 0, 3][: samples.shape[2]]]
