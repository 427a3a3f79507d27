"""Reading a picture: any supported file in, one upright `Image` out, or one sentence why not."""

from __future__ import annotations

import contextlib
import importlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import InputError, RestoreError
from restore_cli.io import canvas, metadata
from restore_cli.io.formats import READABLE_SUFFIXES, sniff
from restore_cli.io.image import FloatArray, Image
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_claim

__all__ = ["READABLE_SUFFIXES", "Header", "read_header", "read_image", "read_metadata", "read_size"]

_GET_IT_AGAIN = "Copy or download it again."


@dataclass(frozen=True)
class Header:
    """What a file says before its picture; what follows may yet be damaged.

    Attributes:
        format: as `sniff` names it; RAW for camera raws that look like a TIFF, too.
        height, width: of the picture, upright.
        frames: how many pictures the file holds.
        metadata: as stored.
    """

    format: str
    height: int
    width: int
    frames: int
    metadata: Metadata


def read_image(path: Path, frame: int = 0) -> Image:
    """The picture in a file, whatever its suffix says.

    The orientation of EXIF (or the TIFF tag, or XMP) is applied and reset. A palette becomes RGB, CMYK
    becomes sRGB through its profile, other colours stay as encoded.

    Args:
        path: of the file.
        frame: of a TIFF's pages that are no previews, of an animation's frames as they are shown, or of HEIF's
            pictures; `restore_cli.io.frames` counts them.

    Raises:
        InputError: whatever is wrong with the file, in one line.
    """
    with _stream_of(path) as (stream, name), _explained(path):
        opened = open_picture(stream, name, frame)
        if not 0 <= frame < opened.frames:
            raise PictureError(f"has no picture {frame}; it has {opened.frames}", "The first is number 0.")
        return _image(opened, opened.decode(), name)


def read_header(path: Path, frame: int = 0) -> Header:
    """Size, metadata and number of pictures.

    Args:
        path, frame: as for `read_image`.

    Raises:
        InputError: as `read_image`.
    """
    with _stream_of(path) as (stream, name), _explained(path):
        opened = open_picture(stream, name, frame)
        turned = _orientation(opened) >= 5
        height, width = (opened.width, opened.height) if turned else (opened.height, opened.width)
        return Header(name, height, width, opened.frames, opened.metadata)


def read_size(path: Path, frame: int = 0) -> tuple[int, int]:
    """(height, width) after orientation; as `read_header`."""
    header = read_header(path, frame)
    return header.height, header.width


def read_metadata(path: Path) -> Metadata:
    """What the file says about its picture, as stored; as `read_header`."""
    return read_header(path).metadata


# Imported on use: listing commands and `--help` need none of these.
_OPENERS = {
    "PNG": ("png", "open_png"),
    "TIFF": ("tiff", "open_tiff"),
    "PPM": ("pnm", "open_pnm"),
    "JPEG": ("pillow", "open_jpeg"),
    "WEBP": ("pillow", "open_webp"),
    "GIF": ("pillow", "open_gif"),
    "BMP": ("pillow", "open_bmp"),
    "AVIF": ("avif", "open_avif"),
    "HEIF": ("heif", "open_heif"),
    "JXL": ("jxl", "open_jxl"),
    "EXR": ("exr", "open_exr"),
    "HDR": ("hdr", "open_hdr"),
    "RAW": ("raw", "open_raw"),
}
_BY_ROWS = {"PNG", "TIFF", "PPM"}  # which count for themselves what they can hold
_OF_SEVERAL = {"PNG", "TIFF", "WEBP", "GIF", "AVIF", "HEIF"}


def open_picture(stream: BinaryIO, name: str, frame: int = 0) -> Opened:
    """The picture in a stream of the format that `sniff` named, its header read; `frame` as in `read_image`.

    Raises:
        PictureError: what is wrong with the file; the libraries raise anything else.
    """
    module, function = _OPENERS[name]
    opener = getattr(importlib.import_module(f"restore_cli.io.{module}"), function)
    opened: Opened = opener(stream, frame) if name in _OF_SEVERAL else opener(stream)
    if name not in _BY_ROWS:
        check_claim(opened.height, opened.width, os.fstat(stream.fileno()).st_size)
    return opened


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
    from restore_cli.io.raw import is_camera_raw

    with stream:
        try:
            head = stream.read(64)
            stream.seek(0)
        except OSError as error:
            raise InputError(f"{shown} cannot be read: {error.strerror}.") from error
        if not head:
            raise InputError(f"{shown} is empty.", _GET_IT_AGAIN)
        name = sniff(head)
        if name == "TIFF" and is_camera_raw(stream):
            name = "RAW"
        if name is None:
            raise InputError(
                f"{shown} is not a picture this program reads: it starts with {head[:8]!r}.",
                "Accepted: PNG, JPEG, TIFF, WebP, AVIF, HEIF, JPEG XL, OpenEXR, HDR, BMP, PPM, GIF, camera raws.",
            )
        yield stream, name


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever the decoders raise, as one `InputError` with the file's name."""
    try:
        yield
    except RestoreError:
        raise
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
    if text and isinstance(error, (OSError, SyntaxError)) and not any(word in text for word in ("driver", "buffer")):
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
    orientation = _orientation(opened)
    pixels, alpha = _scaled(
        samples if samples.is_upright else replace(samples, values=_upright(samples.values, orientation))
    )
    stored = opened.metadata
    dpi = stored.dpi or metadata.resolution_of(stored.exif)
    dpi = dpi[::-1] if dpi and orientation >= 5 else dpi
    return Image(
        pixels=pixels,
        alpha=alpha,
        bit_depth=samples.bit_depth,
        source_format=name,
        source_mode=samples.mode,
        icc_profile=(samples.icc or stored.icc) if samples.keeps_profile else None,
        exif=metadata.upright_exif(stored.exif, orientation != 1) if stored.exif else None,
        xmp=metadata.upright_xmp(stored.xmp) if stored.xmp else None,
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        lossless=samples.lossless,
        iptc=stored.iptc,
        text=stored.text,
        sensor=samples.sensor.turned(orientation, opened.height, opened.width) if samples.sensor else None,
    )


def _scaled(samples: Samples) -> tuple[FloatArray, FloatArray | None]:
    """Colours and alpha, black or transparent 0 and white or opaque 1."""
    height, width, channels = samples.values.shape
    colours = channels - samples.has_alpha
    pixels: FloatArray = canvas.empty((height, width, colours))
    alpha: FloatArray | None = canvas.empty((height, width)) if samples.has_alpha else None
    wrong = 0
    for block in canvas.blocks(height, width):
        values = samples.values[block]
        if values.dtype.kind == "f":
            wrong += int(values.size - np.isfinite(values).sum())
        if wrong:
            continue
        np.divide(values[..., :colours], samples.peak, out=pixels[block], dtype=np.float32)
        if alpha is not None:
            alpha[block] = np.clip(np.divide(values[..., colours], samples.peak, dtype=np.float32), 0, 1)
    if wrong:
        raise PictureError(f"holds {wrong} samples that are not numbers or infinite", "Replace them first.")
    return pixels, alpha


def _upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rows and columns put where EXIF's number says they belong (a view)."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values
