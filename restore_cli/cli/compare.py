"""`restore compare`: several versions of one picture, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restore_cli.cli._output import Display
from restore_cli.errors import OutputError, UsageError

if TYPE_CHECKING:
    from restore_cli.evaluation.shown import Box, Panel

__all__ = ["EPILOG", "compare"]

EPILOG = (
    "restore compare noisy.png clean.png -o both.png   |   restore compare clean.png a.png b.png -o slider.html   |   "
    "restore compare a.png b.png -o flip.gif --crop 120,80,64,64"
)
PNG, GIF, HTML = ".png", ".gif", (".html", ".htm")
MOST_CROPS = 4


def compare(
    pictures: Annotated[
        list[str], typer.Argument(metavar="A B [C...]", help="Pictures; differences are shown to the first.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="PNG: side by side. HTML: a slider with zoom. GIF: one after the other.",
        ),
    ],
    crop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y,W,H",
            help="Enlarge this part, in pixels of the largest picture. Default: two where they differ most.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Put pictures beside each other: side by side, under a slider, or flipping; with crops and differences."""
    from restore_cli.evaluation.montage import common_profile, draw_flip, draw_montage, find_boxes
    from restore_cli.evaluation.shown import one_size, read_panel, short_names
    from restore_cli.evaluation.slider import draw_slider
    from restore_cli.io.atomic import write_whole
    from restore_cli.io.paths import check_target, is_same_file

    paths, target = _paths(pictures, output)
    asked = _asked_boxes(crop or [], most=1 if target.suffix.lower() == GIF else MOST_CROPS)
    for path in paths:
        if is_same_file(path, target):
            raise OutputError(f"{target} is one of the pictures.", "Choose another --output.")
    check_target(target, overwrite=overwrite)

    display = Display(quiet=quiet, as_json=as_json)
    panels = one_size([read_panel(path, label) for path, label in zip(paths, short_names(paths), strict=True)])
    _check_inside(asked, panels[0])
    if target.suffix.lower() == GIF:
        boxes = asked
        content = draw_flip(panels, asked[0] if asked else None)
    else:
        boxes = asked or find_boxes(panels)
        is_png = target.suffix.lower() == PNG
        content = draw_montage(panels, boxes) if is_png else draw_slider(panels, boxes)
        if is_png and common_profile(panels) is None and any(panel.icc_profile for panel in panels):
            display.note("The pictures have different colour profiles; the result has none.")
    write_whole(target, content, overwrite=overwrite)

    display.note(f"{', '.join(map(str, paths))} -> {target}")
    display.document(
        {
            "output": str(target),
            "width": panels[0].width,
            "height": panels[0].height,
            "pictures": [
                {"path": str(path), "label": panel.label, "remark": panel.remark}
                for path, panel in zip(paths, panels, strict=True)
            ],
            "crops": [box._asdict() for box in boxes],
        }
    )


def _paths(pictures: list[str], output: str) -> tuple[list[Path], Path]:
    if "" in (*pictures, output):
        raise UsageError("The name of a picture or of --output is empty.", "Check the variable it came from.")
    if "-" in (*pictures, output):
        raise UsageError("Pipes are not supported: '-' is no file.", "A file of that name is ./-.")
    if len(pictures) < 2:
        raise UsageError("There is one picture to compare.", "Name two or more, and the result by --output.")
    target = Path(output)
    if target.suffix.lower() not in (PNG, GIF, *HTML):
        raise OutputError(f"--output {output}: results are PNG, HTML or GIF.", "The suffix decides.")
    return [Path(picture) for picture in pictures], target


def _asked_boxes(crops: list[str], most: int) -> list[Box]:
    from restore_cli.evaluation.shown import Box

    if len(crops) > most:
        raise UsageError(f"There are {len(crops)} --crop.", f"A GIF shows one, PNG and HTML up to {MOST_CROPS}.")
    boxes = []
    for text in crops:
        numbers = text.split(",")
        if len(numbers) != 4 or not all(each.strip().isdecimal() for each in numbers):
            raise UsageError(f"--crop {text}: four whole numbers are wanted.", "Write X,Y,WIDTH,HEIGHT in pixels.")
        boxes.append(Box(*map(int, numbers)))
    return boxes


def _check_inside(boxes: Sequence[Box], panel: Panel) -> None:
    for box in boxes:
        inside = box.x + box.width <= panel.width and box.y + box.height <= panel.height
        if not inside or not box.width or not box.height:
            raise UsageError(
                f"--crop {','.join(map(str, box))} is not inside the picture.",
                f"It has {panel.width}x{panel.height} pixels; write X,Y,WIDTH,HEIGHT.",
            )
