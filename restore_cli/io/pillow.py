"""JPEG, WebP, GIF and BMP: the formats Pillow holds without loss, eight bits a sample."""

from __future__ import annotations

import io
import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, GifImagePlugin, ImageFile, JpegImagePlugin, WebPImagePlugin
from PIL import Image as PillowImage

from restore_cli.io import colour
from restore_cli.io import exif as tiff_fields
from restore_cli.io.iptc import PHOTOSHOP, resource
from restore_cli.io.metadata import bare_exif
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_pixel_count

__all__ = [
    "encode_bmp",
    "encode_jpeg",
    "encode_webp",
    "open_bmp",
    "open_gif",
    "open_jpeg",
    "open_webp",
    "samples_of",
]

_X_RESOLUTION = 0x011A
_IPTC_RESOURCE = 0x0404
_COMMENT = "Comment"
_MARKER_BYTES = 65_533  # a JPEG segment's length is 16 bits and counts itself


def samples_of(picture: PillowImage.Image, icc: bytes | None = None, lossless: bool = True) -> Samples:
    """A decoded Pillow picture of any eight-bit mode as samples; a palette becomes RGB, CMYK becomes sRGB.

    Raises:
        PictureError: a mode that has no place here (CIELAB, 32-bit integers).
    """
    mode = picture.mode
    keeps_profile = True
    transparency = picture.info.get("transparency")
    if mode == "CMYK":
        values = colour.cmyk_to_srgb(np.asarray(picture), icc)
        keeps_profile = False
    elif mode in ("P", "PA"):
        has_alpha = mode == "PA" or transparency is not None
        values = np.asarray(picture.convert("RGBA" if has_alpha else "RGB"))
    elif mode == "1":
        values = np.asarray(picture.convert("L"))
    elif mode in ("L", "RGB") and transparency is not None:
        values = np.asarray(picture.convert("LA" if mode == "L" else "RGBA"))
    elif mode in ("RGBX", "YCbCr"):
        values = np.asarray(picture.convert("RGB"))
    elif mode in ("L", "LA", "RGB", "RGBA"):
        values = np.asarray(picture)
    else:
        raise PictureError(f"holds {mode} samples, which this program does not read", "Convert it to RGB first.")
    values = values if values.ndim == 3 else values[..., None]
    has_alpha = values.shape[2] in (2, 4)
    return Samples(values, has_alpha, 255, 8, mode, keeps_profile=keeps_profile, lossless=lossless)


def _opened(
    picture: ImageFile.ImageFile, dpi: tuple[float, float] | None, lossless: bool = True, frame: int = 0
) -> Opened:
    info = picture.info
    width, height = picture.size
    check_pixel_count(height, width)
    icc = info.get("icc_profile") or None
    comment = info.get("comment")
    iptc = (info.get("photoshop") or {}).get(_IPTC_RESOURCE)
    metadata = Metadata(
        icc,
        bare_exif(info.get("exif")),
        info.get("xmp") or None,
        dpi,
        iptc=iptc if isinstance(iptc, bytes) and iptc else None,
        text=((_COMMENT, _decoded(comment)),) if comment else (),
    )

    def decode() -> Samples:
        if frame:
            picture.seek(frame)
        picture.load()
        return samples_of(picture, icc, lossless)

    # A JPEG's other pictures are previews and depth maps.
    is_jpeg = isinstance(picture, JpegImagePlugin.JpegImageFile)
    return Opened(height, width, decode, metadata, 1 if is_jpeg else getattr(picture, "n_frames", 1))


def _decoded(comment: bytes | str) -> str:
    if isinstance(comment, str):
        return comment
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def open_jpeg(stream: BinaryIO) -> Opened:
    """The first picture of a JPEG file; what follows it (the rest of a stereo pair, say) is left."""
    # The plugin's class, not Image.open: that one consults and warns by a limit global to the process.
    picture = JpegImagePlugin.JpegImageFile(stream)
    exif = bare_exif(picture.info.get("exif"))
    directory = tiff_fields.parse(exif) if exif else None
    states_dpi = picture.info.get("jfif_unit") in (1, 2) or (directory and _X_RESOLUTION in directory.entries)
    return _opened(picture, picture.info.get("dpi") if states_dpi else None, lossless=False)


