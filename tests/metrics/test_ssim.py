"""Each variant against other people's code: scikit-image, SciPy's filters, MATLAB's rules spelled out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from restore_cli.metrics.ssim import ssim, ssim_downsampled, ssim_uniform, ssim_volume
from tests.metrics.pictures import pair

VARIANTS = [ssim, ssim_downsampled, ssim_uniform, ssim_volume]


def test_ssim_agrees_with_scikit_image_in_the_papers_settings():
    # scikit-image averages over a border too; its 'full' map is cut to the windows inside the picture.
    _, full = structural_similarity(
        *pair(), data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert ssim(*pair()) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_uniform_variant_is_scikit_images_default(channels):
    restored, clean = pair(channels=channels)
    expected = structural_similarity(restored, clean, data_range=1, channel_axis=2)
    assert ssim_uniform(restored, clean) == pytest.approx(expected, abs=1e-9)


def reduced_as_matlab_does(picture, factor):
    """imfilter(picture, ones(f) / f^2, 'symmetric', 'same'), every f-th pixel of it."""
    middle = (factor + 1) // 2 - 1  # of imfilter's window, counted from 0
    padded = np.pad(picture, ((factor, factor), (factor, factor)), mode="symmetric")
    height, width = picture.shape
    total = np.zeros_like(picture)
    for down in range(factor):
        for right in range(factor):
            row, column = factor + down - middle, factor + right - middle
            total += padded[row : row + height, column : column + width]
    return (total / factor**2)[::factor, ::factor]


@pytest.mark.parametrize(("side", "factor"), [(300, 1), (383, 1), (384, 2), (640, 3), (896, 4)])
def test_the_downsampled_variant_reduces_as_matlab_does_before_it_scores(side, factor):
    # 640 / 256 = 2.5: MATLAB rounds it to 3, Python to 2.
    restored, clean = pair(side, side + 7, channels=1)
    expected = ssim(*(reduced_as_matlab_does(each[:, :, 0], factor) for each in (restored, clean)))
    assert ssim_downsampled(restored, clean) == pytest.approx(expected, abs=1e-9)
    assert (ssim_downsampled(restored, clean) == ssim(restored, clean)) == (factor == 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_volume_variant_filters_along_the_colours_too(channels):
    restored, clean = pair(channels=channels)
    sigma = (1.5, 1.5, 1.5) if channels == 3 else (1.5, 1.5, 0)

    def windowed(volume):
        return gaussian_filter(volume, sigma, mode="nearest", truncate=5 / 1.5)

    mean_x, mean_y = windowed(restored), windowed(clean)
    variances = windowed(restored**2) - mean_x**2 + windowed(clean**2) - mean_y**2
    covariance = windowed(restored * clean) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + 1e-4) * (2 * covariance + 9e-4)
    similarity /= (mean_x**2 + mean_y**2 + 1e-4) * (variances + 9e-4)
    assert ssim_volume(restored, clean) == pytest.approx(similarity.mean(), abs=1e-9)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_one_for_identical_pictures_symmetric_and_free_of_the_unit(variant):
    restored, clean = pair()
    assert variant(clean, clean) == pytest.approx(1)
    assert variant(restored, clean) == pytest.approx(variant(clean, restored))
    assert variant(restored * 255, clean * 255, peak=255) == pytest.approx(variant(restored, clean))


def test_the_variants_are_no_two_the_same():
    noise, detail = pair(400, 420)
    clean = gaussian_filter(detail, (3, 3, 0))
    restored = clean + noise - detail
    found = [variant(restored, clean) for variant in VARIANTS]
    assert np.abs(np.subtract.outer(found, found)[np.triu_indices(4, 1)]).min() > 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_picture_smaller_than_the_window_is_an_error(variant):
    least = 7 if variant is ssim_uniform else 11
    assert -1 <= variant(*pair(least, 50)) <= 1
    with pytest.raises(ValueError, match=f"{least} pixels"):
        variant(*pair(least - 1, 50))
