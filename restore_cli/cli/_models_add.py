"""`restore models add`: any checkpoint becomes a model with a name, once it has restored a picture."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore_cli.cli._catalogue import in_bytes
from restore_cli.cli._output import Display
from restore_cli.errors import UsageError
from restore_cli.tasks import TASKS

if TYPE_CHECKING:
    from restore_cli.io.image import Image
    from restore_cli.models.build import Model

__all__ = ["EPILOG", "add"]

EPILOG = (
    "restore models add mine.pth --task denoise   |   "
    "restore models add hf:owner/repo/net.safetensors --id net-x4 --picture in.png"
)
# Neither is a multiple of what networks like, and a network of windows fits in.
TEST_SIZE = (72, 100)
TEST_SIGMA, TEST_QUALITY = 25.0, 50.0


def add(
    checkpoint: Annotated[str, typer.Argument(metavar="FILE|hf:...", help="A checkpoint, here or on the hub.")],
    name: Annotated[
        str | None, typer.Option("--id", metavar="NAME", help="Its name. Default: made of the file's.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="What it does. Default: sr, if it enlarges.")] = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Picture to try it on. Default: a small drawn one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Give a checkpoint a name: it is inspected, tried on a picture, and gets a card of its own."""
    display = Display(quiet=quiet, as_json=as_json)
    if task is not None and task not in TASKS:
        raise UsageError(f"Unknown task '{task}'.", f"One of {', '.join(TASKS)}.")

    from restore_cli.models.build import build_model, locate
    from restore_cli.models.download import fetch
    from restore_cli.models.own import describe, free_id, install, suggested_id

    card_id = free_id(name or suggested_id(checkpoint.partition("@")[0]))
    location = locate(checkpoint)
    if location.card is not None:
        raise UsageError(f"{checkpoint} is in the catalogue already.", f"See `restore models show {checkpoint}`.")
    model = build_model(checkpoint, progress=display.download, task=task)
    path = location.path or fetch(location.remote, offline=True)  # type: ignore[arg-type]  # it is one or the other
    network = model.network
    if task is None and network.scale == 1:
        known = ", ".join(each for each, row in TASKS.items() if not row.enlarges)
        raise UsageError(f"{checkpoint} keeps the size, so its task cannot be told.", f"Give --task: {known}.")
    row = TASKS[task or "sr"]
    row.check_scale(None, network.scale, checkpoint)
    table = describe(card_id, row.name, model, location, path)
    tried = _tried(model, row.name, picture)
    card = install(table, None if location.remote else path)
    facts = f"{network.arch}, x{network.scale}, {network.channels} channels, {in_bytes(card.file.bytes)}"
    display.data(f"{card.id}  {facts}")
    display.data(f"tried on {tried}")
    display.note(
        f"Its licence is not known: --commercial-ok refuses it until its card says otherwise. "
        f"Use it with `restore {row.name} IN -n {card.id}`."
    )
    display.document(
        {"model": card.id, "task": row.name, "network": network.arch, "scale": network.scale, "tried": tried}
    )


def _tried(model: Model, task: str, picture: Path | None) -> str:
    """What a picture became; raises RestoreError if the network cannot, or made no picture of it."""
    import numpy as np

    from restore_cli.inference.engine import restore_image
    from restore_cli.inference.restorer import Restorer
    from restore_cli.io.read import read_image
    from restore_cli.options import Hints, RunOptions

    row = TASKS[task]
    told = row.conditioning.name if row.conditioning else ""
    hints = Hints(
        sigma_255=TEST_SIGMA if told == "sigma_255" else None,
        quality_factor=TEST_QUALITY if told == "quality_factor" else None,
    )
    image = read_image(picture) if picture else _drawn(grey=row.input == "mosaic" or model.network.channels == 1)
    began = time.perf_counter()
    restored = restore_image(image, Restorer(model, RunOptions()), row, hints)
    seconds = time.perf_counter() - began
    change = float(np.abs(np.clip(restored.pixels, 0, 1) - _enlarged(image, restored)).mean())
    return (
        f"{picture or 'a drawn picture'}: {image.width}x{image.height} -> {restored.width}x{restored.height} "
        f"in {seconds:.1f} s, mean change {change * 255:.1f} of 255"
    )


def _drawn(*, grey: bool) -> Image:
    """Slopes, an edge and a fine pattern, noisy: something for any restorer to do."""
    import numpy as np

    from restore_cli.io.image import Image

    height, width = TEST_SIZE
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = (x / width, y / height, 0.5 + 0.3 * np.sin(x / 2) * np.cos(y / 3))
    pixels = np.stack(planes, axis=2)
    pixels[height // 3 : height // 2, width // 3 : width // 2] = (0.9, 0.1, 0.4)
    pixels += np.random.default_rng(0).normal(0, 0.05, pixels.shape).astype(np.float32)
    pixels = np.clip(pixels[:, :, :1] if grey else pixels, 0, 1).astype(np.float32)
    return Image(pixels, None, 8, "PNG", "L" if grey else "RGB")


def _enlarged(image: Image, restored: Image):  # type: ignore[no-untyped-def]  # noqa: ANN202 - an array like restored.pixels
    import cv2
    import numpy as np

    resized = cv2.resize(image.pixels, (restored.width, restored.height), interpolation=cv2.INTER_CUBIC)
    return np.broadcast_to(resized.reshape(restored.height, restored.width, -1), restored.pixels.shape)
