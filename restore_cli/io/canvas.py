"""Arrays of any size: in memory as a rule, in a mapped temporary file where they would crowd it out.

What lies in a mapped file is the kernel's to keep in memory or to write to disk, so that a picture larger than
the memory slows the program down and does not end it. The files are unlinked (they vanish with the process,
however it ends) and their room on the disk is taken before they are used: a full disk is an error, not a crash.

Code that makes something new of a whole picture does so with `by_rows`, whose work arrays are a band high.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from math import isqrt, prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from restore_cli.errors import RestoreError

__all__ = [
    "BAND_BYTES",
    "LIMIT_BYTES",
    "bands",
    "blocks",
    "by_rows",
    "contiguous",
    "empty",
    "folder",
    "is_mapped",
    "zeros",
]

LIMIT_BYTES = 512 * 1024 * 1024
"""Arrays above this are mapped files: 45 megapixels of colour in float32 are not, and there may be several."""

BAND_BYTES = 16 * 1024 * 1024
"""About what a band of rows takes: little, and much against the cost of a call."""


def is_mapped(nbytes: int, limit: int | None = None) -> bool:
    """Whether an array of so many bytes becomes a mapped file."""
    return nbytes > (LIMIT_BYTES if limit is None else limit)


def empty(shape: Sequence[int], dtype: DTypeLike = np.float32, limit: int | None = None) -> NDArray[Any]:
    """A writable C-contiguous array of any content: an ordinary one, or beyond `limit` bytes a mapped file.

    Args:
        shape: of the array.
        dtype: of its items.
        limit: in bytes; None for `LIMIT_BYTES`.

    Raises:
        RestoreError: there is no room for the file in `folder()`.
        MemoryError: nor, of a smaller array, in memory.
    """
    nbytes = prod(shape) * np.dtype(dtype).itemsize
    return _mapped(shape, dtype, nbytes) if is_mapped(nbytes, limit) else np.empty(shape, dtype)


def zeros(shape: Sequence[int], dtype: DTypeLike = np.float32, limit: int | None = None) -> NDArray[Any]:
    """As `empty`, filled with zeros."""
    nbytes = prod(shape) * np.dtype(dtype).itemsize
    return _mapped(shape, dtype, nbytes) if is_mapped(nbytes, limit) else np.zeros(shape, dtype)


def folder() -> Path:
    """Where mapped files go: RESTORE_TMPDIR, TMPDIR, or the system's place for large temporary files."""
    for variable in ("RESTORE_TMPDIR", "TMPDIR"):
        if named := os.environ.get(variable):
            return Path(named)
    # /tmp lies in memory on many systems, where a mapped file would be no help at all.
    on_disk = Path("/var/tmp")
    return on_disk if os.access(on_disk, os.W_OK) else Path(tempfile.gettempdir())


def bands(rows: int, row_bytes: int) -> Iterator[slice]:
    """Slices that cover `rows` rows, each of about `BAND_BYTES` and an even number of rows."""
    step = max(2, BAND_BYTES // max(row_bytes, 1) // 2 * 2)
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def by_rows(function: Callable[..., NDArray[Any]], *arrays: NDArray[Any]) -> NDArray[Any]:
    """`function(*arrays)`, computed a band of rows at a time where `arrays` are large.

    Args:
        function: each row of its result depends on the same row of its arguments alone (or the same pair of
            rows, from an even one on); it keeps their number.
        *arrays: of one height.

    Returns:
        An ordinary or a mapped array, see `empty`; `function`'s own result where one band holds everything.
    """
    height = len(arrays[0])
    row_bytes = max((array.nbytes // max(height, 1) for array in arrays), default=0)
    collected: NDArray[Any] | None = None
    for rows in bands(height, row_bytes):
        part = function(*(array[rows] for array in arrays))
        if len(part) == height:
            return part
        if collected is None:
            collected = empty((height, *part.shape[1:]), part.dtype)
        collected[rows] = part
    if collected is None:
        return function(*arrays)
    return collected


def contiguous(values: NDArray[Any], dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """`values` as a writable C-contiguous array of `dtype`: themselves if they are one, else copied.

    Transposed and turned views are copied block by block: by rows each would touch every page of the file.
    """
    if values.dtype == dtype and values.flags.c_contiguous and values.flags.writeable:
        return values
    copied = empty(values.shape, dtype)
    for block in blocks(*values.shape[:2]):
        copied[block] = values[block]
    return copied


def blocks(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of square blocks that cover a picture, of about `BAND_BYTES` a channel in float32."""
    side = isqrt(BAND_BYTES // 4)
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))


def _mapped(shape: Sequence[int], dtype: DTypeLike, nbytes: int) -> NDArray[Any]:
    place = folder()
    try:
        with tempfile.TemporaryFile(dir=place, prefix="restore-") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, nbytes)
            elif shutil.disk_usage(place).free < nbytes:
                raise OSError("the disk is full")
            else:
                file.truncate(nbytes)
            pages = mmap.mmap(file.fileno(), nbytes)
    except OSError as error:
        raise RestoreError(
            f"The picture needs {nbytes / 1e9:.1f} GB of temporary disk space, which {place} does not have "
            f"({error.strerror or error}).",
            "Set RESTORE_TMPDIR to a folder on a larger disk.",
        ) from error
    return np.frombuffer(pages, dtype).reshape(shape)
