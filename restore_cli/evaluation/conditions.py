"""How a task's input is made from clean pictures: the papers' standard ways, and recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from restore_cli.degradations.jpeg import compress
from restore_cli.degradations.mosaic import Mosaic
from restore_cli.degradations.recipes import Chain, Degradation, generator_for, makes_mosaic, scale_of
from restore_cli.degradations.resize import Bicubic
from restore_cli.errors import RecipeError
from restore_cli.evaluation.pixels import Pixels, from_8_bit, to_8_bit

__all__ = ["AS_THEY_ARE", "Condition", "bayer", "bicubic", "by_recipe", "gaussian_noise", "jpeg"]


@dataclass(frozen=True)
class Condition:
    """One way to make the input.

    Attributes:
        name: short, for tables; unique within an evaluation.
        how: everything that changes the number, for reports.
        degrade: (clean pixels, stem of the file) -> degraded ones; a mosaic is (H, W, 1).
        scale: clean pixels per degraded one along a side.
        sigma_255, quality_factor: levels, for networks that must be told.
        cfa: pattern of the mosaic, likewise.
    """

    name: str
    how: str
    degrade: Callable[[Pixels, str], Pixels]
    scale: int = 1
    sigma_255: float | None = None
    quality_factor: float | None = None
    cfa: str = "rggb"


# Pictures that are degraded already, or are to be left as they are.
AS_THEY_ARE = Condition("", "as the files hold it", lambda pixels, stem: pixels)


def gaussian_noise(sigma_255: float, seed: int = 0) -> Condition:
    """The denoising papers': one numpy generator of the same seed for each picture, neither clipped nor rounded."""

    def noisy(clean: Pixels, stem: str) -> Pixels:
        noise = np.random.RandomState(seed).normal(0, sigma_255 / 255, clean.shape)
        return np.asarray(clean + noise, np.float32)

    how = f"Gaussian noise of {sigma_255:g}/255, numpy RandomState({seed}) per picture, neither clipped nor rounded"
    return Condition(f"sigma_255 = {sigma_255:g}", how, noisy, sigma_255=sigma_255)


def jpeg(quality: int) -> Condition:
    """The JPEG papers': OpenCV's encoder, with its chroma subsampling."""

    def compressed(clean: Pixels, stem: str) -> Pixels:
        return from_8_bit(compress(to_8_bit(clean), quality))

    how = f"JPEG of quality {quality} by OpenCV's encoder"
    return Condition(f"quality = {quality}", how, compressed, quality_factor=quality)


def bicubic(scale: int) -> Condition:
    """The super-resolution papers': MATLAB's reduction, rounded to 8 bits."""

    def reduced(clean: Pixels, stem: str) -> Pixels:
        return Bicubic(scale)(np.clip(clean, 0, 1), np.random.default_rng(0))

    how = f"reduced by {scale} as MATLAB's imresize does (bicubic, antialiased), rounded to 8 bits"
    return Condition("", how, reduced, scale)


def bayer(cfa: str) -> Condition:
    """The demosaicking papers': one value a pixel, without noise."""

    def mosaicked(clean: Pixels, stem: str) -> Pixels:
        return np.asarray(Mosaic((cfa,))(clean, np.random.default_rng(0)).sum(axis=2, keepdims=True))

    return Condition(f"cfa = {cfa}", f"Bayer mosaic {cfa}, without noise", mosaicked, cfa=cfa)


def by_recipe(name: str, degradation: Degradation, seed: int = 0) -> Condition:
    """What `restore degrade` writes: clipped and rounded to 8 bits, its chance drawn from seed and picture's name.

    Raises:
        RecipeError: it makes mosaics of more than one pattern, which nobody could tell apart.
    """
    cfa = _pattern(name, degradation) if makes_mosaic(degradation) else "rggb"

    def degraded(clean: Pixels, stem: str) -> Pixels:
        pixels = from_8_bit(to_8_bit(degradation(np.clip(clean, 0, 1), generator_for(seed, stem))))
        return pixels.sum(axis=2, keepdims=True) if makes_mosaic(degradation) else pixels

    how = f"{name} by `restore degrade --seed {seed}`: {degradation}, rounded to 8 bits"
    return Condition(name, how, degraded, scale_of(degradation), cfa=cfa)


def _pattern(name: str, degradation: Degradation) -> str:
    last = degradation.steps[-1] if isinstance(degradation, Chain) else degradation
    if not isinstance(last, Mosaic) or len(last.patterns) != 1:
        raise RecipeError(f"{name}: the mosaics have more than one pattern.", "Let the last step be one with one.")
    return last.patterns[0]
