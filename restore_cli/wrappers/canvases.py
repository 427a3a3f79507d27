"""Whole pictures as tensors, where they may be too large for memory: new ones, and those turned by quarters.

A tensor is large when `io.canvas` would make a mapped file of it. What the wrappers make of a large one lies in
such files, in the same order of memory, and is computed piece by piece; small ones are computed as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from restore_cli.io import canvas

__all__ = ["add", "blank", "by_rows", "is_large", "rows_of", "turned"]

_NUMPY_TYPES = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}


def is_large(picture: Tensor) -> bool:
    """Whether copies of `picture` belong into mapped files."""
    in_memory = picture.device.type == "cpu" and picture.dtype in _NUMPY_TYPES
    return in_memory and canvas.is_mapped(picture.numel() * picture.element_size())


def blank(like: Tensor, height: int, width: int, *, batch: int, channels: int, dtype: torch.dtype) -> Tensor:
    """Zeros, (batch, channels, height, width), on the device and in the memory order of `like`."""
    shape = (batch, channels, height, width)
    if like.device.type != "cpu" or dtype not in _NUMPY_TYPES:
        return like.new_zeros(shape, dtype=dtype)
    # Pixel by pixel, as files have them, or plane by plane, as networks do.
    if like.permute(2, 3, 0, 1).is_contiguous():
        return torch.from_numpy(canvas.zeros((height, width, batch, channels), _NUMPY_TYPES[dtype])).permute(2, 3, 0, 1)
    return torch.from_numpy(canvas.zeros(shape, _NUMPY_TYPES[dtype]))


def rows_of(picture: Tensor) -> Iterable[slice]:
    """The rows of `picture` in one piece, or in bands where it is large."""
    if not is_large(picture):
        return [slice(0, picture.shape[-2])]
    return canvas.bands(picture.shape[-2], picture[..., 0, :].numel() * picture.element_size())


def by_rows(function: Callable[[Tensor], Tensor], picture: Tensor) -> Tensor:
    """`function(picture)` for one that treats every pixel alike and keeps shape and type."""
    if not is_large(picture):
        return function(picture)
    batch, channels, height, width = picture.shape
    result = blank(picture, height, width, batch=batch, channels=channels, dtype=picture.dtype)
    for rows in rows_of(picture):
        result[..., rows, :] = function(picture[..., rows, :])
    return result


def turned(picture: Tensor, quarter_turns: int, *, flip_first: bool = False, flip_last: bool = False) -> Tensor:
    """A copy turned from its rows towards its columns, its columns reversed before or after."""
    if not is_large(picture):
        picture = torch.rot90(picture.flip(-1) if flip_first else picture, quarter_turns, (-2, -1))
        return picture.flip(-1) if flip_last else picture
    # numpy turns without copying, so that the one copy can be made by blocks.
    values = picture.permute(2, 3, 0, 1).numpy()
    values = np.rot90(values[:, ::-1] if flip_first else values, quarter_turns)
    values = values[:, ::-1] if flip_last else values
    return torch.from_numpy(canvas.contiguous(values, values.dtype)).permute(2, 3, 0, 1)


def add(total: Tensor, term: Tensor) -> None:
    """`total += term`."""
    for rows in rows_of(total):
        total[..., rows, :].add_(term[..., rows, :])
