"""Image to Image: everything of a picture that a network never sees."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import restore_cli
from restore_cli.degradations.resize import resize_bicubic
from restore_cli.errors import InputError, ModelNotFoundError, OutputError, UsageError
from restore_cli.inference.engine import restore_image
from restore_cli.inference.restorer import Restorer
from restore_cli.io.image import Image
from restore_cli.io.read import read_image
from restore_cli.models.build import Model
from restore_cli.models.registry import Network
from restore_cli.options import Cfa, FinishOptions, Hints, RunOptions
from restore_cli.tasks import TASKS
from restore_cli.wrappers.pad import SizeRule
from tests.pictures import read, values, write


class Repeat(nn.Module):
    """Enlarges by repetition; darkens by a half where `gain` says so. Notes the pictures it is given."""

    def __init__(self, scale=1, gain=1.0):
        super().__init__()
        self.scale, self.gain, self.seen = scale, gain, []

    def forward(self, picture, **conditioning):
        self.seen.append(picture.clone())
        return self.gain * picture.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)


def restorer_of(module, *, channels=3, scale=1, conditioning="blind", **options):
    network = Network(module, "test", scale, channels, SizeRule(), radius_px=0, conditioning=conditioning)
    return Restorer(Model("test", network), RunOptions(device="cpu", **options))


def image(height=6, width=8, channels=3, alpha=None, seed=0, **facts):
    pixels = np.random.default_rng(seed).random((height, width, channels), dtype=np.float32)
    facts = {"bit_depth": 8, "source_format": "PNG", "source_mode": "RGB", **facts}
    return Image(pixels, alpha, **facts)


def ramp(height=6, width=8):
    return np.tile(np.linspace(0, 1, width, dtype=np.float32), (height, 1))


DENOISE, SR, DEMOSAIC = TASKS["denoise"], TASKS["sr"], TASKS["demosaic"]


def test_everything_the_file_said_is_carried_over():
    facts = {"icc_profile": b"icc", "exif": b"II*", "xmp": b"<x>", "dpi": (300.0, 72.0), "bit_depth": 16}
    restored = restore_image(image(**facts), restorer_of(Repeat(2), scale=2), SR)
    # The print stays as large as it was.
    assert {name: getattr(restored, name) for name in facts} == facts | {"dpi": (600.0, 144.0)}
    assert restored.pixels.shape == (12, 16, 3) and restored.pixels.dtype == np.float32


def test_neither_input_nor_result_is_clamped_or_touched():
    picture = image()
    picture.pixels[...] = picture.pixels * 4 - 2
    before = picture.pixels.copy()
    restored = restore_image(picture, restorer_of(Repeat(gain=2.0)), DENOISE)
    assert np.array_equal(restored.pixels, 2 * before)
    assert np.array_equal(picture.pixels, before)


@settings(max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.sampled_from([1, 3]), st.sampled_from([1, 2]))
def test_channels_of_picture_and_network_may_differ_at_any_size(height, width, channels, network_channels, scale):
    picture = image(height, width, channels)
    module = Repeat(scale)
    restored = restore_image(picture, restorer_of(module, channels=network_channels, scale=scale), SR)
    expected = picture.pixels.repeat(scale, 0).repeat(scale, 1)
    assert np.allclose(restored.pixels, expected, atol=1e-6)
    assert module.seen[0].shape[1] == network_channels


def test_a_constant_alpha_never_meets_the_network():
    module = Repeat(2, gain=0.5)
    alpha = np.full((6, 8), 0.25, np.float32)
    restored = restore_image(image(alpha=alpha), restorer_of(module, scale=2), SR)
    assert len(module.seen) == 1
    assert np.array_equal(restored.alpha, np.full((12, 16), 0.25, np.float32))
    assert np.array_equal(restored.pixels, 0.5 * image().pixels.repeat(2, 0).repeat(2, 1))


def test_what_is_hidden_under_a_varying_alpha_does_not_reach_the_network():
    module, alpha = Repeat(), ramp()
    loud, quiet = image(alpha=alpha), image(alpha=alpha)
    loud.pixels[alpha == 0], quiet.pixels[alpha == 0] = 1, 0
    restorer = restorer_of(module)
    restored = restore_image(loud, restorer, DENOISE), restore_image(quiet, restorer, DENOISE)
    assert torch.equal(*module.seen)
    seen = alpha > 0.01
    assert np.allclose(restored[0].pixels[seen], loud.pixels[seen], atol=1e-5)
    assert np.array_equal(restored[0].alpha, alpha)
    assert np.array_equal(restored[0].pixels[alpha == 0], loud.pixels[alpha == 0])  # kept for who edits on


def test_alpha_is_enlarged_by_the_network_and_stays_between_0_and_1():
    restored = restore_image(image(alpha=ramp()), restorer_of(Repeat(2, gain=1.5), scale=2), SR)
    expected = np.clip(1.5 * ramp().repeat(2, 0).repeat(2, 1), 0, 1)
    assert np.allclose(restored.alpha, expected, atol=1e-6)


def test_faint_pixels_do_not_blow_up_small_errors():
    class Bright(nn.Module):
        def forward(self, picture):
            return picture + 0.1

    alpha = ramp() / 100
    restored = restore_image(image(alpha=alpha), restorer_of(Bright()), DENOISE)
    assert restored.pixels.min() >= 0 and restored.pixels.max() <= 1


def test_strength_blends_pixels_and_alpha_towards_the_bicubic_enlargement():
    picture, restorer = image(alpha=ramp()), restorer_of(Repeat(2, gain=0.5), scale=2)
    full = restore_image(picture, restorer, SR)
    half = restore_image(picture, restorer, SR, finish=FinishOptions(strength=0.5))
    none = restore_image(picture, restorer, SR, finish=FinishOptions(strength=0))
    assert np.array_equal(none.pixels, resize_bicubic(picture.pixels, (12, 16)))
    assert np.array_equal(none.alpha, np.clip(resize_bicubic(picture.alpha, (12, 16)), 0, 1))
    assert np.allclose(half.pixels, (full.pixels + none.pixels) / 2, atol=1e-6)
    assert np.allclose(half.alpha, (full.alpha + none.alpha) / 2, atol=1e-6)


def test_strength_0_at_scale_1_gives_every_bit_back():
    picture = image(alpha=ramp())
    restored = restore_image(picture, restorer_of(Repeat(gain=0.5)), DENOISE, finish=FinishOptions(strength=0))
    assert np.array_equal(restored.pixels, picture.pixels) and np.array_equal(restored.alpha, picture.alpha)


@pytest.mark.parametrize("feather_px", [0, 8])
def test_a_mask_limits_where_and_strength_how_much(tmp_path, feather_px):
    left = np.zeros((40, 60), np.uint8)
    left[:, :30] = 255
    mask = write(tmp_path / "mask.png", left)
    picture = image(40, 60)
    finish = FinishOptions(strength=0.5, mask=mask, feather_px=feather_px)
    restored = restore_image(picture, restorer_of(Repeat(gain=0.0)), DENOISE, finish=finish)
    kept = restored.pixels / picture.pixels
    assert np.array_equal(restored.pixels[:, 50:], picture.pixels[:, 50:])
    assert np.allclose(kept[:, :10], 0.5, atol=0.01)
    edges = np.abs(np.diff(kept.mean(axis=(0, 2))))
    assert (edges.max() > 0.4) == (feather_px == 0)


def test_a_mask_of_another_size_is_refused_before_the_work(tmp_path):
    module = Repeat()
    mask = write(tmp_path / "mask.png", values(6, 9, channels=1))
    with pytest.raises(InputError, match=r"mask.png: the mask is 9x6, the picture 8x6"):
        restore_image(image(), restorer_of(module), DENOISE, finish=FinishOptions(mask=mask))
    assert not module.seen


def test_a_mosaic_reaches_the_network_as_sparse_colour():
    module = Repeat()
    mosaic = image(4, 4, 1)
    restored = restore_image(mosaic, restorer_of(module), DEMOSAIC, Hints(cfa=Cfa.GRBG))
    (given_picture,) = module.seen
    assert np.allclose(given_picture[0].sum(0), mosaic.pixels[:, :, 0])
    assert given_picture[0, 0, 0, 1] == mosaic.pixels[0, 1, 0] and given_picture[0, 1, 0, 1] == 0
    assert restored.pixels.shape == (4, 4, 3)
    with pytest.raises(InputError, match="in colour already"):
        restore_image(image(), restorer_of(module), DEMOSAIC)
    with pytest.raises(UsageError, match="mosaic, not a picture"):
        restore_image(mosaic, restorer_of(module), DEMOSAIC, finish=FinishOptions(strength=0.5))


def test_a_level_reaches_a_network_that_must_be_told_and_is_asked_for_otherwise():
    class Told(nn.Module):
        def forward(self, picture, sigma):
            return picture + sigma

    restorer = restorer_of(Told(), conditioning="sigma")
    restored = restore_image(image(), restorer, DENOISE, Hints(sigma_255=51))
    assert np.allclose(restored.pixels, image().pixels + 0.2, atol=1e-6)
    with pytest.raises(UsageError, match="must be told the noise level"):
        restore_image(image(), restorer, DENOISE)


# --- file to file ---


def test_restore_reads_restores_and_writes(weights, tmp_path):
    source = write(tmp_path / "in.png", values(bits=16))
    restored = restore_cli.restore(source, tmp_path / "out/put.png", task="sr", model=str(weights["x2"]))
    written = read_image(tmp_path / "out/put.png")
    assert written.bit_depth == 16 and written.pixels.shape == restored.pixels.shape == (40, 48, 3)
    assert np.abs(written.pixels - np.clip(restored.pixels, 0, 1)).max() < 1 / 65535
    assert np.array_equal(read(source), values(bits=16))


def test_restore_without_a_target_writes_nothing(weights, tmp_path):
    source = write(tmp_path / "in.png")
    restore_cli.restore(str(source), task="denoise", model=str(weights["x1"]), options=RunOptions(tta=True))
    assert list(tmp_path.iterdir()) == [source]


def test_restore_refuses_what_it_can_before_the_model_is_read(tmp_path, monkeypatch):
    source = write(tmp_path / "in.png")
    write(tmp_path / "there.png")
    with pytest.raises(OutputError, match="there.png exists"):
        restore_cli.restore(source, tmp_path / "there.png", task="sr", model="nothing.pth")
    with pytest.raises(OutputError, match="psd"):
        restore_cli.restore(source, tmp_path / "out.psd", task="sr", model="nothing.pth")
    with pytest.raises(UsageError, match="Unknown task 'sharpen'"):
        restore_cli.restore(source, task="sharpen")
    monkeypatch.setitem(TASKS, "weather", dataclasses.replace(TASKS["weather"], default_models={}))
    with pytest.raises(ModelNotFoundError, match="-n FILE.pth"):
        restore_cli.restore(source, task="weather")


def test_restore_holds_the_model_to_the_task(weights, tmp_path):
    source = write(tmp_path / "in.png")
    with pytest.raises(UsageError, match="enlarges x2, not x4"):
        restore_cli.restore(source, task="sr", scale=4, model=str(weights["x2"]))
    with pytest.raises(UsageError, match="keeps the size"):
        restore_cli.restore(source, task="denoise", model=str(weights["x2"]))
    with pytest.raises(UsageError, match="--strength"):
        restore_cli.restore(source, task="denoise", model=str(weights["x1"]), strength=math.nan)


class Difference(nn.Module):
    """Of the two views it is given, first minus second."""

    def forward(self, views):
        return views[:, :3] - views[:, 3:]


def test_a_network_of_two_views_gets_both_in_order(tmp_path):
    first = image(seed=1)
    write(tmp_path / "right.png", values(6, 8, seed=2))
    restorer = restorer_of(Difference(), channels=6)
    restored = restore_image(first, restorer, TASKS["deblur"], Hints(second_view=tmp_path / "right.png"))
    expected = first.pixels - read_image(tmp_path / "right.png").pixels
    np.testing.assert_allclose(restored.pixels, expected, atol=1e-6)


def test_one_view_too_few_or_too_many_is_a_usage_error(tmp_path):
    write(tmp_path / "right.png", values(6, 8))
    with pytest.raises(UsageError, match="two views"):
        restore_image(image(), restorer_of(Difference(), channels=6), TASKS["deblur"])
    with pytest.raises(UsageError, match="one view"):
        hints = Hints(second_view=tmp_path / "right.png")
        restore_image(image(), restorer_of(Repeat()), TASKS["deblur"], hints)


def test_views_of_different_sizes_are_refused(tmp_path):
    write(tmp_path / "right.png", values(6, 9))
    with pytest.raises(InputError, match=r"right\.png: the second view is 9x6, the first 8x6"):
        hints = Hints(second_view=tmp_path / "right.png")
        restore_image(image(), restorer_of(Difference(), channels=6), TASKS["deblur"], hints)
