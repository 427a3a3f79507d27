import io

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from restore_cli.degradations.jpeg import compress
from restore_cli.diagnosis.jpeg import estimate_compression, quality_of_file, quality_of_table, standard_table
from tests.diagnosis.pictures import noisy, rounded, scene


def compressed(pixels, quality):
    return compress(pixels.astype(np.uint8), quality).astype(np.float32)


PICTURE = rounded(noisy(scene(), 1.5))


@pytest.mark.parametrize("quality", [6, 14, 41, 50, 68, 85, 92])
def test_the_quality_is_read_from_the_pixels(quality):
    assert abs(estimate_compression([compressed(PICTURE, quality)]).quality - quality) <= 1


def test_grey_too():
    grey = rounded(noisy(scene(channels=1), 1.5))
    assert estimate_compression([compressed(grey, 37)]).quality == 37


@pytest.mark.parametrize("cut", [(3, 5), (0, 1), (7, 4)])
def test_wherever_the_grid_begins(cut):
    found = estimate_compression([compressed(PICTURE, 37)[cut[0] :, cut[1] :]])
    assert (found.quality, found.offset) == (37, (-cut[0] % 8, -cut[1] % 8))


@pytest.mark.parametrize("cut", [(0, 0), (5, 2)])
def test_the_harder_of_two_compressions_counts(cut):
    first = compressed(PICTURE, 25)[cut[0] :, cut[1] :]
    assert estimate_compression([compressed(first, 95)]).quality == 25


@pytest.mark.parametrize("sigma_px", [0, 0.8, 2])
def test_what_was_never_compressed_is_not_taken_for_it(sigma_px):
    picture = scene() if not sigma_px else cv2.GaussianBlur(scene(), (0, 0), sigma_px)
    found = estimate_compression([rounded(picture)])
    assert found.quality is None
    assert found.blockiness < 1.2


def test_noise_after_compression_hides_it():
    assert estimate_compression([rounded(noisy(compressed(PICTURE, 50), 15))]).quality is None


def test_tables_of_an_editors_own_are_measured_by_the_nearest_quality():
    steps = np.maximum(1, np.rint(standard_table(75) ** 0.85 * 1.3)).astype(int)
    stream = io.BytesIO()
    PillowImage.fromarray(PICTURE.astype(np.uint8)).save(stream, "JPEG", qtables=[steps.ravel().tolist()] * 2)
    pixels = np.asarray(PillowImage.open(stream)).astype(np.float32)
    assert abs(estimate_compression([pixels]).quality - quality_of_table(steps)) <= 5


@pytest.mark.parametrize("quality", [1, 20, 49, 50, 75, 95, 100])
def test_a_file_tells_its_quality(tmp_path, quality):
    PillowImage.fromarray(PICTURE.astype(np.uint8)).save(tmp_path / "a.jpg", quality=quality)
    assert quality_of_file(tmp_path / "a.jpg") == quality
    PillowImage.fromarray(PICTURE.astype(np.uint8)).save(tmp_path / "a.png")
    assert quality_of_file(tmp_path / "a.png") is None


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (16, 16)])
def test_of_too_little_nothing_is_told(size):
    assert estimate_compression([PICTURE[: size[0], : size[1]]]).quality is None
