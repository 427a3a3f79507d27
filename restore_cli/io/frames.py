"""Files of several pictures: pages of a TIFF, frames of GIF, WebP, APNG and AVIF, pictures of a HEIF.

One at a time is read, `read_image(path, frame=n)`; here they are counted. Frames come out as they are shown, on top
of those before them where an animation stores differences. What accompanies a picture is none: TIFF's reduced
pages, a JPEG's second picture (a preview, a depth map, a gain map), an EXR's further parts.
"""

from __future__ import annotations

from pathlib import Path

from restore_cli.io.read import read_header

__all__ = ["count_frames"]


def count_frames(path: Path) -> int:
    """How many pictures the file holds, by its header; later ones may yet be damaged.

    Raises:
        InputError: as `read_image`.
    """
    return read_header(path).frames
