"""Pictures inside a page, as data URIs, within a limit of bytes for the whole page."""

from __future__ import annotations

import base64
import io
import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from restore_cli.evaluation.shown import reduce

__all__ = ["PictureBudget", "lossless_uri"]

BUDGET_BYTES = 32_000_000  # of picture files; a third more once they are text
MAX_SIDE_PX = 8192  # what phones still draw
SMALLEST_SIDE_PX = 128
JPEG_QUALITIES = (95, 85)


def lossless_uri(pixels: NDArray[np.uint8], icc_profile: bytes | None = None) -> str:
    """(H, W, 3), sides up to 16383, as a lossless WebP."""
    return _uri("webp", _webp(pixels, icc_profile))


class PictureBudget:
    """Hands out a page's bytes to groups of pictures that are compared with each other.

    A group is lossless where its share of what is left allows; else all of it is JPEG, else all of it is
    reduced: pictures of unlike treatment could not be compared.

    Args:
        groups: how many there will be.
        total_bytes: for all of them.
    """

    def __init__(self, groups: int, total_bytes: int = BUDGET_BYTES) -> None:
        self._groups_left = groups
        self._bytes_left = total_bytes

    def embed(self, pictures: Sequence[NDArray[np.uint8]], profiles: Sequence[bytes | None]) -> tuple[list[str], str]:
        """The data URIs of the next group, and how it was reduced, for people; '' where it is exact.

        Args:
            pictures: (H, W, 3) each.
            profiles: their colour profiles.
        """
        share = self._bytes_left // max(self._groups_left, 1)
        longest = max(max(picture.shape[:2]) for picture in pictures)
        for factor in itertools.count(math.ceil(longest / MAX_SIDE_PX)):
            # A small picture among large ones, the input of an enlargement, is left as it is.
            factors = [factor if 2 * max(picture.shape[:2]) > longest else 1 for picture in pictures]
            reduced = [reduce(picture, each) for picture, each in zip(pictures, factors, strict=True)]
            for quality in (None, *JPEG_QUALITIES):
                files = [_encoded(each, icc, quality) for each, icc in zip(reduced, profiles, strict=True)]
                size = sum(len(file) for file in files)
                if size <= share or (quality == JPEG_QUALITIES[-1] and longest / (factor + 1) < SMALLEST_SIDE_PX):
                    self._groups_left -= 1
                    self._bytes_left -= size
                    kind = "webp" if quality is None else "jpeg"
                    return [_uri(kind, file) for file in files], _remark(factor, quality)
        raise AssertionError("unreachable")


def _remark(factor: int, quality: int | None) -> str:
    size = "" if factor == 1 else f"reduced to 1/{factor}"
    loss = "" if quality is None else f"compressed as JPEG of quality {quality}"
    how = " and ".join(filter(None, (size, loss)))
    return f"Shown {how}, to keep this page small." if how else ""


def _encoded(pixels: NDArray[np.uint8], icc_profile: bytes | None, quality: int | None) -> bytes:
    if quality is None:
        return _webp(pixels, icc_profile)
    content = io.BytesIO()
    # Full chroma: halving it would look like a fault of the restoration.
    PillowImage.fromarray(pixels).save(content, "JPEG", quality=quality, subsampling=0, icc_profile=icc_profile)
    return content.getvalue()


def _webp(pixels: NDArray[np.uint8], icc_profile: bytes | None) -> bytes:
    content = io.BytesIO()
    # The least effort is 40 times as quick as the usual, for files 5 % larger, and smaller than PNG.
    PillowImage.fromarray(pixels).save(content, "WEBP", lossless=True, method=0, quality=20, icc_profile=icc_profile)
    return content.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
