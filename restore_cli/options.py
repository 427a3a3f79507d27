"""What the user asked for, frozen, as it travels from the command line inwards. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from restore_cli.errors import UsageError
from restore_cli.tasks import QUALITY_FACTOR, SIGMA, Conditioning, Task

__all__ = [
    "BitDepth",
    "Cfa",
    "Encoding",
    "Existing",
    "FinishOptions",
    "Hints",
    "OutputOptions",
    "Precision",
    "RunOptions",
    "parse_frames",
    "parse_tile",
]


class Precision(str, Enum):
    """Arithmetic of the network; the weights stay in float32."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Cfa(str, Enum):
    """Bayer pattern: the colours of a mosaic's top left 2x2 pixels, row by row."""

    RGGB = "rggb"
    BGGR = "bggr"
    GRBG = "grbg"
    GBRG = "gbrg"


class BitDepth(str, Enum):
    """How fine the samples of a result are."""

    EIGHT = "8"
    SIXTEEN = "16"
    FLOAT = "32f"

    @property
    def bits(self) -> int:
        """8, 16 or 32."""
        return int(self.value.rstrip("f"))


class Existing(str, Enum):
    """What to do with a result that is already there."""

    FAIL = "fail"
    SKIP = "skip"
    OVERWRITE = "overwrite"


@dataclass(frozen=True)
class RunOptions:
    """How a network is run.

    Attributes:
        device: 'auto', 'cpu', 'cuda', 'cuda:n' or 'mps'.
        precision: see `Precision`.
        tile_px: side of a square tile in input pixels, overlap included; None chooses, 0 never tiles.
        overlap_px: input pixels two neighbouring tiles share; None takes what the network needs.
        tta: average over the eight flips and rotations.
        wne: wrap for normalization equivariance; None does as the model's card says.
        wne_eps: added to the deviation by that wrapper; 0 is exact, the paper's 1e-5 nearly so.
        crops_px: average overlapping crops of this size, in input pixels, instead of tiling.
        random_crops: how many more crops at random places (always the same ones) are averaged in.
        local_statistics_px: statistics and pools of the whole picture are taken over a window of this
            size around each pixel instead; that of the training patches, as a rule. None does as the
            model's card says, 0 leaves the network as it is.
    """

    device: str = "auto"
    precision: Precision = Precision.AUTO
    tile_px: int | None = None
    overlap_px: int | None = None
    tta: bool = False
    wne: bool | None = None
    wne_eps: float = 0.0
    crops_px: int | None = None
    random_crops: int = 0
    local_statistics_px: int | None = None

    def __post_init__(self) -> None:
        if self.tile_px is not None and self.tile_px < 0:
            raise UsageError(f"--tile {self.tile_px}: a size in pixels is positive.", "Use auto, off or a number.")
        if self.overlap_px is not None and self.overlap_px < 0:
            raise UsageError(f"--tile-overlap {self.overlap_px}: pixels cannot be negative.")
        if self.overlap_px and self.tile_px == 0:
            raise UsageError("--tile-overlap has no meaning with --tile off.", "Leave one of them out.")
        if self.tile_px and self.overlap_px is not None and self.overlap_px >= self.tile_px:
            raise UsageError(
                f"--tile-overlap {self.overlap_px} leaves nothing of a tile of {self.tile_px} pixels.",
                "Use a larger --tile or a smaller --tile-overlap.",
            )
        for option, pixels, least in (
            ("--crops", self.crops_px, 1),
            ("--local-statistics", self.local_statistics_px, 0),
        ):
            if pixels is not None and pixels < least:
                raise UsageError(
                    f"{option} {pixels}: a size in pixels is positive.", "256 is what HINet was trained on."
                )
        if self.crops_px is not None and (self.tile_px is not None or self.overlap_px is not None):
            raise UsageError("--crops cuts the picture in its own way.", "Leave out --tile and --tile-overlap.")
        if self.random_crops < 0 or (self.random_crops and self.crops_px is None):
            raise UsageError(
                f"--random-crops {self.random_crops} adds to --crops.", "Give --crops a size, such as 256."
            )
        if not 0 <= self.wne_eps < 1:
            raise UsageError(f"--wne-eps {self.wne_eps:g} is not a small positive number.", "The paper has 1e-5.")


