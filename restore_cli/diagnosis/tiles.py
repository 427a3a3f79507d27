"""Parts of a picture to look at in its stead: what is true of a megapixel spread over it is true of it."""

from __future__ import annotations

from math import ceil

import numpy as np

from restore_cli.io.colour import to_srgb
from restore_cli.io.image import FloatArray, Image

__all__ = ["GRID_PX", "spread_tiles"]

WHOLE_PX = 1_400_000
TILE_PX = 256
TILES_A_SIDE = 5
GRID_PX = 8
"""Tiles begin at multiples of this, so that JPEG's grid falls in every tile where it falls in the picture."""
OPAQUE = 254.5 / 255


def spread_tiles(image: Image, *, as_encoded: bool = False) -> list[FloatArray]:
    """The whole picture if it is small, else up to 25 tiles spread evenly over it.

    Args:
        image: of any size, kind and depth.
        as_encoded: leave samples as the file has them, rather than as sRGB, which is what networks see.

    Returns:
        Each (h, w, C) float32 in 8-bit units (0 to 255, beyond in float files), C = 1 for grey and for colour
        that has none. Where nothing is opaque the colours are still looked at.
    """
    if image.height * image.width <= WHOLE_PX:
        spans = [(slice(0, image.height), slice(0, image.width))]
    else:
        spans = [(rows, columns) for rows in _spans(image.height) for columns in _spans(image.width)]
    if image.alpha is not None:
        # What cannot be seen may hold anything.
        spans = [span for span in spans if np.mean(image.alpha[span] > OPAQUE) > 0.5] or spans
    profile = None if as_encoded else image.icc_profile
    tiles = [to_srgb(image.pixels[span], profile) * np.float32(255) for span in spans]
    if all(_is_colourless(tile) for tile in tiles):
        tiles = [tile[:, :, :1] for tile in tiles]
    return [np.ascontiguousarray(tile) for tile in tiles]


def _spans(side: int) -> list[slice]:
    """Along one side: up to five tiles, all of it if it is no longer than that."""
    if side <= TILE_PX * TILES_A_SIDE:
        count = ceil(side / TILE_PX)
        starts = [TILE_PX * number for number in range(count)]
    else:
        room = side - TILE_PX
        starts = [room * number // (TILES_A_SIDE - 1) // GRID_PX * GRID_PX for number in range(TILES_A_SIDE)]
    return [slice(start, min(side, start + TILE_PX)) for start in starts]


def _is_colourless(tile: FloatArray) -> bool:
    # Not by ptp along the channels: numpy is slow along so short an axis.
    return all(np.abs(tile[:, :, 0] - tile[:, :, other]).max() < 0.5 for other in range(1, tile.shape[2]))
