"""The options all tasks share, defined once, and their checks against each other."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from restore_cli.errors import UsageError
from restore_cli.options import (
    BitDepth,
    Encoding,
    Existing,
    FinishOptions,
    OutputOptions,
    Precision,
    RunOptions,
    parse_tile,
)

__all__ = ["Shared", "with_shared_options"]

MODEL, MEMORY, OUTPUT, RUN = "Model", "Memory", "Output", "Run"

# The options of every command that runs networks.
Models = Annotated[
    list[str] | None,
    typer.Option(
        "-n", "--model", help="Model name, checkpoint file, or hf:owner/repo/file@revision.", rich_help_panel=MODEL
    ),
]
Tta = Annotated[
    bool,
    typer.Option(
        "-x", "--tta", help="Average over eight flips and rotations: eight times the work.", rich_help_panel=MODEL
    ),
]
Wne = Annotated[
    bool | None,
    typer.Option(
        "--wne/--no-wne",
        help="Wrap for normalization equivariance. Default: as the model was trained.",
        rich_help_panel=MODEL,
    ),
]
WneEps = Annotated[
    float, typer.Option(help="Added to the deviation by --wne; the paper has 1e-5.", rich_help_panel=MODEL)
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the network for a model.", rich_help_panel=MODEL)]
Tile = Annotated[
    str,
    typer.Option("-t", "--tile", metavar="auto|off|N", help="Side of a tile in input pixels.", rich_help_panel=MEMORY),
]
CommercialOk = Annotated[
    bool,
    typer.Option(
        "--commercial-ok",
        help="Refuse models that forbid commercial use, or whose terms are unclear.",
        rich_help_panel=MODEL,
    ),
]
TileOverlap = Annotated[
    int | None,
    typer.Option(help="Input pixels that tiles share. Default: what keeps them invisible.", rich_help_panel=MEMORY),
]
Crops = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Average overlapping crops of N input pixels instead of tiling.", rich_help_panel=MEMORY
    ),
]
RandomCrops = Annotated[
    int, typer.Option(metavar="K", help="Average in K more crops at random places.", rich_help_panel=MEMORY)
]
LocalStatistics = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Take a network's whole-picture statistics over windows of N pixels; 0 never. Default: its card's.",
        rich_help_panel=MEMORY,
    ),
]
Device = Annotated[
    str, typer.Option(metavar="auto|cpu|cuda[:n]|mps", help="Where the network runs.", rich_help_panel=MEMORY)
]
NetworkPrecision = Annotated[Precision, typer.Option(help="Arithmetic of the network.", rich_help_panel=MEMORY)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and stop.", rich_help_panel=RUN)]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the outcome as JSON on standard output.", rich_help_panel=RUN)
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.", rich_help_panel=RUN)]


@dataclass(frozen=True)
class Shared:
    """Inputs and options of every task; each field is a parameter of the command.

    Paths are text here: `Path("")` is the current folder, and an unset variable in a script is not that.
    """

    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT", help="Pictures, folders, quoted patterns such as 'scans/*.tif', or - for a pipe."
        ),
    ]
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="File or folder for results, or - for a pipe; beside the inputs if left out.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    model: Models = None
    average: Annotated[
        bool, typer.Option("--average", help="Average the results of several --model.", rich_help_panel=MODEL)
    ] = False
    tta: Tta = False
    wne: Wne = None
    wne_eps: WneEps = 0.0
    strength: Annotated[
        float,
        typer.Option(help="Share of the restored picture in the result, 0 to 1.", rich_help_panel=MODEL),
    ] = 1.0
    mask: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Restore only where this picture is white; the edge is feathered.",
            rich_help_panel=MODEL,
        ),
    ] = None
    embedded: Annotated[
        bool,
        typer.Option("--embedded", help="Use the model that comes with the package.", rich_help_panel=MODEL),
    ] = False
    best: Annotated[
        bool,
        typer.Option("--best", help="Use the best model for task and device; downloads it.", rich_help_panel=MODEL),
    ] = False
    offline: Offline = False
    commercial_ok: CommercialOk = False
    tile: Tile = "auto"
    tile_overlap: TileOverlap = None
    crops: Crops = None
    random_crops: RandomCrops = 0
    local_statistics: LocalStatistics = None
    device: Device = "auto"
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Several at once, a process for each: cuda:0,cuda:1.", rich_help_panel=MEMORY
        ),
    ] = None
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ray[:ADDRESS]",
            help="On every machine of a Ray cluster; files on shared storage, or URLs such as s3://bucket/in.",
            rich_help_panel=MEMORY,
        ),
    ] = None
    precision: NetworkPrecision = Precision.AUTO
    format: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            help="Format of the results, such as png or tiff. Default: the input's.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    suffix: Annotated[
        str | None,
        typer.Option(
            help="Added to the names of results. Default: the task's, beside the inputs.", rich_help_panel=OUTPUT
        ),
    ] = None
    bit_depth: Annotated[
        BitDepth | None,
        typer.Option(help="Of the results; 8 is dithered. Default: the input's.", rich_help_panel=OUTPUT),
    ] = None
    quality: Annotated[
        int | None,
        typer.Option(metavar="1..100", help="Of JPEG, WebP, AVIF, HEIC, JPEG XL. Default: 95.", rich_help_panel=OUTPUT),
    ] = None
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", help="Leave out EXIF, XMP, IPTC and comments; the profile stays.", rich_help_panel=OUTPUT
        ),
    ] = False
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace results that exist.", rich_help_panel=OUTPUT)
    ] = False
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave results that exist.", rich_help_panel=OUTPUT)
    ] = False
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Clean picture, or folder of them, to print PSNR and SSIM against.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    sidecar: Annotated[
        bool,
        typer.Option(
            "--sidecar", help="Also write how each result was made beside it, as JSON.", rich_help_panel=OUTPUT
        ),
    ] = False
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Also the subfolders; their tree is kept.", rich_help_panel=RUN)
    ] = False
    frames: Annotated[
        str,
        typer.Option(
            metavar="first|all|N",
            help="Which pictures of files that hold several, from 0.",
            rich_help_panel=RUN,
        ),
    ] = "first"
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with an earlier batch: what it finished is left alone, anything half done is done again.",
            rich_help_panel=RUN,
        ),
    ] = False
    log: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Add a line of JSON for every file to this one.", rich_help_panel=RUN),
    ] = None
    dry_run: DryRun = False
    as_json: AsJson = False
    quiet: Quiet = False

    def __post_init__(self) -> None:
        for name in ("output", "model", "mask", "device", "devices", "cluster", "format", "reference", "log"):
            if getattr(self, name) == "" or (name == "model" and "" in (self.model or ())):
                raise UsageError(f"--{name} is empty.", "Check the variable it came from, or leave it out.")

    def run_options(self) -> RunOptions:
        """How to run the network; raises UsageError for values that make no sense."""
        return RunOptions(
            device=self.device_names()[0],
            precision=self.precision,
            tile_px=parse_tile(self.tile),
            overlap_px=self.tile_overlap,
            tta=self.tta,
            wne=self.wne,
            wne_eps=self.wne_eps,
            crops_px=self.crops,
            random_crops=self.random_crops,
            local_statistics_px=self.local_statistics,
        )

    def device_names(self) -> list[str]:
        """Where networks run on this machine, one device at least."""
        if self.cluster is not None:
            return ["auto"]
        return [self.device] if self.devices is None else [name.strip() for name in self.devices.split(",")]

    def model_names(self) -> list[str]:
        """The models named, none or one unless they are to be averaged; raises UsageError."""
        names = list(self.model or ())
        if names and (self.embedded or self.best):
            raise UsageError(f"--model {names[0]} says which model to use.", "Leave out --embedded and --best.")
        if self.embedded and self.best:
            raise UsageError("--embedded and --best contradict each other.", "Choose one.")
        if len(names) > 1 and not self.average:
            raise UsageError(f"{len(names)} models are named.", "Add --average to average their results, or name one.")
        if self.average and len(names) < 2:
            raise UsageError("--average needs several models.", "Name each with -n.")
        return names

    def finish_options(self) -> FinishOptions:
        """How result and original meet; raises UsageError."""
        return FinishOptions(self.strength, None if self.mask is None else Path(self.mask))

    def output_options(self) -> OutputOptions:
        """Where results go; raises UsageError for contradictions."""
        if self.overwrite and self.skip_existing:
            raise UsageError("--overwrite and --skip-existing contradict each other.", "Choose one.")
        existing = Existing.OVERWRITE if self.overwrite else Existing.SKIP if self.skip_existing else Existing.FAIL
        output = None if self.output is None else Path(self.output)
        encoding = Encoding(self.strip, self.quality, self.bit_depth)
        return OutputOptions(output, self.format, self.suffix, existing, encoding)


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command(options, ...)` with its first parameter, a dataclass such as `Shared`, replaced by its fields.

    The first field is the command's first argument, the others come after the command's own parameters.
    Typer reads a command's parameters from its signature, so the signature is what is composed here.
    """
    own_hints = get_type_hints(command, include_extras=True)
    first, *others = inspect.signature(command).parameters.values()
    kind: Any = own_hints[first.name]
    hints = get_type_hints(kind, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(
            each.name,
            keyword,
            annotation=hints[each.name],
            default=inspect.Parameter.empty if each.default is MISSING else each.default,
        )
        for each in fields(kind)
    ]
    own = [parameter.replace(kind=keyword, annotation=own_hints[parameter.name]) for parameter in others]
    names = {each.name for each in fields(kind)}

    @functools.wraps(command)
    def run(**arguments: Any) -> None:  # noqa: ANN401 - as the signature says
        common = kind(**{name: value for name, value in arguments.items() if name in names})
        command(common, **{name: value for name, value in arguments.items() if name not in names})

    parameters = [shared[0], *own, *shared[1:]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
