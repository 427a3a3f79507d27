from __future__ import annotations

from pathlib import Path

import pytest

from restore_cli.errors import InputError, UsageError
from restore_cli.evaluation.pairs import References, clean_pictures, find_layout, pair_up


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


def touched(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names_of(pairing, root):
    return [
        (each.picture, each.source.relative_to(root).as_posix(), each.reference.relative_to(root).as_posix())
        for each in pairing.pairs
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("baby.jpg", "babyx4.png", "baby_x4.png", "baby_SwinIR.png", "babyx4_SwinIR-M.png", "baby_sr4x.png"),
        *("baby-HAT.webp", "baby_denoise.png", "babyx4_sr4x.png", "baby_LR.png"),
    ],
)
@pytest.mark.parametrize("reference", ["baby.png", "baby_HR.png", "baby_GT.tif"])
def test_what_test_sets_and_tools_add_to_a_name_is_seen_through(tmp_path, name, reference):
    touched(tmp_path, f"a/{name}", f"b/{reference}", "a/birdx4.png", "b/bird.png")
    found = names_of(pair_up(tmp_path / "a", tmp_path / "b"), tmp_path)
    assert found == [(Path(reference).stem, f"a/{name}", f"b/{reference}"), ("bird", "a/birdx4.png", "b/bird.png")]


def test_names_decide_and_not_the_order(tmp_path):
    # Sorted side by side these would be paired 10-1, 1-10, 2-2.
    touched(
        tmp_path, "a/img_10x4.png", "a/img_1_SwinIR.png", "a/img_2.png", "b/img_1.png", "b/img_10.png", "b/img_2.png"
    )
    found = names_of(pair_up(tmp_path / "a", tmp_path / "b"), tmp_path)
    assert [(source, reference) for _, source, reference in found] == [
        ("a/img_1_SwinIR.png", "b/img_1.png"),
        ("a/img_10x4.png", "b/img_10.png"),
        ("a/img_2.png", "b/img_2.png"),
    ]


def test_a_number_is_no_ending(tmp_path):
    touched(tmp_path, "a/img_001.png", "a/img.png", "b/img.png")
    with pytest.raises(InputError, match="in .*a img_001, in .*b none"):
        pair_up(tmp_path / "a", tmp_path / "b")


def test_subfolders_count_as_part_of_the_name(tmp_path):
    touched(tmp_path, "a/one/p_x4.png", "a/two/p_x4.png", "b/one/p.png", "b/two/p.png")
    found = names_of(pair_up(tmp_path / "a", tmp_path / "b"), tmp_path)
    assert found == [("one/p", "a/one/p_x4.png", "b/one/p.png"), ("two/p", "a/two/p_x4.png", "b/two/p.png")]
    touched(tmp_path, "a/set_a/q.png", "b/set/q.png")
    with pytest.raises(InputError, match="set_a/q"):
        pair_up(tmp_path / "a", tmp_path / "b")


def test_every_picture_without_partner_is_named_on_both_sides_unless_it_may_be_missing(tmp_path):
    touched(tmp_path, "a/both.png", "a/left1.png", "a/left2.png", "b/both.png", "b/right.png")
    with pytest.raises(InputError, match="in .*a left1, left2, in .*b right") as caught:
        pair_up(tmp_path / "a", tmp_path / "b")
    assert "--allow-missing" in caught.value.hint
    pairing = pair_up(tmp_path / "a", tmp_path / "b", allow_missing=True)
    assert [each.picture for each in pairing.pairs] == ["both"]
    assert [path.name for path in pairing.left_out] == ["left1.png", "left2.png", "right.png"]


def test_a_long_list_of_names_is_cut(tmp_path):
    touched(tmp_path, "a/both.png", "b/both.png", *(f"a/p{index:02}.png" for index in range(20)))
    with pytest.raises(InputError, match="p07 and 12 more"):
        pair_up(tmp_path / "a", tmp_path / "b")


def test_not_a_single_pair_is_an_error_whatever_may_be_missing(tmp_path):
    touched(tmp_path, "a/left.png", "b/right.png")
    with pytest.raises(InputError, match="left.*right") as caught:
        pair_up(tmp_path / "a", tmp_path / "b", allow_missing=True)
    assert "--allow-missing" not in caught.value.hint


@pytest.mark.parametrize("twice", [("a/x.png", "a/x.jpg"), ("b/x.png", "b/x.tif"), ("a/xx2.png", "a/x_SwinIR.png")])
def test_two_pictures_of_one_name_are_both_named(tmp_path, twice):
    touched(tmp_path, "a/y.png", "b/y.png", "b/x.png", *twice)
    with pytest.raises(InputError) as caught:
        pair_up(tmp_path / "a", tmp_path / "b", allow_missing=True)
    assert all(Path(name).name in caught.value.message for name in twice)


def test_two_pictures_need_no_common_name_and_a_picture_none_in_a_whole_folder(tmp_path):
    touched(tmp_path, "out.png", "b/truth.png", "b/other.png", "b/out_x.png", "truthx2.png")
    assert pair_up(tmp_path / "out.png", tmp_path / "b/truth.png").pairs[0].picture == "truth"
    assert pair_up(tmp_path / "truthx2.png", tmp_path / "b").pairs[0].reference == tmp_path / "b/truth.png"
    with pytest.raises(UsageError, match="is a folder"):
        pair_up(tmp_path / "b", tmp_path / "out.png")


@pytest.mark.parametrize(("pictures", "references"), [("a", "none"), ("none", "a"), ("a", "empty"), ("empty", "a")])
def test_empty_and_missing_folders_are_named(tmp_path, pictures, references):
    touched(tmp_path, "a/x.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="none: no such|empty: no pictures"):
        pair_up(tmp_path / pictures, tmp_path / references)


def test_clean_pictures_are_their_own_references(tmp_path):
    touched(tmp_path, "a/x.png", "a/sub/x.png", "a/.hidden.png", "a/notes.txt")
    found = names_of(clean_pictures(tmp_path / "a"), tmp_path)
    assert found == [("x", "a/x.png", "a/x.png"), ("sub/x", "a/sub/x.png", "a/sub/x.png")]
    assert clean_pictures(tmp_path / "a/x.png").pairs[0].picture == "x"
    with pytest.raises(InputError, match=r"x.jpg and .*x.png have one name"):
        clean_pictures(touched(tmp_path, "a/x.jpg") / "a")


@pytest.mark.parametrize(
    ("scale", "reference", "degraded"),
    [
        (4, "HR", "LR_bicubic/X4"),
        (2, "HR", "LR_bicubic/X2"),
        (3, "GTmod12", "LRbicx3"),
        (4, "GTmod4", "LRbicx4"),
        (4, "DIV2K_valid_HR", "DIV2K_valid_LR_bicubic/X4"),
        (1, "target", "input"),
        (1, "test/target", "test/input"),
    ],
)
def test_the_usual_layouts_are_known(tmp_path, scale, reference, degraded):
    touched(tmp_path, f"{reference}/a.png", f"{degraded}/a.png")
    layout = find_layout(tmp_path, scale)
    assert (layout.reference, layout.degraded) == (tmp_path / reference, tmp_path / degraded)
    with pytest.raises(InputError, match="not laid out") as caught:
        find_layout(tmp_path, 8 if scale > 1 else 5)
    assert "X8" in caught.value.hint or "LRbicx5" in caught.value.hint


def test_pictures_without_subfolders_are_clean_ones(tmp_path):
    assert find_layout(touched(tmp_path, "a.png"), 1).degraded is None
    with pytest.raises(InputError, match="no such folder"):
        find_layout(tmp_path / "a.png", 1)
