"""A small evaluation with pictures, for the tests of reports."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.evaluation.results import Evaluation, Failure, PictureScore
from tests.pictures import values, write

HOSTILE = "<script>window.hacked = 1</script>\"'><img src=x onerror=hacked=1>&amp;"
DATA_URI = re.compile(r"data:image/\w+;base64,([A-Za-z0-9+/=]+)")
# By model and picture, in dB: the second model gains 1, 3 and -2 over the first.
PSNR = ((30.0, 28.0, 33.0), (31.0, 31.0, 31.0), (29.0, 30.0, 31.0))


def evaluation(folder: Path, models=("first", "second"), conditions=("",), pictures=("a", "b", "c"), **changes):
    """Every picture with files: reference 48x40, input of half the size, a result for each model and condition."""
    rows = []
    for number, picture in enumerate(pictures):
        clean = values(40, 48, seed=number)
        reference = write(folder / f"{number}_clean.png", clean)
        for place, condition in enumerate(conditions):
            degraded = write(folder / f"{number}_{place}_input.png", cv2.resize(clean, (24, 20)))
            for order, model in enumerate(models):
                result = np.clip(clean.astype(int) + 8 * (order + 1) + place, 0, 255).astype(np.uint8)
                restored = write(folder / f"{number}_{place}_{order}.png", result)
                scores = {"psnr": PSNR[order][number] - place, "ssim": 0.9 + 0.01 * order}
                rows.append(PictureScore(picture, model, condition, scores, 0.5, degraded, restored, reference))
    made = {
        "failures": (Failure("d", models[0], conditions[0], "d.png is cut short.", "Copy or download it again."),),
        "notes": ("Made for a test, seed 0.",),
        **changes,
    }
    return Evaluation("sr", PROTOCOLS["sr"], 2, tuple(models), tuple(conditions), tuple(rows), **made)


def embedded(page: str) -> list[np.ndarray]:
    """Every picture in a page, decoded, RGB."""
    return [np.asarray(Image.open(BytesIO(b64decode(each))).convert("RGB")) for each in DATA_URI.findall(page)]
