"""What a camera raw says of its mosaic, and what is left to do once it is in colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from restore_cli.io.canvas import by_rows
from restore_cli.io.icc import SRGB_CURVE
from restore_cli.options import Cfa

__all__ = ["Sensor", "developed"]


@dataclass(frozen=True)
class Sensor:
    """A mosaic's colours.

    Args:
        cfa: the pattern of its top left 2x2 pixels.
        to_srgb: (3, 3), from the sensor's white-balanced red, green and blue light to that of sRGB; its rows add
            up to 1, so that white stays white.
    """

    cfa: Cfa
    to_srgb: tuple[tuple[float, float, float], ...]

    def turned(self, orientation: int, height: int, width: int) -> Sensor:
        """The same for the mosaic of that size (before) turned upright by EXIF's number."""
        corner = np.array(list(self.cfa.value)).reshape(2, 2)
        # Turned, another corner comes to the top left; which colour it has depends on the sides being odd or even.
        whole = np.tile(corner, (2, 2))[: 2 + height % 2, : 2 + width % 2]
        if orientation >= 5:
            whole = whole.T
        if orientation in (2, 3, 6, 7):
            whole = whole[:, ::-1]
        if orientation in (3, 4, 7, 8):
            whole = whole[::-1]
        return Sensor(Cfa("".join(whole[:2, :2].ravel())), self.to_srgb)


def developed(pixels: NDArray[np.float32], sensor: Sensor) -> NDArray[np.float32]:
    """The sensor's red, green and blue, (H, W, 3) float32 with sRGB's curve, as sRGB.

    Not clipped. White balance has been part of the mosaic already: networks expect grey to be grey.
    """
    matrix = np.asarray(sensor.to_srgb)

    def converted(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        light = SRGB_CURVE.light(rows.astype(np.float64)) @ matrix.T
        return SRGB_CURVE.samples(light).astype(np.float32)

    return by_rows(converted, pixels)
