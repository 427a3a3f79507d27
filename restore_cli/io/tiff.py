"""TIFF: tifffile reads the tags and writes, `tiff_parts` puts the samples together.

Read: 1 to 16 bits and 32-bit integers, 16- to 64-bit floats; grey, RGB, palette, CMYK; strips, tiles, planes;
alpha straight or premultiplied; uncompressed, LZW, deflate, PackBits and, for 8-bit pictures, whatever else
libtiff has (JPEG, CCITT). Of several pages the first that is not marked as a preview is read. EXIF, GPS and the
descriptive tags (maker, artist, copyright, ...) come out as one EXIF block and go back where they were.

Refused: signed integers (they do not say what black and white are), CIELAB, camera raws, more than one extra
channel.
"""

from __future__ import annotations

import io
import logging
import mmap
import struct
import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import TiffImagePlugin

from restore_cli.io import canvas, colour, iptc
from restore_cli.io import exif as tiff_fields
from restore_cli.io.metadata import resolution_in
from restore_cli.io.opened import Metadata, Opened, PictureError, Samples, check_claim, check_pixel_count
from restore_cli.io.pillow import samples_of
from restore_cli.io.tiff_parts import COMPRESSIONS, assembled, quiet_stderr

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["metadata_of", "open_tiff", "write_tiff"]

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # or its complaints go to stderr

_ICC, _XMP, _DNG_VERSION = 34675, 700, 50706
# What tells of the picture rather than of the file's layout: description, make, model, page name, software,
# date, artist, host, rating, copyright, and Windows' title, comment, author, keywords and subject.
_DESCRIPTIVE = {270, 271, 272, 285, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)}
_IPTC, _PHOTOSHOP = 33723, 34377
_CLASSIC_BYTES = 2**32 - 2**26  # offsets have 32 bits, and what hardly compresses may grow
_LAST_OF_LAYOUT = 400  # the tags up to here say how to read the pixels
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _MASK, _CMYK = 0, 1, 2, 3, 4, 5
_COLOURS = {_WHITE_IS_ZERO: 1, _GREY: 1, _RGB: 3, _PALETTE: 1, _MASK: 1, _CMYK: 4}


def open_tiff(stream: BinaryIO, frame: int = 0) -> Opened:
    """A page of a TIFF or BigTIFF; previews do not count."""
    import tifffile

    data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    pages = tifffile.TiffFile(stream).pages
    found = _pictures(pages)
    page = found[min(frame, len(found) - 1)] if found else None
    if page is None or _DNG_VERSION in page.tags:
        raise PictureError("looks like a camera raw file", "Develop it to a 16-bit TIFF first.")
    frames = len(found)
    facts = (page.imagelength, page.imagewidth, page.samplesperpixel, page.photometric, page.compression)
    if not all(isinstance(fact, int) for fact in facts):  # a damaged tag may come out as a tuple or a float
        raise PictureError("is damaged: what it says about itself makes no sense")
    check_pixel_count(page.imagelength, page.imagewidth)
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=False):
        if not size or offset + size > len(data):
            raise PictureError("is cut short")
    directory = tiff_fields.parse(data, page.offset)
    # tifffile takes a default for what it cannot read: 1 bit a sample, for example.
    if directory is None or any(tag < _LAST_OF_LAYOUT and tag not in _DESCRIPTIVE for tag in directory.lost):
        raise PictureError("is cut short")

    def decode() -> Samples:
        icc = directory.entries[_ICC].data if _ICC in directory.entries else None
        if page.photometric in _COLOURS and page.compression in COMPRESSIONS:
            colours = _COLOURS[page.photometric]
            if not colours <= page.samplesperpixel <= colours + 1:
                raise PictureError(
                    f"has {page.samplesperpixel} channels where {colours} or {colours + 1} are expected",
                    "Save it without the extra channels.",
                )
            return _samples(page, assembled(page, data), icc)
        return _decoded_by_libtiff(page, stream, icc)

    return Opened(page.imagelength, page.imagewidth, decode, metadata_of(directory), frames)


def _pictures(pages: Iterable[Any]) -> list[TiffPage]:
    """The pages that are no previews; what is damaged behind the first of them does not count."""
    import tifffile

    found: list[TiffPage] = []
    seen: set[int] = set()
    try:
        for page in pages:
            if page.offset in seen:  # directories that follow each other in a circle
                break
            seen.add(page.offset)
            if isinstance(page, tifffile.TiffPage) and not page.is_reduced:
                found.append(page)
    except Exception:
        if not found:
            raise
    return found


