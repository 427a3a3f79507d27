"""Image -> Image: what the network never sees - alpha, grey and colour, strength, mask - is handled here."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

import cv2
import numpy as np
import torch

from restore_cli.degradations.mosaic import mosaic_to_sparse_rgb
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import InputError, OutputError, UsageError
from restore_cli.inference.levels import Models
from restore_cli.inference.restorer import Restorer, naming
from restore_cli.io import canvas
from restore_cli.io.colour import from_srgb, is_of_tables, to_srgb
from restore_cli.io.formats import format_for
from restore_cli.io.image import FloatArray, Image
from restore_cli.io.paths import check_target, is_same_file
from restore_cli.io.read import read_image
from restore_cli.io.sensor import developed
from restore_cli.io.write import write_image
from restore_cli.options import Cfa, FinishOptions, Hints, RunOptions
from restore_cli.tasks import TASKS, Task

__all__ = ["check_mask_size", "check_raw", "restore", "restore_image"]

# Below this opacity a pixel's own colour cannot be recovered from the premultiplied one.
FAINT = 1 / 1024
BICUBIC_REACH_PX = 4


def restore(
    source: str | Path,
    target: str | Path | None = None,
    *,
    task: str,
    model: str | None = None,
    scale: int | None = None,
    sigma_255: float | None = None,
    quality_factor: float | None = None,
    cfa: str = "rggb",
    strength: float = 1.0,
    mask: str | Path | None = None,
    overwrite: bool = False,
    options: RunOptions | None = None,
    offline: bool = False,
) -> Image:
    """The picture in `source` restored, and written to `target` if one is named.

    Args:
        source: a picture file.
        target: a file of a writable format.
        task: 'sr', 'denoise', 'deblur', 'derain', 'jpeg', 'demosaic' or 'weather'.
        model: card id, checkpoint file or hub address; the task's default if left out.
        scale: for 'sr', the enlargement.
        sigma_255, quality_factor: what the model must be told; what it must and they do not say is estimated.
        cfa: for 'demosaic', the Bayer pattern: 'rggb', 'bggr', 'grbg' or 'gbrg'.
        strength, mask: how the result meets the input, see `FinishOptions`.
        overwrite: replace `target` if it exists.
        options: device, precision, tiles, ensemble, WNE.
        offline: never ask the network for the model.

    Raises:
        RestoreError: whatever went wrong, named.
    """
    if task not in TASKS:
        raise UsageError(f"Unknown task '{task}'.", f"One of {', '.join(TASKS)}.")
    if cfa not in {pattern.value for pattern in Cfa}:
        raise UsageError(f"Unknown Bayer pattern '{cfa}'.", f"One of {', '.join(pattern.value for pattern in Cfa)}.")
    hints = Hints(sigma_255, quality_factor, Cfa(cfa))
    row = TASKS[task]
    if target is not None and is_same_file(Path(source), Path(target)):
        raise OutputError(f"{target} is the input.", "Name another file.")
    if target is not None:
        format_for(Path(target))
        check_target(Path(target), overwrite=overwrite)
    image = read_image(Path(source))
    grey_model = row.grey_model if image.is_grey else None
    name = model or grey_model or row.default_model(scale)
    models = Models((name,), row, options, scale=scale, hints=hints, offline=offline)
    settled = models.settle(image, hints, Path(source))
    finish = FinishOptions(strength, None if mask is None else Path(mask))
    restored = restore_image(image, settled.restorer, row, settled.hints, finish, name=str(source))
    if target is not None:
        write_image(restored, Path(target), overwrite=overwrite)
    return restored


def restore_image(
    image: Image,
    restorer: Restorer,
    task: Task,
    hints: Hints | None = None,
    finish: FinishOptions | None = None,
    *,
    name: str = "",
) -> Image:
    """`image` restored; metadata, alpha, depth and kind (grey or colour) stay as they were.

    Colour through a grey network goes channel by channel; grey through a colour network three times
    over, and the mean comes back. Where alpha varies, colour is restored premultiplied, so that
    what is hidden does not bleed over the edges of what is seen. Where the picture is large, everything
    made of it is made by rows, and lies in mapped files (`io.canvas`).

    Args:
        image: of any size.
        restorer: the model.
        task: what `image` is to it.
        hints: what the user knows.
        finish: how the result meets the input.
        name: what the restorer's notes call the picture.

    Raises:
        InputError: the mask does not fit, or the picture is no mosaic.
        UsageError: part of a mosaic is to be kept; the network must be told something it was not.
        DeviceMemoryError: not even the smallest tile fits.
        RestoreError: there is no room for the mapped files.
    """
    hints, finish = hints or Hints(), finish or FinishOptions()
    finish.check_task(task)
    restorer.check(hints)
    with naming(name):
        return _restored(image, restorer, task, hints, finish)


def _restored(image: Image, restorer: Restorer, task: Task, hints: Hints, finish: FinishOptions) -> Image:
    # Read before the work: a mask that does not fit should fail at once.
    mask = None if finish.mask is None else _read_mask(finish.mask, image, restorer.scale, finish.feather_px)
    size = (image.height * restorer.scale, image.width * restorer.scale)
    if task.input == "mosaic":
        pixels = _sparse_mosaic(image, image.sensor.cfa if image.sensor else hints.cfa)
    else:
        if image.sensor:
            check_raw(task)
        pixels = to_srgb(image.pixels, image.icc_profile)
        if is_of_tables(image.icc_profile):
            restorer.note("Its colour profile is made of tables: it is kept, but the network takes it for sRGB.")
    views = _with_second_view(image, hints.second_view)
    alpha = image.alpha
    if views is not None:
        restored = _run(views, restorer, hints)
    elif alpha is None or np.ptp(alpha) == 0:
        restored = _run(pixels, restorer, hints)
        alpha = None if alpha is None else _constant(size, alpha.flat[0])
    else:
        restored, alpha = _run_with_alpha(pixels, alpha, restorer, hints)
    if image.sensor:
        restored = developed(restored, image.sensor)
    if task.input != "mosaic":
        restored = from_srgb(restored, image.icc_profile)
    if finish.keeps_original:
        shares = _constant((size[0], 1), 1) if mask is None else mask
        original = _enlarged(image.pixels, size)
        restored = canvas.by_rows(
            lambda old, new, share: _mixed(old, new, finish.strength * share[:, :, None]), original, restored, shares
        )
        if image.alpha is not None and alpha is not None:
            alpha = canvas.by_rows(
                lambda old, new, share: _mixed(np.clip(old, 0, 1), new, finish.strength * share),
                _enlarged(image.alpha, size),
                alpha,
                shares,
            )
    # As large as before on paper.
    dpi = None if image.dpi is None else (image.dpi[0] * restorer.scale, image.dpi[1] * restorer.scale)
    return replace(image.with_pixels(canvas.contiguous(restored), alpha=alpha), dpi=dpi, sensor=None)


def check_raw(task: Task) -> None:
    """Raises InputError unless `task` takes camera raws."""
    if task.input != "mosaic":
        raise InputError("the picture is a camera raw, a mosaic of one channel.", "Run restore demosaic on it first.")


def check_mask_size(mask: Path, size: tuple[int, int], picture: tuple[int, int]) -> None:
    """Raises InputError unless `mask`, of that (height, width), fits a picture of this one."""
    if size != picture:
        raise InputError(
            f"{mask}: the mask is {size[1]}x{size[0]}, the picture {picture[1]}x{picture[0]}.",
            "A mask has the size of the input; white is restored, black kept.",
        )


def _run_with_alpha(
    pixels: FloatArray, alpha: FloatArray, restorer: Restorer, hints: Hints
) -> tuple[FloatArray, FloatArray]:
    """Colour restored premultiplied, and divided by the alpha that the result will have."""
    premultiplied = canvas.by_rows(lambda colours, opacity: colours * opacity[:, :, None], pixels, alpha)
    restored = _run(premultiplied, restorer, hints)
    enlarged = _enlarged(pixels, restored.shape[:2])
    if restorer.scale > 1:
        alpha = canvas.by_rows(lambda values: np.clip(values[:, :, 0], 0, 1), _run(alpha[:, :, None], restorer, hints))
    low, high = min(0, pixels.min()), max(1, pixels.max())

    def straight(premultiplied: FloatArray, hidden: FloatArray, alpha: FloatArray) -> FloatArray:
        opacity = alpha[:, :, None]
        colours = np.where(opacity > FAINT, premultiplied / np.maximum(opacity, FAINT), hidden)
        # A small error becomes a large one where little is seen; within the range it stays unseen.
        return np.clip(colours, low, high)

    return canvas.by_rows(straight, restored, enlarged, alpha), alpha


def _run(pixels: FloatArray, restorer: Restorer, hints: Hints) -> FloatArray:
    """(H, W, C) through a network that may have another number of channels."""
    picture = torch.from_numpy(canvas.contiguous(pixels)).permute(2, 0, 1)
    channels = picture.shape[0]
    if channels == restorer.channels:
        batch = picture[None]
    elif restorer.channels == 1:
        batch = picture[:, None]
    else:
        batch = picture[None].expand(1, restorer.channels, -1, -1)
    result = restorer(batch, sigma_255=hints.sigma_255, quality_factor=hints.quality_factor)
    if channels == restorer.channels:
        return _as_pixels(result[0])
    if restorer.channels == 1:
        return _as_pixels(result[:, 0])
    return canvas.by_rows(lambda rows: rows.mean(axis=2, keepdims=True, dtype=np.float32), _as_pixels(result[0]))


def _as_pixels(planes: torch.Tensor) -> FloatArray:
    """(C, H, W) as (H, W, C), a view."""
    pixels: FloatArray = planes.permute(1, 2, 0).numpy()
    return pixels


def _with_second_view(image: Image, path: Path | None) -> FloatArray | None:
    """Both views stacked along the channels, (H, W, 6); None where there is one."""
    if path is None:
        return None
    second = read_image(path)
    if (second.height, second.width) != (image.height, image.width):
        raise InputError(
            f"{path}: the second view is {second.width}x{second.height}, the first {image.width}x{image.height}.",
            "Both views have one size.",
        )
    views = [to_srgb(view.pixels, view.icc_profile) for view in (image, second)]
    colours = [np.broadcast_to(view, (*view.shape[:2], 3)) for view in views]
    return canvas.by_rows(lambda *rows: np.concatenate(rows, axis=2), *colours)


def _sparse_mosaic(image: Image, cfa: str) -> FloatArray:
    if not image.is_grey:
        raise InputError("the picture is in colour already; a mosaic has one channel.", "Pass the raw mosaic as grey.")
    return canvas.by_rows(lambda rows: mosaic_to_sparse_rgb(rows, cfa), image.pixels[:, :, 0])


def _mixed(original: FloatArray, restored: FloatArray, share: FloatArray) -> FloatArray:
    return original + share * (restored - original)


def _constant(size: tuple[int, int], value: float) -> FloatArray:
    filled: FloatArray = canvas.empty(size)
    filled[:] = value
    return filled


def _enlarged(values: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """(H, W, ...) at `size`, which is a whole multiple of its own."""
    height, width = values.shape[:2]
    if (height, width) == size:
        return values
    scale = size[0] // height
    enlarged: FloatArray = canvas.empty((*size, *values.shape[2:]))
    for rows in canvas.bands(height, values.nbytes // height * scale**2):
        around = slice(max(0, rows.start - BICUBIC_REACH_PX), rows.stop + BICUBIC_REACH_PX)
        part = resize_bicubic(values[around], (scale * len(values[around]), size[1]))
        start = scale * (rows.start - around.start)
        enlarged[scale * rows.start : scale * rows.stop] = part[start : start + scale * (rows.stop - rows.start)]
    return enlarged


def _read_mask(path: Path, image: Image, scale: int, feather_px: float) -> FloatArray:
    """(sH, sW) in [0, 1], its edge softened; read from a picture the size of the input."""
    mask = read_image(path)
    check_mask_size(path, (mask.height, mask.width), (image.height, image.width))
    opacity = _constant((mask.height, 1), 1) if mask.alpha is None else mask.alpha
    values = canvas.by_rows(
        lambda colours, opacity: np.clip(colours.mean(axis=2), 0, 1) * opacity, mask.pixels, opacity
    )
    if feather_px > 0:
        values = _blurred(values, feather_px / 2)
    enlarged = _enlarged(values, (image.height * scale, image.width * scale))
    return canvas.by_rows(lambda rows: np.clip(rows, 0, 1), enlarged)


def _blurred(values: FloatArray, sigma_px: float) -> FloatArray:
    """(H, W) under a Gaussian; borders are mirrored."""
    height = len(values)
    reach = ceil(5 * sigma_px)  # OpenCV cuts the Gaussian off at four deviations
    blurred: FloatArray = canvas.empty(values.shape)
    for rows in canvas.bands(height, values.nbytes // height):
        around = slice(max(0, rows.start - reach), rows.stop + reach)
        part = cv2.GaussianBlur(values[around], (0, 0), sigma_px)
        blurred[rows] = part[rows.start - around.start :][: rows.stop - rows.start]
    return blurred
