"""Small random networks that are spandrel's, as files the way their authors save them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn


def _of(module: str, name: str, **config: Any) -> Callable[[], nn.Module]:
    return lambda: getattr(import_module(f"spandrel.architectures.{module}"), name)(**config)


# One that enlarges, one with batch normalisation, one that must be told the noise level.
FOREIGN = {
    "Compact": _of(
        "Compact.__arch.SRVGG", "SRVGGNetCompact", num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2
    ),
    "DnCNN": _of("DnCNN", "DnCNN", in_nc=3, out_nc=3, nc=8, nb=4, act_mode="BR"),
    "DRUNet": _of("DRUNet", "DRUNet", in_nc=4, out_nc=3, nc=[4, 8, 12, 16], nb=2),
}


def foreign_file(folder: Path, kind: str) -> Path:
    torch.manual_seed(0)
    path = folder / f"{kind}.pth"
    torch.save({"params": FOREIGN[kind]().state_dict()}, path)
    return path
