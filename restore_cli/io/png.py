"""PNG: the container is read and written here, the pixels are (de)compressed by Pillow and OpenCV.

Reading the chunks ourselves is what lets 16-bit colour through (Pillow reduces it to 8), refuses truncated
files (OpenCV shows the missing part black) and keeps large profiles and packets (Pillow refuses over a
megabyte).

Ignored on purpose: gAMA, cHRM, sRGB, cICP, sBIT and bKGD. The program works on samples as encoded, and most
programs show a file the same with or without its gAMA. Of an animation the default picture is number 0; the
others come from Pillow as they are shown, in 8 bits.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import PngImagePlugin

from restore_cli.io.iptc import in_resources, resource
from restore_cli.io.metadata import bare_exif
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_pixel_count
from restore_cli.io.pillow import samples_of
from restore_cli.io.png_chunks import (
    CHANNELS,
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    SIGNATURE,
    Chunk,
    Header,
    check_pixels,
    container,
    read_chunks,
)
from restore_cli.io.png_rows import LEVEL, decode_rows, is_large, write_rows

__all__ = ["open_png", "write_png"]

_XMP_KEY = b"XML:com.adobe.xmp"
_IPTC_KEY = b"Raw profile type iptc"
_COMMENT_KEY = b"Comment"
_DEPTHS = {GREY: (1, 2, 4, 8, 16), PALETTE: (1, 2, 4, 8)}
_MAX_METADATA = 64 * 1024 * 1024  # inflated; the largest profiles and packets seen are a few megabytes


def open_png(stream: BinaryIO, frame: int = 0) -> Opened:
    """A PNG picture or a frame of one, with all checked but the compressed pixels, which `decode` checks."""
    stream.seek(len(SIGNATURE))
    chunks = list(read_chunks(stream, with_pixels=False))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise PictureError("has a damaged header")
    header = Header(*struct.unpack(">IIBBBBB", chunks[0][1]))
    check_pixel_count(header.height, header.width)
    if header.depth not in _DEPTHS.get(header.colour, (8, 16)) or header.colour not in CHANNELS:
        raise PictureError(f"claims {header.depth} bits of colour type {header.colour}, which PNG does not have")
    if header.compression or header.filtering or header.interlace > 1:
        raise PictureError("claims a compression, filter or interlacing that PNG does not have")
    names = [name for name, _ in chunks]
    if b"IDAT" not in names or names[-1] != b"IEND":
        raise PictureError("is cut short")
    if header.colour == PALETTE and b"PLTE" not in names:
        raise PictureError("has no palette for its colours")

    def decode() -> Samples:
        if frame:
            return _decode_frame(header, stream, frame)
        transparent = next((data for name, data in chunks if name == b"tRNS"), None)
        palette = [chunk for chunk in chunks if chunk[0] in (b"PLTE", b"tRNS")] if header.colour == PALETTE else []

        def decode_pixels(header: Header, pixels: list[Chunk]) -> Samples:
            if header.depth == 16:
                return _decode_deep(header, pixels, transparent)
            return _decode_shallow(header, (palette if header.colour == PALETTE else []) + pixels, transparent)

        stream.seek(len(SIGNATURE))
        pixels = (chunk for chunk in read_chunks(stream) if chunk[0] == b"IDAT")
        if is_large(header):
            return decode_rows(header, (data for _, data in pixels), decode_pixels)
        whole = list(pixels)
        check_pixels(header, [data for _, data in whole])
        return decode_pixels(header, whole)

    return Opened(header.height, header.width, decode, _metadata(chunks), _frames(chunks))


def _frames(chunks: list[Chunk]) -> int:
    """How many pictures there are: the default one counts even where the animation leaves it out."""
    names = [name for name, _ in chunks]
    control = next((data for name, data in chunks if name == b"acTL" and len(data) == 8), None)
    if control is None:
        return 1
    default_is_first = b"fcTL" in names[: names.index(b"IDAT")]
    stated = int.from_bytes(control[:4], "big")  # up to four thousand millions, whatever is there
    return max(1, min(stated, names.count(b"fcTL")) + (not default_is_first))


def _decode_frame(header: Header, stream: BinaryIO, frame: int) -> Samples:
    if header.depth == 16:  # which Pillow would reduce to 8 without a word
        raise PictureError("is an animation of 16 bits, of which only the first picture is read")
    stream.seek(0)
    picture = PngImagePlugin.PngImageFile(stream)
    picture.seek(frame)
    picture.load()
    return samples_of(picture)


def _decode_shallow(header: Header, chunks: list[Chunk], transparent: bytes | None) -> Samples:
    picture = PngImagePlugin.PngImageFile(io.BytesIO(container(header, chunks)))
    picture.load()
    samples = samples_of(picture)
    if transparent is None or header.colour not in (GREY, RGB):
        return samples
    # The transparent colour is stated in the file's own depth, the pixels have been widened to 8 bits.
    scale = 255 // (2 ** min(header.depth, 8) - 1)
    return _with_transparent_colour(samples, transparent, scale)


def _decode_deep(header: Header, pixels: list[Chunk], transparent: bytes | None) -> Samples:
    import cv2

    data = np.frombuffer(container(header, pixels), np.uint8)
    try:
        stored = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise PictureError(f"does not decode ({error.err})") from error
    if stored is None or stored.dtype != np.uint16:
        raise PictureError("is damaged: its pixels do not decode")
    values: NDArray[Any] = stored.reshape(header.height, header.width, -1)
    if values.shape[2] > 2:
        values = values[..., [2, 1, 0, 3][: values.shape[2]]]  # OpenCV has blue first
    if header.colour == GREY_ALPHA:  # which OpenCV spreads over three equal channels
        values = values[..., [0, 3]]
    mode = {GREY: "I;16", RGB: "RGB;16", GREY_ALPHA: "LA;16", RGB_ALPHA: "RGBA;16"}[header.colour]
    samples = Samples(values, header.colour in (GREY_ALPHA, RGB_ALPHA), 65535, 16, mode)
    return samples if transparent is None or samples.has_alpha else _with_transparent_colour(samples, transparent, 1)


def _with_transparent_colour(samples: Samples, transparent: bytes, scale: int) -> Samples:
    """Opaque samples with an alpha channel that is 0 where the pixel has the one transparent colour."""
    channels = samples.values.shape[2]
    if len(transparent) < 2 * channels:
        return samples
    colour = np.array(struct.unpack_from(f">{channels}H", transparent)) * scale
    opaque = (samples.values != colour).any(axis=2, keepdims=True)
    alpha = (opaque * samples.peak).astype(samples.values.dtype)
    return replace(samples, values=np.concatenate([samples.values, alpha], axis=2), has_alpha=True)


def _metadata(chunks: list[Chunk]) -> Metadata:
    icc = exif = xmp = dpi = iptc = None
    text: list[tuple[str, str]] = []
    for name, data in chunks:
        if name == b"iCCP":
            icc = _inflated(data.partition(b"\0")[2][1:])
        elif name == b"eXIf":
            exif = bare_exif(data)
        elif name == b"iTXt" and data.startswith(_XMP_KEY + b"\0"):
            xmp = _international_text(data[len(_XMP_KEY) + 1 :]) or None
        elif name in (b"tEXt", b"zTXt") and data.startswith((b"Raw profile type exif\0", b"Raw profile type APP1\0")):
            exif = exif or bare_exif(_raw_profile(name, data))
        elif name in (b"tEXt", b"zTXt") and data.startswith(_IPTC_KEY + b"\0"):
            iptc = iptc or in_resources(_raw_profile(name, data) or b"")
        elif name in (b"tEXt", b"zTXt", b"iTXt") and (pair := _text(name, data)):
            text.append(pair)
        elif name == b"pHYs" and len(data) == 9:
            across, down, unit = struct.unpack(">IIB", data)
            if unit == 1 and across and down:
                dpi = (_per_inch(across), _per_inch(down))
    return Metadata(icc, exif, xmp, dpi, iptc=iptc, text=tuple(text))


def _text(name: bytes, data: bytes) -> tuple[str, str] | None:
    """Keyword and content of a text chunk; None for those that hold other programs' blocks."""
    keyword, _, rest = data.partition(b"\0")
    if not keyword or keyword.startswith(b"Raw profile type "):
        return None
    if name == b"iTXt":
        content = _international_text(rest)
        return (keyword.decode("latin-1"), content.decode("utf-8", "replace")) if content is not None else None
    plain = _inflated(rest[1:]) if name == b"zTXt" else rest
    return (keyword.decode("latin-1"), plain.decode("latin-1")) if plain is not None else None


