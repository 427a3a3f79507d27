"""Blur of a moving camera and of a lens out of focus.

Both act on light, not on display values: a lamp that moves leaves a bright trail.
"""

from __future__ import annotations

import cmath
from dataclasses import dataclass
from math import ceil, pi

import numpy as np
from numpy.typing import NDArray

from restore_cli.degradations.canvas import convolve, disc_kernel, smooth_field, splat, to_display, to_linear
from restore_cli.degradations.noise import GaussianNoise
from restore_cli.degradations.settings import check_settings

__all__ = ["Defocus", "MotionBlur", "motion_kernel", "shake_path"]

STEPS = 96
POINTS_A_PX = 8


@dataclass(frozen=True)
class MotionBlur:
    """Camera shake: the picture smeared along a random path, or along a straight line.

    The path is that of a mass with inertia pushed about at random, now and then jerked, after Boracchi
    and Foi, "Modeling the Performance of Image Restoration from Motion Blur", TIP 2012, and its use for
    training by Kupyn et al., "DeblurGAN", CVPR 2018.

    Args:
        length_px: extent of the blur, twice its farthest reach from its centre of gravity, as (lowest,
            highest); each picture draws one.
        linear: share of pictures whose path is straight and evenly travelled.
        sigma_255: deviation of the sensor's white noise in 8-bit units, as (lowest, highest).
    """

    length_px: tuple[float, float] = (4.0, 16.0)
    linear: float = 0.2
    sigma_255: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        check_settings(self, length_px=(0, 256), linear=(0, 1), sigma_255=(0, 255))

    @property
    def margin_px(self) -> int:
        """Reach of the longest blur."""
        return _reach(self.length_px[1])

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32."""
        length_px = rng.uniform(*self.length_px)
        if rng.random() < self.linear:
            path = np.linspace(-1, 1, STEPS, dtype=np.complex128) * cmath.rect(1, rng.uniform(0, pi))
        else:
            path = shake_path(rng)
        blurred = to_display(convolve(to_linear(clean), motion_kernel(path, length_px)))
        return _with_noise(blurred, self.sigma_255, rng)


@dataclass(frozen=True)
class Defocus:
    """A lens out of focus: every point becomes a disc, larger here and smaller there as depth varies.

    Between discs of fixed sizes the picture is blended by the radius wanted at each pixel. The disc is
    geometrical optics' circle of confusion (Potmesil and Chakravarty 1981); its edge falls off over a
    pixel.

    Args:
        radius_px: mean radius over the picture, as (lowest, highest).
        variation: deviation of the radius across the picture, as a share of its mean.
        depth_px: width of the regions of about equal depth.
        sigma_255: deviation of the sensor's white noise in 8-bit units, as (lowest, highest).
    """

    radius_px: tuple[float, float] = (1.0, 4.5)
    variation: float = 0.3
    depth_px: float = 150.0
    sigma_255: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        check_settings(self, radius_px=(0, 128), variation=(0, 1), depth_px=(8, 1e6), sigma_255=(0, 255))

    @property
    def margin_px(self) -> int:
        """Reach of the largest disc."""
        return ceil(self._largest_px(self.radius_px[1]) + 0.5)

    def __call__(self, clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """(H, W, C) float32 in [0, 1] -> the same shape, float32."""
        mean_px = rng.uniform(*self.radius_px)
        spread = np.clip(smooth_field(clean.shape[:2], rng, self.depth_px), -2, 2) * self.variation
        radius_px = np.clip(mean_px * (1 + spread), 0, self._largest_px(mean_px))
        light = to_linear(clean)
        # Radii that are a pixel and a half apart blend without a visible step.
        low, high = float(radius_px.min()), float(radius_px.max())
        levels = np.linspace(low, high, max(2, ceil((high - low) / 1.5) + 1)) if high > low else np.array([low])
        blurred = np.zeros_like(light)
        for level in levels:
            share = np.clip(1 - np.abs(radius_px - level) / max(levels[-1] - levels[0], 1e-6) * (len(levels) - 1), 0, 1)
            blurred += share.astype(np.float32)[:, :, None] * convolve(light, disc_kernel(level))
        return _with_noise(to_display(blurred), self.sigma_255, rng)

    def _largest_px(self, mean_px: float) -> float:
        return mean_px * (1 + 2 * self.variation)


def shake_path(rng: np.random.Generator) -> NDArray[np.complex128]:
    """Where a shaken camera points over the exposure, in any unit, at even times; x + iy.

    From a smooth curve to an anxious scribble: how strongly it is pushed is drawn too.
    """
    push = 10 ** rng.uniform(-1.3, 0.0)
    jerk = rng.uniform(0, 0.03)
    position, velocity = 0j, cmath.rect(1, rng.uniform(0, 2 * pi))
    path = np.empty(STEPS, np.complex128)
    noise = rng.standard_normal((STEPS, 2)) @ np.array([1, 1j])
    jerked = rng.random(STEPS) < jerk
    for step in range(STEPS):
        path[step] = position
        # The hand pulls back to where it aimed.
        velocity += push * complex(noise[step]) - 0.3 * push * position / STEPS
        if jerked[step]:
            velocity = -velocity * cmath.rect(1, rng.uniform(-0.8, 0.8))
        velocity /= max(abs(velocity), 1e-9) ** 0.8
        position += velocity
    return path


def motion_kernel(path: NDArray[np.complex128], length_px: float) -> NDArray[np.float32]:
    """The blur kernel of a path: it sums to 1, its centre of gravity lies in its middle.

    Args:
        path: positions at even times, in any unit.
        length_px: twice the farthest reach from the centre of gravity.
    """
    path = path - path.mean()
    farthest = np.abs(path).max()
    if farthest > 0:
        path = path * (length_px / 2 / farthest)
    travelled = np.abs(np.diff(path)).sum()
    times = np.linspace(0, len(path) - 1, max(len(path), ceil(travelled * POINTS_A_PX)))
    along = np.interp(times, np.arange(len(path)), path)
    reach = _reach(length_px)
    kernel = splat(along.real + reach, along.imag + reach, np.ones(len(along)), (2 * reach + 1, 2 * reach + 1))
    normalised: NDArray[np.float32] = kernel / kernel.sum()
    return normalised


def _reach(length_px: float) -> int:
    return ceil(length_px / 2) + 1


def _with_noise(
    picture: NDArray[np.float32], sigma_255: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    return GaussianNoise(sigma_255)(picture, rng) if sigma_255[1] > 0 else picture
