"""What is no network answers in the right size, and does what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from restore_cli.degradations.mosaic import BAYER_PATTERNS
from restore_cli.errors import UsageError
from restore_cli.evaluation.baselines import BASELINES, baseline, baseline_names
from restore_cli.evaluation.conditions import bayer
from restore_cli.evaluation.pixels import from_8_bit
from restore_cli.metrics.psnr import psnr
from restore_cli.tasks import TASKS
from tests.pictures import values


def picture(channels: int = 3) -> np.ndarray:
    return from_8_bit(np.atleast_3d(values(40, 48, channels)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("task", [name for name in TASKS if TASKS[name].input == "picture"])
def test_a_baseline_keeps_the_channels_and_modifies_nothing(task, channels):
    degraded = picture(channels)
    degraded += np.random.default_rng(0).normal(0, 0.1, degraded.shape).astype(np.float32)
    for name in baseline_names(TASKS[task]):
        before = degraded.copy()
        scale = 2 if task == "sr" else 1
        restored = baseline(name, TASKS[task], scale)(degraded)
        assert restored.shape == (40 * scale, 48 * scale, channels), name
        assert restored.dtype == np.float32
        assert np.array_equal(degraded, before)
        assert np.array_equal(restored, degraded) == (name == "input")


def test_every_baseline_is_one_of_some_task_and_every_task_has_one():
    assert {name for task in TASKS.values() for name in baseline_names(task)} == set(BASELINES)
    assert all(baseline_names(task) for task in TASKS.values())


@pytest.mark.parametrize(("name", "task"), [("input", "sr"), ("bicubic", "denoise"), ("opencv-vng", "jpeg")])
def test_a_baseline_of_another_task_is_refused_and_the_right_ones_named(name, task):
    with pytest.raises(UsageError, match=baseline_names(TASKS[task])[0]):
        baseline(name, TASKS[task])


@pytest.mark.parametrize("sigma_255", [10, 30])
def test_non_local_means_finds_the_level_of_the_noise(sigma_255):
    clean = picture(1)
    noisy = np.float32(clean + np.random.default_rng(0).normal(0, sigma_255 / 255, clean.shape))
    gain = psnr(baseline("opencv-nlm", TASKS["denoise"])(noisy), clean) - psnr(noisy, clean)
    assert gain > 3


@pytest.mark.parametrize("name", baseline_names(TASKS["demosaic"]))
def test_a_demosaicer_reads_each_pattern_as_we_mean_it(name):
    clean = picture()
    for pattern in BAYER_PATTERNS:
        mosaic = bayer(pattern).degrade(clean, "")
        scores = {taken: psnr(baseline(name, TASKS["demosaic"], cfa=taken)(mosaic), clean) for taken in BAYER_PATTERNS}
        assert max(scores, key=scores.__getitem__) == pattern
        assert scores[pattern] > 25