@dataclass(frozen=True)
class Hints:
    """What the user knows about the pictures; None leaves a blind network to find out.

    Attributes:
        sigma_255: standard deviation of the noise in 8-bit units.
        quality_factor: the JPEG quality the picture was saved with, 1 to 100.
        cfa: pattern of a mosaic.
        second_view: the other picture of a dual-pixel sensor, for a network that takes both.
    """

    sigma_255: float | None = None
    quality_factor: float | None = None
    cfa: Cfa = Cfa.RGGB
    second_view: Path | None = None

    def __post_init__(self) -> None:
        for conditioning in (SIGMA, QUALITY_FACTOR):
            _check_range(conditioning, getattr(self, conditioning.name))


@dataclass(frozen=True)
class FinishOptions:
    """How the restored picture meets the original.

    Attributes:
        strength: share of the restored picture, 0 to 1; the rest is the input (enlarged for sr).
        mask: grey picture, white where the restored one is wanted.
        feather_px: width of the mask's soft edge, in input pixels.
    """

    strength: float = 1.0
    mask: Path | None = None
    feather_px: float = 8.0

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"--strength {self.strength:g} is not between 0 and 1.")

    @property
    def keeps_original(self) -> bool:
        """Whether any of the original is wanted in the result."""
        return self.mask is not None or self.strength < 1

    def check_task(self, task: Task) -> None:
        """Raises UsageError where the task's input is no picture, of which nothing could be kept."""
        if self.keeps_original and task.input != "picture":
            raise UsageError(
                f"{task.name} cannot keep any of its input, which is a {task.input}, not a picture.",
                "Leave out --strength and --mask.",
            )


@dataclass(frozen=True)
class Encoding:
    """What of a picture is written, and how finely.

    Attributes:
        strip: leave out EXIF, XMP, IPTC and comments; the colour profile and the resolution stay, for they say
            how the picture looks.
        quality: 1 to 100 for the formats that lose something, and asks those that need not to do so; None is 95,
            or no loss where the source had none.
        bit_depth: of a sample; None keeps the source's as far as the format goes.
    """

    strip: bool = False
    quality: int | None = None
    bit_depth: BitDepth | None = None

    def __post_init__(self) -> None:
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality {self.quality} is out of range.", "Give 1 to 100; 95 is hardly seen.")


@dataclass(frozen=True)
class OutputOptions:
    """Where results go and in which form.

    Attributes:
        output: file or folder; None puts each result beside its input.
        format: name of a picture format; None keeps the input's.
        suffix: added to the stem of every result; None adds the task's to those beside their inputs.
        existing: what to do with a result that is already there.
        encoding: see `Encoding`.
    """

    output: Path | None = None
    format: str | None = None
    suffix: str | None = None
    existing: Existing = Existing.FAIL
    encoding: Encoding = field(default_factory=Encoding)

    def __post_init__(self) -> None:
        if self.suffix is not None and ("/" in self.suffix or "\\" in self.suffix or "\0" in self.suffix):
            raise UsageError(f"--suffix {self.suffix!r} would name another folder.", "Use --output for that.")


def parse_tile(text: str) -> int | None:
    """`--tile`: 'auto' -> None, 'off' -> 0, a number of pixels -> itself.

    Raises:
        UsageError: anything else. 0 too, which means 'off' in one half of the field's tools and
            'auto' in the other.
    """
    named = {"auto": None, "off": 0}
    if text in named:
        return named[text]
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"--tile {text!r}: not a tile size.", "Use auto, off or a number of pixels such as 512.")


def parse_frames(text: str) -> int | None:
    """`--frames`: 'first' -> 0, 'all' -> None, a number -> itself; raises UsageError for anything else."""
    named = {"first": 0, "all": None}
    if text in named:
        return named[text]
    if text.isdecimal():
        return int(text)
    raise UsageError(f"--frames {text!r}: not a picture's number.", "Use first, all or a number from 0 on.")


def _check_range(conditioning: Conditioning, value: float | None) -> None:
    if value is not None and not conditioning.low <= value <= conditioning.high:
        raise UsageError(f"{conditioning.option} {value:g} is outside {conditioning.low:g} to {conditioning.high:g}.")
