"""A page to compare pictures on: a slider with zoom, close looks, difference maps."""

from __future__ import annotations

from collections.abc import Sequence

from restore_cli.evaluation.embed import PictureBudget, lossless_uri
from restore_cli.evaluation.montage import difference_maps
from restore_cli.evaluation.page import Source, Viewer, look_at, render
from restore_cli.evaluation.shown import Box, Panel, reduce

__all__ = ["draw_slider"]

MAP_PX = 1600


def draw_slider(panels: Sequence[Panel], boxes: Sequence[Box]) -> bytes:
    """A self-contained HTML file.

    Args:
        panels: two or more, of one size.
        boxes: to frame and enlarge, inside the pictures.
    """
    names = [panel.label for panel in panels]
    pixels = [panel.eight_bit for panel in panels]
    profiles = [panel.icc_profile for panel in panels]
    uris, remark = PictureBudget(1).embed(pixels, profiles)
    details = [panel.remark for panel in panels]
    sources = tuple(Source(*each) for each in zip(names, uris, details, strict=True))
    differences = difference_maps(panels)
    factor = -(-max(panels[0].width, panels[0].height) // MAP_PX)
    return render(
        "compare.html",
        title=f"restore compare {' '.join(names)}",
        names=names,
        viewer=Viewer("slider", "Two at a time", panels[0].width, panels[0].height, sources, 0, 1, remark),
        looks=[
            look_at(f"Part {number}", "", box, list(zip(names, details, pixels, profiles, strict=True)))
            for number, box in enumerate(boxes, 1)
        ],
        difference_scale=differences.scale_text,
        ceiling_255=differences.ceiling_255,
        maps=[
            {"name": name, "uri": lossless_uri(reduce(drawn, factor)), "detail": f"mean {mean:.2f} of 255 levels"}
            for name, drawn, mean in zip(names[1:], differences.maps, differences.means_255, strict=True)
        ],
    )
