"""A program's part of a text file is replaced; the rest is a person's."""

from __future__ import annotations

import os

from restore_cli.evaluation.marked import write_part


def test_only_the_part_between_the_marks_changes(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("above\n<!-- a -->\nold\n<!-- end -->\nbelow\n")
    write_part(path, "<!-- a -->", "<!-- end -->", "new\nlines")
    assert path.read_text() == "above\n<!-- a -->\nnew\nlines\n<!-- end -->\nbelow\n"
    write_part(path, "<!-- a -->", "<!-- end -->", "newer")
    assert path.read_text() == "above\n<!-- a -->\nnewer\n<!-- end -->\nbelow\n"
    assert os.listdir(tmp_path) == ["README.md"]


def test_a_new_part_goes_to_the_end(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("above\n<!-- a -->\nmine\n")  # never ended: nothing of it may be lost
    write_part(path, "<!-- b -->", "<!-- end b -->", "text")
    write_part(path, "<!-- a -->", "<!-- end a -->", "text")
    assert path.read_text().startswith(
        "above\n<!-- a -->\nmine\n\n<!-- b -->\ntext\n<!-- end b -->\n\n<!-- a -->\ntext\n"
    )
