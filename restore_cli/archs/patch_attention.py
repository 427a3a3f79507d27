"""Attention between the patches of a picture, of any size, computed only where patches see each other.

iiTransformer's, whose module says where this follows the paper and where the authors' code. A patch is
one token, of all its pixels' numbers; each sees those within a box around it. Rectangles of patches
are computed at a time, against the rectangle that holds the boxes of all of them.

Chosen by us: plain matrix products. torch's fused attention has no fast path for tokens this long (measured
on a CPU: 175 ms against 35 ms in bfloat16 for 169 queries, 1849 keys, 6 heads of 1920 numbers), and
`flex_attention` would be compiled anew for every size of picture; rectangles of patches are large enough
to keep any device busy.
"""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.windows import MASKED

__all__ = ["PatchAttention", "Rectangle", "is_last", "plan_key_blocks"]

LOGIT_BYTES = 2**26  # of the pairs computed at a time, in float32
# A rectangle of keys is larger than the box of any one of its queries. Per axis, so twice over both.
WASTE = sqrt(2)


class Rectangle(NamedTuple):
    """Patches: rows `top` to `bottom` and columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Number of patches."""
        return (self.bottom - self.top) * (self.right - self.left)


def plan_key_blocks(
    grid_h: int, grid_w: int, reach_h: int, reach_w: int, budget: int
) -> list[tuple[Rectangle, Rectangle]]:
    """Rectangles of queries, each with the smallest rectangle of keys that holds all they may see.

    Query rectangles cover the grid once, in reading order, as the squares of a chessboard do. The
    products of queries and keys are at most twice those of the pairs in reach, and so grow with the
    grid, not with its square.

    Args:
        grid_h, grid_w: patches of the picture.
        reach_h, reach_w: rows and columns up to which two patches see each other.
        budget: products of a single pair of rectangles, at most; a single query may need more.
    """
    down, across = _fewest_parts(grid_h, reach_h), _fewest_parts(grid_w, reach_w)
    while _most_products(grid_h, reach_h, down) * _most_products(grid_w, reach_w, across) > budget:
        if down == grid_h and across == grid_w:
            break
        if across == grid_w or (down < grid_h and grid_h * across >= grid_w * down):
            down += 1
        else:
            across += 1
    return [
        (Rectangle(*rows, *columns), Rectangle(*key_rows, *key_columns))
        for rows, key_rows in _parts(grid_h, reach_h, down)
        for columns, key_columns in _parts(grid_w, reach_w, across)
    ]


Span = tuple[int, int]


