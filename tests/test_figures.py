"""The figures that shared/checkpoints/README.md states for the two published checkpoints, to 0.02 dB."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from restore_cli.cli import app
from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.inference.restorer import load_model
from restore_cli.io.read import read_image

pytestmark = pytest.mark.shared


@pytest.mark.parametrize(("name", "psnr"), [("Set5", 32.39), ("Set14", 28.83)])
def test_craft_from_file_to_file(shared, tmp_path, name, psnr):
    sets = shared / "data/test" / name
    arguments = [
        "sr",
        str(sets / "LR_bicubic/X4"),
        "--model",
        str(shared / "checkpoints/craft_x4.pth"),
        "-o",
        str(tmp_path),
        "--reference",
        str(sets / "HR"),
        "--json",
        "--quiet",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["mean"]["psnr"] == pytest.approx(psnr, abs=0.02)
    assert report["done"] == len(list((sets / "HR").glob("*.png")))


def test_dncnn_through_the_python_api_on_noise_that_is_not_clipped(shared):
    model = load_model(str(shared / "checkpoints/dncnn_25.pth"), device="cpu")
    scores = []
    for path in sorted((shared / "data/test/Set12").glob("*.png")):
        clean = read_image(path).pixels
        noisy = clean + np.random.RandomState(0).normal(0, 25 / 255, clean.shape).astype(np.float32)
        restored = model(torch.from_numpy(noisy).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
        scores.append(PROTOCOLS["denoise"].score(restored, clean).psnr)
    assert np.mean(scores) == pytest.approx(30.43, abs=0.02)
