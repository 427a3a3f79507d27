"""Averaged crops: a network run on overlapping crops of its training size, each pixel the mean of those on it.

Source: HINet's official inference for GoPro, REDS and Rain13k (Chen et al., CVPRW 2021), with crops of
256 pixels, because instance statistics are those of training only on such crops. A side of L pixels
takes ceil(L / 256) crops at a step of ceil((L - 256) / (crops - 1)), the last flush with the border.
Random crops on top of these, for its contest entry, make a further ensemble; the authors also turn
each of them, which here is `wrappers.ensemble`'s work.

This is no tiling: the crops are part of what is computed, and a smaller one gives another result.
So they neither shrink when memory runs out, nor fade at their edges. Seams can show where crops
meet without an overlap (a side that is a multiple of the crop's), which random crops soften.

Differs from the authors' code where a picture is smaller than a crop in either direction: it is run
whole in that direction, where theirs read before the picture's first pixel and gave NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from restore_cli.errors import DeviceMemoryError
from restore_cli.wrappers.canvases import blank
from restore_cli.wrappers.tile import Shape, Span, forget, is_out_of_memory

__all__ = ["AveragedCrops", "plan_crops"]


def plan_crops(length: int, crop_px: int) -> list[Span]:
    """Spans of `crop_px` that cover `[0, length)`, evenly spread; the whole if it is no longer than one."""
    if length <= crop_px:
        return [(0, length)]
    steps = -(-length // crop_px) - 1
    step = -(-(length - crop_px) // steps)
    starts = dict.fromkeys(min(index * step, length - crop_px) for index in range(steps + 1))
    return [(start, start + crop_px) for start in starts]


class AveragedCrops(nn.Module):
    """`inner` for pictures of any size, a crop at a time, averaged where crops overlap.

    Picture and result stay where the picture is (host memory, as a rule); `inner` moves one crop to
    its device and back. Two calls with the same picture use the same random crops.

    Args:
        inner: network from `(N, C, H, W)` to `(N, C', sH, sW)` for any H and W up to `crop_px`.
        crop_px: side of a crop in input pixels, that of the training patches.
        scale: s.
        random_crops: how many crops at random places are averaged in, beside those that cover the picture.
        generator: on the CPU; the random crops of every call are the next it would give at this
            moment. Needed if there are any.
        on_crop: told (crops done, crops in all) after each crop, and (0, all) before the first.
        shortage: as for `wrappers.tile.Tiled`.
    """

    def __init__(
        self,
        inner: nn.Module,
        crop_px: int,
        scale: int,
        *,
        random_crops: int = 0,
        generator: torch.Generator | None = None,
        on_crop: Callable[[int, int], None] | None = None,
        shortage: Callable[[Shape], str] | None = None,
    ) -> None:
        super().__init__()
        if random_crops and generator is None:
            raise ValueError("random crops need a generator")
        self.inner = inner
        self.crop_px = crop_px
        self.scale = scale
        self.random_crops = random_crops
        self._generator_state = generator.get_state() if generator else None
        self._on_crop = on_crop or (lambda done, total: None)
        self._shortage = shortage or (lambda shape: "")

    def plan(self, height: int, width: int) -> list[tuple[Span, Span]]:
        """Rows and columns of each crop: the regular ones, then the random ones."""
        regular = [
            (rows, columns) for rows in plan_crops(height, self.crop_px) for columns in plan_crops(width, self.crop_px)
        ]
        if self._generator_state is None or len(regular) == 1:
            return regular
        generator = torch.Generator()
        generator.set_state(self._generator_state)
        return regular + [
            (_random_span(height, self.crop_px, generator), _random_span(width, self.crop_px, generator))
            for _ in range(self.random_crops)
        ]

    def forward(self, picture: Tensor, **conditioning: Tensor) -> Tensor:
        """Restore `picture`; `conditioning` goes with every crop.

        Raises:
            DeviceMemoryError: a crop does not fit.
        """
        height, width = picture.shape[-2:]
        s = self.scale
        crops = self.plan(height, width)
        if reason := self._shortage((*picture.shape[:2], *self.largest(height, width))):
            raise self._too_large(reason)
        total: Tensor | None = None
        # How many crops cover each pixel.
        covering = blank(picture[:1, :1], s * height, s * width, batch=1, channels=1, dtype=torch.float32)
        self._on_crop(0, len(crops))
        for done, ((top, bottom), (left, right)) in enumerate(crops, start=1):
            restored = self._restored(picture[..., top:bottom, left:right], conditioning)
            if total is None:
                precise = torch.promote_types(restored.dtype, torch.float32)
                batch, channels = restored.shape[:2]
                total = blank(picture, s * height, s * width, batch=batch, channels=channels, dtype=precise)
            rows, columns = slice(s * top, s * bottom), slice(s * left, s * right)
            total[..., rows, columns] += restored
            covering[..., rows, columns] += 1
            self._on_crop(done, len(crops))
        assert total is not None  # there is at least one crop
        return total.div_(covering).to(picture.dtype)

    def largest(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of a crop of a picture."""
        return min(height, self.crop_px), min(width, self.crop_px)

    def _restored(self, crop: Tensor, conditioning: dict[str, Tensor]) -> Tensor:
        try:
            restored: Tensor = self.inner(crop, **conditioning)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise self._too_large(forget(error)) from None
        return restored

    def _too_large(self, reason: str) -> DeviceMemoryError:
        return DeviceMemoryError(
            f"Not enough memory for crops of {self.crop_px} pixels, which define the model's results: {reason}.",
            "Try --device cpu, or a smaller model.",
        )


def _random_span(length: int, crop_px: int, generator: torch.Generator) -> Span:
    if length <= crop_px:
        return 0, length
    start = int(torch.randint(length - crop_px + 1, (), generator=generator))
    return start, start + crop_px
