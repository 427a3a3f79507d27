"""EXIF and TIFF directories: enough to find, patch, take out and put back; never to interpret."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from mmap import mmap
from typing import Literal, TypeAlias

__all__ = ["Directory", "Entry", "parse", "serialise"]

# By TIFF type number: byte, text, short, long, rational; the same signed; floats; offsets; their 64-bit kinds.
_BYTES_PER_VALUE = dict(zip((*range(1, 14), 16, 17, 18), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 8, 8, 8), strict=True))
_INTEGER_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_SUB_DIRECTORIES = {0x8769, 0x8825, 0xA005}  # EXIF, GPS, interoperability
_MAX_ENTRIES = 4096  # real directories have a few dozen

Order: TypeAlias = Literal["<", ">"]
Buffer: TypeAlias = bytes | bytearray | memoryview | mmap


@dataclass(frozen=True)
class Entry:
    """One field of a directory.

    Args:
        kind: TIFF type number.
        count: how many values.
        data: the values' bytes, in the directory's byte order.
        at: where the 12-byte entry itself lies in the block.
    """

    kind: int
    count: int
    data: bytes
    at: int


@dataclass
class Directory:
    """One directory and those below it.

    Args:
        order: "<" or ">".
        entries: by tag.
        children: the EXIF, GPS and interoperability directories, by the tag that points to them.
        lost: tags of the fields whose values lie outside the block.
        next_at: where the link to the following directory (the thumbnail's) lies in the block.
    """

    order: Order
    entries: dict[int, Entry] = field(default_factory=dict)
    children: dict[int, Directory] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    next_at: int = 0

    def number(self, tag: int) -> int | None:
        """The first value of an integer field, or None where it is absent or not an integer."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _INTEGER_CODES or not entry.count:
            return None
        return int(struct.unpack_from(self.order + _INTEGER_CODES[entry.kind], entry.data)[0])


def parse(block: Buffer, offset: int | None = None) -> Directory | None:
    """A directory of an EXIF block or of a TIFF or BigTIFF file; None where there is no readable one.

    Fields that point outside the block are left out, so a damaged block gives what is sound in it.

    Args:
        block: from its byte-order mark on.
        offset: where the directory lies; None for the first.
    """
    orders: dict[bytes, Order] = {b"II": "<", b"MM": ">"}
    order = orders.get(bytes(block[:2]))
    if order is None:
        return None
    try:
        big = struct.unpack_from(order + "H", block, 2)[0] == 43
        if offset is None:
            offset = struct.unpack_from(order + ("Q" if big else "I"), block, 8 if big else 4)[0]
        return _directory(block, offset, order, big, depth=0)
    except struct.error:
        return None


def _directory(block: Buffer, offset: int, order: Order, big: bool, depth: int) -> Directory:
    count_code, entry_code, offset_code = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    count_size, entry_size, inline = (8, 20, 8) if big else (2, 12, 4)
    (count,) = struct.unpack_from(order + count_code, block, offset)
    found = Directory(order, next_at=offset + count_size + entry_size * count)
    for index in range(min(count, _MAX_ENTRIES)):
        at = offset + count_size + entry_size * index
        tag, kind, values = struct.unpack_from(order + entry_code, block, at)
        size = _BYTES_PER_VALUE.get(kind, 0) * values
        start = at + entry_size - inline
        if size > inline:
            (start,) = struct.unpack_from(order + offset_code, block, start)
        if start + size > len(block):
            found.lost.add(tag)
        if not size or tag in found.lost:
            continue
        found.entries[tag] = Entry(kind, values, bytes(block[start : start + size]), at)
        if tag in _SUB_DIRECTORIES and depth < 2 and (below := found.number(tag)):
            try:
                found.children[tag] = _directory(block, below, order, big, depth + 1)
            except struct.error:  # a pointer into nowhere: the field stays, the directory is not there
                continue
    return found


def serialise(directory: Directory, base: int = 8, *, big: bool = False) -> bytes:
    """The directory, its values and its children as TIFF (or BigTIFF) bytes meant to lie at offset `base`."""
    count_code, entry_code, offset_code, offset_kind = ("Q", "HHQ", "Q", 16) if big else ("H", "HHI", "I", 4)
    count_size, entry_size, inline = (8, 20, 8) if big else (2, 12, 4)
    fields = {tag: entry for tag, entry in directory.entries.items() if tag not in _SUB_DIRECTORIES}
    tags = sorted({*fields, *directory.children})
    table = struct.pack(directory.order + count_code, len(tags))
    tail = b""
    tail_base = base + count_size + entry_size * len(tags) + inline
    for tag in tags:
        here = tail_base + len(tail)
        if tag in directory.children:
            table += struct.pack(directory.order + entry_code + offset_code, tag, offset_kind, 1, here)
            tail += _even(serialise(directory.children[tag], here, big=big))
            continue
        entry = fields[tag]
        table += struct.pack(directory.order + entry_code, tag, entry.kind, entry.count)
        if len(entry.data) <= inline:
            table += entry.data.ljust(inline, b"\0")
        else:
            table += struct.pack(directory.order + offset_code, here)
            tail += _even(entry.data)
    return table + bytes(inline) + tail


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)
