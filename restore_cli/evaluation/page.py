"""Self-contained HTML pages: one file, no request to anywhere, every name escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray

from restore_cli import __version__
from restore_cli.evaluation.embed import lossless_uri
from restore_cli.evaluation.shown import Box, reduce

__all__ = ["Crop", "Look", "Source", "Viewer", "look_at", "render"]

THUMBNAIL_PX = 320


@dataclass(frozen=True)
class Source:
    """A picture that a viewer can show.

    Attributes:
        name: in the list of choices.
        uri: the picture itself, a data URI.
        detail: beside the name when shown, such as its scores; may be empty.
        group: heading it stands under in the list; may be empty.
    """

    name: str
    uri: str
    detail: str = ""
    group: str = ""


@dataclass(frozen=True)
class Viewer:
    """Pictures on top of each other with a divider between any two.

    Attributes:
        anchor: id in the page.
        title: of the card.
        width, height: in pixels, of the full pictures; those of other sizes are stretched to it.
        sources: to choose from.
        left, right: places in `sources` that are shown first.
        remark: how the pictures differ from the files; may be empty.
    """

    anchor: str
    title: str
    width: int
    height: int
    sources: tuple[Source, ...]
    left: int
    right: int
    remark: str = ""


@dataclass(frozen=True)
class Crop:
    """A cut-out, enlarged by the page."""

    name: str
    uri: str
    detail: str = ""


@dataclass(frozen=True)
class Look:
    """The same part of several pictures.

    Attributes:
        title, detail: what it is of.
        whole_uri: the whole picture, small.
        frame: where the part lies: 'left', 'top', 'width', 'height' in percent.
        where: the same in pixels, for people.
        crops: exact.
    """

    title: str
    detail: str
    whole_uri: str
    frame: dict[str, float]
    where: str
    crops: tuple[Crop, ...]


def look_at(
    title: str,
    detail: str,
    box: Box,
    pictures: Sequence[tuple[str, str, NDArray[np.uint8], bytes | None]],
) -> Look:
    """The part `box` of pictures of one size.

    Args:
        title, detail: what they are of.
        box: inside the pictures.
        pictures: name, detail, (H, W, 3) pixels and colour profile; the last is shown whole.
    """
    *_, (_, _, last, profile) = pictures
    height, width = last.shape[:2]
    thumbnail = reduce(np.ascontiguousarray(last), max(1, max(height, width) // THUMBNAIL_PX))
    return Look(
        title,
        detail,
        lossless_uri(thumbnail, profile),
        {
            "left": 100 * box.x / width,
            "top": 100 * box.y / height,
            "width": 100 * box.width / width,
            "height": 100 * box.height / height,
        },
        f"{box.width}×{box.height} pixels at {box.x}, {box.y}",
        tuple(
            Crop(name, lossless_uri(np.ascontiguousarray(box.of(pixels)), icc), text)
            for name, text, pixels, icc in pictures
        ),
    )


def render(template: str, **content: Any) -> bytes:  # noqa: ANN401 - whatever the template names
    """A page from `page/<template>`; everything in `content` is escaped."""
    environment = Environment(
        loader=PackageLoader("restore_cli.evaluation", "page"), autoescape=True, undefined=StrictUndefined
    )
    folder = resources.files("restore_cli.evaluation") / "page"
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    # The page names its one script by its hash: nothing that slipped in by a file's name could ever run.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    text = environment.get_template(template).render(
        style=Markup(style),
        script=Markup(script),
        script_sha256=digest,
        version=__version__,
        date=f"{datetime.now().astimezone():%d %B %Y, %H:%M}".lstrip("0"),
        **content,
    )
    # Names that are not valid Unicode become question marks.
    return text.encode("utf-8", "replace")
