"""The options all tasks share, defined once, and their checks against each other."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from restore_cli.errors import UsageError
from restore_cli.options import Existing, FinishOptions, OutputOptions, Precision, RunOptions, parse_tile

__all__ = ["Shared", "with_shared_options"]

MODEL, MEMORY, OUTPUT, RUN = "Model", "Memory", "Output", "Run"


@dataclass(frozen=True)
class Shared:
    """Inputs and options of every task; each field is a parameter of the command.

    Paths are text here: `Path("")` is the current folder, and an unset variable in a script is not that.
    """

    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT", help="Pictures, folders or quoted patterns such as 'scans/*.tif'."),
    ]
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="File or folder for results; beside the inputs if left out.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    model: Annotated[
        list[str] | None,
        typer.Option(
            "-n", "--model", help="Model name, checkpoint file, or hf:owner/repo/file@revision.", rich_help_panel=MODEL
        ),
    ] = None
    average: Annotated[
        bool, typer.Option("--average", help="Average the results of several --model.", rich_help_panel=MODEL)
    ] = False
    tta: Annotated[
        bool,
        typer.Option(
            "-x", "--tta", help="Average over eight flips and rotations: eight times the work.", rich_help_panel=MODEL
        ),
    ] = False
    wne: Annotated[
        bool | None,
        typer.Option(
            "--wne/--no-wne",
            help="Wrap for normalization equivariance. Default: as the model was trained.",
            rich_help_panel=MODEL,
        ),
    ] = None
    wne_eps: Annotated[
        float, typer.Option(help="Added to the deviation by --wne; the paper has 1e-5.", rich_help_panel=MODEL)
    ] = 0.0
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
    offline: Annotated[
        bool, typer.Option("--offline", help="Never ask the network for a model.", rich_help_panel=MODEL)
    ] = False
    commercial_ok: Annotated[
        bool,
        typer.Option(
            "--commercial-ok",
            help="Refuse models that forbid commercial use, or whose terms are unclear.",
            rich_help_panel=MODEL,
        ),
    ] = False
    tile: Annotated[
        str,
        typer.Option(
            "-t", "--tile", metavar="auto|off|N", help="Side of a tile in input pixels.", rich_help_panel=MEMORY
        ),
    ] = "auto"
    tile_overlap: Annotated[
        int | None,
        typer.Option(help="Input pixels that tiles share. Default: what keeps them invisible.", rich_help_panel=MEMORY),
    ] = None
    crops: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Average overlapping crops of N input pixels instead of tiling.", rich_help_panel=MEMORY
        ),
    ] = None
    random_crops: Annotated[
        int, typer.Option(metavar="K", help="Average in K more crops at random places.", rich_help_panel=MEMORY)
    ] = 0
    local_statistics: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Take a network's whole-picture statistics over windows of N pixels instead.",
            rich_help_panel=MEMORY,
        ),
    ] = None
    device: Annotated[
        str, typer.Option(metavar="auto|cpu|cuda[:n]|mps", help="Where the network runs.", rich_help_panel=MEMORY)
    ] = "auto"
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the network.", rich_help_panel=MEMORY)] = (
        Precision.AUTO
    )
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
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Also the subfolders; their tree is kept.", rich_help_panel=RUN)
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done and stop.", rich_help_panel=RUN)
    ] = False
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON on standard output.", rich_help_panel=RUN)
    ] = False
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but errors.", rich_help_panel=RUN)] = False

    def __post_init__(self) -> None:
        for name in ("output", "model", "mask", "device", "format", "reference"):
            if getattr(self, name) == "" or (name == "model" and "" in (self.model or ())):
                raise UsageError(f"--{name} is empty.", "Check the variable it came from, or leave it out.")
        if "-" in (*self.inputs, self.output):
            raise UsageError("Pipes are not supported: '-' is no file.", "A file of that name is ./-.")

    def run_options(self) -> RunOptions:
        """How to run the network; raises UsageError for values that make no sense."""
        return RunOptions(
            device=self.device,
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

    def model_names(self) -> list[str]:
        """The models named, none or one unless they are to be averaged; raises UsageError."""
        names = list(self.model or ())
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
        return OutputOptions(output, self.format, self.suffix, existing)


def with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """`command(shared, ...)` with its first parameter replaced by the fields of `Shared`.

    Typer reads a command's parameters from its signature, so the signature is what is composed here.
    """
    hints = get_type_hints(Shared, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(
            each.name,
            keyword,
            annotation=hints[each.name],
            default=inspect.Parameter.empty if each.name == "inputs" else each.default,
        )
        for each in fields(Shared)
    ]
    own_hints = get_type_hints(command, include_extras=True)
    own = [
        parameter.replace(kind=keyword, annotation=own_hints[parameter.name])
        for parameter in list(inspect.signature(command).parameters.values())[1:]
    ]
    names = {each.name for each in fields(Shared)}

    @functools.wraps(command)
    def run(**arguments: Any) -> None:  # noqa: ANN401 - as the signature says
        common = Shared(**{name: value for name, value in arguments.items() if name in names})
        command(common, **{name: value for name, value in arguments.items() if name not in names})

    parameters = [shared[0], *own, *shared[1:]]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
