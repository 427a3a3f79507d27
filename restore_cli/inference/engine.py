"""Image -> Image: what the network never sees - alpha, grey and colour, strength, mask - is handled here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from restore_cli.degradations.mosaic import mosaic_to_sparse_rgb
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import InputError, OutputError, UsageError
from restore_cli.inference.restorer import Restorer
from restore_cli.io.formats import format_for
from restore_cli.io.image import FloatArray, Image
from restore_cli.io.paths import check_target, is_same_file
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from restore_cli.models.build import build_model
from restore_cli.options import Cfa, FinishOptions, Hints, RunOptions
from restore_cli.tasks import TASKS, Task

__all__ = ["check_mask_size", "restore", "restore_image"]

# Below this opacity a pixel's own colour cannot be recovered from the premultiplied one.
FAINT = 1 / 1024


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
        sigma_255, quality_factor: what the model must be told.
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
    built = build_model(model or grey_model or row.default_model(scale), offline=offline)
    row.check_scale(scale, built.network.scale, built.name)
    finish = FinishOptions(strength, None if mask is None else Path(mask))
    restored = restore_image(image, Restorer(built, options), row, hints, finish)
    if target is not None:
        write_image(restored, Path(target), overwrite=overwrite)
    return restored


def restore_image(
    image: Image,
    restorer: Restorer,
    task: Task,
    hints: Hints | None = None,
    finish: FinishOptions | None = None,
) -> Image:
    """`image` restored; metadata, alpha, depth and kind (grey or colour) stay as they were.

    Colour through a grey network goes channel by channel; grey through a colour network three times
    over, and the mean comes back. Where alpha varies, colour is restored premultiplied, so that
    what is hidden does not bleed over the edges of what is seen.

    Raises:
        InputError: the mask does not fit, or the picture is no mosaic.
        UsageError: part of a mosaic is to be kept; the network must be told something it was not.
        DeviceMemoryError: not even the smallest tile fits.
    """
    hints, finish = hints or Hints(), finish or FinishOptions()
    finish.check_task(task)
    restorer.check(hints)
    # Read before the work: a mask that does not fit should fail at once.
    mask = None if finish.mask is None else _read_mask(finish.mask, image, restorer.scale, finish.feather_px)
    size = (image.height * restorer.scale, image.width * restorer.scale)
    pixels = _sparse_mosaic(image, hints.cfa) if task.input == "mosaic" else image.pixels
    views = _with_second_view(image, hints.second_view)
    alpha = image.alpha
    if views is not None:
        restored = _run(views, restorer, hints)
    elif alpha is None or np.ptp(alpha) == 0:
        restored = _run(pixels, restorer, hints)
        alpha = None if alpha is None else np.full(size, alpha.flat[0], np.float32)
    else:
        restored, alpha = _run_with_alpha(pixels, alpha, restorer, hints)
    if finish.keeps_original:
        share = finish.strength * (np.float32(1) if mask is None else mask[:, :, None])
        restored = _mixed(_enlarged(pixels, size), restored, share)
        if image.alpha is not None and alpha is not None:
            original = np.clip(_enlarged(image.alpha, size), 0, 1)
            alpha = _mixed(original[:, :, None], alpha[:, :, None], share)[:, :, 0]
    return image.with_pixels(np.ascontiguousarray(restored, dtype=np.float32), alpha=alpha)


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
    restored = _run(pixels * alpha[:, :, None], restorer, hints)
    enlarged = _enlarged(pixels, restored.shape[:2])
    if restorer.scale > 1:
        alpha = np.clip(_run(alpha[:, :, None], restorer, hints)[:, :, 0], 0, 1)
    opacity = alpha[:, :, None]
    straight = np.where(opacity > FAINT, restored / np.maximum(opacity, FAINT), enlarged)
    # A small error becomes a large one where little is seen; within the range it stays unseen.
    return np.clip(straight, min(0, pixels.min()), max(1, pixels.max())), alpha


def _run(pixels: FloatArray, restorer: Restorer, hints: Hints) -> FloatArray:
    """(H, W, C) through a network that may have another number of channels."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32))
    channels = picture.shape[0]
    if channels == restorer.channels:
        batch = picture[None]
    elif restorer.channels == 1:
        batch = picture[:, None]
    else:
        batch = picture[None].expand(1, restorer.channels, -1, -1)
    result = restorer(batch, sigma_255=hints.sigma_255, quality_factor=hints.quality_factor)
    if channels == restorer.channels:
        result = result[0]
    elif restorer.channels == 1:
        result = result[:, 0]
    else:
        result = result[0].mean(dim=0, keepdim=True)
    restored: FloatArray = result.permute(1, 2, 0).numpy()
    return restored


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
    colours = [np.broadcast_to(view.pixels, (view.height, view.width, 3)) for view in (image, second)]
    return np.concatenate(colours, axis=2)


def _sparse_mosaic(image: Image, cfa: str) -> FloatArray:
    if not image.is_grey:
        raise InputError("the picture is in colour already; a mosaic has one channel.", "Pass the raw mosaic as grey.")
    return mosaic_to_sparse_rgb(image.pixels[:, :, 0], cfa)


def _mixed(original: FloatArray, restored: FloatArray, share: FloatArray | np.float32) -> FloatArray:
    return original + share * (restored - original)


def _enlarged(values: FloatArray, size: tuple[int, ...]) -> FloatArray:
    return values if values.shape[:2] == size else resize_bicubic(values, (size[0], size[1]))


def _read_mask(path: Path, image: Image, scale: int, feather_px: float) -> FloatArray:
    """(sH, sW) in [0, 1], its edge softened; read from a picture the size of the input."""
    mask = read_image(path)
    check_mask_size(path, (mask.height, mask.width), (image.height, image.width))
    values = np.clip(mask.pixels.mean(axis=2), 0, 1)
    if mask.alpha is not None:
        values = values * mask.alpha
    if feather_px > 0:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), feather_px / 2), np.float32)
    return np.clip(_enlarged(values, (image.height * scale, image.width * scale)), 0, 1)
