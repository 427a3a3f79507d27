"""Everything that is wrong with one picture, and what to type to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from restore_cli.diagnosis.blur import Blur, estimate_blur
from restore_cli.diagnosis.finding import Finding, confidence_of
from restore_cli.diagnosis.jpeg import Compression, estimate_compression, quality_of_file
from restore_cli.diagnosis.noise import Noise, estimate_noise
from restore_cli.diagnosis.tiles import spread_tiles
from restore_cli.io.image import Image

__all__ = ["Diagnosis", "diagnose"]

# (even, width) of `confidence_of`, from training pictures, clean and degraded; a finding is one from 0.5 on.
SURE_OF_NOISE = (2.4, 0.9)  # sigma_255; of 120 pictures of BSD400 as they are, 5 measure more than 2.4
SURE_OF_COMPRESSION = (0.15, 0.02)  # evidence
SURE_OF_BLOCKS = (1.25, 0.03)  # blockiness
SURE_OF_BLUR = (1.06, 0.05)  # spread_px
# Hard compression widens edges too.
SURE_OF_BLUR_IF_COMPRESSED = (1.3, 0.06)
HARD_QUALITY = 20

CLEAN_QUALITY = 90  # from here on nobody sees it
SMALL_PX = 640 * 480
# Edges across a camera's path are this much wider than those along it, where that can be told.
MOVED_RATIO = 1.5


@dataclass(frozen=True)
class Diagnosis:
    """What was measured, and what of it is wrong.

    Attributes:
        height, width: of the picture.
        sigma_255: standard deviation of white noise in 8-bit units; None where nothing could be told.
        jpeg_quality: libjpeg's, 1 to 100, of the hardest compression found; None without any.
        jpeg_quality_of_file: what the file's own tables say; None for other files than JPEG.
        blockiness: how many times more neighbours differ across the lines of a grid of 8 than elsewhere.
        blur_px: deviation of the blur of the sharpest edges, about 0.6 in a sharp picture; None without edges.
        blur_direction_deg: of a camera's movement, from 0 (across) counter-clockwise to under 180; else None.
        findings: what is wrong, in the order in which to mend it.
    """

    height: int
    width: int
    sigma_255: float | None
    jpeg_quality: int | None
    jpeg_quality_of_file: int | None
    blockiness: float
    blur_px: float | None
    blur_direction_deg: float | None
    findings: tuple[Finding, ...]

    def as_record(self, name: str) -> dict[str, Any]:
        """For JSON; `name` goes into the commands."""
        measured = {
            "width": self.width,
            "height": self.height,
            "sigma_255": None if self.sigma_255 is None else round(self.sigma_255, 2),
            "jpeg_quality": self.jpeg_quality,
            "jpeg_quality_of_file": self.jpeg_quality_of_file,
            "blockiness": round(self.blockiness, 3),
            "blur_px": None if self.blur_px is None else round(self.blur_px, 2),
            "blur_direction_deg": self.blur_direction_deg,
        }
        return measured | {"findings": [finding.as_record(name) for finding in self.findings]}


def diagnose(image: Image, path: Path | None = None) -> Diagnosis:
    """What is wrong with `image`; a megapixel of it is looked at, spread over the whole.

    Args:
        image: of any size.
        path: the file it was read from, whose tables are asked if it is a JPEG.
    """
    of_file = quality_of_file(path) if path is not None and image.source_format == "JPEG" else None
    if image.sensor is not None:
        raw = Finding("mosaic", "a camera raw: one colour a pixel", 1.0, ("demosaic",))
        return Diagnosis(image.height, image.width, None, None, None, 1.0, None, None, (raw,))
    tiles = spread_tiles(image)
    noise = estimate_noise(tiles, image.bit_depth)
    compression = estimate_compression(spread_tiles(image, as_encoded=True))
    blur = estimate_blur(tiles, noise.sigma_255)
    quality = hardest(of_file, compression.quality)
    findings = (
        *_compression_findings(compression, of_file, quality),
        *_noise_findings(noise),
        *_blur_findings(blur, quality),
        *_size_findings(image),
    )
    moved = any(finding.kind == "motion-blur" for finding in findings)
    return Diagnosis(
        height=image.height,
        width=image.width,
        sigma_255=noise.sigma_255 if noise.patches else None,
        jpeg_quality=quality,
        jpeg_quality_of_file=of_file,
        blockiness=compression.blockiness,
        blur_px=blur.spread_px or None,
        blur_direction_deg=blur.direction_deg if moved else None,
        findings=findings,
    )


def hardest(of_file: int | None, of_pixels: int | None) -> int | None:
    """The lower of two qualities; what file and pixels say alike is the file's."""
    if of_file is None or of_pixels is None:
        return of_file or of_pixels
    return of_file if of_pixels > of_file - 3 else of_pixels


def _compression_findings(compression: Compression, of_file: int | None, quality: int | None) -> Iterator[Finding]:
    if quality is not None and quality < CLEAN_QUALITY:
        if quality == of_file:
            yield Finding("jpeg", f"JPEG of quality {quality}, as the file says", 1.0, ("jpeg",))
            return
        sure = confidence_of(compression.evidence, *SURE_OF_COMPRESSION)
        before = "" if of_file is None else f"; the file's own quality, {of_file}, is that of a later one"
        yield Finding("jpeg", f"JPEG compression of quality {quality}{before}", sure, ("jpeg",))
        return
    sure = confidence_of(compression.blockiness, *SURE_OF_BLOCKS)
    if sure >= 0.5:
        yield Finding("blocks", "blocks of 8 pixels, of a compression that cannot be read any more", sure, ("jpeg",))


def _noise_findings(noise: Noise) -> Iterator[Finding]:
    sure = confidence_of(noise.sigma_255, *SURE_OF_NOISE) if noise.patches else 0.0
    if sure >= 0.5:
        yield Finding("noise", f"noise of sigma {noise.sigma_255:.1f} (of 255)", sure, ("denoise",))


def _blur_findings(blur: Blur, quality: int | None) -> Iterator[Finding]:
    hard = quality is not None and quality <= HARD_QUALITY
    sure = confidence_of(blur.spread_px, *(SURE_OF_BLUR_IF_COMPRESSED if hard else SURE_OF_BLUR))
    if sure < 0.5:
        return
    spread = f"edges spread over {blur.spread_px:.1f} px (deviation)"
    if blur.ratio >= MOVED_RATIO:
        message = f"blur of a movement at {blur.direction_deg:.0f} degrees, {spread}"
        yield Finding("motion-blur", message, sure, ("deblur",))
    else:
        yield Finding("blur", f"blur, of the lens or a shaken camera, {spread}", sure, ("deblur",))


def _size_findings(image: Image) -> Iterator[Finding]:
    if image.height * image.width < SMALL_PX:
        yield Finding("low-resolution", f"only {image.width}x{image.height} pixels", 1.0, ("sr",))