def open_webp(stream: BinaryIO, frame: int = 0) -> Opened:
    """A WebP picture, or a frame of an animation as it is shown."""
    lossless = _is_lossless_webp(stream)
    stream.seek(0)
    try:
        picture = WebPImagePlugin.WebPImageFile(stream)
    except PillowImage.DecompressionBombError:
        raise PictureError("is a WebP of more than 178 million pixels", "Convert it to PNG or TIFF first.") from None
    return _opened(picture, None, lossless, frame)


def _is_lossless_webp(stream: BinaryIO) -> bool:
    """Whether the first picture chunk is of the lossless kind."""
    stream.seek(12)
    while len(head := stream.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        if name in (b"VP8L", b"VP8 "):
            return name == b"VP8L"
        if name == b"ANMF":  # a frame: its own chunks follow 16 bytes of position and duration
            size = 16
        stream.seek(size + size % 2, io.SEEK_CUR)
    return False


def open_gif(stream: BinaryIO, frame: int = 0) -> Opened:
    """A frame of a GIF as it is shown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's own, lower limit on pixels; ours comes next
        return _opened(GifImagePlugin.GifImageFile(stream), None, frame=frame)


def open_bmp(stream: BinaryIO) -> Opened:
    """A Windows bitmap."""
    picture = BmpImagePlugin.BmpImageFile(stream)
    return _opened(picture, picture.info.get("dpi"))


def _picture(values: NDArray[Any]) -> PillowImage.Image:
    return PillowImage.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def encode_jpeg(values: NDArray[np.uint8], metadata: Metadata, quality: int | None) -> bytes:
    """A JPEG file's bytes, quality 95 unless said, chroma in full.

    Raises:
        PictureError: EXIF or XMP longer than a JPEG segment.
    """
    extra: dict[str, Any] = {}
    for key, name, block in (
        ("exif", b"Exif\0\0", metadata.exif),
        ("xmp", b"http://ns.adobe.com/xap/1.0/\0", metadata.xmp),
    ):
        if block and len(name) + len(block) > _MARKER_BYTES:
            raise PictureError(f"carries {len(block)} bytes of {key.upper()}, more than a JPEG holds")
        if block:
            extra[key] = name + block if key == "exif" else block
    if metadata.iptc:
        resources = PHOTOSHOP + resource(metadata.iptc)
        if len(resources) > _MARKER_BYTES:
            raise PictureError(f"carries {len(metadata.iptc)} bytes of IPTC, more than a JPEG holds")
        extra["extra"] = b"\xff\xed" + (len(resources) + 2).to_bytes(2, "big") + resources
    if comment := dict(metadata.text).get(_COMMENT):
        extra["comment"] = comment.encode()[:_MARKER_BYTES]
    if metadata.dpi and max(metadata.dpi) < 65_535.5:
        extra["dpi"] = metadata.dpi
    if metadata.icc:
        extra["icc_profile"] = metadata.icc
    buffer = io.BytesIO()
    _picture(values).save(buffer, "JPEG", quality=95 if quality is None else quality, subsampling=0, **extra)
    return buffer.getvalue()


def encode_webp(values: NDArray[np.uint8], metadata: Metadata, quality: int | None) -> bytes:
    """A WebP file's bytes from RGB or RGBA: lossless, or at the given quality; no resolution in this format."""
    buffer = io.BytesIO()
    picture = _picture(values)
    blocks = (("icc_profile", metadata.icc), ("exif", metadata.exif), ("xmp", metadata.xmp))
    extra = {key: block for key, block in blocks if block}
    # exact: colours under transparent pixels are pixels too.
    picture.save(
        buffer,
        "WEBP",
        lossless=quality is None,
        quality=80 if quality is None else quality,
        exact=True,
        **extra,
    )
    return buffer.getvalue()


def encode_bmp(values: NDArray[np.uint8], metadata: Metadata) -> bytes:
    """A bitmap file's bytes; of the metadata it holds the resolution alone."""
    buffer = io.BytesIO()
    _picture(values).save(buffer, "BMP", **({"dpi": metadata.dpi} if metadata.dpi else {}))
    return buffer.getvalue()
