from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from restore_cli.degradations.jpeg import compress
from restore_cli.diagnosis.diagnose import diagnose, hardest
from restore_cli.diagnosis.finding import Finding, confidence_of
from restore_cli.io.read import read_image
from restore_cli.io.sensor import Sensor
from tests.diagnosis.pictures import image, noisy, rounded, scene

# Large enough not to be found small, and sharp.
CLEAN = rounded(scene(520, 600))


def kinds(diagnosis):
    return [finding.kind for finding in diagnosis.findings]


def test_nothing_is_wrong_with_a_clean_picture():
    assert kinds(diagnose(image(CLEAN))) == []


def test_several_things_are_named_in_the_order_in_which_to_mend_them():
    soft = cv2.GaussianBlur(CLEAN, (0, 0), 2)[:400, :500]
    found = diagnose(image(compress(rounded(noisy(soft, 4)).astype(np.uint8), 82).astype(np.float32)))
    assert kinds(found)[0] == "jpeg"
    assert kinds(found)[-2:] == ["blur", "low-resolution"]
    assert [each.options[0] for each in found.findings] == [
        "jpeg",
        *["denoise"] * (len(kinds(found)) - 3),
        "deblur",
        "sr",
    ]


def test_noise_is_named_with_its_level():
    (finding,) = diagnose(image(rounded(noisy(CLEAN, 17)))).findings
    assert finding.kind == "noise"
    assert "sigma 1" in finding.message
    assert finding.confidence > 0.95


def test_the_files_own_quality_is_certain_and_an_earlier_lower_one_goes_before_it(tmp_path):
    PillowImage.fromarray(CLEAN.astype(np.uint8)).save(tmp_path / "once.jpg", quality=44)
    once = diagnose(read_image(tmp_path / "once.jpg"), tmp_path / "once.jpg")
    assert (once.jpeg_quality, once.jpeg_quality_of_file, once.findings[0].confidence) == (44, 44, 1)
    PillowImage.open(tmp_path / "once.jpg").save(tmp_path / "twice.jpg", quality=96)
    twice = diagnose(read_image(tmp_path / "twice.jpg"), tmp_path / "twice.jpg")
    assert (twice.jpeg_quality, twice.jpeg_quality_of_file) == (44, 96)
    assert "96" in twice.findings[0].message


def test_a_file_of_high_quality_is_not_wrong(tmp_path):
    PillowImage.fromarray(CLEAN.astype(np.uint8)).save(tmp_path / "fine.jpg", quality=93)
    found = diagnose(read_image(tmp_path / "fine.jpg"), tmp_path / "fine.jpg")
    assert (found.jpeg_quality, kinds(found)) == (93, [])


def test_blocks_that_no_quality_explains_are_named():
    # Compressed hard, then softened by noise, which hides the steps but not the grid.
    blocky = compress(CLEAN.astype(np.uint8), 7).astype(np.float32)
    found = diagnose(image(rounded(noisy(blocky, 6))))
    assert found.jpeg_quality is None
    assert "blocks" in kinds(found)


def test_a_camera_raw_is_to_be_demosaicked_first():
    raw = replace(image(CLEAN[:, :, :1]), sensor=object.__new__(Sensor))
    assert [each.command("a.dng") for each in diagnose(raw).findings] == ["restore demosaic a.dng"]


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (30, 30)])
def test_of_a_tiny_picture_only_its_size_is_told(size):
    assert kinds(diagnose(image(CLEAN[: size[0], : size[1]]))) == ["low-resolution"]


def test_what_cannot_be_told_is_not_a_number():
    found = diagnose(image(np.full((600, 600, 3), 255, np.float32)))
    assert (found.sigma_255, found.jpeg_quality, found.blur_px, found.findings) == (None, None, None, ())


def test_qualities_of_file_and_pixels_become_one():
    assert [hardest(*each) for each in ((None, None), (80, None), (None, 30), (80, 79), (95, 30), (30, 95))] == [
        *(None, 80, 30, 80, 30, 30)
    ]


def test_commands_survive_any_file_name():
    finding = Finding("noise", "noise", 0.9, ("denoise",))
    assert finding.command("a b.png") == "restore denoise 'a b.png'"
    assert finding.command("-x.png") == "restore denoise ./-x.png"


def test_confidence_is_even_at_the_threshold_and_never_complete():
    assert confidence_of(2.4, 2.4, 0.2) == 0.5
    assert confidence_of(-1e9, 2.4, 0.2) < 1e-6
    assert confidence_of(1e9, 2.4, 0.2) == 0.99
