from __future__ import annotations

from pathlib import Path

import pytest

from restore_cli.errors import InputError
from restore_cli.evaluation.pairs import References


@pytest.fixture
def folder(tmp_path):
    for name in ("baby.png", "set/bird.jpg", "a/same.png", "b/same.png", "x2.png", "twice_x4.png", "twice.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("degraded", "reference"),
    [
        ("lr/baby.jpg", "baby.png"),
        ("lr/babyx4.png", "baby.png"),
        ("lr/baby_x2.png", "baby.png"),
        ("lr/baby-X3.png", "baby.png"),
        ("bird.png", "set/bird.jpg"),
        ("x2.tif", "x2.png"),
        ("twice_x4.tif", "twice_x4.png"),
        ("twice_x2.tif", "twice.png"),
    ],
)
def test_a_reference_has_the_same_stem_or_lacks_the_scale(folder, degraded, reference):
    assert References(folder).find(Path(degraded)) == folder / reference


def test_one_file_is_the_reference_of_everything(folder):
    assert References(folder / "baby.png").find(Path("anything.tif")) == folder / "baby.png"


def test_a_name_that_subfolders_repeat_is_told_apart_by_its_place_or_refused(folder):
    references = References(folder)
    assert references.find(Path("in/b/same.tif"), Path("b/same.tif")) == folder / "b/same.png"
    for relative in (None, Path("same.tif"), Path("c/same.tif")):
        with pytest.raises(InputError, match=r"two references have its name, .*a/same.png and .*b/same.png"):
            references.find(Path("in/same.tif"), relative)


@pytest.mark.parametrize("name", ["bab.png", "babyx4y.png", "missing.png"])
def test_a_picture_without_a_reference_is_named(folder, name):
    with pytest.raises(InputError, match=f"{name}: no picture named '{Path(name).stem}' in --reference"):
        References(folder).find(Path(name))


def test_a_reference_that_is_not_there_or_empty_is_refused_at_once(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        References(tmp_path / "missing")
    with pytest.raises(InputError, match="no pictures in this folder"):
        References(tmp_path)
