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
    strip: bool = False,
    quality: int | None = None,
) -> None:
    """Write a picture with everything it carries, whole or not at all; missing folders are created.

    Samples are clamped to [0, 1] and rounded, half up, to the source's bit depth or to the deepest the format
    holds; floats (TIFF) are neither clamped nor rounded. WebP is lossless when the source was. JPEG has full
    chroma.

    What a format cannot hold: WebP turns grey to RGB (through its profile), has no resolution and drops an alpha
    that is opaque throughout; BMP keeps the resolution alone, PPM nothing. A grey profile is left out where the
    pixels have become RGB.

    Args:
        image: what to write.
        path: where to.
        format: a name or suffix ("png", "tiff", ...); None goes by the suffix of `path`.
        overwrite: whether a file of that name may be replaced.
        strip: leave out EXIF and XMP (the profile and the resolution stay: they say how the picture looks).
        quality: 1 to 100 for JPEG and WebP, where it also means lossy; None is 95. Others have no use for it.

    Raises:
        OutputError: the file exists, the format is unknown or cannot hold the picture (size, transparency),
            the samples are not numbers, the folder is not writable, the disk is full, ...
    """
    spec = format_for(path if format is None else format)
    shown = str(path) if str(path).isprintable() else repr(str(path))
    check_output_limits(spec, image.height, image.width, image.has_transparency)
    if quality is not None and not 1 <= quality <= 100:
        raise OutputError(f"A quality of {quality} is out of range: 1 to 100.")
    with _explained(path, shown):
        if path.is_dir():
            raise OutputError(f"Cannot write {shown}: it is a folder.", "Add a file name.")
        if path.exists() and not path.is_file():  # the rename would put a file in the place of /dev/null
            raise OutputError(f"Cannot write {shown}: it is not an ordinary file.")
        if not overwrite and path.exists():
            raise FileExistsError(path)
        encoded = _encode(image, spec, strip, quality)
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


def _encode(image: Image, spec: OutputFormat, strip: bool, quality: int | None) -> bytes:
    planes = [image.pixels]
    has_alpha = image.alpha is not None and spec.alpha
    if image.alpha is not None and has_alpha:
        planes.append(image.alpha[..., None])
    values = np.concatenate(planes, axis=2) if has_alpha else image.pixels
    wrong = int(values.size - np.isfinite(values).sum())
    if wrong:
        raise OutputError(f"The result holds {wrong} samples that are not numbers or infinite.")
    rounded = quantise(values, spec.depth_for(image.bit_depth))
    metadata = Metadata(
        icc=_fitting_profile(image),
        exif=meta.sized_exif(image.exif, image.height, image.width) if image.exif and not strip else None,
        xmp=image.xmp if not strip else None,
        dpi=image.dpi,
    )
    if spec.name == "PNG":
        from restore_cli.io.png import encode_png

        return encode_png(rounded, metadata)
    if spec.name == "TIFF":
        from restore_cli.io.tiff import encode_tiff

        return encode_tiff(rounded, has_alpha, metadata)
    if spec.name == "PPM":
        from restore_cli.io.pnm import encode_pnm

        return encode_pnm(rounded)
    from restore_cli.io import pillow

    if spec.name == "JPEG":
        return pillow.encode_jpeg(rounded, metadata, quality)
    if spec.name == "BMP":
        return pillow.encode_bmp(rounded, metadata)
    lossy = 95 if quality is None and not image.lossless else quality
    return pillow.encode_webp(rounded, metadata, lossy)


def quantise(values: NDArray[np.float32], bit_depth: int) -> NDArray[Any]:
    """Samples as the file holds them: 8 or 16 bits clamped and rounded half up, 32-bit floats as they are."""
    if bit_depth == 32:
        return values.astype(np.float32, copy=False)
    peak = 2**bit_depth - 1
    levels = np.clip(values, 0, 1) * np.float32(peak)
    levels += np.float32(0.5)
    samples: NDArray[Any] = levels.astype(np.uint8 if bit_depth == 8 else np.uint16)
    return samples


def _fitting_profile(image: Image) -> bytes | None:
    from restore_cli.io.colour import profile_space

    if not image.is_grey and profile_space(image.icc_profile) == "GRAY":
        return None
    return image.icc_profile
