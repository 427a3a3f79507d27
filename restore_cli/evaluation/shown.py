"""Pictures as people are shown them side by side: three channels, opaque, one size; and where to look closer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.errors import InputError
from restore_cli.evaluation.pixels import Pixels, to_8_bit
from restore_cli.io.read import read_image

__all__ = ["Box", "Panel", "choose_boxes", "enlarge", "one_size", "read_panel", "reduce", "short_names"]


class Box(NamedTuple):
    """A part of a picture, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, pixels: NDArray) -> NDArray:
        """That part of (H, W, ...), a view."""
        return pixels[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True, eq=False)
class Panel:
    """One of the pictures that are compared.

    Attributes:
        label: what it is called.
        pixels: (H, W, 3) float32 in [0, 1], encoded as in the file.
        icc_profile: of `pixels`; None reads as sRGB.
        remark: how it differs from the file, for people: 'enlarged x4'; may be empty.
    """

    label: str
    pixels: Pixels
    icc_profile: bytes | None = None
    remark: str = ""

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def eight_bit(self) -> NDArray[np.uint8]:
        """(H, W, 3), rounded as files are."""
        return to_8_bit(self.pixels)


def read_panel(path: Path, label: str) -> Panel:
    """The picture in a file; grey is repeated in three channels, transparent parts show white.

    Raises:
        InputError: whatever is wrong with the file, in one line.
    """
    image = read_image(path)
    pixels = np.clip(image.pixels, 0, 1)
    # Of a grey profile nothing is left to apply it to.
    profile = None if image.is_grey else image.icc_profile
    remark = ""
    if image.has_transparency and image.alpha is not None:
        pixels = pixels * image.alpha[..., None] + (1 - image.alpha[..., None])
        remark = "on white"
    return Panel(label, np.broadcast_to(pixels, (*pixels.shape[:2], 3)), profile, remark)


def short_names(paths: Sequence[Path]) -> list[str]:
    """The files' names, with as many of their folders as it takes to tell them apart."""
    names: list[str] = []
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = [str(Path(*path.parts[-length:])) for path in paths]
        if len(set(names)) == len(set(paths)):
            break
    return names


def enlarge(pixels: NDArray, factor: int) -> NDArray:
    """Every pixel of (H, W, ...) as a square of `factor` x `factor`: nothing is invented."""
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def reduce(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """(H, W, 3) to (ceil(H / factor), ceil(W / factor), 3), each pixel the mean of those it covers."""
    if factor == 1:
        return pixels
    size = (-(-pixels.shape[1] // factor), -(-pixels.shape[0] // factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def one_size(panels: Sequence[Panel]) -> list[Panel]:
    """All as large as the largest: one of which that is a whole multiple is enlarged, and says so.

    Raises:
        InputError: the sizes do not fit.
    """
    largest = max(panels, key=lambda panel: panel.height * panel.width)
    fitted = []
    for panel in panels:
        factor = largest.width // panel.width
        if (panel.width * factor, panel.height * factor) != (largest.width, largest.height):
            raise InputError(
                f"{panel.label} is {panel.width}x{panel.height}, {largest.label} {largest.width}x{largest.height}.",
                "Pictures to compare have one size, or the larger is a whole multiple of the smaller.",
            )
        if factor > 1:
            remark = "; ".join(filter(None, (panel.remark, f"enlarged ×{factor}, nearest")))
            panel = replace(panel, pixels=enlarge(panel.pixels, factor), remark=remark)
        fitted.append(panel)
    return fitted


def choose_boxes(pictures: Sequence[NDArray], width: int, height: int, count: int) -> list[Box]:
    """Where `pictures` differ most on detail: up to `count` places that do not overlap, the best first.

    A place counts by the mean difference between the pictures times the mean gradient of their average, so that
    neither noise in the sky nor an edge that all have alike wins; among equal pictures by detail alone.

    Args:
        pictures: (H, W, 3) each, of one size and in one unit.
        width, height: of a place; cut down to the pictures' own.
        count: of places wanted.
    """
    lumas = [picture.mean(axis=2, dtype=np.float32) for picture in pictures]
    rows, columns = lumas[0].shape
    width, height = min(width, columns), min(height, rows)
    spread = np.ptp(lumas, axis=0)
    average = np.asarray(np.mean(lumas, axis=0), np.float32)
    detail = cv2.magnitude(cv2.Sobel(average, cv2.CV_32F, 1, 0), cv2.Sobel(average, cv2.CV_32F, 0, 1))
    merit = _box_means(detail, width, height)
    if spread.any():
        merit = merit * _box_means(spread, width, height)
    boxes: list[Box] = []
    while len(boxes) < count and merit.max() >= 0:
        y, x = (int(each) for each in np.unravel_index(np.argmax(merit), merit.shape))
        boxes.append(Box(x, y, width, height))
        merit[max(y - height + 1, 0) : y + height, max(x - width + 1, 0) : x + width] = -1
    return boxes


def _box_means(values: NDArray, width: int, height: int) -> NDArray[np.float32]:
    """Means over every window of that size that lies inside, by its upper left corner."""
    means = cv2.boxFilter(values.astype(np.float32), cv2.CV_32F, (width, height), anchor=(0, 0))
    return np.asarray(means[: values.shape[0] - height + 1, : values.shape[1] - width + 1])
