"""Against the authors' formulas, pixel by pixel, a case to check by hand, and the papers' tables."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from restore_cli.io.paths import find_pictures
from restore_cli.io.read import read_image
from restore_cli.metrics.color import luma_limited, luma_rounded
from restore_cli.metrics.psnr import psnr
from restore_cli.metrics.psnr_b import psnr_b, psnr_b_mean
from tests.metrics.pictures import pair


def literal_blocking_effect(picture, whole_blocks):
    """Yim & Bovik's sums as they stand, one pair of neighbours at a time."""
    height, width = picture.shape
    across = elsewhere = 0.0
    for row in range(height):
        for column in range(width - 1):
            step = (picture[row, column] - picture[row, column + 1]) ** 2
            if (column + 1) % 8 == 0:
                across += step
            else:
                elsewhere += step
    for row in range(height - 1):
        for column in range(width):
            step = (picture[row, column] - picture[row + 1, column]) ** 2
            if (row + 1) % 8 == 0:
                across += step
            else:
                elsewhere += step
    blocks_along = (lambda side: side // 8) if whole_blocks else (lambda side: side / 8)
    boundaries = height * (blocks_along(width) - 1) + width * (blocks_along(height) - 1)
    others = height * (width - 1) + width * (height - 1) - boundaries
    across, elsewhere = across / boundaries, elsewhere / others
    return 0 if across <= elsewhere else math.log2(8) / math.log2(min(height, width)) * (across - elsewhere)


def literal_psnr_b(restored, clean, blocky, whole_blocks):
    return 10 * math.log10(1 / (np.mean((restored - clean) ** 2) + literal_blocking_effect(blocky, whole_blocks)))


def compressed(clean, quality=10):
    """(H, W, C) in [0, 1] through OpenCV's encoder."""
    values = np.round(clean * 255).astype(np.uint8)
    decoded = cv2.imdecode(
        cv2.imencode(".jpg", values[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1],
        cv2.IMREAD_COLOR if clean.shape[2] == 3 else cv2.IMREAD_GRAYSCALE,
    )
    return np.atleast_3d(decoded)[:, :, ::-1] / 255


def smooth_pair(height, width, channels):
    """A picture that a JPEG encoder makes blocks of, and what it makes."""
    rows, columns = np.mgrid[:height, :width]
    waves = [0.5 + 0.4 * np.sin(rows / (9 + c) + columns / (11 - c)) for c in range(channels)]
    clean = np.round(np.stack(waves, axis=2) * 255) / 255
    return compressed(clean), clean


SIZES = [(24, 40), (27, 45), (16, 16), (61, 18)]


@pytest.mark.parametrize("size", SIZES)
def test_grey_pictures_score_as_the_formula_says(size):
    restored, clean = smooth_pair(*size, 1)
    expected = literal_psnr_b(restored, clean, restored[:, :, 0], whole_blocks=False)
    assert psnr_b(restored, clean) == psnr_b(restored[:, :, 0], clean[:, :, 0]) == pytest.approx(expected, abs=1e-9)
    assert psnr_b(restored, clean) < psnr(restored, clean) - 0.1  # the blocks are there


@pytest.mark.parametrize("size", SIZES)
def test_colour_takes_the_error_of_all_channels_and_the_blocks_of_the_luma(size):
    restored, clean = smooth_pair(*size, 3)
    expected = literal_psnr_b(restored, clean, luma_limited(restored), whole_blocks=False)
    assert psnr_b(restored, clean) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("size", SIZES)
def test_the_mean_over_channels_counts_whole_blocks(size):
    restored, clean = smooth_pair(*size, 3)
    channels = [(restored[:, :, c], clean[:, :, c]) for c in range(3)]
    expected = np.mean([literal_psnr_b(ours, theirs, ours, whole_blocks=True) for ours, theirs in channels])
    assert psnr_b_mean(restored, clean) == pytest.approx(expected, abs=1e-9)


def test_one_step_on_a_boundary_by_hand():
    # 16 steps of 0.5 across a boundary among 16 * (16/8 - 1) * 2 = 32: a mean square of 0.125; none elsewhere.
    # Times log2(8) / log2(16) = 0.75: BEF 0.09375, the only error there is.
    picture = np.zeros((16, 16))
    picture[:, 8:] = 0.5
    assert psnr_b(picture, picture) == pytest.approx(-10 * math.log10(0.09375))
    assert psnr_b_mean(picture, picture) == pytest.approx(-10 * math.log10(0.09375))


def test_a_step_off_the_grid_is_no_block():
    picture = np.zeros((16, 16))
    picture[:, 7:] = 0.5
    assert psnr_b(picture, picture) == psnr_b_mean(picture, picture) == math.inf
    noisy, clean = picture + 0.1, picture
    assert psnr_b(noisy, clean) == pytest.approx(psnr(noisy, clean))


def test_the_blocks_that_count_are_those_of_the_restored_picture():
    restored, clean = smooth_pair(40, 48, 1)
    assert psnr_b(restored, clean) < psnr_b(clean, restored)


@pytest.mark.parametrize("metric", [psnr_b, psnr_b_mean])
def test_a_picture_without_two_blocks_each_way_is_an_error(metric):
    assert math.isfinite(metric(*pair(16, 40)))
    with pytest.raises(ValueError, match="16 pixels"):
        metric(*pair(15, 40))


def table(folder, quality, clean_of):
    pairs = [(compressed(clean, quality), clean) for clean in map(clean_of, find_pictures(folder))]
    return np.mean([psnr_b(*each) for each in pairs])


@pytest.mark.shared
@pytest.mark.parametrize(("quality", "expected"), [(10, 25.33), (40, 29.96)])
def test_the_inputs_of_the_papers_grey_table_for_live1(shared, quality, expected):
    # ARCNN, DnCNN, SwinIR: JPEG 27.77 / 0.7730 / 25.33, ... The luma is MATLAB's, rounded to 8 bits.
    found = table(
        shared / "data/test/LIVE1", quality, lambda path: np.atleast_3d(luma_rounded(read_image(path).pixels))
    )
    assert found == pytest.approx(expected, abs=0.005)


@pytest.mark.shared
def test_the_inputs_of_the_papers_tables_for_classic5_and_live1_in_colour(shared):
    def clean(path):
        return read_image(path).pixels.astype(np.float64)

    assert table(shared / "data/test/classic5", 10, clean) == pytest.approx(25.21, abs=0.005)
    assert table(shared / "data/test/LIVE1", 10, clean) == pytest.approx(24.20, abs=0.005)
