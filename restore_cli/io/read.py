"""Reading a picture: any supported file in, one upright `Image` out, or one sentence why not."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import InputError
from restore_cli.io import metadata
from restore_cli.io.formats import READABLE_SUFFIXES, sniff
from restore_cli.io.image import FloatArray, Image
from restore_cli.io.opened import Opened, PictureError, Samples

__all__ = ["READABLE_SUFFIXES", "read_image", "read_size"]

_GET_IT_AGAIN = "Copy or download it again."


def read_image(path: Path) -> Image:
    """The picture in a file, whatever its suffix says.

    The orientation of EXIF (or the TIFF tag, or XMP) is applied and reset. A palette becomes RGB, CMYK
    becomes sRGB through its profile, other colours stay as encoded. Of a TIFF the first page that is no preview
    is read, of anything animated the first picture.

    Raises:
        InputError: whatever is wrong with the file, in one line.
    """
    with _stream_of(path) as (stream, name), _explained(path):
        opened = _decoder(name)(stream)
        return _image(opened, opened.decode(), name)


def read_size(path: Path) -> tuple[int, int]:
    """(height, width) after orientation, from the header alone: what follows it may yet be damaged.

    Raises:
        InputError: as `read_image`.
    """
    with _stream_of(path) as (stream, name), _explained(path):
        opened = _decoder(name)(stream)
        turned = _orientation(opened) >= 5
        return (opened.width, opened.height) if turned else (opened.height, opened.width)


def _decoder(name: str) -> Callable[[BinaryIO], Opened]:
    # Imported on use: listing commands and `--help` need none of these.
    if name == "PNG":
        from restore_cli.io.png import open_png

        return open_png
    if name == "TIFF":
        from restore_cli.io.tiff import open_tiff

        return open_tiff
    if name == "PPM":
        from restore_cli.io.pnm import open_pnm

        return open_pnm
    from restore_cli.io import pillow

    return {
        "JPEG": pillow.open_jpeg,
        "WEBP": pillow.open_webp,
        "GIF": pillow.open_gif,
        "BMP": pillow.open_bmp,
    }[name]


@contextlib.contextmanager
def _stream_of(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """The file, at its beginning, and the format its first bytes speak of."""
    shown = shown_name(path)
    try:
        # Asked before opening: opening a pipe would wait for ever.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not an ordinary file"
            raise InputError(f"{shown} is {kind}, not a picture.", "Name a picture file.")
        stream = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"There is no file {shown}.", "Check the path.") from None
    except PermissionError:
        raise InputError(f"{shown} may not be read: permission denied.", "Check its permissions.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{shown} cannot be opened: {reason}.") from error
    with stream:
        try:
            head = stream.read(16)
            stream.seek(0)
        except OSError as error:
            raise InputError(f"{shown} cannot be read: {error.strerror}.") from error
        if not head:
            raise InputError(f"{shown} is empty.", _GET_IT_AGAIN)
        name = sniff(head)
        if name is None:
            raise InputError(
                f"{shown} is not a picture this program reads: it starts with {head[:8]!r}.",
                "Accepted: PNG, JPEG, TIFF, WebP, BMP, PPM, GIF.",
            )
        yield stream, name


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever the decoders raise, as one `InputError` with the file's name."""
    try:
        yield
    except PictureError as error:
        raise InputError(f"{shown_name(path)} {error.found}.", error.hint or _GET_IT_AGAIN) from error
    except MemoryError as error:
        raise InputError(f"{shown_name(path)} does not fit into memory.", "Cut the picture into parts.") from error
    except Exception as error:
        # Not only OSError: on hostile bytes the libraries raise anything from IndexError to struct.error.
        raise InputError(f"{shown_name(path)} {_in_words(error)}.", _GET_IT_AGAIN) from error


def _in_words(error: Exception) -> str:
    """What a library's exception comes down to, as the rest of a sentence."""
    text = " ".join(str(error).split())
    if "truncated" in text.lower():
        return "is cut short"
    # The text of these speaks of the file, that of others ("unpack requires ...") of the library's insides.
    if text and isinstance(error, (OSError, SyntaxError)) and "driver" not in text:
        return f"is damaged: {text}"
    return "is damaged: what it says about itself makes no sense"


def shown_name(path: Path) -> str:
    """A file's name fit for one line of a message: as it is, or quoted if it holds line breaks or worse."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def _orientation(opened: Opened) -> int:
    stated = opened.metadata.orientation
    if stated is not None and 1 <= stated <= 8:
        return stated
    return metadata.orientation_of(opened.metadata.exif, opened.metadata.xmp)


def _image(opened: Opened, samples: Samples, name: str) -> Image:
    values = samples.values
    if values.dtype.kind == "f" and (wrong := int(values.size - np.isfinite(values).sum())):
        raise PictureError(f"holds {wrong} samples that are not numbers or infinite", "Replace them first.")
    orientation = _orientation(opened)
    if not samples.is_upright:
        values = _upright(values, orientation)
    scaled: FloatArray = np.divide(values, samples.peak, dtype=np.float32)
    pixels = scaled[..., :-1] if samples.has_alpha else scaled
    stored = opened.metadata
    dpi = stored.dpi[::-1] if stored.dpi and orientation >= 5 else stored.dpi
    return Image(
        pixels=np.ascontiguousarray(pixels),
        alpha=np.ascontiguousarray(np.clip(scaled[..., -1], 0, 1)) if samples.has_alpha else None,
        bit_depth=samples.bit_depth,
        source_format=name,
        source_mode=samples.mode,
        icc_profile=stored.icc if samples.keeps_profile else None,
        exif=metadata.upright_exif(stored.exif, orientation != 1) if stored.exif else None,
        xmp=metadata.upright_xmp(stored.xmp) if stored.xmp else None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        lossless=samples.lossless,
    )


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rows and columns put where EXIF's number says they belong (a view)."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values
