"""Tiling that cannot be seen: the plan (pure), the blending weights, and the run.

Tiles overlap. A result pixel closer to a tile's inner edge than the network's receptive radius has
seen made-up surroundings and gets no weight; across the rest of the overlap neighbours fade into
each other. So with a known radius and an overlap of twice that, the tiled result is the whole
picture's to rounding, and otherwise seams are smooth.

Tile corners are multiples of the network's size rule: windows and strided convolutions then fall
where they fall in the whole picture.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from restore_cli.errors import DeviceMemoryError
from restore_cli.wrappers.canvases import blank

__all__ = ["Shape", "Span", "TilePolicy", "Tiled", "forget", "is_out_of_memory", "plan_axis"]

Span = tuple[int, int]  # start and stop, in input pixels
Shape = tuple[int, int, int, int]  # (N, C, H, W)
MINIMUM_STRIDE_PX = 8


@dataclass(frozen=True)
class TilePolicy:
    """How to cut.

    Attributes:
        tile_px: side of a tile in input pixels, overlap included; None runs the picture whole.
        overlap_px: input pixels that neighbouring tiles share.
        multiple: tile corners are multiples of this.
        radius_px: the network's receptive radius; None if it is unknown or the whole picture.
    """

    tile_px: int | None
    overlap_px: int = 32
    multiple: int = 1
    radius_px: int | None = None

    @property
    def untrusted_px(self) -> int:
        """Pixels at a tile's inner edges that get no weight."""
        # Where the radius is unknown a quarter: it removes the worst and leaves half to fade.
        untrusted = self.overlap_px // 4 if self.radius_px is None else self.radius_px
        return min(untrusted, self.overlap_px // 2)

    def count(self, height: int, width: int) -> int:
        """How many tiles a picture is cut into."""
        if self.tile_px is None:
            return 1
        rows, columns = (plan_axis(side, self.tile_px, self.overlap_px, self.multiple) for side in (height, width))
        return len(rows) * len(columns)

    def within(self, height: int, width: int) -> TilePolicy:
        """The same with tiles no larger than the picture, so that halving them makes a difference."""
        whole_px = max(height, width) + self.overlap_px
        return replace(self, tile_px=min(self.tile_px or whole_px, whole_px))

    def largest(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the largest tile of a picture."""
        tile_px = self.tile_px or max(height, width)
        rows, columns = (plan_axis(side, tile_px, self.overlap_px, self.multiple) for side in (height, width))
        return max(stop - start for start, stop in rows), max(stop - start for start, stop in columns)

    def halved(self) -> TilePolicy | None:
        """The same with half the stride, or None if that would be absurdly small."""
        if self.tile_px is None:
            return None
        stride = (self.tile_px - self.overlap_px) // 2
        if stride < max(self.multiple, MINIMUM_STRIDE_PX):
            return None
        return TilePolicy(self.overlap_px + stride, self.overlap_px, self.multiple, self.radius_px)


def plan_axis(length: int, tile_px: int, overlap_px: int, multiple: int = 1) -> list[Span]:
    """Spans that cover `[0, length)`, evened out.

    Each span starts at a multiple of `multiple`, is at most `tile_px` long (rounded up to the
    multiple, and always longer than the overlap), and shares at least `overlap_px` with the next.
    """
    tile = _round_up(max(tile_px, overlap_px + multiple), multiple)
    if length <= tile:
        return [(0, length)]
    last_start = _round_up(length - tile, multiple)
    longest_stride = max(multiple, (tile - overlap_px) // multiple * multiple)
    steps = -(-last_start // longest_stride)
    stride = _round_up(-(-last_start // steps), multiple)
    starts = [min(step * stride, last_start) for step in range(steps + 1)]
    return [(start, min(start + tile, length)) for start in dict.fromkeys(starts)]


class Tiled(nn.Module):
    """`inner` for pictures of any size, a tile at a time.

    Picture and result stay where the picture is (host memory, as a rule); `inner` moves one tile
    to its device and back.

    Args:
        inner: network from `(N, C, H, W)` to `(N, C', sH, sW)` for any H and W.
        policy: how to cut.
        scale: s.
        on_tile: told (tiles done, tiles in all) after each tile, and (0, all) before the first.
        on_retry: told the new side of the tiles, and why, when they turn out too large and all starts over.
        shortage: says why tiles of a (N, C, H, W) will not fit into memory, or "" if nothing speaks against it;
            for memory that cannot be tried out.
    """

    def __init__(
        self,
        inner: nn.Module,
        policy: TilePolicy,
        scale: int,
        on_tile: Callable[[int, int], None] | None = None,
        on_retry: Callable[[int, str], None] | None = None,
        shortage: Callable[[Shape], str] | None = None,
    ) -> None:
        super().__init__()
        self.inner = inner
        self.policy = policy
        self.scale = scale
        self._on_tile = on_tile or (lambda done, total: None)
        self._on_retry = on_retry or (lambda tile_px, reason: None)
        self._shortage = shortage or (lambda shape: "")

    def forward(self, picture: Tensor, **conditioning: Tensor) -> Tensor:
        """Restore `picture`; when memory runs out, start over with tiles of half the stride.

        Raises:
            DeviceMemoryError: even the smallest tile does not fit.
        """
        height, width = picture.shape[-2:]
        policy = self.policy.within(height, width)
        while True:
            reason = self._shortage((*picture.shape[:2], *policy.largest(height, width)))
            if not reason:
                try:
                    return self._run(picture, policy, conditioning)
                except (RuntimeError, MemoryError) as error:
                    if not is_out_of_memory(error):
                        raise
                    reason = forget(error)
            smaller = policy.halved()
            if smaller is None or smaller.tile_px is None:
                raise DeviceMemoryError(
                    f"Not enough memory even with tiles of {policy.tile_px} pixels: {reason}.",
                    "Try a smaller --tile-overlap, --device cpu, or a smaller model.",
                )
            policy = smaller
            self._on_retry(smaller.tile_px, reason)

    def _run(self, picture: Tensor, policy: TilePolicy, conditioning: dict[str, Tensor]) -> Tensor:
        height, width = picture.shape[-2:]
        tile_px = policy.tile_px or max(height, width)
        rows = plan_axis(height, tile_px, policy.overlap_px, policy.multiple)
        columns = plan_axis(width, tile_px, policy.overlap_px, policy.multiple)
        total = len(rows) * len(columns)
        self._on_tile(0, total)
        if total == 1:
            whole: Tensor = self.inner(picture, **conditioning)
            self._on_tile(1, 1)
            return whole
        s = self.scale
        row_weights = _axis_weights(rows, height, policy, s, picture)
        column_weights = _axis_weights(columns, width, policy, s, picture)
        canvas: Tensor | None = None
        done = 0
        for (top, bottom), row_weight in zip(rows, row_weights, strict=True):
            for (left, right), column_weight in zip(columns, column_weights, strict=True):
                tile = self.inner(picture[..., top:bottom, left:right], **conditioning)
                if canvas is None:
                    batch, channels = tile.shape[:2]
                    canvas = blank(picture, s * height, s * width, batch=batch, channels=channels, dtype=picture.dtype)
                part = canvas[..., s * top : s * bottom, s * left : s * right]
                part += tile * row_weight[:, None] * column_weight
                done += 1
                self._on_tile(done, total)
        assert canvas is not None  # total > 0
        return canvas


# Of CUDA and MPS; of PyTorch's allocator on CPUs; of oneDNN, which has no other word for it.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "could not create a primitive")


def forget(error: BaseException) -> str:
    """What `error` says, on one line; what the frames it came through held is let go.

    While an exception is kept, so are the tensors of every layer it passed: the very memory that ran out.
    """
    traceback.clear_frames(error.__traceback__)
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device, or the host, could not allocate a tensor."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in text for words in _OUT_OF_MEMORY)


def _axis_weights(spans: list[Span], length: int, policy: TilePolicy, scale: int, like: Tensor) -> list[Tensor]:
    """For each span the weight of its output pixels; over all spans they sum to one at every pixel."""
    untrusted = policy.untrusted_px * scale
    raw = []
    for start, stop in spans:
        position = torch.arange((stop - start) * scale, dtype=torch.float64, device=like.device) + 0.5
        weight = torch.ones_like(position)
        fade = max(policy.overlap_px * scale - 2 * untrusted, 1)
        if start > 0:
            weight = torch.minimum(weight, ((position - untrusted) / fade).clamp(0, 1))
        if stop < length:
            weight = torch.minimum(weight, ((position.flip(0) - untrusted) / fade).clamp(0, 1))
        raw.append(weight)
    total = torch.zeros(length * scale, dtype=torch.float64, device=like.device)
    for (start, stop), weight in zip(spans, raw, strict=True):
        total[start * scale : stop * scale] += weight
    return [
        (weight / total[start * scale : stop * scale]).to(like.dtype)
        for (start, stop), weight in zip(spans, raw, strict=True)
    ]


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
