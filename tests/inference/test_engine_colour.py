"""Colours around the network: it sees sRGB, the picture keeps its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from restore_cli.errors import InputError
from restore_cli.inference.engine import restore_image
from restore_cli.inference.restorer import hearing
from restore_cli.io import colour, icc
from restore_cli.io.read import read_image
from restore_cli.io.write import write_image
from restore_cli.options import Cfa, FinishOptions, Hints
from restore_cli.tasks import TASKS
from tests.inference.test_engine import Repeat, restorer_of
from tests.io.helpers import (
    XMP,
    adobe_rgb_profile,
    display_p3_profile,
    dng,
    exif_of,
    grey_ink_profile,
    linear_grey_profile,
    needs,
    picture,
    prophoto_profile,
)
from tests.io.test_raw import MATRIX, mosaic_of, scene, sensed

DENOISE, SR, DEMOSAIC = TASKS["denoise"], TASKS["sr"], TASKS["demosaic"]
WIDE = [adobe_rgb_profile, display_p3_profile, prophoto_profile, icc.linear_profile]


class Spread(nn.Module):
    """Of flat mosaics: each pixel takes every colour from the neighbour that has it."""

    def forward(self, picture: torch.Tensor, **_: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(picture, 3, stride=1, padding=1)


@pytest.mark.parametrize("made", WIDE)
def test_the_network_sees_srgb_and_the_picture_comes_back_in_its_profile(made) -> None:
    image = picture(20, 30, bit_depth=16, icc_profile=made())
    network = Repeat()
    restored = restore_image(image, restorer_of(network), DENOISE)
    seen = network.seen[0][0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(seen, colour.to_srgb(image.pixels, made()), atol=1e-6)
    assert restored.icc_profile == made()
    off = np.abs(restored.pixels - image.pixels)
    assert np.quantile(off, 0.99) < 0.5 / 65535
    assert off.max() < 0.15 / 255


def test_what_the_network_changes_is_changed_in_srgb() -> None:
    image = picture(8, 8, icc_profile=display_p3_profile())
    restored = restore_image(image, restorer_of(Repeat(gain=0.5)), DENOISE)
    wanted = colour.from_srgb(colour.to_srgb(image.pixels, display_p3_profile()) / 2, display_p3_profile())
    np.testing.assert_allclose(restored.pixels, wanted, atol=1e-5)


def test_what_is_kept_of_the_original_is_kept_exactly() -> None:
    image = picture(8, 8, bit_depth=16, icc_profile=prophoto_profile())
    restored = restore_image(image, restorer_of(Repeat(gain=0.5)), DENOISE, finish=FinishOptions(strength=0))
    np.testing.assert_array_equal(restored.pixels, image.pixels)


@pytest.mark.parametrize("made", [linear_grey_profile, lambda: icc.linear_profile()])
def test_grey_goes_through_its_curve(made) -> None:
    image = picture(8, 8, grey=True, bit_depth=16, icc_profile=made())
    network = Repeat()
    restored = restore_image(image, restorer_of(network), DENOISE)
    seen = network.seen[0][0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(seen[..., :1], icc.SRGB_CURVE.samples(image.pixels.astype(np.float64)), atol=1e-5)
    np.testing.assert_allclose(restored.pixels, image.pixels, atol=1e-5)


def test_profiles_of_tables_are_taken_for_srgb_and_that_is_said() -> None:
    image = picture(8, 8, icc_profile=grey_ink_profile())
    with hearing() as heard:
        restored = restore_image(image, restorer_of(Repeat()), DENOISE)
    np.testing.assert_array_equal(restored.pixels, image.pixels)
    assert restored.icc_profile == grey_ink_profile()
    assert len(heard.notes) == 1
    assert "made of tables" in heard.notes[0]


def test_colours_behind_alpha_too() -> None:
    image = picture(8, 8, alpha=True, icc_profile=adobe_rgb_profile())
    image = replace(image, alpha=0.25 + image.alpha / 2)
    restored = restore_image(image, restorer_of(Repeat()), DENOISE)
    np.testing.assert_allclose(restored.pixels, image.pixels, atol=2e-3)


def test_enlarged_it_has_more_pixels_an_inch() -> None:
    image = picture(8, 8, dpi=(300.0, 150.0))
    assert restore_image(image, restorer_of(Repeat(2), scale=2), SR).dpi == (600, 300)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "grbg", "gbrg"])
def test_a_raw_is_demosaicked_by_its_own_pattern_and_developed(tmp_path: Path, pattern: str) -> None:
    needs("RAW")
    flat = np.broadcast_to(scene()[5, 9], (24, 32, 3))
    image = read_image(dng(tmp_path / "a.dng", mosaic_of(sensed(flat), pattern), pattern=pattern, matrix=MATRIX))
    restored = restore_image(image, restorer_of(Spread()), DEMOSAIC, Hints(cfa=Cfa.RGGB))
    assert restored.sensor is None
    matrix = np.array(image.sensor.to_srgb)
    wanted = icc.SRGB_CURVE.samples(icc.SRGB_CURVE.light(flat[0, 0]) @ matrix.T)
    np.testing.assert_allclose(restored.pixels[12, 16], wanted, atol=0.003)
    write_image(restored, tmp_path / "a.tif")
    again = read_image(tmp_path / "a.tif")
    assert (again.bit_depth, again.pixels.shape) == (16, (24, 32, 3))
    assert exif_of(again.exif)[0x010F] == "Test"


def test_another_task_refuses_a_raw(tmp_path: Path) -> None:
    needs("RAW")
    image = read_image(dng(tmp_path / "a.dng", np.full((24, 32), 5000, np.uint16)))
    with pytest.raises(InputError, match="camera raw.*restore demosaic"):
        restore_image(image, restorer_of(Repeat()), DENOISE)


def test_a_16_bit_adobe_rgb_tiff_lying_on_its_side_comes_back_with_all_of_it(tmp_path: Path) -> None:
    stored = np.round(scene() * 65535).astype(np.uint16)
    tags = [(274, 3, 1, 6, True), (271, 2, 7, b"Kamera\0", True), (700, 1, len(XMP) - 1, XMP % 6, True)]
    options = {"resolution": (300, 200), "resolutionunit": "INCH", "iccprofile": adobe_rgb_profile()}
    tifffile.imwrite(tmp_path / "in.tif", stored, photometric="rgb", extratags=tags, metadata=None, **options)
    restored = restore_image(read_image(tmp_path / "in.tif"), restorer_of(Repeat()), DENOISE)
    write_image(restored, tmp_path / "out.tif")
    again = read_image(tmp_path / "out.tif")
    upright = np.rot90(stored, -1)
    off = np.abs(again.pixels * 65535 - upright)
    assert off.max() <= 1
    assert np.mean(off > 0.5) < 0.01
    assert (again.bit_depth, again.icc_profile, again.xmp) == (16, adobe_rgb_profile(), XMP % 1)
    assert again.dpi == (200, 300)
    assert exif_of(again.exif)[0x010F] == "Kamera"
