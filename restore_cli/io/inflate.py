"""Deflate undone a part at a time, so that neither what goes in nor what comes out is ever whole in memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from restore_cli.io.opened import PictureError

__all__ = ["Inflated"]


class Inflated:
    """What a zlib stream holds, to be read in order.

    Args:
        parts: the stream, cut anywhere.
    """

    def __init__(self, parts: Iterable[bytes | memoryview]) -> None:
        self._parts = iter(parts)
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            PictureError: they do not decompress, or there are not so many.
        """
        plain = bytearray()
        try:
            while len(plain) < size and not self._inflate.eof:
                given = self._inflate.unconsumed_tail or next(self._parts, b"")
                if not given:  # all has been taken in; what is still inside comes out
                    plain += self._inflate.flush()[: size - len(plain)]
                    break
                plain += self._inflate.decompress(given, size - len(plain))
        except zlib.error:
            raise PictureError("is damaged: its pixels do not decompress") from None
        if len(plain) < size:
            raise PictureError("is cut short")
        return bytes(plain)
