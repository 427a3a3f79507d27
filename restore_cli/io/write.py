"""Writing a picture: the one place that clamps and rounds."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import OutputError
from restore_cli.io import canvas
from restore_cli.io import metadata as meta
from restore_cli.io.atomic import replacing
from restore_cli.io.formats import WRITABLE_FORMATS, OutputFormat, check_output_limits, format_for
from restore_cli.io.icc import profile_space
from restore_cli.io.image import Image
from restore_cli.io.opened import Metadata, PictureError
from restore_cli.io.quantise import dithered, quantise
from restore_cli.options import Encoding

if TYPE_CHECKING:
    from restore_cli.io.fitting import Fitting

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

    What a format cannot hold is left out: the table "What is kept" of the README, which a test measures, says
    what that is. A grey profile is left out where the pixels have become RGB, too. OpenEXR and HDR take the light
    that samples stand for; light that goes to whole numbers gets sRGB's curve.

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
    profile = None if not image.is_grey and profile_space(image.icc_profile) == "GRAY" else image.icc_profile
    image = replace(image, icc_profile=profile)
    check_output_limits(spec, image.height, image.width, image.has_transparency, encoding, profile)
    with _explained(path, shown):
        if path.is_dir():
            raise OutputError(f"Cannot write {shown}: it is a folder.", "Add a file name.")
        if path.exists() and not path.is_file():  # the rename would put a file in the place of /dev/null
            raise OutputError(f"Cannot write {shown}: it is not an ordinary file.")
        if not overwrite and path.exists():
            raise FileExistsError(path)
        encoded = _encode(image, spec, encoding)
        with replacing(path, overwrite=overwrite) as stream:
            if isinstance(encoded, bytes):
                stream.write(encoded)
            else:
                encoded(stream)


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


def _encode(image: Image, spec: OutputFormat, encoding: Encoding) -> bytes | Callable[[BinaryIO], None]:
    """The file's bytes, or what writes them where the format lets that be done by rows."""
    from restore_cli.io.fitting import fitting

    has_alpha = image.alpha is not None and spec.alpha
    bit_depth = spec.depth_for(encoding.bit_depth.bits if encoding.bit_depth else image.bit_depth)
    held = fitting(image, spec, bit_depth)
    samples = _samples(image, held, bit_depth, has_alpha)
    strip, quality = encoding.strip, encoding.quality
    metadata = Metadata(
        icc=held.icc_profile,
        exif=meta.sized_exif(image.exif, image.height, image.width, image.dpi) if image.exif and not strip else None,
        xmp=image.xmp if not strip else None,
        dpi=image.dpi,
        iptc=image.iptc if not strip else None,
        text=image.text if not strip else (),
    )
    if spec.name == "PNG":
        from restore_cli.io.png import write_png

        return lambda stream: write_png(stream, samples, metadata)
    if spec.name == "TIFF":
        from restore_cli.io.tiff import write_tiff

        return lambda stream: write_tiff(stream, samples, has_alpha, metadata)
    if spec.name == "PPM":
        from restore_cli.io.pnm import write_pnm

        return lambda stream: write_pnm(stream, samples)
    if spec.name == "EXR":
        from restore_cli.io.exr import HALF_MODE, encode_exr

        half = image.source_mode.endswith(HALF_MODE) and encoding.bit_depth is None
        return encode_exr(samples, has_alpha, metadata, held.chromaticities, half)
    if spec.name == "HDR":
        from restore_cli.io.hdr import encode_hdr

        return encode_hdr(samples)
    if spec.name == "AVIF":
        from restore_cli.io.avif import encode_avif

        return encode_avif(samples, metadata, quality)
    lossy = 95 if quality is None and not image.lossless else quality
    if spec.name == "HEIF":
        from restore_cli.io.heif import encode_heif

        return encode_heif(samples, bit_depth, metadata, lossy)
    if spec.name == "JXL":
        from restore_cli.io.jxl import encode_jxl

        return encode_jxl(samples, metadata, lossy)
    from restore_cli.io import pillow

    if spec.name == "JPEG":
        return pillow.encode_jpeg(samples, metadata, quality)
    if spec.name == "BMP":
        return pillow.encode_bmp(samples, metadata)
    return pillow.encode_webp(samples, metadata, lossy)


def _samples(image: Image, held: Fitting, bit_depth: int, has_alpha: bool) -> NDArray[Any]:
    """(H, W, C) as the file holds them, alpha last; it is never dithered, or a constant one would not stay so."""
    alpha = image.alpha[..., None] if has_alpha and image.alpha is not None else None
    shape = (image.height, image.width, held.channels + (alpha is not None))
    samples = canvas.empty(shape, np.float32 if bit_depth == 32 else np.uint16 if bit_depth > 8 else np.uint8)
    loses_depth = bit_depth == 8 < image.bit_depth
    wrong = 0
    for rows in canvas.bands(image.height, 4 * shape[1] * shape[2]):
        parts = [held.convert(image.pixels[rows])] + ([] if alpha is None else [alpha[rows]])
        wrong += sum(int(part.size - np.isfinite(part).sum()) for part in parts)
        if not wrong:
            rounded = [dithered(parts[0], rows.start) if loses_depth else quantise(parts[0], bit_depth)]
            rounded += [quantise(part, bit_depth) for part in parts[1:]]
            samples[rows] = rounded[0] if len(rounded) == 1 else np.concatenate(rounded, axis=2)
    if wrong:
        raise OutputError(f"The result holds {wrong} samples that are not numbers or infinite.")
    return samples
