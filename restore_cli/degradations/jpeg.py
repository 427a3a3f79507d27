"""JPEG compression, as libjpeg does it through OpenCV: the encoder of the papers' LIVE1 and classic5 tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.settings import check_settings
from restore_cli.errors import InputError

__all__ = ["Jpeg", "compress"]

LONGEST_PX = 65500  # of libjpeg
MCU_PX = 16  # with chroma halved, blocks repeat every 16 pixels


@dataclass(frozen=True)
class Jpeg:
    """JPEG of a quality drawn uniformly from a range; colour with halved chroma, one channel as grey.

    Some pictures are compressed twice, as those are that were saved, cropped and saved again: the
    first time with a quality of its own and a grid that does not meet the second one's. Source: Jiang,
    Zhang and Timofte, "Towards Flexible Blind JPEG Artifacts Removal" (FBCNN), ICCV 2021.

    Args:
        quality: libjpeg's quality, 1 to 100, as (lowest, highest).
        twice: share of pictures that are compressed twice.
    """

    quality: tuple[int, int] = (10, 40)
    twice: float = 0.0
    # A patch is a picture of its own: its blocks begin at its corner, where a file's blocks begin.
    margin_px: ClassVar[int] = 0

    def __post_init__(self) -> None:
        check_settings(self, quality=(1, 100), twice=(0, 1))

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, 1 or 3) float32 in [0, 1] -> the same shape, float32, values of 8 bits.

        Raises:
            InputError: a side is longer than JPEG can say.
        """
        height, width = clean.shape[:2]
        if max(height, width) > LONGEST_PX - MCU_PX:
            raise InputError(f"{width}x{height} pixels are too many for JPEG.", f"{LONGEST_PX - MCU_PX} a side fit.")
        picture = np.floor(np.clip(clean, 0, 1) * 255 + 0.5).astype(np.uint8)
        if rng.random() < self.twice:
            above, left = (int(each) for each in rng.integers(0, MCU_PX, 2))
            larger = cv2.copyMakeBorder(picture, above, 0, left, 0, cv2.BORDER_REFLECT).reshape(
                height + above, width + left, -1
            )
            picture = compress(larger, self._draw(rng))[above:, left:]
        compressed: NDArray[np.float32] = compress(picture, self._draw(rng)).astype(np.float32) / np.float32(255)
        return compressed

    def _draw(self, rng: np.random.Generator) -> int:
        return int(rng.integers(self.quality[0], self.quality[1] + 1))


def compress(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """`picture` (H, W, 1) or (H, W, 3) RGB as it comes back from a JPEG of `quality` (1 to 100)."""
    is_grey = picture.shape[2] == 1
    bgr = picture if is_grey else picture[:, :, ::-1]
    _, encoded = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: NDArray[np.uint8] = np.asarray(
        cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR)
    )
    return decoded[:, :, None] if is_grey else decoded[:, :, ::-1]
