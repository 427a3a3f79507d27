"""A journal gives back what was written whole, and nothing else."""

from __future__ import annotations

import json

import pytest

from restore_cli.errors import OutputError
from restore_cli.evaluation.journal import JOURNAL_NAME, Journal, key_of


@pytest.fixture
def written(tmp_path):
    folder = tmp_path / "run"
    with Journal(folder) as journal:
        for name in ("a", "b", "c"):
            journal.add(name, {"psnr": float("inf"), "name": name})
    return folder


def test_what_was_added_is_found_again(written):
    with Journal(written, resume=True) as journal:
        assert journal.find("b") == {"psnr": float("inf"), "name": "b"}
        assert journal.find("d") is None
        journal.add("d", {})
    with Journal(written, resume=True) as journal:
        assert len(journal) == 4


@pytest.mark.parametrize("cut", range(1, 30, 7))
def test_a_line_cut_short_counts_for_nothing_and_the_next_one_is_whole(written, cut):
    path = written / JOURNAL_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(written, resume=True) as journal:
        assert journal.find("b") and not journal.find("c")
        journal.add("d", {})
    lines = path.read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["a", "b", "d"]


def test_lines_that_are_no_records_are_passed_over(written):
    path = written / JOURNAL_NAME
    path.write_bytes(b'\x00\xff\n[1]\n{"no": "key"}\n3\n' + path.read_bytes())
    with Journal(written, resume=True) as journal:
        assert len(journal) == 3


def test_an_earlier_evaluation_is_neither_lost_nor_mixed_up_unasked(written):
    with pytest.raises(OutputError, match="--resume or --overwrite"):
        Journal(written)
    with Journal(written, overwrite=True) as journal:
        assert len(journal) == 0
    with Journal(written):  # an empty one is as good as none
        pass


def test_a_folder_of_other_things_is_refused_even_to_overwrite(tmp_path):
    (tmp_path / "photo.png").touch()
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputError, match="holds other files"):
            Journal(tmp_path, **options)
    with pytest.raises(OutputError):
        Journal(tmp_path / "photo.png")


def test_a_key_depends_on_every_fact_and_not_on_their_order():
    assert key_of(a=1, b={"x": 1, "y": 2}) == key_of(b={"y": 2, "x": 1}, a=1)
    assert key_of(a=1) != key_of(a=2) != key_of(b=2)