def metadata_of(directory: tiff_fields.Directory) -> Metadata:
    """What the tags of a picture say about it."""
    entries = directory.entries
    described = tiff_fields.Directory(
        directory.order,
        {tag: entry for tag, entry in entries.items() if tag in _DESCRIPTIVE},
        directory.children,
    )
    exif = None
    if described.entries or described.children:
        head = (b"II*\0" if directory.order == "<" else b"MM\0*") + struct.pack(directory.order + "I", 8)
        exif = head + tiff_fields.serialise(described, 8)
    return Metadata(
        icc=entries[_ICC].data if _ICC in entries else None,
        exif=exif,
        xmp=entries[_XMP].data if _XMP in entries else None,
        dpi=resolution_in(directory),
        orientation=directory.number(274),
        iptc=_iptc(directory),
    )


def _iptc(directory: tiff_fields.Directory) -> bytes | None:
    entry = directory.entries.get(_IPTC)
    if entry is None:
        resources = directory.entries.get(_PHOTOSHOP)
        return None if resources is None else iptc.in_resources(resources.data)
    # Often stored as numbers of 32 bits, which fills it up, and by some programs turns the bytes of each around.
    block = entry.data
    if block[:1] != b"\x1c" and block[3:4] == b"\x1c" and len(block) % 4 == 0:
        block = np.frombuffer(block, "<u4").astype(">u4").tobytes()
    return block or None


