"""The README's table of diagnoses is what its command writes."""

from dataclasses import replace
from pathlib import Path

import pytest

from restore_cli.diagnosis.diagnose import Diagnosis
from restore_cli.diagnosis.finding import Finding
from restore_cli.evaluation.diagnosed import CASES, TABLE_END, TABLE_START, Case, judge, table, verdict

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
DOCUMENTED = README.partition(f"{TABLE_START}\n")[2].partition(f"\n{TABLE_END}")[0].splitlines()
NOISY = Diagnosis(9, 9, 12.0, None, None, 1.0, None, None, (Finding("noise", "noise", 0.99, ("denoise",)),))
CASE = Case("test/Set/a.png", "noise", sigma_255=11.5, kinds=frozenset({"noise"}))


def test_twenty_pictures_none_of_them_of_the_training_ones():
    assert len({case.picture for case in CASES}) == 20
    assert all(case.picture.startswith("test/") for case in CASES)


def test_right_is_who_names_it_and_nothing_else_within_the_stated_error():
    right = verdict(CASE, NOISY)
    assert (right.named, right.within, right.errors) == (True, True, {"sigma_255": 0.5})
    assert not verdict(CASE, replace(NOISY, sigma_255=15.0)).within
    assert not verdict(replace(CASE, kinds=frozenset({"blur"})), NOISY).named
    assert not verdict(replace(CASE, kinds=frozenset()), NOISY).named
    assert not verdict(CASE, replace(NOISY, findings=())).named


def test_noise_that_was_there_before_counts():
    assert verdict(replace(CASE, sigma_255=7.2), NOISY, own_sigma_255=9.6).errors["sigma_255"] == pytest.approx(0)
    assert "| 9.6 |" in table([verdict(CASE, NOISY, own_sigma_255=9.6)])


def test_the_table_tells_hits_and_misses():
    rows = table([verdict(CASE, NOISY), verdict(CASE, replace(NOISY, sigma_255=15.0))]).splitlines()
    assert rows[2] == "| Set a |  | noise | noise, sigma 12.0 (99%) | +0.5 | yes |"
    assert rows[3].endswith("| **no** |")
    assert rows[-1].startswith("1 of 2 as stated")


def test_the_readme_has_a_row_for_each_and_counts_them_right():
    rows = [line for line in DOCUMENTED[2:] if line.startswith("|")]
    assert [f"| {case.done} |" in row for case, row in zip(CASES, rows, strict=True)] == [True] * 20
    assert DOCUMENTED[-1].startswith(f"{sum(row.endswith('| yes |') for row in rows)} of 20 as stated")


@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_readme_tells_the_truth(shared, tmp_path, number):
    row = table([judge(CASES[number], shared / "data", tmp_path)]).splitlines()[2]
    assert row == DOCUMENTED[2 + number]
