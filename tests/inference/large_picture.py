"""A program of its own: restores a large TIFF, and prints the peak of the memory that is this process's alone.

python large_picture.py SIDE FOLDER [LIMIT_BYTES] [--alpha] [--tta] [--wne] [--strength SHARE] [--tile PX]
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from pathlib import Path

import numpy as np
import tifffile
import torch
from torch import nn

from restore_cli.inference.engine import restore_image
from restore_cli.inference.restorer import Restorer
from restore_cli.io import canvas
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from restore_cli.models.build import Model
from restore_cli.models.registry import Network
from restore_cli.options import FinishOptions, RunOptions
from restore_cli.tasks import TASKS
from restore_cli.wrappers.pad import SizeRule


def anonymous_bytes() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


class Peak:
    """The largest value of `anonymous_bytes` while the block runs."""

    def __enter__(self) -> Peak:
        self.bytes = 0
        self._ends = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._watch.join()

    def _look(self) -> None:
        has_ended = False
        while not has_ended:
            has_ended = self._ends.wait(0.005)
            self.bytes = max(self.bytes, anonymous_bytes())


def make_picture(path: Path, side: int, channels: int) -> None:
    """16 bits a sample, a ramp with noise; never whole in memory."""
    tall = 64

    def strips():
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 4096, (tall, side, channels), np.uint16)
        across = np.linspace(0, 50_000, side).astype(np.uint16)[None, :, None]
        for top in range(0, side, tall):
            yield (noise + across)[: side - top]

    tifffile.imwrite(
        path,
        (strip.tobytes() for strip in strips()),
        shape=(side, side, channels),
        dtype=np.uint16,
        rowsperstrip=tall,
        photometric="rgb",
        extrasamples=["unassalpha"] if channels == 4 else None,
        bigtiff=side * side * channels * 2 > 2**32 - 2**26,
        metadata=None,
    )


def one_layer() -> Network:
    """A sharpening of 3x3 pixels."""
    layer = nn.Conv2d(3, 3, 3, padding=1, bias=False)
    kernel = torch.tensor([[0.0, -0.1, 0.0], [-0.1, 1.4, -0.1], [0.0, -0.1, 0.0]])
    layer.weight.data = torch.eye(3)[:, :, None, None] * kernel
    return Network(layer.eval(), "one layer", 1, 3, SizeRule(), radius_px=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("side", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("limit", type=int, nargs="?")
    parser.add_argument("--alpha", action="store_true")
    parser.add_argument("--tta", action="store_true")
    parser.add_argument("--wne", action="store_true")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--tile", type=int, default=1024)
    asked = parser.parse_args()
    source, target = asked.folder / "in.tif", asked.folder / "out.tif"
    if not source.exists():
        make_picture(source, asked.side, 4 if asked.alpha else 3)
    if asked.limit is not None:
        canvas.LIMIT_BYTES = asked.limit
        canvas.BAND_BYTES = asked.limit // 8
    options = RunOptions("cpu", tta=asked.tta, wne=asked.wne, tile_px=asked.tile)
    restorer = Restorer(Model("one-layer", one_layer()), options)
    restorer(torch.rand(1, 3, min(asked.tile, 256), min(asked.tile, 256)))  # what libraries take once
    before, started = anonymous_bytes(), time.perf_counter()
    stages = {}
    with Peak() as peak:
        image = read_image(source)
        stages["decode"] = peak.bytes
        restored = restore_image(image, restorer, TASKS["denoise"], finish=FinishOptions(strength=asked.strength))
        stages["restore"] = peak.bytes
        write_image(restored, target, overwrite=True)
    middle = (slice(asked.side // 2 - 64, asked.side // 2 + 64), slice(1000, 1128), slice(3))
    kept = {
        "before": image.pixels[middle].astype(np.float64).mean(),
        "after": restored.pixels[middle].astype(np.float64).mean(),
        "black_rows": int((restored.pixels[:: max(1, asked.side // 64)].max(axis=(1, 2)) <= 0).sum()),
    }
    print(  # noqa: T201 - what it is for
        json.dumps(
            {
                "megapixels": asked.side**2 / 1e6,
                "before_bytes": before,
                "peak_bytes": peak.bytes,
                "stages": stages,
                "seconds": round(time.perf_counter() - started, 1),
                "source_bytes": source.stat().st_size,
                "target_bytes": target.stat().st_size,
                **kept,
            }
        )
    )


if __name__ == "__main__":
    main()
