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
to everything a wrapped patch sees, which changes nothing.) "official" does so in unshifted layers, too,
when the size is not the training size.

Scale. Logits are divided by the root of a head's channels, not of a token's numbers: the paper means it.

Memory. Without gradients the network works in place, in strips. Of a picture with T pixels and C
channels it keeps

    features                      4 * T * C bytes
    input of the block, its skip  4 * T * C bytes, 2 * T * C under bfloat16 autocast
    keys and values in reach      43 patch rows at the published sizes: 43 * 8 * width * 2 * C numbers

and pieces of bounded size, 0.4 GB; torch itself takes 0.5 GB. At 2048x2048, C = 180 and bfloat16 that is
3.0 + 1.5 + 0.5 + 0.4 + 0.5 GB and a few copies of the picture, 6.3 GB by what `restore bench masked` measured
of smaller ones: 1.4 GB at 512x512, 2.5 at 1024x1024, 3.7 at 1448x1448. The first convolution is computed twice
rather than kept. Rounding the skip, which is once a block, adds at most about a tenth to the error that
bfloat16 makes anyway (measured with random weights). Where gradients are wanted, or a norm takes
statistics of the whole picture, everything is kept, as usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from math import isqrt, prod
from typing import Any, ClassVar

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
from restore_cli.archs.patch_attention import PatchAttention, Rectangle, is_last
from restore_cli.archs.windows import MASKED, shifted_window_mask

__all__ = ["VARIANTS", "IITransformer", "InterLayer", "IntraLayer"]

BIAS_MODES = ("paper", "official")
ATTENTION_TYPES = ("intra", "inter")
# Norms that look at one token at a time, and so may be given a strip. Batch norm only in evaluation.
TOKENWISE_NORMS = ("layernorm", "rmsnorm", "layerscale", "rezero", "none")
# Pixels of a strip, all pictures of the batch together: some 250 MB inside a window layer of 180 channels.
STRIP_TOKENS = 2**15
# Input pixels that the convolutions in front of the blocks, in each, and behind them together reach, at most.
FIRST_MARGIN, BLOCK_MARGIN, LAST_MARGIN = 1, 2, 6


