"""What `restore diagnose` finds in pictures whose degradation is known; writes the README's table.

    python -m restore_cli.evaluation.diagnosed --data ../shared/data

measures twenty pictures of the test sets, each degraded in its own way, through files as a user would. `--train`
measures training pictures instead, at other settings, and prints how often what is found and how far off it is: the
constants of `restore_cli.diagnosis` and the error stated here come from there, never from the twenty.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import hypot, sqrt
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from restore_cli.degradations.recipes import generator_for, read_degradation
from restore_cli.diagnosis.diagnose import Diagnosis, diagnose
from restore_cli.diagnosis.noise import estimate_noise
from restore_cli.diagnosis.tiles import spread_tiles
from restore_cli.errors import InputError, RestoreError
from restore_cli.evaluation.marked import write_part
from restore_cli.io.image import Image
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from restore_cli.options import Encoding

__all__ = ["CASES", "TABLE_END", "TABLE_START", "Case", "Verdict", "judge", "table"]

TABLE_START, TABLE_END = "<!-- diagnosed: written by restore_cli.evaluation.diagnosed -->", "<!-- end of diagnosed -->"
SEED = 11
# The stated error.
SIGMA_ERROR_255, SIGMA_ERROR_SHARE = 0.5, 0.05
QUALITY_ERROR = 2
BLUR_ERROR_SHARE = 0.4
OWN_SPREAD_PX = 0.6  # of a sharp picture
SAME_KIND = {"motion-blur": "blur", "blocks": "jpeg"}


@dataclass(frozen=True)
class Case:
    """A picture, what is done to it, and what should be found.

    Attributes:
        picture: below the folder of the data.
        done: in words.
        steps: degradations, one after another.
        sigma_255, jpeg_quality, spread_px: the truth; None where the picture is free of it, or where it is not
            known in that unit.
        kinds: what should be found, besides a small size.
        crop: rows and columns cut off above and left after the first JPEG.
        bit_depth: of the file.
        saved_at: JPEG quality of the file itself; None for PNG.
    """

    picture: str
    done: str
    steps: tuple[Mapping[str, Any], ...] = ()
    sigma_255: float | None = None
    jpeg_quality: int | None = None
    spread_px: float | None = None
    kinds: frozenset[str] = frozenset()
    crop: tuple[int, int] = (0, 0)
    bit_depth: int = 8
    saved_at: int | None = None


def noisy(picture: str, sigma_255: float, bit_depth: int = 8) -> Case:
    """White Gaussian noise."""
    depth = "" if bit_depth == 8 else f", {bit_depth} bits"
    step = {"kind": "gaussian-noise", "sigma_255": sigma_255}
    return Case(
        picture,
        f"noise, sigma {sigma_255:g}{depth}",
        (step,),
        sigma_255=sigma_255,
        kinds=frozenset({"noise"}),
        bit_depth=bit_depth,
    )


def compressed(picture: str, quality: int, crop: tuple[int, int] = (0, 0), saved_at: int | None = None) -> Case:
    """JPEG, and what became of the file since."""
    since = f", cut by {crop[0]} rows and {crop[1]} columns" if any(crop) else ""
    since += f", saved again at {saved_at}" if saved_at else ", as PNG"
    steps = ({"kind": "jpeg", "quality": quality},)
    done = f"JPEG, quality {quality}{since}"
    return Case(picture, done, steps, jpeg_quality=quality, kinds=frozenset({"jpeg"}), crop=crop, saved_at=saved_at)


def saved(picture: str, quality: int) -> Case:
    """Just a JPEG file."""
    kinds = frozenset({"jpeg"})
    return Case(picture, f"JPEG file, quality {quality}", jpeg_quality=quality, kinds=kinds, saved_at=quality)


def defocused(picture: str, radius_px: float) -> Case:
    """A disc, of about one size all over."""
    step = {"kind": "defocus", "radius_px": radius_px, "variation": 0.1}
    # The deviation of a disc along a line is half its radius.
    spread_px = hypot(radius_px / 2, OWN_SPREAD_PX)
    done = f"out of focus, radius {radius_px:g} px"
    return Case(picture, done, (step,), spread_px=spread_px, kinds=frozenset({"blur"}))


def moved(picture: str, length_px: float) -> Case:
    """A straight movement."""
    step = {"kind": "motion-blur", "length_px": length_px, "linear": 1}
    spread_px = hypot(length_px / sqrt(12), OWN_SPREAD_PX)
    done = f"moved by {length_px:g} px"
    return Case(picture, done, (step,), spread_px=spread_px, kinds=frozenset({"blur"}))


def shaken(picture: str, length_px: float) -> Case:
    """A random path, whose spread is not known beforehand."""
    step = {"kind": "motion-blur", "length_px": length_px, "linear": 0}
    return Case(picture, f"shaken over {length_px:g} px", (step,), kinds=frozenset({"blur"}))


CASES = (
    noisy("test/CBSD68/101085.webp", 4),
    noisy("test/CBSD68/119082.webp", 12),
    noisy("test/McMaster/3.webp", 23),
    noisy("test/LIVE1/parrots.webp", 47),
    noisy("test/McMaster/15.webp", 14, bit_depth=16),
    noisy("test/Set12/08.png", 9),
    noisy("test/Set12/11.png", 31),
    saved("test/McMaster/9.webp", 27),
    compressed("test/LIVE1/sailing2.webp", 8),
    compressed("test/LIVE1/lighthouse2.webp", 33),
    compressed("test/McMaster/5.webp", 58, crop=(3, 5)),
    compressed("test/Set12/02.png", 83),
    compressed("test/LIVE1/womanhat.webp", 22, saved_at=96),
    defocused("test/McMaster/12.webp", 2.7),
    defocused("test/LIVE1/bikes.webp", 3.6),
    moved("test/CBSD68/148026.webp", 9),
    moved("test/LIVE1/statue.webp", 15),
    shaken("test/McMaster/17.webp", 11),
    Case("test/McMaster/7.webp", "nothing"),
    Case("test/LIVE1/house.webp", "nothing"),
)


@dataclass(frozen=True)
class Verdict:
    """What was found in a picture.

    Attributes:
        named: whether the degradations found are those made.
        errors: found less true, by name of the measure.
        within: whether all errors are within the stated one.
        own_sigma_255: what noise the picture had before, if some was added.
    """

    case: Case
    diagnosis: Diagnosis
    named: bool
    errors: Mapping[str, float] = field(default_factory=dict)
    within: bool = True
    own_sigma_255: float = 0.0


def judge(case: Case, data: Path, folder: Path) -> Verdict:
    """Degrade, write, read and diagnose.

    Args:
        case: what to do.
        data: the folder that pictures are named from.
        folder: to write into.

    Raises:
        RestoreError: the picture is not there.
    """
    path = folder / f"case{'.jpg' if case.saved_at else '.png'}"
    clean = read_image(data / case.picture)
    write_image(_degraded(case, clean), path, overwrite=True, encoding=Encoding(quality=case.saved_at))
    own = 0.0 if case.sigma_255 is None else estimate_noise(spread_tiles(clean), clean.bit_depth).sigma_255
    return verdict(case, diagnose(read_image(path), path), own)


def verdict(case: Case, diagnosis: Diagnosis, own_sigma_255: float = 0.0) -> Verdict:
    """How a diagnosis compares with the truth; of noise that is the added and what was there, whose variances add."""
    kinds = {SAME_KIND.get(each.kind, each.kind) for each in diagnosis.findings} - {"low-resolution"}
    truths = {
        "sigma_255": (
            None if case.sigma_255 is None else hypot(case.sigma_255, own_sigma_255),
            diagnosis.sigma_255,
        ),
        "jpeg_quality": (case.jpeg_quality, diagnosis.jpeg_quality),
        "blur_px": (case.spread_px, diagnosis.blur_px),
    }
    errors = {name: float(found or 0) - true for name, (true, found) in truths.items() if true is not None}
    within = all(abs(error) <= _stated_error(name, truths[name][0] or 0) for name, error in errors.items())
    return Verdict(case, diagnosis, kinds == case.kinds, errors, within, own_sigma_255)


def table(verdicts: Sequence[Verdict]) -> str:
    """As Markdown."""
    rows = ["| picture | its own noise | what was done | what was found | off by | as stated |", "|" + "---|" * 6]
    for each in verdicts:
        found = ", ".join(_shown(each.diagnosis)) or "nothing"
        off = ", ".join(f"{error:+.2g}" for error in each.errors.values())
        name = Path(each.case.picture)
        good = "yes" if each.named and each.within else "**no**"
        own = f"{each.own_sigma_255:.1f}" if each.own_sigma_255 else ""
        rows.append(f"| {name.parent.name} {name.stem} | {own} | {each.case.done} | {found} | {off} | {good} |")
    right = sum(each.named and each.within for each in verdicts)
    stated = (
        f"{right} of {len(verdicts)} as stated: named, nothing else named, sigma within {SIGMA_ERROR_255:g} + "
        f"{SIGMA_ERROR_SHARE:.0%}, quality within {QUALITY_ERROR}, spread of edges within {BLUR_ERROR_SHARE:.0%}."
    )
    return "\n".join([*rows, "", stated])


def _degraded(case: Case, clean: Image) -> Image:
    rng = generator_for(SEED, Path(case.picture).stem)
    pixels = np.clip(clean.pixels, 0, 1)
    for step in case.steps:
        pixels = read_degradation(step, case.done)(pixels, rng)
    pixels = np.ascontiguousarray(np.clip(pixels, 0, 1)[case.crop[0] :, case.crop[1] :])
    return Image(pixels, None, case.bit_depth, "PNG", "L" if pixels.shape[2] == 1 else "RGB")


def _stated_error(name: str, true: float) -> float:
    if name == "sigma_255":
        return SIGMA_ERROR_255 + SIGMA_ERROR_SHARE * true
    return QUALITY_ERROR if name == "jpeg_quality" else BLUR_ERROR_SHARE * true


def _shown(diagnosis: Diagnosis) -> Iterator[str]:
    for finding in diagnosis.findings:
        level = {
            "noise": f"noise, sigma {diagnosis.sigma_255 or 0:.1f}",
            "jpeg": f"JPEG, quality {diagnosis.jpeg_quality}",
            "blocks": f"blocks, {diagnosis.blockiness:.1f}",
            "blur": f"blur, {diagnosis.blur_px or 0:.1f} px",
            "motion-blur": f"movement, {diagnosis.blur_px or 0:.1f} px",
        }.get(finding.kind)
        if level is not None:
            yield f"{level} ({finding.confidence:.0%})"


# Of training pictures, reduced by half so that neither their own JPEG nor their cameras' noise is left.
TRAINING = {
    "nothing": [Case("", "")],
    "noise": [noisy("", sigma_255) for sigma_255 in (3, 7, 17, 35, 60)],
    "jpeg": [compressed("", quality) for quality in (5, 15, 40, 70, 85)],
    "jpeg, cut": [compressed("", quality, (5, 2)) for quality in (15, 40, 70, 85)],
    "jpeg, saved again at 95": [compressed("", quality, (0, 0), 95) for quality in (10, 35, 70)],
    "defocus": [defocused("", radius_px) for radius_px in (2, 3, 4.5)],
    "movement": [moved("", length_px) for length_px in (6, 12, 18)],
    "shake": [shaken("", length_px) for length_px in (6, 12, 18)],
}


def _training(data: Path, pictures: int, folder: Path) -> Iterator[str]:
    """A line for each kind of degradation and level: how often it is named, alone, and within the stated error."""
    paths = sorted((data / "train" / "photos").iterdir())[:: max(1, 121 // pictures)][:pictures]
    for kind, cases in TRAINING.items():
        for case in cases:
            verdicts = []
            for path in paths:
                half = _halved(read_image(path))
                target = folder / f"case{'.jpg' if case.saved_at else '.png'}"
                named = replace(case, picture=path.name)
                encoding = Encoding(quality=case.saved_at)
                write_image(_degraded(named, half), target, overwrite=True, encoding=encoding)
                verdicts.append(verdict(named, diagnose(read_image(target), target)))
            alone = np.mean([each.named for each in verdicts])
            within = np.mean([each.within for each in verdicts])
            errors = [error for each in verdicts for error in each.errors.values()]
            spread = ", ".join(f"{each:+.2f}" for each in np.percentile(errors, (5, 50, 95))) if errors else "none"
            yield (
                f"{case.done or kind}: named and nothing else {alone:.0%}, within {within:.0%}, "
                f"error at 5, 50, 95 %: {spread}"
            )


def _halved(image: Image) -> Image:
    size = (image.width // 2, image.height // 2)
    reduced = np.asarray(cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA), np.float32)
    return replace(image, pixels=reduced.reshape(size[1], size[0], -1), alpha=None)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of the test and train sets")
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--train", type=int, metavar="N", help="measure N training pictures, write nothing")
    options = parser.parse_args(arguments)
    if not options.data.is_dir():
        raise InputError(f"There is no folder {options.data}.", "Name it: --data DIR.")
    with tempfile.TemporaryDirectory() as folder:
        if options.train:
            for line in _training(options.data, options.train, Path(folder)):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
            return 0
        text = table([judge(case, options.data, Path(folder)) for case in CASES])
    sys.stdout.write(f"{text}\n")
    write_part(options.readme, TABLE_START, TABLE_END, text)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RestoreError as failure:
        sys.exit(f"error: {failure}")
