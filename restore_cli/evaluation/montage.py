"""Pictures beside each other (PNG) or one after the other (GIF): labels, frames, crops, difference maps."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from restore_cli.evaluation.shown import Box, Panel, choose_boxes, enlarge, reduce

__all__ = ["DifferenceMaps", "common_profile", "difference_maps", "draw_flip", "draw_montage", "find_boxes"]

# A panel is never so narrow that its label would not fit, nor so wide that viewers give up.
NARROWEST_PX, WIDEST_PX = 280, 1600
GAP_PX, MARGIN_PX, FRAME_PX = 12, 16, 4
PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (115, 115, 115)  # no colours: a GIF has 256 in all
FRAMES = ((255, 176, 0), (0, 190, 255), (255, 70, 110), (120, 220, 80))  # told apart on any picture, by anyone
FLIP_MS = 900
# White in a difference map: the least of these that 98 % of the differing values stay below.
CEILINGS_255 = (1, 2, 4, 8, 16, 32, 64, 128, 255)


@dataclass(frozen=True, eq=False)
class DifferenceMaps:
    """How far each picture is from the first.

    Attributes:
        ceiling_255: the difference, in 8-bit levels, that is drawn as white; the same for all.
        maps: (H, W, 3) uint8, for each picture but the first.
        means_255: mean absolute difference in 8-bit levels, likewise.
    """

    ceiling_255: int
    maps: tuple[NDArray[np.uint8], ...]
    means_255: tuple[float, ...]

    @property
    def scale_text(self) -> str:
        """What the colours mean, for people."""
        return f"black: equal, white: {self.ceiling_255} of 255 levels or more (about ×{255 / self.ceiling_255:.0f})"


def difference_maps(panels: Sequence[Panel]) -> DifferenceMaps:
    """Absolute differences to the first, mean over channels, amplified alike so that they can be seen.

    Args:
        panels: of one size.
    """
    first, *others = panels
    gaps = [np.abs(panel.pixels - first.pixels).mean(axis=2) * 255 for panel in others]
    high = max((float(np.quantile(gap[gap > 0], 0.98)) for gap in gaps if gap.any()), default=0.0)
    ceiling = next(each for each in CEILINGS_255 if each >= min(high, 255))
    maps = tuple(_coloured(gap / ceiling) for gap in gaps)
    return DifferenceMaps(ceiling, maps, tuple(float(gap.mean()) for gap in gaps))


def find_boxes(panels: Sequence[Panel], count: int = 2) -> list[Box]:
    """Where to look closer when nobody said, see `choose_boxes`: about a fifth of the shorter side."""
    factor, times = _display_scale(panels[0].width)
    inner = _crop_px(panels[0].width * times // factor, count)
    wanted = max(min(panels[0].height, panels[0].width) // 5, 16)
    side = inner // max(1, round(inner / wanted))  # so that, enlarged, they fill the width
    return choose_boxes([panel.pixels for panel in panels], side, side, count)


def draw_montage(panels: Sequence[Panel], boxes: Sequence[Box]) -> bytes:
    """A PNG file: pictures side by side, below them their crops in frames, below them the differences to the first.

    Pictures are reduced or enlarged by whole numbers to a legible width, which their labels say; crops are cut from
    the full picture and enlarged by whole numbers.

    Args:
        panels: two or more, of one size.
        boxes: to frame and enlarge, inside the pictures.
    """
    factor, times = _display_scale(panels[0].width)
    differences = difference_maps(panels)
    columns = []
    for index, panel in enumerate(panels):
        picture = _drawn(panel.eight_bit, factor, times, boxes)
        cells = [_label(panel.label, _remark(panel, factor, times), picture.width), picture]
        if boxes:
            cells.append(_crops(panel, boxes, picture.width))
        if index:
            mean = f"mean {differences.means_255[index - 1]:.2f} of 255 levels"
            cells.append(_label(f"|{panel.label} − {panels[0].label}|", mean, picture.width))
            cells.append(_drawn(differences.maps[index - 1], factor, times, ()))
        else:
            cells.append(_label("Difference to this picture", differences.scale_text, picture.width))
            cells.append(_legend(differences.ceiling_255, picture.width))
        columns.append(_stacked(cells))
    sheet = PillowImage.new(
        "RGB",
        (
            2 * MARGIN_PX + sum(column.width for column in columns) + GAP_PX * (len(columns) - 1),
            2 * MARGIN_PX + max(column.height for column in columns),
        ),
        PAPER,
    )
    x = MARGIN_PX
    for column in columns:
        sheet.paste(column, (x, MARGIN_PX))
        x += column.width + GAP_PX
    content = io.BytesIO()
    sheet.save(content, "PNG", icc_profile=common_profile(panels))
    return content.getvalue()


def draw_flip(panels: Sequence[Panel], box: Box | None = None) -> bytes:
    """A GIF file that shows one picture after the other, for ever, in one palette for all.

    One palette and no dithering: what is equal in two pictures stays equal, so that only differences move.

    Args:
        panels: two or more, of one size.
        box: to show instead of the whole picture.
    """
    frames = []
    for number, panel in enumerate(panels, 1):
        pixels = panel.eight_bit if box is None else box.of(panel.eight_bit)
        factor, times = _display_scale(pixels.shape[1])
        picture = _drawn(pixels, factor, times, ())
        remark = f"{number} of {len(panels)}; {_remark(panel, factor, times)}".removesuffix("; ")
        frames.append(_stacked([_label(panel.label, remark, picture.width), picture]))
    width, height = frames[0].size
    sheet = PillowImage.new("RGB", (width, height * len(frames)))
    for index, frame in enumerate(frames):
        sheet.paste(frame, (0, index * height))
    # Not frame by frame to a palette: that, in Pillow, first rounds to four levels.
    sheet = sheet.quantize(256)
    drawn = [sheet.crop((0, index * height, width, (index + 1) * height)) for index in range(len(frames))]
    content = io.BytesIO()
    drawn[0].save(content, "GIF", save_all=True, append_images=drawn[1:], duration=FLIP_MS, loop=0, disposal=1)
    return content.getvalue()


def common_profile(panels: Sequence[Panel]) -> bytes | None:
    """The colour profile of all, or None where they do not share one."""
    profiles = {panel.icc_profile for panel in panels}
    return profiles.pop() if len(profiles) == 1 else None


def _display_scale(width: int) -> tuple[int, int]:
    """By how much to reduce and to enlarge pictures so wide; one of them is 1."""
    return max(1, math.ceil(width / WIDEST_PX)), max(1, math.ceil(NARROWEST_PX / width))


def _remark(panel: Panel, factor: int, times: int) -> str:
    parts = [panel.remark]
    if factor > 1:
        parts.append(f"shown at 1/{factor} of {panel.width}×{panel.height}")
    elif times > 1:
        parts.append(f"{panel.width}×{panel.height}, shown ×{times}")
    else:
        parts.append(f"{panel.width}×{panel.height}")
    return "; ".join(filter(None, parts))


def _drawn(pixels: NDArray[np.uint8], factor: int, times: int, boxes: Sequence[Box]) -> PillowImage.Image:
    picture = PillowImage.fromarray(enlarge(reduce(np.ascontiguousarray(pixels), factor), times))
    pen = ImageDraw.Draw(picture)
    for number, box in enumerate(boxes):
        left, top, right, bottom = (
            each * times // factor for each in (box.x, box.y, box.x + box.width, box.y + box.height)
        )
        _frame(pen, (left, top, max(right, left + 1), max(bottom, top + 1)), number)
    return picture


def _frame(pen: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], number: int) -> None:
    """A coloured frame around `corners` (right and lower edge exclusive), dark outside to show on any picture."""
    left, top, right, bottom = corners
    colour, edge = FRAMES[number % len(FRAMES)], FRAME_PX
    pen.rectangle((left - edge, top - edge, right + edge - 1, bottom + edge - 1), outline=(0, 0, 0), width=1)
    edge -= 1
    pen.rectangle((left - edge, top - edge, right + edge - 1, bottom + edge - 1), outline=colour, width=edge)


def _crops(panel: Panel, boxes: Sequence[Box], width: int) -> PillowImage.Image:
    """The parts in a row as wide as the picture above them, each in the colour of its frame."""
    inner = _crop_px(width, len(boxes))
    parts = []
    for box in boxes:
        times = max(1, inner // box.width)
        factor = max(1, math.ceil(box.width / inner))
        parts.append(enlarge(reduce(np.ascontiguousarray(box.of(panel.eight_bit)), factor), times))
    strip = PillowImage.new("RGB", (width, GAP_PX + max(part.shape[0] for part in parts) + 2 * FRAME_PX), PAPER)
    pen = ImageDraw.Draw(strip)
    for number, part in enumerate(parts):
        x, y = number * (inner + 2 * FRAME_PX + GAP_PX) + FRAME_PX, GAP_PX + FRAME_PX
        strip.paste(PillowImage.fromarray(part), (x, y))
        _frame(pen, (x, y, x + part.shape[1], y + part.shape[0]), number)
    return strip


def _crop_px(width: int, count: int) -> int:
    """The side of each of `count` framed crops in a row so wide."""
    return max((width - GAP_PX * (count - 1)) // count - 2 * FRAME_PX, 8)


def _legend(ceiling_255: int, width: int) -> PillowImage.Image:
    """The colours of the difference maps with their values."""
    font = _font(15)
    legend = PillowImage.new("RGB", (width, 56), PAPER)
    ramp = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (24, width))
    legend.paste(PillowImage.fromarray(_coloured(ramp)), (0, 4))
    pen = ImageDraw.Draw(legend)
    for share, anchor in ((0.0, "la"), (0.5, "ma"), (1.0, "ra")):
        pen.text((share * (width - 1), 33), f"{share * ceiling_255:g}", font=font, fill=FAINT, anchor=anchor)
    return legend


def _label(title: str, remark: str, width: int) -> PillowImage.Image:
    strip = PillowImage.new("RGB", (width, 52), PAPER)
    pen = ImageDraw.Draw(strip)
    pen.text((0, 4), _fitting(title, _font(18), width), font=_font(18), fill=INK)
    pen.text((0, 29), _fitting(remark, _font(13), width), font=_font(13), fill=FAINT)
    return strip


def _fitting(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """`text` on one line no wider than that; of what is too long the middle is left out."""
    text = "".join(each if each.isprintable() else "�" for each in text)
    kept = len(text)
    shown = text
    while font.getlength(shown) > width and kept > 1:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    return shown


@lru_cache
def _font(size_px: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font has neither × nor −; matplotlib brings one that has them, and most alphabets.
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size_px)


def _coloured(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W), 0 to 1 and beyond, from black over red and yellow to white: the order survives grey printing."""
    # The 'hot' ramp: red, then green, then blue rise one after the other.
    rising = np.stack([values * 3, values * 3 - 1, values * 3 - 2], axis=-1)
    return np.asarray(np.clip(rising, 0, 1) * 255 + 0.5, np.uint8)


def _stacked(cells: Sequence[PillowImage.Image]) -> PillowImage.Image:
    column = PillowImage.new("RGB", (cells[0].width, sum(cell.height for cell in cells)), PAPER)
    y = 0
    for cell in cells:
        column.paste(cell, (0, y))
        y += cell.height
    return column
