"""From what was typed to inputs and outputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore_cli.errors import InputError, OutputError, UsageError
from restore_cli.io.paths import Source, check_target, find_pictures, find_sources, is_same_file, plan_outputs


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(*inputs, **how):
    return [(str(each.path), str(each.relative)) for each in find_sources(inputs, **how)]


def test_pictures_of_a_folder_are_those_by_name_sorted_without_hidden_ones():
    touch("in/b.PNG", "in/a.jpeg", "in/notes.txt", "in/.hidden.png", "in/.git/x.png", "in/deep/c.tif", "in/png")
    assert find_pictures(Path("in")) == [Path("in/a.jpeg"), Path("in/b.PNG")]
    assert find_pictures(Path("in"), recursive=True) == [Path("in/a.jpeg"), Path("in/b.PNG"), Path("in/deep/c.tif")]


def test_a_loop_of_links_is_not_followed():
    touch("in/a.png")
    Path("in/loop").symlink_to("..")
    assert find_pictures(Path("in"), recursive=True) == [Path("in/a.png")]


def test_a_pattern_does_not_follow_links_round_in_circles_either():
    touch("in/a.png", "in/deep/b.png", "in/.hidden/c.png", "in/de[e]p/d.png")
    for folder in ("in", "in/deep"):
        for name in ("up", "away", "round"):
            Path(folder, name).symlink_to("..")
    pictures = ["in/a.png", "in/de[e]p/d.png", "in/deep/b.png"]
    assert [path for path, _ in found("in/**/*.png")] == pictures
    assert [path for path, _ in found("**/**/*.png")] == pictures
    assert [path for path, _ in found("in/**")] == pictures
    assert [path for path, _ in found("in/deep/up/**/b.png")] == ["in/deep/up/deep/b.png"]
    assert [path for path, _ in found(str(Path("in/**/d.png").absolute()))] == [str(Path("in/de[e]p/d.png").absolute())]


def test_a_folder_that_may_not_be_listed_is_an_error_and_not_skipped(monkeypatch):
    touch("in/a.png", "in/locked/b.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match="in/locked: the folder cannot be listed: Permission denied"):
        find_pictures(Path("in"), recursive=True)
    assert find_pictures(Path("in")) == [Path("in/a.png")]


def test_files_folders_and_patterns_keep_their_order_and_their_place():
    touch("z.png", "in/a.png", "in/deep/b.png", "more/x/c.png", "more/c.png")
    assert found("z.png", "in") == [("z.png", "z.png"), ("in/a.png", "a.png")]
    assert found("in", recursive=True) == [("in/a.png", "a.png"), ("in/deep/b.png", "deep/b.png")]
    assert found("more/*/*.png") == [("more/x/c.png", "x/c.png")]
    assert found("more/**/*.png") == [("more/c.png", "c.png"), ("more/x/c.png", "x/c.png")]
    assert found("*.png") == [("z.png", "z.png")]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file():
    touch("a[1].png", "a1.png")
    assert found("a[1].png") == [("a[1].png", "a[1].png")]


def test_a_pattern_that_ends_in_a_star_means_pictures_and_others_what_they_say():
    touch("a.png", "b.txt", "c.dat")
    assert found("*") == [("a.png", "a.png")]
    assert found("*.dat") == [("c.dat", "c.dat")]


def test_one_file_by_two_names_comes_once():
    touch("in/a.png")
    assert len(find_sources(["in/a.png", "in/../in/a.png", "in", "in/*", str(Path("in/a.png").absolute())])) == 1


def test_a_missing_file_is_kept_while_another_exists():
    touch("a.png")
    assert found("gone.png", "a.png") == [("gone.png", "gone.png"), ("a.png", "a.png")]
    with pytest.raises(InputError, match=r"There is no file gone.png. Check"):
        find_sources(["gone.png"])
    with pytest.raises(InputError, match=r"There is no file gone.png; none of the 2 inputs is there"):
        find_sources(["gone.png", "too.png"])


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "x/" * 3000])
def test_a_name_no_system_takes_is_a_missing_file(name):
    with pytest.raises(InputError, match="There is no file"):
        find_sources([name])


def test_an_empty_name_is_not_the_current_folder():
    touch("a.png")
    with pytest.raises(UsageError, match="empty"):
        find_sources(["a.png", ""])


@pytest.mark.parametrize("text", ["in", "in/*.png"])
def test_a_folder_or_pattern_without_pictures_is_refused(text):
    Path("in").mkdir()
    with pytest.raises(InputError, match="no picture"):
        find_sources([text])


def test_results_beside_their_originals_are_left_out_and_lonely_look_alikes_are_not():
    touch("in/a.png", "in/a_x.jpg", "in/b_x.png", "in/deep/a_x.png")
    kept = ["in/a.png", "in/b_x.png", "in/deep/a_x.png"]
    assert [path for path, _ in found("in", recursive=True, made_suffix="_x")] == kept
    assert [path for path, _ in found("in/**/*", made_suffix="_x")] == kept
    assert ("in/a_x.jpg", "a_x.jpg") in found("in/a_x.jpg", made_suffix="_x")  # named outright


def test_an_output_folder_inside_the_inputs_is_left_out_unless_it_is_the_input():
    touch("in/a.png", "in/out/b.png", "in/out/deep/c.png", "in/outer/d.png")
    everything = {"in/a.png", "in/out/b.png", "in/out/deep/c.png", "in/outer/d.png"}

    def left(*inputs, output):
        return {path for path, _ in found(*inputs, recursive=True, output=Path(output))}

    assert left("in", output="in/out") == left("in/**/*", output="in/out") == {"in/a.png", "in/outer/d.png"}
    assert left("in", output="in") == left("in", output=".") == left("in", output="elsewhere") == everything
    assert left("in/out", output="in/out") == {"in/out/b.png", "in/out/deep/c.png"}
    assert left("in/out/deep", output="in/out") == {"in/out/deep/c.png"}


# --- outputs ---


def planned(names, output=None, suffix="_x", extensions=None, **how):
    sources = [Source(Path(name), Path(Path(name).name)) for name in names]
    extensions = extensions or [Path(name).suffix for name in names]
    return [str(each) for each in plan_outputs(sources, output and Path(output), suffix, extensions, **how)]


def test_results_go_beside_inputs_with_a_suffix_and_into_folders_without():
    assert planned(["a.png", "in/b.jpg"]) == ["a_x.png", "in/b_x.jpg"]
    assert planned(["a.png", "in/b.jpg"], "out") == ["out/a.png", "out/b.jpg"]
    assert planned(["a.png"], "out", suffix_in_folder=True) == ["out/a_x.png"]
    assert planned(["in/a.png"], "in") == ["in/a_x.png"]
    assert planned(["in/a.gif"], "in", extensions=[".png"]) == ["in/a.png"]


def test_an_output_that_ends_like_a_file_is_one_unless_it_is_a_folder():
    assert planned(["a.png"], "out.tif") == ["out.tif"]
    assert planned(["a.png"], "out.v2") == ["out.v2/a.png"]
    Path("out.tif").mkdir()
    assert planned(["a.png", "b.png"], "out.tif") == ["out.tif/a.png", "out.tif/b.png"]
    with pytest.raises(UsageError, match="names one file, but there are 2 inputs"):
        planned(["a.png", "b.png"], "out.png")


@pytest.mark.parametrize("names", [["a.png", "a.jpg"], ["A.png", "a.png"], ["in/a.png", "other/a.png"]])
def test_two_results_of_one_name_are_refused_also_where_only_case_tells_them_apart(names):
    with pytest.raises(OutputError, match="would both be written to"):
        planned(names, "out", extensions=[".png", ".png"])


@pytest.mark.parametrize("output", ["a.png", "A.PNG", "link.png", "deep/../a.png"])
def test_a_result_in_the_place_of_an_input_is_refused_through_links_too(output):
    touch("a.png", "deep/x")
    Path("link.png").symlink_to("a.png")
    with pytest.raises(OutputError, match="would replace the input"):
        planned(["a.png"], output)


def test_a_result_in_the_place_of_another_input_is_refused():
    with pytest.raises(OutputError, match="would replace the input"):
        planned(["a.png", "a_x.png"])
    Path("link.png").symlink_to("b.png")
    touch("b.png")
    with pytest.raises(OutputError, match="would replace the input"):
        planned(["link.png"], "b.png")


@given(
    st.lists(
        st.tuples(st.sampled_from("abAB"), st.sampled_from(["", "_x", "_x_x"]), st.sampled_from([".png", ".jpg"]))
    ),
    st.sampled_from([None, "out", "."]),
)
def test_whatever_is_planned_no_two_results_and_no_input_share_a_name(parts, output):
    names = list(dict.fromkeys("".join(each) for each in parts))
    try:
        targets = planned(names, output)
    except OutputError:
        return
    taken = [os.path.abspath(target).lower() for target in targets]
    assert len(set(taken)) == len(names)
    assert not set(taken) & {os.path.abspath(name).lower() for name in names}


# --- whether a target can be written ---


def test_a_target_is_checked_without_making_anything(here):
    check_target(Path("new/deep/out.png"), overwrite=False)
    assert os.listdir(here) == []


def test_an_existing_target_needs_leave():
    touch("out.png")
    with pytest.raises(OutputError, match="out.png exists"):
        check_target(Path("out.png"), overwrite=False)
    check_target(Path("out.png"), overwrite=True)
    Path("dangling.png").symlink_to("nowhere")
    with pytest.raises(OutputError, match="dangling.png exists"):
        check_target(Path("dangling.png"), overwrite=False)


def test_a_target_that_cannot_be_is_refused():
    touch("file")
    Path("folder.png").mkdir()
    for target, said in (
        ("folder.png", "is a folder"),
        ("file/out.png", "file is a file, not a folder"),
        ("file/deep/out.png", "file is a file, not a folder"),
        ("x" * 300 + ".png", "the name is too long"),
        ("x" * 300 + "/out.png", "the name is too long"),
    ):
        with pytest.raises(OutputError, match=said):
            check_target(Path(target), overwrite=True)


def test_a_folder_without_permission_is_refused(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *arguments: False)  # as root nothing is forbidden
    with pytest.raises(OutputError, match="no permission to write in"):
        check_target(Path("new/out.png"), overwrite=False)


def test_links_lead_to_the_same_file():
    touch("a.png", "b.png")
    Path("link.png").symlink_to("a.png")
    assert is_same_file(Path("link.png"), Path("a.png"))
    assert is_same_file(Path("not/../a.png"), Path("A.png"))
    assert not is_same_file(Path("a.png"), Path("b.png"))