class IntraLayer(SwinLayer):
    """Attention inside windows, then a feed-forward part, aTL in the paper: a Swin layer that can work in place."""

    def forward(self, tokens: Tensor, mask: Tensor | None = None, in_place: bool = False) -> Tensor:
        """`(B, H, W, C)` -> the same; with `in_place` strip by strip into `tokens`, without a mask."""
        if not in_place:
            if self.attn.shift not in (0, self.attn.window_size // 2):  # the mask is for half a window
                height, width = tokens.shape[1:3]
                size, shift = self.attn.window_size, self.attn.shift
                mask = shifted_window_mask(height, width, size, shift, tokens.device, tokens.dtype)
            return super().forward(tokens, mask)  # type: ignore[arg-type]
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
        size = attention.window_size
        super().__init__(channels, attention.heads, size, 0, mlp_ratio, size, norm, eps, drop_path)
        self.attn = attention  # in place of the one inside windows

    def _attend_in_place(self, tokens: Tensor) -> None:
        attention = self.attn
        height, width = tokens.shape[1:3]
        grid = (height // attention.window_size, width // attention.window_size)

        def place(patches: Rectangle) -> tuple[list[slice], list[slice]]:
            rows, columns = attention.pixels(patches)
            return _circular(rows, attention.shift, height), _circular(columns, attention.shift, width)

        plan = attention.plan(len(tokens), grid)
        # Keys and values of the rows in reach, taken before anything is added to them. A row takes the place
        # of one that is out of reach: a list of rows would leave the heap in pieces as large as itself.
        held = max(asked.bottom - asked.top for _, asked in plan)
        kept: Tensor | None = None
        taken = 0
        for asking, asked in plan:
            for row in range(taken, asked.bottom):
                normalized, _ = self.norm1(_read(tokens, *place(Rectangle(row, row + 1, 0, grid[1]))))
                new = attention.keys_and_values(normalized)
                if kept is None:
                    kept = new.new_empty(*new.shape[:3], held, *new.shape[4:])
                kept[:, :, :, row % held] = new[:, :, :, 0]
            taken = max(taken, asked.bottom)
            assert kept is not None  # the first queries see the first row
            first = asked.top % held
            rows = _circular(slice(first, first + asked.bottom - asked.top), 0, held)
            keys, values = torch.cat([kept[:, :, :, each, asked.left : asked.right] for each in rows], dim=3)
            normalized, rescale = self.norm1(_read(tokens, *place(asking)))
            answer = attention.answer(normalized, keys, values, attention.bias(asking, asked, grid))
            _add(tokens, *place(asking), rescale * answer)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super(SwinLayer, self)._save_to_state_dict(destination, prefix, keep_vars)  # not the mask of windows
        attention = self.attn
        if attention.shift and attention.hides_wrapped:
            weight = attention.proj.weight
            last = is_last(Rectangle(0, attention.grid[0], 0, attention.grid[1]), attention.grid, weight.device)
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
            return super().forward(tokens, mask)  # type: ignore[arg-type]
        device = tokens.device.type
        rounds = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
        skip = tokens.to(torch.bfloat16) if rounds else tokens.clone()
        self.residual_group(tokens, None, True)
        above = tokens[:, :0]
        for rows in _strips(tokens.shape, 1):
            seen = torch.cat([above, tokens[:, rows.start : rows.stop + BLOCK_MARGIN]], dim=1)
            start, stop = above.shape[1], above.shape[1] + rows.stop - rows.start
            above = seen[:, max(stop - BLOCK_MARGIN, 0) : stop]  # the next strip's margin, soon overwritten
            tokens[:, rows] = skip[:, rows]
            tokens[:, rows] += convolve(self.conv, seen)[:, start:stop]
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
        attn_types = attn_types or [
            ATTENTION_TYPES[block % 2 : block % 2 + 1] * depth for block, depth in enumerate(depths)
        ]
        shift_sizes = shift_sizes or [[window_size // 2 * (layer % 2) for layer in range(depth)] for depth in depths]
        train_height, train_width = (img_size, img_size) if isinstance(img_size, int) else img_size

        def layer(kind: str, heads: int, shift: int, drop_path: float) -> IntraLayer:
            if kind == "intra":
                return IntraLayer(embed_dim, heads, window_size, shift, mlp_ratio, train_height, norm, eps, drop_path)
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
        right, bottom = -width % self.window_size, -height % self.window_size
        if right or bottom:
            picture = functional.pad(picture, (0, right, 0, bottom), mode="reflect")
        restored = self._restored_in_place(picture) if self._works_in_place(picture) else super().forward(picture)
        return restored[..., : height * self.scale, : width * self.scale]

    def _works_in_place(self, picture: Tensor) -> bool:
        batch, _, height, width = picture.shape
        # A compiler would unroll the strips, and has its own ideas about memory.
        if torch.is_grad_enabled() or torch.compiler.is_compiling() or batch * height * width <= STRIP_TOKENS:
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
        return restored.mul_(self.deviation / self.img_range).add_(self.mean)

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
        types = _types_of(state_dict, names, stated)
        tables = _tables(state_dict, names)
        of_type: dict[str, list[Tensor]] = {kind: [] for kind in ATTENTION_TYPES}
        for name, kind in zip(chain(*names), chain(*types), strict=True):
            of_type[kind] += [tables[name]] if name in tables else []
        window_size = _side(of_type["intra"][0]) if of_type["intra"] else stated.get("window_size", 8)
        config: dict[str, Any] = {
            **skeleton_config(state_dict, names[0][0], stated),
            "depths": tuple(len(block) for block in names),
            "num_heads": tuple(
                next((tables[name].shape[1] for name in block if name in tables), heads)
                for block, heads in zip(names, stated.get("num_heads") or repeat(6), strict=False)
            ),
            "window_size": window_size,
            "attn_types": types,
            "inter_pos": len(tables) == sum(map(len, names)),
        }
        if of_type["inter"]:
            config["img_size"] = _side(of_type["inter"][0]) * window_size
            if _offsets(stated.get("img_size"), window_size) == len(of_type["inter"][0]):
                config["img_size"] = stated["img_size"]
        elif "img_size" in stated:
            config["img_size"] = stated["img_size"]
        if "shift_sizes" in stated:
            config["shift_sizes"] = tuple(map(tuple, stated["shift_sizes"]))
        elif f"{names[0][0]}.attn.relative_position_index" in state_dict:  # then masks are there, too
            config["shift_sizes"] = tuple(
                tuple(window_size // 2 if f"{name}.attn_mask" in state_dict else 0 for name in block) for block in names
            )
        return config | {name: stated[name] for name in ("inter_mask", "bias_mode") if name in stated}

    @classmethod
    def recognises(cls, state_dict: Mapping[str, Tensor], settings: Mapping[str, Any]) -> bool:
        """Whether these are weights of an iiTransformer, rather than of a SwinIR, whose names are the same.

        Tables of two sizes tell, or the mask of a shifted 'inter' layer, or an 'attn_types' in `settings`.
        """
        if not all(key in state_dict for key in cls.signature_keys):
            return False
        if "attn_types" in settings:
            return True
        names = _layer_names(state_dict)
        return len({len(table) for table in _tables(state_dict, names).values()}) > 1 or "inter" in (
            _type_by_mask(state_dict, name) for name in chain(*names)
        )


def _layer_names(state_dict: Mapping[str, Tensor]) -> list[list[str]]:
    """Prefixes of the layers of each block."""
    blocks = [f"layers.{block}.residual_group.blocks" for block in range(count_items(state_dict, "layers"))]
    return [[f"{block}.{layer}" for layer in range(count_items(state_dict, block))] for block in blocks]


def _tables(state_dict: Mapping[str, Tensor], names: Iterable[Iterable[str]]) -> dict[str, Tensor]:
    """The bias tables of the layers that have one, by the layer's prefix."""
    tables = {name: state_dict.get(f"{name}.attn.relative_position_bias_table") for name in chain(*names)}
    return {name: table for name, table in tables.items() if table is not None}


def _side(table: Tensor) -> int:
    """Rows of the square, of pixels or of patches, to whose offsets the rows of `table` belong."""
    return (isqrt(len(table)) + 1) // 2


def _offsets(img_size: int | Sequence[int] | None, window_size: int) -> int | None:
    """Rows of the bias table that belongs to this size of training picture."""
    if img_size is None:
        return None
    sides = (img_size, img_size) if isinstance(img_size, int) else img_size
    return prod(2 * (side // window_size) - 1 for side in sides)


def _type_by_mask(state_dict: Mapping[str, Tensor], name: str) -> str | None:
    mask = state_dict.get(f"{name}.attn_mask")
    # (windows, pixels, pixels), or (1, 1, patches, patches).
    return None if mask is None else ATTENTION_TYPES[mask.ndim == 4]


def _types_of(
    state_dict: Mapping[str, Tensor], names: Sequence[Sequence[str]], stated: Mapping[str, Any]
) -> tuple[tuple[str, ...], ...]:
    """What each layer of each block attends to: as shapes say, else `stated`, else as its block, else as published."""
    tables = _tables(state_dict, names)
    sizes = [len(table) for table in tables.values()]
    of_window = (2 * stated.get("window_size", 8) - 1) ** 2
    if "window_size" not in stated and of_window not in sizes:
        of_window = sizes[0] if sizes else 0  # published networks begin with windows

    def told(name: str) -> str | None:
        if name not in tables or len(tables[name]) != of_window:
            return "inter"
        return _type_by_mask(state_dict, name) or ("intra" if len(set(sizes)) > 1 else None)

    types = []
    for number, block in enumerate(names):
        known = [told(name) for name in block]
        likely = next(filter(None, known), ATTENTION_TYPES[number % 2])
        guesses = stated["attn_types"][number] if "attn_types" in stated else [likely] * len(block)
        types.append(tuple(kind or guess for kind, guess in zip(known, guesses, strict=True)))
    return tuple(types)


def _strips(shape: tuple[int, ...], multiple: int) -> Iterator[slice]:
    """Rows of a map `(B, H, W, ...)`, so many at a time that a strip is not too large to work on."""
    batch, height, width = shape[:3]
    rows = max(STRIP_TOKENS // (batch * width) // multiple, 1) * multiple
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def _strips_with_margin(shape: tuple[int, ...], margin: int) -> Iterator[tuple[slice, slice, slice]]:
    """Strips of a map, each as its rows, those with the margin it needs, and where it lies in the latter."""
    for rows in _strips(shape, 1):
        seen = slice(max(rows.start - margin, 0), min(rows.stop + margin, shape[1]))
        yield rows, seen, slice(rows.start - seen.start, rows.stop - seen.start)


def _circular(span: slice, shift: int, length: int) -> list[slice]:
    """Where `span` of an axis that was rolled back by `shift` lies on the axis itself."""
    start, stop = span.start + shift, span.stop + shift
    return [slice(start, stop)] if stop <= length else [slice(start, length), slice(0, stop - length)]


def _read(tokens: Tensor, rows: list[slice], columns: list[slice]) -> Tensor:
    return torch.cat([torch.cat([tokens[:, down, across] for across in columns], dim=2) for down in rows], dim=1)


def _add(tokens: Tensor, rows: list[slice], columns: list[slice], change: Tensor) -> None:
    """Add `change` to the parts of `tokens` that `_read` reads."""
    top = 0
    for down in rows:
        left = 0
        for across in columns:
            part = tokens[:, down, across]
            part += change[:, top : top + part.shape[1], left : left + part.shape[2]]
            left += part.shape[2]
        top += part.shape[1]


def _enlarged(rows: slice, scale: int) -> slice:
    return slice(rows.start * scale, rows.stop * scale)


VARIANTS: dict[str, dict[str, Any]] = {
    "iitransformer-dn": {},
    "iitransformer-dn-intra": {"attn_types": (("intra",) * 8,) * 4},
    "iitransformer-dn-inter": {"attn_types": (("inter",) * 8,) * 4},
    "iitransformer-car": {"in_chans": 1, "img_size": 64},
    **{
        f"iitransformer-sr-x{scale}": {"upscale": scale, "img_size": 64, "upsampler": "pixelshuffle"}
        for scale in (2, 3, 4)
    },
}
