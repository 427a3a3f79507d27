import numpy as np
import pytest
from PIL import Image as PillowImage

from restore_cli.degradations.jpeg import compress
from restore_cli.diagnosis.levels import with_estimate
from restore_cli.errors import InputError
from restore_cli.io.read import read_image
from restore_cli.options import Hints
from restore_cli.tasks import QUALITY_FACTOR, SIGMA
from tests.diagnosis.pictures import image, noisy, rounded, scene

PICTURE = rounded(noisy(scene(), 21))


def test_the_noise_is_estimated_where_no_level_is_given():
    hints, said = with_estimate(image(PICTURE), Hints(), SIGMA)
    assert hints.sigma_255 == pytest.approx(21, rel=0.05)
    assert said == f"--sigma {hints.sigma_255:g} estimated from the picture."


def test_a_level_that_is_given_stays():
    told = Hints(sigma_255=3)
    assert with_estimate(image(PICTURE), told, SIGMA) == (told, "")


def test_the_quality_is_the_files_or_the_pixels(tmp_path):
    clean = rounded(scene())
    PillowImage.fromarray(clean.astype(np.uint8)).save(tmp_path / "a.jpg", quality=35)
    hints, said = with_estimate(read_image(tmp_path / "a.jpg"), Hints(), QUALITY_FACTOR, tmp_path / "a.jpg")
    assert (hints.quality_factor, said) == (35, "--quality-factor 35 read from the file's tables.")
    pixels = compress(clean.astype(np.uint8), 35).astype(np.float32)
    hints, said = with_estimate(image(pixels), Hints(), QUALITY_FACTOR)
    assert (hints.quality_factor, said) == (35, "--quality-factor 35 estimated from the pixels.")


def test_where_nothing_can_be_told_that_is_an_error_with_the_option():
    white = image(np.full((90, 90, 3), 255, np.float32))
    for needed, said in ((SIGMA, "its noise cannot be told"), (QUALITY_FACTOR, "no JPEG compression is found")):
        with pytest.raises(InputError, match=said) as caught:
            with_estimate(white, Hints(), needed)
        assert caught.value.hint.startswith(f"Add {needed.option} LEVEL")