def _parts(length: int, reach: int, count: int) -> list[tuple[Span, Span]]:
    """`count` even parts of an axis, each with the span in reach of any of its patches."""
    cuts = [length * number // count for number in range(count + 1)]
    return [((start, stop), (max(start - reach, 0), min(stop + reach, length))) for start, stop in pairwise(cuts)]


def _fewest_parts(length: int, reach: int) -> int:
    """The fewest parts of an axis that waste little."""
    needed = sum(min(place + reach + 1, length) - max(place - reach, 0) for place in range(length))
    for count in range(1, length):
        products = sum((q[1] - q[0]) * (k[1] - k[0]) for q, k in _parts(length, reach, count))
        if products <= WASTE * needed:
            return count
    return length


def _most_products(length: int, reach: int, count: int) -> int:
    part = -(-length // count)
    return part * min(part + 2 * reach, length)


class PatchAttention(nn.Module):
    """Attention between the patches of a picture, eMSA in the paper.

    Args:
        channels: C.
        heads: number of heads, a divisor of C.
        window_size: side of the patches in pixels, which are the windows of the layers between.
        grid: rows and columns of patches in a training picture.
        shift: pixels by which the map is rolled up and left before it is cut, and back afterwards.
        has_bias: learn a bias for each offset between two patches.
        hides_wrapped: in shifted layers, hide patches that hold wrapped pixels from the others.
        bias_mode: 'paper' or 'official'; see the module.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        window_size: int,
        grid: tuple[int, int],
        shift: int = 0,
        *,
        has_bias: bool = True,
        hides_wrapped: bool = True,
        bias_mode: str = "paper",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.window_size = window_size
        self.grid = grid
        self.shift = shift
        self.hides_wrapped = hides_wrapped
        self.bias_mode = bias_mode
        self.scale = (channels // heads) ** -0.5
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table: nn.Parameter | None = None
        if has_bias:
            offsets = (2 * grid[0] - 1) * (2 * grid[1] - 1)
            self.relative_position_bias_table = nn.Parameter(torch.empty(offsets, heads))
            nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """`(B, H, W, C)` -> the same; `mask`, which is for windows, is not looked at."""
        if self.shift:
            tokens = tokens.roll((-self.shift, -self.shift), (1, 2))
        keys, values = self.keys_and_values(tokens)
        grid = (keys.shape[2], keys.shape[3])
        plan = self.plan(len(tokens), grid)
        answers = []
        for asking, asked in plan:
            rows, columns = self.pixels(asking)
            seen = (..., slice(asked.top, asked.bottom), slice(asked.left, asked.right), slice(None))
            bias = self.bias(asking, asked, grid)
            answers.append(self.answer(tokens[:, rows, columns], keys[seen], values[seen], bias))
        across = sum(asking.top == 0 for asking, _ in plan)
        strips = [torch.cat(answers[first : first + across], dim=2) for first in range(0, len(answers), across)]
        attended = torch.cat(strips, dim=1)
        return attended.roll((self.shift, self.shift), (1, 2)) if self.shift else attended

    def plan(self, batch: int, grid: tuple[int, int]) -> list[tuple[Rectangle, Rectangle]]:
        """Which queries to compute against which keys, for a picture of so many rows and columns of patches."""
        # What "official" masks is still to be computed.
        reach = grid if self._strays(grid) else (self.grid[0] - 1, self.grid[1] - 1)
        return plan_key_blocks(*grid, *reach, LOGIT_BYTES // (4 * self.heads * batch))

    def keys_and_values(self, tokens: Tensor) -> Tensor:
        """Of rolled tokens (B, H, W, C), (2, B, heads, rows, columns, numbers of a patch and head)."""
        return self._projected(tokens, 1, 3)

    def answer(self, tokens: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """What a rectangle of patches gets from what it sees.

        Args:
            tokens: of the asking patches, rolled, (B, h, w, C).
            keys, values: of the asked ones, (B, heads, rows, columns, numbers).
            bias: for each pair, (heads, asking, asked).

        Returns:
            (B, h, w, C).
        """
        batch, height, width, channels = tokens.shape
        size = self.window_size
        queries = self._projected(tokens, 0, 1)[0].flatten(2, 3) * self.scale
        logits = queries @ keys.flatten(2, 3).transpose(-2, -1) + bias
        attended = logits.softmax(dim=-1).to(values.dtype) @ values.flatten(2, 3)
        patches = attended.view(batch, self.heads, height // size, width // size, size, size, -1)
        merged = patches.permute(0, 2, 4, 3, 5, 1, 6).reshape(batch, height, width, channels)
        answered: Tensor = self.proj(merged)
        return answered

    def bias(self, asking: Rectangle, asked: Rectangle, grid: tuple[int, int]) -> Tensor:
        """What to add to the logits of each pair, (heads, asking, asked), in reading order.

        Args:
            asking, asked: patches after rolling.
            grid: rows and columns of patches in the picture.
        """
        device = self.proj.weight.device
        rows, columns = (
            torch.arange(*span, device=device)[:, None] - torch.arange(*key_span, device=device)
            for span, key_span in ((asking[:2], asked[:2]), (asking[2:], asked[2:]))
        )
        rows, columns = rows[:, None, :, None], columns[None, :, None, :]
        table = self._table()
        if self._strays(grid):
            index = rows * (2 * grid[0] - 1) + columns + len(table) // 2
            kept = (index >= 0) & (index < len(table))
            index = index.clamp(0, len(table) - 1)
            excluded = MASKED
        else:
            reach_h, reach_w = self.grid[0] - 1, self.grid[1] - 1
            kept = (rows.abs() <= reach_h) & (columns.abs() <= reach_w)
            index = (rows.clamp(-reach_h, reach_h) + reach_h) * (2 * reach_w + 1)
            index = index + columns.clamp(-reach_w, reach_w) + reach_w
            excluded = -torch.inf
        pairs = (asking.area, asked.area)
        bias = table.t()[:, index.reshape(pairs)].masked_fill(~kept.reshape(pairs), excluded)
        if self.hides_wrapped and (self.shift or self._strays(grid)):
            hidden = ~is_last(asking, grid, device)[:, None] & is_last(asked, grid, device)
            bias = bias + MASKED * hidden
        return bias

    def pixels(self, patches: Rectangle) -> tuple[slice, slice]:
        """Rows and columns of pixels of a rectangle of patches."""
        top, bottom, left, right = (self.window_size * edge for edge in patches)
        return slice(top, bottom), slice(left, right)

    def _projected(self, tokens: Tensor, first: int, last: int) -> Tensor:
        """Of queries, keys and values those from `first` to before `last`, stacked, per head and patch."""
        batch, height, width, channels = tokens.shape
        size, wanted = self.window_size, slice(first * channels, last * channels)
        projected = functional.linear(tokens, self.qkv.weight[wanted], self.qkv.bias[wanted])
        shape = (batch, height // size, size, width // size, size, last - first, self.heads, channels // self.heads)
        return projected.view(shape).permute(5, 0, 6, 1, 3, 2, 4, 7).flatten(5)

    def _table(self) -> Tensor:
        if self.relative_position_bias_table is None:
            return self.proj.weight.new_zeros((2 * self.grid[0] - 1) * (2 * self.grid[1] - 1), 1)
        return self.relative_position_bias_table

    def _strays(self, grid: tuple[int, int]) -> bool:
        """Whether the authors' code leaves the paper for a picture of so many patches, and is followed."""
        return self.bias_mode == "official" and grid != self.grid

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.relative_position_bias_table is not None:
            rows, columns = (torch.arange(side)[:, None] - torch.arange(side)[None, :] + side - 1 for side in self.grid)
            index = rows[:, None, :, None] * (2 * self.grid[1] - 1) + columns[None, :, None, :]
            patches = self.grid[0] * self.grid[1]
            destination[f"{prefix}relative_position_index"] = index.reshape(patches, patches)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        state_dict.pop(f"{prefix}relative_position_index", None)  # from the caller's copy
        super()._load_from_state_dict(state_dict, prefix, *rest)


def is_last(patches: Rectangle, grid: tuple[int, int], device: torch.device) -> Tensor:
    """Whether each of `patches` lies in the last row or column, where rolling leaves what it wraps round."""
    row = torch.arange(patches.top, patches.bottom, device=device) == grid[0] - 1
    column = torch.arange(patches.left, patches.right, device=device) == grid[1] - 1
    return (row[:, None] | column[None, :]).flatten()
