"""Which picture formats there are: how to recognise one, and what each can hold when written."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from restore_cli.errors import OutputError
from restore_cli.io.extras import missing_package
from restore_cli.options import Encoding

__all__ = [
    "RAW_SUFFIXES",
    "READABLE_SUFFIXES",
    "WRITABLE_FORMATS",
    "WRITABLE_SUFFIXES",
    "OutputFormat",
    "check_output_limits",
    "format_for",
    "sniff",
]


@dataclass(frozen=True)
class OutputFormat:
    """What a file format can hold, as this program writes it.

    Args:
        name: as Pillow calls it.
        suffixes: the usual one first.
        bit_depths: ascending; 32 means float.
        alpha: whether it holds transparency.
        max_side: the most pixels along either side.
        max_pixels: the most in all.
        profile: whether it holds a colour profile.
    """

    name: str
    suffixes: tuple[str, ...]
    bit_depths: tuple[int, ...]
    alpha: bool
    max_side: int
    max_pixels: int = 2**62
    profile: bool = True

    @property
    def suffix(self) -> str:
        """The suffix of a new file, with its dot."""
        return self.suffixes[0]

    def depth_for(self, bit_depth: int) -> int:
        """The bit depth to write: the smallest that loses nothing, or else the deepest there is."""
        return next((depth for depth in self.bit_depths if depth >= bit_depth), self.bit_depths[-1])


# PNG allows 2**31 - 1, but libpng (in every viewer, and in our reader) stops at a million. libavif reads no more
# than 32768 a side, x265 encodes no more than 16384; the 12 bits of HEIF are as many as x265 has.
_FORMATS = (
    OutputFormat("PNG", (".png",), (8, 16), True, 1_000_000),
    OutputFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), (8,), False, 65_535),
    OutputFormat("TIFF", (".tif", ".tiff"), (8, 16, 32), True, 2**31 - 1),
    OutputFormat("WEBP", (".webp",), (8,), True, 16_383),
    OutputFormat("BMP", (".bmp", ".dib"), (8,), False, 2**31 - 1, profile=False),
    OutputFormat("PPM", (".ppm", ".pgm", ".pnm"), (8, 16), False, 2**31 - 1, profile=False),
    OutputFormat("AVIF", (".avif",), (8,), True, 32_768, max_pixels=2**28),
    OutputFormat("HEIF", (".heic", ".heif", ".hif"), (8, 12), True, 16_384),
    OutputFormat("JXL", (".jxl",), (8, 16, 32), True, 2**30 - 1, profile=False),
    OutputFormat("EXR", (".exr",), (32,), True, 2**31 - 1, profile=False),
    OutputFormat("HDR", (".hdr",), (32,), False, 1_000_000, profile=False),
)

_RAW_NAMES = "dng cr2 cr3 crw nef nrw arw sr2 srf raf rw2 orf pef srw 3fr erf iiq mrw rwl"

RAW_SUFFIXES: frozenset[str] = frozenset(f".{name}" for name in _RAW_NAMES.split())

WRITABLE_FORMATS: dict[str, OutputFormat] = {spec.name: spec for spec in _FORMATS}

WRITABLE_SUFFIXES: frozenset[str] = frozenset(suffix for spec in _FORMATS for suffix in spec.suffixes)

READABLE_SUFFIXES: frozenset[str] = WRITABLE_SUFFIXES | RAW_SUFFIXES | {".pbm", ".gif", ".apng", ".mpo", ".avifs"}

_BY_WORD = {word: spec for spec in _FORMATS for word in (spec.name.lower(), *(s[1:] for s in spec.suffixes))}


def format_for(path_or_format: str | PathLike[str]) -> OutputFormat:
    """The format a name stands for.

    Args:
        path_or_format: a format or suffix as a `str` ("png", "TIFF", ".jpg"), or a path, whose suffix counts.
            A string with a folder or a stem in it counts as a path.

    Raises:
        OutputError: no such format, or a path without a suffix; the message lists what is accepted.
    """
    text = str(path_or_format)
    is_word = isinstance(path_or_format, str) and "/" not in text and "." not in text[1:]
    word = (text if is_word else Path(text).suffix).removeprefix(".").lower()
    if word in _BY_WORD:
        return _BY_WORD[word]
    accepted = "Accepted: " + ", ".join(spec.suffix[1:] for spec in _FORMATS) + "."
    near = difflib.get_close_matches(word, _BY_WORD, n=1)
    hint = (f"Did you mean {near[0]}? " if near else "") + accepted
    if is_word:
        raise OutputError(f"Cannot write the format {word!r}.", hint)
    if not word:
        raise OutputError(f"{text!r} has no suffix to tell its format by.", f"Add one, or give --format. {accepted}")
    raise OutputError(f"Cannot write {text!r}: .{word} is not a format for results.", hint)


def check_output_limits(
    path_or_format: str | PathLike[str] | OutputFormat,
    height: int,
    width: int,
    has_alpha: bool = False,
    encoding: Encoding | None = None,
    icc: bytes | None = None,
) -> None:
    """Refuse, before any computing, a result its file format could not hold.

    Args:
        path_or_format: as for `format_for`, or its answer.
        height: rows of the result.
        width: columns of the result.
        has_alpha: whether the result has transparent pixels.
        encoding: how it is to be written.
        icc: the colour profile of the result.

    Raises:
        OutputError: a package for the format is not installed; too many pixels, transparency or a profile of
            tables where there is no place for it, or a bit depth asked for that the format does not have.
    """
    spec = path_or_format if isinstance(path_or_format, OutputFormat) else format_for(path_or_format)
    if command := missing_package(spec.name):
        raise OutputError(
            f"{spec.name} needs a package that is not installed.", f"Install it: {command}. Or choose --format png."
        )
    if height * width > spec.max_pixels:
        raise OutputError(
            f"{spec.name} holds at most {spec.max_pixels:,} pixels; the result has {width}x{height}.",
            "Choose --format tiff.",
        )
    if max(height, width) > spec.max_side:
        raise OutputError(
            f"{spec.name} holds at most {spec.max_side} pixels a side; the result has {width}x{height}.",
            f"Choose --format {'png' if max(height, width) <= WRITABLE_FORMATS['PNG'].max_side else 'tiff'}.",
        )
    if has_alpha and not spec.alpha:
        raise OutputError(f"The picture is partly transparent, which {spec.name} cannot hold.", "Choose --format png.")
    if icc and not spec.profile:
        from restore_cli.io.icc import parse

        if parse(icc) is None:  # others are converted
            raise OutputError(
                f"The picture has a colour profile of tables, for which {spec.name} has no place.",
                "Choose --format tiff, or convert it to sRGB first.",
            )
    asked = encoding.bit_depth.bits if encoding and encoding.bit_depth else 8
    if asked > spec.bit_depths[-1]:
        raise OutputError(
            f"{spec.name} holds at most {spec.bit_depths[-1]} bits a sample, not {asked}.",
            f"Choose --format {'png' if asked == 16 else 'tiff'}, or a smaller --bit-depth.",
        )


def sniff(head: bytes) -> str | None:
    """The format whose file starts with these bytes (64 are enough), or None; a camera raw may look like a TIFF."""
    if head[4:8] == b"ftyp":
        return _sniff_boxed(head)
    # "BM" alone also starts plain text: the reserved words that follow the length are zero in pictures.
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "BMP"
    if head[:1] == b"P" and head[1:2] in b"123456" and (head[2:3].isspace() or head[2:3] == b"#"):
        return "PPM"
    if head[:4] == b"RIFF":
        return "WEBP" if head[8:12] == b"WEBP" else None
    if head[:4] == b"II*\0" and head[8:10] == b"CR":
        return "RAW"
    return next((name for name, starts in _STARTS.items() if head.startswith(starts)), None)


_STARTS = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "GIF": (b"GIF87a", b"GIF89a"),
    "JXL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "EXR": (b"v/1\x01",),
    "HDR": (b"#?RADIANCE\n", b"#?RGBE\n"),
    # Fujifilm, Olympus (twice), Panasonic, Minolta; Canon's is above, the others' are TIFF.
    "RAW": (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"\0MRM"),
}


def _sniff_boxed(head: bytes) -> str | None:
    """The formats that begin with a box of brands: the major one, a version, the compatible ones."""
    length = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return "HEIF"
    return "RAW" if head[8:12] == b"crx " else None
