"""The level that a network must be told, estimated where the user does not say it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from restore_cli.diagnosis.diagnose import hardest
from restore_cli.diagnosis.jpeg import estimate_compression, quality_of_file
from restore_cli.diagnosis.noise import estimate_noise
from restore_cli.diagnosis.tiles import spread_tiles
from restore_cli.errors import InputError
from restore_cli.io.image import Image
from restore_cli.options import Hints
from restore_cli.tasks import QUALITY_FACTOR, SIGMA, Conditioning

__all__ = ["with_estimate"]


def with_estimate(image: Image, hints: Hints, needed: Conditioning, path: Path | None = None) -> tuple[Hints, str]:
    """`hints` that say what is `needed`, and what to tell the user about it.

    Args:
        image: the picture.
        hints: what the user said; a level that he gave stays, and nothing is estimated or told.
        needed: `SIGMA` or `QUALITY_FACTOR`.
        path: the file it was read from, whose tables are asked if it is a JPEG.

    Returns:
        The hints, and a sentence that names the level and where it comes from; ("" where he said it himself).

    Raises:
        InputError: nothing can be told of the picture.
    """
    if getattr(hints, needed.name) is not None:
        return hints, ""
    hint = f"Add {needed.option} LEVEL ({needed.low:g} to {needed.high:g})."
    if needed is SIGMA:
        noise = estimate_noise(spread_tiles(image), image.bit_depth)
        if not noise.patches:
            raise InputError("the level of its noise cannot be told from the picture.", hint)
        sigma_255 = round(min(noise.sigma_255, SIGMA.high), 1)
        return replace(hints, sigma_255=sigma_255), f"{SIGMA.option} {sigma_255:g} estimated from the picture."
    assert needed is QUALITY_FACTOR, needed
    of_file = quality_of_file(path) if path is not None and image.source_format == "JPEG" else None
    quality = hardest(of_file, estimate_compression(spread_tiles(image, as_encoded=True)).quality)
    if quality is None:
        raise InputError("no JPEG compression is found in the picture, so its quality cannot be told.", hint)
    origin = "read from the file's tables" if quality == of_file else "estimated from the pixels"
    return replace(hints, quality_factor=float(quality)), f"{QUALITY_FACTOR.option} {quality} {origin}."
