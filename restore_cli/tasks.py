"""The spine: one row a task. Commands, cards, evaluation and README read it; a test holds them to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from restore_cli.errors import ModelNotFoundError, UsageError

__all__ = ["QUALITY_FACTOR", "SIGMA", "TASKS", "Conditioning", "Task"]


@dataclass(frozen=True)
class Conditioning:
    """Something a network may have to be told about the picture.

    Attributes:
        name: of the argument, unit included.
        option: on the command line.
        low, high: accepted values, both inclusive.
    """

    name: str
    option: str
    low: float
    high: float


SIGMA = Conditioning("sigma_255", "--sigma", 0.0, 255.0)
QUALITY_FACTOR = Conditioning("quality_factor", "--quality-factor", 1.0, 100.0)


@dataclass(frozen=True)
class Task:
    """What a command does.

    Attributes:
        name: of the command, and of the protocol in `restore_cli.evaluation.protocol` that scores it.
        help: one sentence.
        input: 'picture' (RGB or grey) or 'mosaic' (one channel of raw sensor values).
        suffix: of a result beside its input; '{scale}' is filled in.
        scales: enlargements the task offers; the first is the default.
        conditioning: what the task's networks may need to know.
        default_models: card ids by variant: 'x2' and the like, else 'color' and, where grey pictures have a
            model of their own, 'grey'. Without one they run through the colour model.
        try_models: card ids and hub addresses to name while there is no default.
        degradations: kinds of `restore_cli.degradations` that make the task's input from a clean picture.
    """

    name: str
    help: str
    suffix: str
    degradations: tuple[str, ...]
    input: str = "picture"
    scales: tuple[int, ...] = (1,)
    conditioning: Conditioning | None = None
    default_models: dict[str, str] = field(default_factory=dict)
    try_models: tuple[str, ...] = ()

    def default_model(self, scale: int | None = None) -> str:
        """The card id to use when the user names no model.

        Raises:
            UsageError: a scale the task does not offer.
            ModelNotFoundError: no weights yet; the hint names models to try.
        """
        if scale is None:
            scale = self.scales[0]
        if scale not in self.scales:
            offered = ", ".join(f"x{each}" for each in sorted(self.scales))
            raise UsageError(
                f"--scale {scale}: {self.name} offers {offered}.", "Other scales need a --model of theirs."
            )
        variant = f"x{scale}" if self.enlarges else "color"
        if variant in self.default_models:
            return self.default_models[variant]
        what = f"{self.name} {variant}" if self.enlarges else self.name
        ways = [*(f"-n {name.format(scale=scale)}" for name in self.try_models), "-n FILE.pth"]
        raise ModelNotFoundError(
            f"No weights for '{what}' come with the package yet.",
            f"Name a model: {', '.join(ways)} or -n hf:owner/repo/file.",
        )

    @property
    def grey_model(self) -> str | None:
        """The card id for grey pictures, where it is another than `default_model()`."""
        return self.default_models.get("grey")

    def check_scale(self, wanted: int | None, found: int, model: str) -> None:
        """Raises UsageError unless a model of scale `found` does what the task, and `wanted`, ask for."""
        if not self.enlarges and found != 1:
            raise UsageError(f"{model} enlarges x{found}, but '{self.name}' keeps the size.", "Use it with restore sr.")
        if self.enlarges and found == 1:
            raise UsageError(f"{model} keeps the size, but 'sr' enlarges.", "Use it with denoise, deblur or the like.")
        if wanted is not None and wanted != found:
            raise UsageError(f"{model} enlarges x{found}, not x{wanted}.", f"Use --scale {found} or another --model.")

    @property
    def enlarges(self) -> bool:
        """Whether results are larger than inputs."""
        return self.scales != (1,)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "sr",
            "Enlarge pictures by super-resolution.",
            suffix="_sr{scale}x",
            degradations=("bicubic",),
            scales=(4, 2, 3),
            default_models={"x4": "resnet-sr-x4", "x2": "resnet-sr-x2", "x3": "resnet-sr-x3"},
            try_models=("swinir-m-sr-x{scale}",),
        ),
        Task(
            "denoise",
            "Remove noise.",
            suffix="_denoise",
            degradations=("gaussian-noise",),
            conditioning=SIGMA,
            # A grey picture's noise repeated in three channels is nothing a colour denoiser has seen.
            default_models={"color": "unet-denoise-color", "grey": "unet-denoise-grey"},
        ),
        Task(
            "deblur",
            "Remove camera shake and defocus blur.",
            suffix="_deblur",
            degradations=("motion-blur", "defocus"),
            default_models={"color": "unet-deblur"},
            try_models=("nafnet-gopro-width64",),
        ),
        Task(
            "derain",
            "Remove rain streaks.",
            suffix="_derain",
            degradations=("rain",),
            default_models={"color": "hinet-derain"},
        ),
        Task(
            "jpeg",
            "Remove JPEG compression artifacts.",
            suffix="_jpeg",
            degradations=("jpeg",),
            default_models={"color": "unet-jpeg"},
            conditioning=QUALITY_FACTOR,
            try_models=("fbcnn-color",),
        ),
        Task(
            "demosaic",
            "Turn Bayer mosaics into colour pictures.",
            suffix="_demosaic",
            degradations=("mosaic",),
            default_models={"color": "unet-demosaic"},
            input="mosaic",
        ),
        Task(
            "weather",
            "Remove snow, raindrops, or rain with fog.",
            suffix="_weather",
            degradations=("snow", "raindrops", "rain-fog"),
            default_models={"color": "unet-weather"},
        ),
    )
}
