"""Small files that claim, or hold, far more than they should."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tests.io.helpers import XMP, png, png_chunk
from tests.io.test_bad_input import FILES
from tests.torture.batches import take_through
from tests.torture.counts import Counts

__all__ = ["bombs"]

GROWN_BYTES = 1_200_000_000
"""Claims of up to a hundred megapixels are believed, and some formats are decoded whole."""

BATCH = 90
"""Files at once: gigabytes are inflated, and a batch must come to its end in time."""

VAST = (0xFFFFFFFF, 0x7FFFFFFF, 0xFFFF, 40_000, 20_000)


def deflated(megabytes: int) -> bytes:
    """So many megabytes of nothing; a thousandth of them."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def made_bombs(megabytes: int) -> dict[str, bytes]:
    """By name; those that inflate come to so many megabytes."""
    nothing = deflated(megabytes)
    small = b"".join(b"\0" + bytes(3 * 16) for _ in range(16))
    whole = png(16, 16, 8, 2, small)
    many = b"".join(png_chunk(b"tEXt", b"Comment\0" + b"x" * 100) for _ in range(20_000))
    return {
        "pixels.png": _with_data(png(30_000, 30_000, 8, 2, b""), nothing),
        "more.png": _with_data(whole, nothing),
        "profile.png": png(16, 16, 8, 2, small, (b"iCCP", b"x\0\0" + nothing)),
        "text.png": png(16, 16, 8, 2, small, (b"zTXt", b"Comment\0\0" + nothing)),
        "xmp.png": png(16, 16, 8, 2, small, (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + nothing)),
        "chunks.png": many.join(_at_data(whole)),
        "frames.png": png(16, 16, 8, 2, small, (b"acTL", struct.pack(">II", 0xFFFFFFFF, 0))),
        "strip.tif": tiff(16, 16, nothing),
        "rows.tif": tiff(60_000, 16_000, deflated(1)),
        "loop.tif": tiff(16, 16, zlib.compress(bytes(768)), following=8),
        "counts.tif": tiff(16, 16, zlib.compress(bytes(768)), extra=((270, 2, 0xFFFFFFF0, 8), (700, 1, 0x7FFFFFFF, 8))),
        "markers.jpg": FILES["jpeg"][:-2] + b"\xff\xe1" * 4000 + b"\xff\xd9",
        "plain.pgm": b"P2 30000 30000 255 " + b"0 " * 1000,
        "lines.ppm": b"P6" + b"#" * 500_000 + b"\n2 2 255\n" + bytes(12),
        "entities.png": png(16, 16, 8, 2, small, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + laughs())),
    }


def _at_data(whole: bytes) -> tuple[bytes, bytes]:
    """A PNG in two: up to its pixels, and the rest."""
    at = whole.index(b"IDAT") - 4
    return whole[:at], whole[at:]


def _with_data(whole: bytes, packed: bytes) -> bytes:
    """A PNG with other pixels than it speaks of."""
    return _at_data(whole)[0] + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def claiming(full: bool) -> dict[str, bytes]:
    """By name, a file of each kind that claims to be vast; in full, in every layout and many sizes."""
    made = {}
    for kind, data in FILES.items():
        for number, claim in enumerate(claims(kind, data) if full else claims(kind, data)[-1:]):
            made[f"{kind}-{number}.png"] = claim
    return made


def claims(kind: str, data: bytes) -> list[bytes]:
    """`data`, of 40x48 pixels, with the two numbers replaced wherever they stand, in any layout, by vast ones."""
    found = []
    for layout in ("<I", ">I", "<H", ">H"):
        for vast in VAST:
            limit = 256 ** struct.calcsize(layout)
            if vast >= limit:
                continue
            changed = data
            for side in (40, 48, 39, 47):
                changed = changed.replace(struct.pack(layout, side), struct.pack(layout, vast))
            if changed != data:
                found.append(mended(changed) if changed.startswith(b"\x89PNG") else changed)
    if kind in ("ppm", "hdr"):
        found += [data.replace(b"40", str(vast).encode()).replace(b"48", str(vast).encode()) for vast in VAST]
    return found


def mended(data: bytes) -> bytes:
    """With the checksum of a PNG's header."""
    return data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]


def laughs() -> bytes:
    """XMP of entities that stand for each other, a billion in the end."""
    entities = b'<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10) for level in range(1, 10)
    )
    return b"<!DOCTYPE x [" + entities + b"]>" + (XMP % 1).replace(b"Zo\xc3\xab", b"&a9;")


def tiff(
    width: int, height: int, strip: bytes, *, following: int = 0, extra: tuple[tuple[int, int, int, int], ...] = ()
) -> bytes:
    """A picture of RGB in one deflated strip, with further fields, and the offset of the directory that follows."""
    fields = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 2),
        (273, 4, 1, 0), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(strip)), *extra,
    ]  # fmt: skip
    fields[5] = (273, 4, 1, 8 + 2 + 12 * len(fields) + 4)
    table = b"".join(struct.pack("<HHII", *each) for each in sorted(fields))
    return b"II*\0" + struct.pack("<IH", 8, len(fields)) + table + struct.pack("<I", following) + strip


def bombs(folder: Path, model: Path, full: bool) -> Counts:
    """All of them in a few batches, by their first picture; in full also by every one."""
    made = sorted({**made_bombs(1000 if full else 30), **claiming(full)}.items())
    counts = Counts()
    for start in range(0, len(made), BATCH):
        source = f"in{start}"
        (folder / source).mkdir()
        for name, data in made[start : start + BATCH]:
            (folder / source / name).write_bytes(data)
        for frames in ("first", "all") if full else ("first",):
            options = ("-n", model, "-o", f"{frames}{start}", "-f", "tif", "--frames", frames)
            counts.add(take_through(folder, [source], *options, grown_bytes=GROWN_BYTES)[0])
    return counts
