from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.pictures import read, values, write


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def pair(tmp_path):
    return write(tmp_path / "a.png", values(40, 48)), write(tmp_path / "b.png", values(40, 48, seed=1))


@pytest.mark.parametrize(
    ("name", "start"),
    [("out.png", b"\x89PNG"), ("new/out.HTML", b"<!doctype html>"), ("o.htm", b"<!"), ("o.gif", b"GIF")],
)
def test_the_suffix_decides_what_is_made(restore, pair, tmp_path, name, start):
    result = restore("compare", "a.png", "b.png", "-o", name)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"a.png, b.png -> {name}\n")
    assert files(tmp_path) == sorted(["a.png", "b.png", name])
    assert (tmp_path / name).read_bytes().startswith(start)


def test_more_than_two_are_compared_and_json_tells_what_was_done(restore, pair, tmp_path):
    write(tmp_path / "small.png", values(10, 12))
    result = restore("compare", "a.png", "b.png", "small.png", "-o", "out.png", "--crop", "4,5,6,7", "--json", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == {
        "output": "out.png",
        "width": 48,
        "height": 40,
        "pictures": [
            {"path": "a.png", "label": "a.png", "remark": ""},
            {"path": "b.png", "label": "b.png", "remark": ""},
            {"path": "small.png", "label": "small.png", "remark": "enlarged ×4, nearest"},
        ],
        "crops": [{"x": 4, "y": 5, "width": 6, "height": 7}],
    }
    assert read(tmp_path / "out.png").shape[1] > 3 * 280


def test_without_crop_two_places_are_chosen(restore, pair):
    document = json.loads(restore("compare", "a.png", "b.png", "-o", "out.html", "--json").stdout)
    assert len(document["crops"]) == 2


def test_labels_tell_files_of_one_name_apart(restore, tmp_path):
    for folder in ("one/x", "two/x"):
        write(tmp_path / folder / "a.png")
    document = json.loads(restore("compare", "one/x/a.png", "two/x/a.png", "-o", "o.png", "--json").stdout)
    assert [each["label"] for each in document["pictures"]] == ["one/x/a.png", "two/x/a.png"]


@pytest.mark.parametrize("kind", ["png", "html", "gif"])
def test_all_kinds_of_pictures_go_together(restore, tmp_path, kind):
    write(tmp_path / "grey.png", values(40, 48, 1))
    write(tmp_path / "deep.png", values(40, 48, bits=16))
    write(tmp_path / "clear.png", values(40, 48, 4))
    write(tmp_path / "photo.jpg", values(40, 48))
    result = restore("compare", "grey.png", "deep.png", "clear.png", "photo.jpg", "-o", f"out.{kind}", "--json")
    assert result.exit_code == 0
    assert [each["remark"] for each in json.loads(result.stdout)["pictures"]] == ["", "", "on white", ""]


def test_different_profiles_are_mentioned(restore, pair, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write(tmp_path / "p.png", values(40, 48), icc_profile=profile)
    assert "different colour profiles" in restore("compare", "a.png", "p.png", "-o", "out.png").stderr
    assert restore("compare", "p.png", "p.png", "-o", "same.png").stderr == "p.png, p.png -> same.png\n"
    with Image.open(tmp_path / "same.png") as written:
        assert written.info["icc_profile"] == profile


def test_nothing_is_overwritten_unless_asked(restore, refused, pair, tmp_path):
    (tmp_path / "out.png").write_bytes(b"precious")
    assert "out.png exists" in refused("compare", "a.png", "b.png", "-o", "out.png")
    assert (tmp_path / "out.png").read_bytes() == b"precious"
    assert restore("compare", "a.png", "b.png", "-o", "out.png", "--overwrite").exit_code == 0
    assert np.array_equal(read(tmp_path / "out.png").shape[2:], (3,))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a.png", "-o", "o.png"], 2, "There is one picture to compare"),
        (["a.png", "b.png", "-o", "o.jpg"], 1, "--output o.jpg: results are PNG, HTML or GIF"),
        (["a.png", "b.png", "-o", "o"], 1, "results are PNG, HTML or GIF"),
        (["a.png", "b.png", "-o", ""], 2, "is empty"),
        (["a.png", "", "-o", "o.png"], 2, "is empty"),
        (["a.png", "-", "-o", "o.png"], 2, "Pipes are not supported"),
        (["a.png", "b.png", "-o", "a.png", "--overwrite"], 1, "a.png is one of the pictures"),
        (["a.png", "none.png", "-o", "o.png"], 1, "There is no file none.png"),
        (["a.png", "text.png", "-o", "o.png"], 1, "text.png is not a picture"),
        (["a.png", "odd.png", "-o", "o.png"], 1, "odd.png is 47x40, a.png 48x40"),
        (["a.png", "b.png", "-o", "o.png", "--crop", "1,2,3"], 2, "--crop 1,2,3: four whole numbers"),
        (["a.png", "b.png", "-o", "o.png", "--crop", "1,2,-3,4"], 2, "four whole numbers"),
        (["a.png", "b.png", "-o", "o.png", "--crop", "0,0,0,5"], 2, "is not inside the picture"),
        (["a.png", "b.png", "-o", "o.png", "--crop", "40,0,9,5"], 2, "It has 48x40 pixels"),
        (["a.png", "b.png", "-o", "o.png", *["--crop", "0,0,5,5"] * 5], 2, "There are 5 --crop"),
        (["a.png", "b.png", "-o", "o.gif", *["--crop", "0,0,5,5"] * 2], 2, "A GIF shows one"),
        (["a.png", "b.png", "-o", "a.png/o.png"], 1, "is a file, not a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(refused, pair, tmp_path, arguments, code, said):
    (tmp_path / "text.png").write_text("no picture")
    write(tmp_path / "odd.png", values(40, 47))
    before = files(tmp_path)
    assert said in refused("compare", *arguments, code=code)
    assert files(tmp_path) == before
