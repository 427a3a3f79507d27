"""The degradations a recipe can name, what they have in common, and how they combine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.blur import Defocus, MotionBlur
from restore_cli.degradations.fog import Fog
from restore_cli.degradations.jpeg import MCU_PX, Jpeg
from restore_cli.degradations.mosaic import Mosaic
from restore_cli.degradations.noise import CorrelatedNoise, GaussianNoise, PoissonGaussianNoise
from restore_cli.degradations.rain import Rain, RainFog
from restore_cli.degradations.raindrops import Raindrops
from restore_cli.degradations.resize import Bicubic
from restore_cli.degradations.snow import Snow
from restore_cli.errors import RecipeError
from restore_cli.tables import from_table

__all__ = [
    "DEGRADATIONS",
    "Chain",
    "Choice",
    "Degradation",
    "generator_for",
    "makes_mosaic",
    "read_degradation",
    "scale_of",
]


class Degradation(Protocol):
    """Turns a clean picture into a degraded one; all chance comes from the generator it is given.

    It is a frozen dataclass of its settings. One that reduces has an attribute `scale`, see `scale_of`.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def margin_px(self) -> int:
        """Degraded pixels at the border that depend on what lies outside the picture."""
        ...

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> (H/scale, W/scale, C) float32."""
        ...


def scale_of(degradation: Degradation) -> int:
    """Clean pixels per degraded pixel along a side."""
    scale: int = getattr(degradation, "scale", 1)
    return scale


@dataclass(frozen=True)
class Chain:
    """Degradations one after another: blurred, then noisy, then compressed.

    Args:
        steps: in TOML a list of tables, each with its `kind`.
    """

    steps: tuple[Degradation, ...]

    @property
    def scale(self) -> int:
        """Clean pixels per degraded pixel along a side."""
        scale = 1
        for step in self.steps:
            scale *= scale_of(step)
        return scale

    @property
    def margin_px(self) -> int:
        """A multiple of 16: cutting it off leaves JPEG's blocks and the Bayer cells where they were."""
        margin = 0
        for step in self.steps:
            margin = ceil(margin / scale_of(step)) + step.margin_px
        return ceil(margin / MCU_PX) * MCU_PX

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> (H/scale, W/scale, C) float32."""
        degraded = clean
        for step in self.steps:
            degraded = step(degraded, rng)
        return degraded


@dataclass(frozen=True)
class Choice:
    """One of several degradations for each picture, by chance.

    Args:
        of: in TOML a list of tables, each with its `kind`; all of one scale.
        weights: how often each is taken, in any unit; none means equally often.
    """

    of: tuple[Degradation, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.of or len({scale_of(each) for each in self.of}) > 1:
            raise RecipeError("Choice: 'of' needs one or more degradations, all of one scale.")
        if self.weights and (len(self.weights) != len(self.of) or min(self.weights) < 0 or sum(self.weights) <= 0):
            raise RecipeError(
                f"Choice: weights = {list(self.weights)} for {len(self.of)} degradations.",
                "One for each, none negative, not all 0.",
            )

    @property
    def scale(self) -> int:
        """Clean pixels per degraded pixel along a side."""
        return scale_of(self.of[0])

    @property
    def margin_px(self) -> int:
        """The largest of its degradations'."""
        return max(each.margin_px for each in self.of)

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> (H/scale, W/scale, C) float32."""
        weights = np.array(self.weights or (1.0,) * len(self.of))
        index = np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(), side="right")
        return self.of[int(index)](clean, rng)


DEGRADATIONS: dict[str, type[Any]] = {
    "bicubic": Bicubic,
    "gaussian-noise": GaussianNoise,
    "poisson-gaussian": PoissonGaussianNoise,
    "correlated-noise": CorrelatedNoise,
    "jpeg": Jpeg,
    "mosaic": Mosaic,
    "motion-blur": MotionBlur,
    "defocus": Defocus,
    "rain": Rain,
    "fog": Fog,
    "rain-fog": RainFog,
    "snow": Snow,
    "raindrops": Raindrops,
    "chain": Chain,
    "choice": Choice,
}


RANGES = (tuple[float, float], tuple[int, int])
SEVERAL = tuple[Degradation, ...]
NAMES = tuple[str, ...]


def read_degradation(table: Mapping[str, Any], where: str) -> Degradation:
    """The degradation that a TOML table describes: its `kind` and the fields of that kind's class.

    The tables of a chain or a choice are read likewise. One number stands for a range of just that,
    one name for a list of just that.

    Raises:
        RecipeError: an unknown kind, an unknown or missing key, a value of the wrong type or range.
    """
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in DEGRADATIONS:
        raise RecipeError(f"{where}: unknown kind {kind!r}.", f"One of {', '.join(DEGRADATIONS)}.")
    hints = get_type_hints(DEGRADATIONS[kind])
    settings = {key: value for key, value in table.items() if key != "kind"}
    for key, value in settings.items():
        if hints.get(key) in RANGES and isinstance(value, (int, float)):
            settings[key] = [value, value]
        elif hints.get(key) == NAMES and isinstance(value, str):
            settings[key] = [value]
        elif hints.get(key) == SEVERAL and isinstance(value, list):
            settings[key] = [
                read_degradation(each, f"{where}.{key}[{index}]") if isinstance(each, Mapping) else each
                for index, each in enumerate(value)
            ]
    degradation: Degradation = from_table(DEGRADATIONS[kind], settings, where)
    return degradation


def generator_for(seed: int, name: str) -> np.random.Generator:
    """The generator for the picture `name`: the same in whatever company or order it is degraded.

    Args:
        seed: 0 or more.
        name: of the file, without folder and suffix, so that a converted picture meets the same rain.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "little")])


def makes_mosaic(degradation: Degradation) -> bool:
    """Whether the result is a mosaic, one raw value a pixel spread over the three colours' channels."""
    if isinstance(degradation, Chain):
        return bool(degradation.steps) and makes_mosaic(degradation.steps[-1])
    if isinstance(degradation, Choice):
        return all(makes_mosaic(each) for each in degradation.of)
    return isinstance(degradation, Mosaic)