def _per_inch(per_metre: int) -> float:
    """Pixels an inch; the whole number that was meant, where there is one that is stored as this."""
    whole = round(per_metre * 0.0254)
    return whole if round(whole / 0.0254) == per_metre else per_metre * 0.0254


def _inflated(data: bytes) -> bytes | None:
    """Metadata out of its compression; None where it is damaged or absurdly large."""
    inflate = zlib.decompressobj()
    try:
        plain = inflate.decompress(data, _MAX_METADATA)
    except zlib.error:
        return None
    return plain if inflate.eof and plain else None


def _international_text(rest: bytes) -> bytes | None:
    """The content of an iTXt chunk, UTF-8, from what follows its keyword: two flags, language, translation."""
    is_compressed = rest[:1] == b"\1"
    text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if is_compressed else text


def _raw_profile(name: bytes, data: bytes) -> bytes | None:
    """A block as ImageMagick puts it into text: a name and a length on lines of their own, then hexadecimal."""
    text = data.partition(b"\0")[2]
    plain = _inflated(text[1:]) if name == b"zTXt" else text
    try:
        return bytes.fromhex("".join((plain or b"").decode("latin-1").split()[2:]))
    except ValueError:
        return None


def write_png(stream: BinaryIO, values: NDArray[np.uint8] | NDArray[np.uint16], metadata: Metadata) -> None:
    """A PNG file.

    Args:
        stream: to write to.
        values: (H, W, C) uint8 or uint16: grey, grey and alpha, RGB, RGBA.
        metadata: profile, EXIF, XMP and resolution go in, all of them.
    """
    height, width, channels = values.shape
    shape = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGB_ALPHA}[channels]
    header = Header(width, height, 8 * values.dtype.itemsize, shape, 0, 0, 0)
    if is_large(header):
        return write_rows(stream, header, _metadata_chunks(metadata), values)
    pixels = [chunk for chunk in read_chunks(io.BytesIO(_encoded(values)[len(SIGNATURE) :])) if chunk[0] == b"IDAT"]
    stream.write(container(header, _metadata_chunks(metadata) + pixels))


