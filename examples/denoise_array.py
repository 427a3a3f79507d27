"""Restore an array of your own: a tensor in [0, 1], any size, not clipped on the way.

python examples/denoise_array.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import restore_cli
from restore_cli.io.read import read_image

picture = read_image(Path(__file__).parent / "chelsea_noisy.png")
noisy = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None]  # (1, 3, H, W)

model = restore_cli.load_model("unet-denoise-color", device="cpu")
restored = model(noisy)

print(f"{tuple(noisy.shape)} -> {tuple(restored.shape)}, changed by {255 * (restored - noisy).std():.1f} of 255")

# Normalization equivariance, by the WNE wrapper: another exposure, the same restoration.
darker = model(0.5 * noisy + 0.1)
print(f"defect of f(0.5 y + 0.1) = 0.5 f(y) + 0.1: {(darker - (0.5 * restored + 0.1)).abs().max():.1e}")
assert np.isfinite(restored.numpy()).all()
