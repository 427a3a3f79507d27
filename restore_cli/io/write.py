"""Writing a picture: the one place that clamps and rounds."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import OutputError
from restore_cli.io import metadata as meta
from restore_cli.io.atomic import replacing
from restore_cli.io.formats import WRITABLE_FORMATS, OutputFormat, check_output_limits, format_for
from restore_cli.io.image import Image
from restore_cli.io.opened import Metadata, PictureError
from restore_cli.io.quantise import dithered, quantise
from restore_cli.options import Encoding

__all__ = ["WRITABLE_FORMATS", "OutputFormat", "check_output_limits", "format_for", "write_image"]

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def write_image(
    image: Image,
    path: Path,
    *,
    format: str | None = None,
    overwrite: bool = False,
    encoding: Encoding | None = None,
) -> None:
    """Write a picture with everything it carries, whole or not at all; missing folders are created.

    Samples are clamped to [0, 1] and rounded, half up, to the depth asked for, or else the source's, or else the
    deepest the format holds; floats (TIFF) are neither clamped nor rounded. Colours that lose depth to 8 bits are
    dithered. WebP is lossless when the source was. JPEG has full chroma.

    What a format cannot hold: WebP turns grey to RGB (through its profile), has no resolution and drops an alpha
    that is opaque throughout; BMP keeps the resolution alone, PPM nothing. A grey profile is left out where the
    pixels have become RGB.

    Args:
        image: what to write.
        path: where to.
        format: a name or suffix ("png", "tiff", ...); None goes by the suffix of `path`.
        overwrite: whether a file of that name may be replaced.
        encoding: what is left out, quality and bit depth; None for the defaults.

    Raises:
        OutputError: the file exists, the format is unknown or cannot hold the picture (size, transparency),
            the samples are not numbers, the folder is not writable, the disk is full, ...
    """
    spec = format_for(path if format is None else format)
    shown = str(path) if str(path).isprintable() else repr(str(path))
    encoding = encoding or Encoding()
    check_output_limits(spec, image.height, image.width, image.has_transparency, encoding)
    with _explained(path, shown):
        if path.is_dir():
            raise OutputError(f"Cannot write {shown}: it is a folder.", "Add a file name.")
        if path.exists() and not path.is_file():  # the rename would put a file in the place of /dev/null
            raise OutputError(f"Cannot write {shown}: it is not an ordinary file.")
        if not overwrite and path.exists():
            raise FileExistsError(path)
        encoded = _encode(image, spec, encoding)
        with replacing(path, overwrite=overwrite) as stream:
            stream.write(encoded)


@contextlib.contextmanager
def _explained(path: Path, shown: str) -> Iterator[None]:
    """Whatever the system or an encoder says, as one `OutputError` with the file's name."""
    try:
        yield
    except PictureError as error:
        raise OutputError(f"Cannot write {shown}: it {error.found}.", "Use --format png.") from error
    except FileExistsError as error:
        if path.exists():
            raise OutputError(f"{shown} exists already.", "Give another name, or --overwrite.") from error
        raise OutputError(f"Cannot write {shown}: {_REASONS[errno.ENOTDIR]}.") from error
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        raise OutputError(f"Cannot write {shown}: {reason}.") from error
    except ValueError as error:
        if "\0" not in str(path):
            raise
        raise OutputError(f"Cannot write {shown}: its name has a null character.") from error


def _encode(image: Image, spec: OutputFormat, encoding: Encoding) -> bytes:
    has_alpha = image.alpha is not None and spec.alpha
    samples = _samples(
        image, spec.depth_for(encoding.bit_depth.bits if encoding.bit_depth else image.bit_depth), has_alpha
    )
    strip, quality = encoding.strip, encoding.quality
    metadata = Metadata(
        icc=_fitting_profile(image),
        exif=meta.sized_exif(image.exif, image.height, image.width) if image.exif and not strip else None,
        xmp=image.xmp if not strip else None,
        dpi=image.dpi,
    )
    if spec.name == "PNG":
        from restore_cli.io.png import encode_png

        return encode_png(samples, metadata)
    if spec.name == "TIFF":
        from restore_cli.io.tiff import encode_tiff

        return encode_tiff(samples, has_alpha, metadata)
    if spec.name == "PPM":
        from restore_cli.io.pnm import encode_pnm

        return encode_pnm(samples)
    from restore_cli.io import pillow

    if spec.name == "JPEG":
        return pillow.encode_jpeg(samples, metadata, quality)
    if spec.name == "BMP":
        return pillow.encode_bmp(samples, metadata)
    lossy = 95 if quality is None and not image.lossless else quality
    return pillow.encode_webp(samples, metadata, lossy)


def _samples(image: Image, bit_depth: int, has_alpha: bool) -> NDArray[Any]:
    """(H, W, C) as the file holds them, alpha last; it is never dithered, or a constant one would not stay so."""
    planes = [image.pixels] if image.alpha is None or not has_alpha else [image.pixels, image.alpha[..., None]]
    wrong = sum(int(plane.size - np.isfinite(plane).sum()) for plane in planes)
    if wrong:
        raise OutputError(f"The result holds {wrong} samples that are not numbers or infinite.")
    loses_depth = bit_depth == 8 < image.bit_depth
    rounded = [dithered(planes[0]) if loses_depth else quantise(planes[0], bit_depth)]
    rounded += [quantise(plane, bit_depth) for plane in planes[1:]]
    return np.concatenate(rounded, axis=2)


def _fitting_profile(image: Image) -> bytes | None:
    from restore_cli.io.colour import profile_space

    if not image.is_grey and profile_space(image.icc_profile) == "GRAY":
        return None
    return image.icc_profile