def _samples(page: TiffPage, stored: NDArray[Any], icc: bytes | None) -> Samples:
    """Stored samples as grey or RGB with straight alpha."""
    photometric, bits = int(page.photometric), int(page.bitspersample)
    colours = _COLOURS[photometric]
    has_alpha = stored.shape[2] > colours
    is_float = stored.dtype.kind == "f"
    peak = 1.0 if is_float else float(2**bits - 1)
    depth = 32 if is_float or bits > 16 else 16 if bits > 8 else 8
    if is_float and photometric in (_PALETTE, _CMYK):
        kind = "a palette of" if photometric == _PALETTE else "CMYK"
        raise PictureError(f"holds {kind} floats", "Convert it to RGB first.")
    is_premultiplied = has_alpha and page.extrasamples and int(page.extrasamples[0]) == 1

    def converted(rows: NDArray[Any]) -> NDArray[Any]:
        values, alpha = rows[..., :colours], rows[..., colours:]
        if photometric == _WHITE_IS_ZERO:
            values = (1 if is_float else int(peak)) - values
        elif photometric == _PALETTE:
            values = _through_palette(page, values)
            alpha = (alpha * (255 / peak) + 0.5).astype(np.uint8)
        if is_premultiplied:
            values = _straight(values, alpha, 255.0 if photometric == _PALETTE else peak)
        if photometric == _CMYK:
            ink = values if depth == 8 else (values // 257).astype(np.uint8)
            values = colour.cmyk_to_srgb(np.ascontiguousarray(ink), icc)
            alpha = alpha if depth == 8 else (alpha // 257).astype(np.uint8)
        return np.concatenate([values, alpha], axis=2) if has_alpha else values

    is_plain = photometric in (_GREY, _RGB, _MASK) and not is_premultiplied
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[colours] if photometric != _PALETTE else "P"
    mode = ("1" if bits == 1 else mode) + ("A" if has_alpha else "") + ("" if bits <= 8 else f";{bits}{'f' * is_float}")
    is_reduced = photometric in (_PALETTE, _CMYK)
    return Samples(
        stored if is_plain else canvas.by_rows(converted, stored),
        has_alpha,
        255.0 if is_reduced else peak,
        8 if is_reduced else depth,
        {"L;16": "I;16", "L;32f": "F", "L;32": "I"}.get(mode, mode),
        keeps_profile=photometric != _CMYK,
    )


def _through_palette(page: TiffPage, index: NDArray[Any]) -> NDArray[np.uint8]:
    palette = np.asarray(page.colormap)
    if palette.ndim != 2 or palette.shape[0] != 3 or index.max() >= palette.shape[1]:
        raise PictureError("is damaged: its palette does not fit its pixels")
    # 16 bits by the book, but some programs write 8.
    colours = (palette if palette.max() < 256 else palette // 257 if not (palette % 257).any() else palette >> 8).T
    looked_up: NDArray[np.uint8] = colours.astype(np.uint8)[index[..., 0]]
    return looked_up


def _straight(values: NDArray[Any], alpha: NDArray[Any], peak: float) -> NDArray[Any]:
    """Colours that were stored multiplied by alpha, divided by it again, in the same type."""
    opacity = alpha.astype(np.float64) / peak
    divided: NDArray[Any] = np.divide(values, opacity, out=np.zeros(values.shape), where=opacity > 0)
    if values.dtype.kind != "f":
        divided = np.minimum(np.floor(divided + 0.5), peak)
    return divided.astype(values.dtype)


def _decoded_by_libtiff(page: TiffPage, stream: BinaryIO, icc: bytes | None) -> Samples:
    """Pictures of 8 bits or fewer in compressions that cannot be undone apart from their colours (JPEG)."""
    bits = page.bitspersample
    if not isinstance(bits, int) or bits > 8:  # Pillow would reduce deep colour to 8 bits without a word
        raise PictureError("uses a compression not read here for deep colour", "Save it as LZW or uncompressed.")
    check_claim(page.imagelength, page.imagewidth, stream.seek(0, io.SEEK_END))
    stream.seek(0)
    try:
        with warnings.catch_warnings(), quiet_stderr():
            warnings.simplefilter("ignore")
            picture = TiffImagePlugin.TiffImageFile(stream)
            picture.seek(page.index)
            picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(
            f"uses a compression or colour model not read here ({page.compression!s}, {page.photometric!s})",
            "Save it as LZW or uncompressed RGB.",
        ) from error
    return replace(samples_of(picture, icc), is_upright=True)  # Pillow has turned it


def write_tiff(stream: BinaryIO, values: NDArray[Any], has_alpha: bool, metadata: Metadata) -> None:
    """A TIFF, or BigTIFF from four gigabytes on: deflate, horizontal differences for whole numbers, alpha straight.

    Args:
        stream: empty, to write to and read from.
        values: (H, W, C) uint8, uint16 or float32: grey or RGB, with `has_alpha` one channel more.
        has_alpha: see above.
        metadata: all of it goes in; offsets inside EXIF's maker note may lose their meaning, for it moves.
    """
    import tifffile

    directory = tiff_fields.parse(metadata.exif) if metadata.exif else None
    order: tiff_fields.Order = directory.order if directory else "<"
    fields: list[tuple[int, int, int, Any, bool]] = []
    if metadata.xmp:
        fields.append((_XMP, 1, len(metadata.xmp), metadata.xmp, True))
    if metadata.iptc:
        fields.append((_IPTC, 7, len(metadata.iptc), metadata.iptc, True))
    for tag, entry in (directory.entries if directory else {}).items():
        if tag in _DESCRIPTIVE:
            fields.append((tag, entry.kind, entry.count, entry.data, True))
    tifffile.imwrite(
        stream,
        values if values.shape[2] > 1 else values[..., 0],
        byteorder=order,
        photometric="rgb" if values.shape[2] > 2 else "minisblack",
        planarconfig="contig" if values.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if has_alpha else None,
        compression="zlib",
        predictor=values.dtype.kind == "u",
        resolution=metadata.dpi,
        resolutionunit="INCH" if metadata.dpi else None,
        iccprofile=metadata.icc,
        software=False,
        metadata=None,
        extratags=fields,
        bigtiff=values.nbytes > _CLASSIC_BYTES,
    )
    if directory and directory.children:
        _add_children(stream, directory.children, order)


def _add_children(stream: BinaryIO, children: dict[int, tiff_fields.Directory], order: tiff_fields.Order) -> None:
    """Add EXIF and GPS directories, which tifffile does not write, to a file.

    They go to its end, and after them a new first directory: the old one with links to them.
    """
    stream.seek(0)
    big = struct.unpack(order + "2xH", stream.read(4))[0] == 43
    count_code, offset_code, offset_kind = ("Q", "Q", 16) if big else ("H", "I", 4)
    count_size, entry_size, offset_size = (8, 20, 8) if big else (2, 12, 4)
    first_at = 8 if big else 4  # where the header says where the first directory lies
    stream.seek(first_at)
    stream.seek(struct.unpack(order + offset_code, stream.read(offset_size))[0])
    (count,) = struct.unpack(order + count_code, stream.read(count_size))
    entries = [stream.read(entry_size) for _ in range(count)]
    end = stream.seek(0, io.SEEK_END)
    tail = b"\0" * (end % 2)  # directories start at even places
    for tag, child in children.items():
        here = end + len(tail)
        entries.append(struct.pack(order + "HH" + 2 * offset_code, tag, offset_kind, 1, here))
        tail += tiff_fields.serialise(child, here, big=big)
    entries.sort(key=lambda entry: struct.unpack_from(order + "H", entry))
    stream.write(tail + struct.pack(order + count_code, len(entries)) + b"".join(entries) + bytes(offset_size))
    stream.seek(first_at)
    stream.write(struct.pack(order + offset_code, end + len(tail)))
