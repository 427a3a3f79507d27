"""Clean pictures for these tests: something soft, so that there is detail to lose at every scale."""

from __future__ import annotations

import cv2
import numpy as np


def clean_picture(height=48, width=60, channels=3, seed=0):
    noise = np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.5).reshape(noise.shape)
    return np.clip(0.5 + 4 * (soft - 0.5), 0, 1).astype(np.float32)


def flat(value, height=200, width=200, channels=3):
    return np.full((height, width, channels), value, np.float32)


def psnr(degraded, clean):
    return -10 * np.log10(np.mean((np.clip(degraded, 0, 1).astype(float) - clean) ** 2))