def _encoded(values: NDArray[Any]) -> bytes:
    """The pixels in a PNG of some kind whose rows have the same bytes."""
    if values.dtype == np.uint16 and values.shape[2] != 2:
        import cv2

        order = [2, 1, 0, 3][: values.shape[2]] if values.shape[2] > 1 else [0]
        encoded: bytes = cv2.imencode(".png", values[..., order], [cv2.IMWRITE_PNG_COMPRESSION, LEVEL])[1].tobytes()
        return encoded
    if values.dtype == np.uint16:
        # OpenCV has no grey with alpha. To filters and compression two samples of 16 bits are four of 8.
        values = np.ascontiguousarray(values.astype(">u2")).view(np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(values[..., 0] if values.shape[2] == 1 else values).save(buffer, "PNG", compress_level=LEVEL)
    return buffer.getvalue()


def _metadata_chunks(metadata: Metadata) -> list[Chunk]:
    chunks = []
    if metadata.icc:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc)))
    if metadata.dpi:
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        if max(across, down) < 2**31:
            chunks.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.xmp:
        chunks.append((b"iTXt", _XMP_KEY + b"\0\0\0\0\0" + metadata.xmp))
    if metadata.iptc:
        block = resource(metadata.iptc)
        chunks.append((b"zTXt", _IPTC_KEY + b"\0\0" + zlib.compress(b"\niptc\n%8d\n%s\n" % (len(block), _hex(block)))))
    for keyword, content in metadata.text:
        chunks.append(_text_chunk(keyword, content))
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    return chunks


def _hex(block: bytes) -> bytes:
    digits = block.hex().encode()
    return b"\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))


def _text_chunk(keyword: str, content: str) -> Chunk:
    """In Latin-1 where that suffices; a keyword has 1 to 79 characters."""
    key = keyword.encode("latin-1", "replace").replace(b"\0", b"")[:79] or _COMMENT_KEY
    content = content.replace("\0", "")
    try:
        return b"tEXt", key + b"\0" + content.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", key + b"\0\0\0\0\0" + content.encode("utf-8", "replace")
