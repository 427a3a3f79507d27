"""iiTransformer: attention inside patches (intra) in turn with attention between patches (inter).

Source: "iiTransformer: A Unified Approach to Exploiting Local and Non-Local Information for Image
Restoration", BMVC 2022; key names, constructor arguments and published configurations are those of the
authors' code, from which nothing was copied. The skeleton is SwinIR's, and so is every other block: its
layers attend inside windows of 8x8 pixels. In the blocks between, a whole window is one token of
8 * 8 * channels / heads numbers, and windows ("patches") attend to each other.

Where paper and code disagree, and what we do:

Range. The paper's equation 6 lets two patches see each other only where two patches of a training
picture could have been as far apart, so that the network runs on pictures of any size; it does not name
the metric. `bias_mode="paper"` takes the one reading under which every pair has a trained bias: at most
P - 1 rows and P - 1 columns apart, for P x P patches in a training picture. The authors' code indexes its
table with the stride of the picture at hand, so that away from the training size most pairs get another
pair's bias and the range is short down and long across; `bias_mode="official"` computes that, to the
digit. At the training size the two are one.

Masking. The paper says minus infinity; the code replaces the bias by -100 and so leaves something of a
pair that agrees strongly. "paper" excludes such pairs, and never computes most of them; "official" must
compute all, in time that grows with the square of the picture.

Wrapping. In layers shifted by half a patch, rolling puts what it wraps round into the last row and column
of patches. Both modes count distance by where a patch lies after rolling, and add -100 where another
patch would look at a wrapped one; wrapped ones look at whatever is in reach. (The code also adds -100
to everything a wrapped patch sees, which changes nothing.) "official" does so in unshifted layers, too, when the
size is not the training size; the code gives no reason.

Scale. Logits are divided by the root of a head's channels, not of a token's numbers: the paper means it.

Memory. Without gradients the network works in place, in strips, and keeps of a picture with T pixels
and C channels: two maps of features, 2 * 4 * T * C bytes whatever the autocast (6.0 GB at 2048x2048 and C =
180); the keys and values of the patch rows in reach, up to about 43 rows for a training picture of 128
pixels, 43 * 8 * width * 2 * C numbers (1.0 GB at that size, half in bfloat16); and pieces of bounded size, some 0.3 GB.
The first convolution is computed twice rather than kept. Where gradients are wanted, or a norm has statistics
of the whole picture, everything is kept, as usual.

Chosen by us: attention is plain matrix products. torch's fused kernels have no fast path for tokens
this long, and `flex_attention` would have to be compiled for every size of picture; blocks of
patches are large enough to keep any device busy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isqrt, sqrt
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore_cli.archs.attention import (
    ResidualGroup,
    SwinLayer,
    WindowTransformer,
    convolve,
    drop_rates,
    skeleton_config,
)
from restore_cli.archs.blocks import count_items
from restore_cli.archs.windows import MASKED, shifted_window_mask

__all__ = ["VARIANTS", "IITransformer", "PatchAttention", "Rectangle", "plan_key_blocks"]

BIAS_MODES = ("paper", "official")
ATTENTION_TYPES = ("intra", "inter")
# Norms that look at one token at a time, and so may be given a strip. Batch norm only in evaluation.
TOKENWISE_NORMS = ("layernorm", "rmsnorm", "layerscale", "rezero", "none")
# Pixels of a strip, all pictures of the batch together: some 250 MB inside a window layer of 180 channels.
STRIP_TOKENS = 2**15
LOGIT_BYTES = 2**26
# A rectangle of keys is larger than the box of any one of its queries. Per axis, so twice over both.
WASTE = sqrt(2)
# Input pixels that the first convolution, or those behind the last block, together reach.
FIRST_MARGIN, LAST_MARGIN = 1, 6


class Rectangle(NamedTuple):
    """Patches: rows `top` to `bottom` and columns `left` to `right`, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def count(self) -> int:
        """Number of patches."""
        rows, columns = self.shape
        return rows * columns


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
    return [
        ((start, stop), (max(start - reach, 0), min(stop + reach, length)))
        for start, stop in zip(cuts, cuts[1:], strict=False)
    ]


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
        patch_size: side of the patches in pixels.
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
        patch_size: int,
        grid: tuple[int, int],
        shift: int = 0,
        *,
        has_bias: bool = True,
        hides_wrapped: bool = True,
        bias_mode: str = "paper",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.patch_size = patch_size
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

    def keys_and_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Of rolled tokens (B, H, W, C), both (B, heads, rows, columns, numbers of a patch and head)."""
        keys, values = self._projected(tokens, 1, 3).unbind(0)
        return keys, values

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
        size = self.patch_size
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
        pairs = (asking.count, asked.count)
        bias = table.t()[:, index.reshape(pairs)].masked_fill(~kept.reshape(pairs), excluded)
        if self.hides_wrapped and (self.shift or self._strays(grid)):
            hidden = ~_is_last(asking, grid, device)[:, None] & _is_last(asked, grid, device)
            bias = bias + torch.zeros_like(bias[0]).masked_fill(hidden, MASKED)
        return bias

    def pixels(self, patches: Rectangle) -> tuple[slice, slice]:
        """Rows and columns of pixels of a rectangle of patches."""
        top, bottom, left, right = (self.patch_size * edge for edge in patches)
        return slice(top, bottom), slice(left, right)

    def _projected(self, tokens: Tensor, first: int, last: int) -> Tensor:
        """Of queries, keys and values those from `first` to before `last`, stacked, per head and patch."""
        batch, height, width, channels = tokens.shape
        size, wanted = self.patch_size, slice(first * channels, last * channels)
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
            rows, columns = (
                torch.arange(side)[:, None] - torch.arange(side)[None, :] + side - 1 for side in self.grid
            )
            index = rows[:, None, :, None] * (2 * self.grid[1] - 1) + columns[None, :, None, :]
            patches = self.grid[0] * self.grid[1]
            destination[f"{prefix}relative_position_index"] = index.reshape(patches, patches)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        state_dict.pop(f"{prefix}relative_position_index", None)  # from the caller's copy
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _is_last(patches: Rectangle, grid: tuple[int, int], device: torch.device) -> Tensor:
    """Whether each of `patches` lies in the last row or column, where rolling leaves what it wraps round."""
    row = torch.arange(patches.top, patches.bottom, device=device) == grid[0] - 1
    column = torch.arange(patches.left, patches.right, device=device) == grid[1] - 1
    return (row[:, None] | column[None, :]).flatten()


class IntraLayer(SwinLayer):
    """Attention inside windows, then a feed-forward part, aTL in the paper: a Swin layer that can work in place."""

    def forward(self, tokens: Tensor, mask: Tensor | None = None, in_place: bool = False) -> Tensor:
        """`(B, H, W, C)` -> the same; with `in_place` strip by strip into `tokens`, without a mask."""
        if not in_place:
            return super().forward(tokens, mask)
        self._attend_in_place(tokens)
        for rows in _strips(tokens.shape, 1):
            normalized, rescale = self.norm2(tokens[:, rows])
            tokens[:, rows] += rescale * self.mlp(normalized)
        return tokens

    def _attend_in_place(self, tokens: Tensor) -> None:
        height, width = tokens.shape[1:3]
        size, shift = self.attn.window_size, self.attn.shift
        columns = [slice(None)]
        for strip in _strips(tokens.shape, size):
            rows = _circular(strip, shift, height)
            # The attention rolls what it is given, which must therefore not be rolled yet.
            normalized, rescale = self.norm1(_read(tokens, rows, columns).roll(shift, 1))
            # Only in the last strip are windows wrapped round the bottom: for others the mask is that of
            # a strip with one more row of windows, without that row.
            more = 0 if strip.stop == height else size
            mask = shifted_window_mask(
                strip.stop - strip.start + more, width, size, shift, tokens.device, normalized.dtype
            )
            mask = mask[: len(mask) - more * width // size**2]
            _add(tokens, rows, columns, (rescale * self.attn(normalized, mask)).roll(-shift, 1))


class InterLayer(IntraLayer):
    """Attention between patches, then a feed-forward part: eTL in the paper.

    As with the mask of windows (`SwinLayer`), what the authors keep of the training size is computed
    when it is needed, written into state dicts and ignored when read: `attn_mask`, and the index of
    the bias table.

    Args:
        attention: the attention.
        channels: C.
        mlp_ratio, norm, eps, drop_path: of `SwinLayer`.
    """

    attn: PatchAttention  # type: ignore[assignment]

    def __init__(
        self,
        attention: PatchAttention,
        channels: int,
        mlp_ratio: float,
        norm: str = "layernorm",
        eps: float | str | None = None,
        drop_path: float = 0.0,
    ) -> None:
        size = attention.patch_size
        super().__init__(channels, attention.heads, size, 0, mlp_ratio, size, norm, eps, drop_path)
        self.attn = attention  # in place of the one inside windows

    def _attend_in_place(self, tokens: Tensor) -> None:
        attention = self.attn
        height, width = tokens.shape[1:3]
        grid = (height // attention.patch_size, width // attention.patch_size)

        def place(patches: Rectangle) -> tuple[list[slice], list[slice]]:
            rows, columns = attention.pixels(patches)
            return _circular(rows, attention.shift, height), _circular(columns, attention.shift, width)

        # Of the rows in reach, by number. They are taken before anything is added to any of them.
        kept: dict[int, tuple[Tensor, Tensor]] = {}
        for asking, asked in attention.plan(len(tokens), grid):
            for row in range(asked.top, asked.bottom):
                if row not in kept:
                    normalized, _ = self.norm1(_read(tokens, *place(Rectangle(row, row + 1, 0, grid[1]))))
                    kept[row] = attention.keys_and_values(normalized)
            for row in [row for row in kept if row < asked.top]:
                del kept[row]
            rows = [kept[row] for row in range(asked.top, asked.bottom)]
            keys, values = (
                torch.cat([row[part][:, :, :, asked.left : asked.right] for row in rows], dim=2) for part in (0, 1)
            )
            normalized, rescale = self.norm1(_read(tokens, *place(asking)))
            answer = attention.answer(normalized, keys, values, attention.bias(asking, asked, grid))
            _add(tokens, *place(asking), rescale * answer)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        attention = self.attn
        if attention.shift and attention.hides_wrapped:
            weight = attention.proj.weight
            last = _is_last(Rectangle(0, attention.grid[0], 0, attention.grid[1]), attention.grid, weight.device)
            mask = weight.new_zeros(len(last), len(last)).masked_fill_(last[:, None] | last, MASKED)
            destination[f"{prefix}attn_mask"] = mask[None, None]


class Layers(nn.Module):
    """The layers of a block, one after another."""

    def __init__(self, layers: Iterable[IntraLayer]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(layers)

    def forward(self, tokens: Tensor, mask: Tensor | None = None, in_place: bool = False) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, mask, in_place)
        return tokens


class Block(ResidualGroup):
    """Layers, a convolution, and a skip over both: aRTB and eRTB in the paper."""

    def forward(self, tokens: Tensor, mask: Tensor | None = None, in_place: bool = False) -> Tensor:  # type: ignore[override]
        """`(B, H, W, C)` -> the same; with `in_place` into `tokens`, beside a single copy of them."""
        if not in_place:
            return super().forward(tokens, mask)
        changed = self.residual_group(tokens.clone(), None, True)
        for rows, seen, own in _strips_with_margin(tokens.shape, 2):  # of '3conv'; the others need less
            tokens[:, rows] += convolve(self.conv, changed[:, seen])[:, own]
        return tokens


class IITransformer(WindowTransformer):
    """`(N, in_chans, H, W)` in nominal [0, 1] -> `(N, in_chans, upscale*H, upscale*W)`, not clamped.

    Any size from one window up; sides that are not multiples of the window are mirrored up to the next,
    and the result is cropped. Whole pictures are restored in one piece, in time and memory that grow with
    their area, and that is the advised way: tiles give every patch near their edges less to look at.

    Args:
        upscale: enlargement: 1, 3 or a power of 2.
        in_chans: picture channels, 1 (grey) or 3 (RGB).
        img_size: side of the training pictures in pixels, or height and width: sets the range of attention
            between patches and the size of its bias tables. 128 for denoising, 64 for the rest.
        window_size: side of windows, and of patches.
        img_range: by how much pictures in [0, 1] are multiplied on the way in, and divided on the way out.
        depths: layers of each block.
        embed_dim: feature channels, C.
        num_heads: attention heads of each block.
        mlp_ratio: hidden width of the feed-forward parts over C.
        upsampler: 'pixelshuffle', or None to add a correction to the picture at the same size.
        resi_connection: convolution behind the layers: '1conv' or '3conv' (a bottleneck).
        attn_types: 'intra' or 'inter' for each layer of each block; None takes turns, block by block.
        shift_sizes: pixels by which each layer of each block is shifted; None shifts every second one by
            half a window.
        inter_pos: learn a bias for each offset between two patches.
        inter_mask: hide patches that hold wrapped pixels from the others, in shifted layers.
        bias_mode: 'paper' or 'official'; see the module.
        num_feat: feature channels while enlarging.
        norm: scheme of `norms.NORM_SCHEMES`.
        eps: of the norms; None for the scheme's own.
        stdnorm: divide colours by their deviation, as i-LN's authors do; see `WindowTransformer`.
        drop_path_rate: stochastic depth of the last layer, rising from 0 at the first; the authors train
            with 0.1. Zero here, so that training and evaluation compute the same.

    Raises:
        ValueError: an argument is not one of its choices.
    """

    # They are SwinIR's, too: `recognises` decides.
    signature_keys: ClassVar = (
        "conv_first.weight",
        "layers.0.residual_group.blocks.0.attn.qkv.weight",
        "layers.0.residual_group.blocks.0.mlp.fc1.weight",
    )
    whole_picture = True  # run in one piece rather than tiled

    def __init__(
        self,
        upscale: int = 1,
        in_chans: int = 3,
        img_size: int | Sequence[int] = 128,
        window_size: int = 8,
        img_range: float = 1.0,
        depths: Sequence[int] = (8, 8, 8, 8),
        embed_dim: int = 180,
        num_heads: Sequence[int] = (6, 6, 6, 6),
        mlp_ratio: float = 2.0,
        upsampler: str | None = None,
        resi_connection: str = "1conv",
        attn_types: Sequence[Sequence[str]] | None = None,
        shift_sizes: Sequence[Sequence[int]] | None = None,
        inter_pos: bool = True,
        inter_mask: bool = True,
        bias_mode: str = "paper",
        num_feat: int = 64,
        norm: str = "layernorm",
        eps: float | str | None = None,
        stdnorm: bool = False,
        drop_path_rate: float = 0.0,
    ) -> None:
        if bias_mode not in BIAS_MODES:
            raise ValueError(f"bias_mode '{bias_mode}' is unknown; known: {', '.join(BIAS_MODES)}")
        attn_types = attn_types or _alternating_types(depths)
        shift_sizes = shift_sizes or [[window_size // 2 * (layer % 2) for layer in range(depth)] for depth in depths]
        train_height, train_width = (img_size, img_size) if isinstance(img_size, int) else img_size

        def layer(kind: str, heads: int, shift: int, drop_path: float) -> IntraLayer:
            if kind == "intra":
                return IntraLayer(
                    embed_dim, heads, window_size, shift, mlp_ratio, train_height, norm, eps, drop_path
                )
            if kind != "inter":
                raise ValueError(f"attention type '{kind}' is unknown; known: {', '.join(ATTENTION_TYPES)}")
            attention = PatchAttention(
                embed_dim,
                heads,
                window_size,
                (train_height // window_size, train_width // window_size),
                shift,
                has_bias=inter_pos,
                hides_wrapped=inter_mask,
                bias_mode=bias_mode,
            )
            return InterLayer(attention, embed_dim, mlp_ratio, norm, eps, drop_path)

        blocks = [
            Block(
                Layers(
                    layer(kind, heads, shift, drop_path)
                    for kind, shift, drop_path in zip(kinds, shifts, rates, strict=True)
                ),
                embed_dim,
                resi_connection,
            )
            for heads, kinds, shifts, rates in zip(
                num_heads, attn_types, shift_sizes, drop_rates(drop_path_rate, depths), strict=True
            )
        ]
        super().__init__(
            blocks,
            in_chans=in_chans,
            embed_dim=embed_dim,
            window_size=window_size,
            img_size=min(train_height, train_width),
            upscale=upscale,
            img_range=img_range,
            upsampler=upsampler or "",
            resi_connection=resi_connection,
            num_feat=num_feat,
            norm=norm,
            eps=eps,
            stdnorm=stdnorm,
        )

    def forward(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        missing = (-width % self.window_size, -height % self.window_size)
        if any(missing):
            picture = functional.pad(picture, (0, missing[0], 0, missing[1]), mode="reflect")
        restored = self._restored_in_place(picture) if self._may_work_in_place() else super().forward(picture)
        return restored[..., : height * self.scale, : width * self.scale]

    def _may_work_in_place(self) -> bool:
        # A compiler unrolls the strips, and has its own ideas about memory.
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return False
        return self.norm_scheme in TOKENWISE_NORMS or (self.norm_scheme == "batch" and not self.training)

    def _restored_in_place(self, picture: Tensor) -> Tensor:
        """What `forward` of the skeleton computes, with a single map of features beside a block's own."""
        normalized = (picture - self.mean) * (self.img_range / self.deviation)
        batch, _, height, width = picture.shape
        tokens = picture.new_empty(batch, height, width, self.conv_first.out_channels)
        for rows, seen, own in _strips_with_margin(tokens.shape, FIRST_MARGIN):
            features = self.conv_first(normalized[:, :, seen]).permute(0, 2, 3, 1)
            tokens[:, rows] = self.patch_embed["norm"](features)[:, own]
        for block in self.layers:
            tokens = block(tokens, None, True)
        restored = picture.new_empty(batch, self.channels, height * self.scale, width * self.scale)
        enlarged_shape = (batch, height, width * self.scale**2)
        for rows, seen, own in _strips_with_margin(enlarged_shape, LAST_MARGIN):
            features = convolve(self.conv_after_body, self.norm(tokens[:, seen])).permute(0, 3, 1, 2)
            strip = self._reconstruct(features + self.conv_first(normalized[:, :, seen]), normalized[:, :, seen])
            restored[:, :, _enlarged(rows, self.scale)] = strip[:, :, _enlarged(own, self.scale)]
        return restored * (self.deviation / self.img_range) + self.mean

    @classmethod
    def config_of(cls, state_dict: Mapping[str, Tensor], stated: Mapping[str, Any]) -> dict[str, Any]:
        """The constructor arguments of the network that `state_dict` came from.

        Shapes tell widths, depths, heads, window and scale. Tables of two sizes tell which layers are
        'intra' and which 'inter', and the training size; where all have one size, as those of a
        64-pixel training picture and of windows do, the masks of shifted layers tell. Which layers
        are shifted is told by their having a mask. What `stated` says of these goes before guesses, not
        before shapes; the rest (`img_range`, `inter_mask`, `eps`, ...) comes from it, else it is as published.
        """
        names = _layer_names(state_dict)
        types = _types_of(state_dict, stated)
        window_size = _side_of_table(state_dict, stated, types, "intra") or stated.get("window_size", 8)
        grid = _side_of_table(state_dict, stated, types, "inter")
        config: dict[str, Any] = {
            **skeleton_config(state_dict, names[0][0], stated),
            "depths": tuple(len(block) for block in names),
            "num_heads": _heads_of(state_dict, stated),
            "window_size": window_size,
            "attn_types": types,
            "inter_pos": all(_table(state_dict, name) is not None for block in names for name in block),
        }

