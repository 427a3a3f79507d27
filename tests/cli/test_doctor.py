"""`restore doctor` as it is typed."""

import json

from restore_cli.doctor import examination, software
from restore_cli.doctor.finding import Finding, State

FINDINGS = [
    Finding("one", "is fine", facts={"n": 1}),
    Finding("two", "could be better", State.NOTE, "do this"),
    Finding("three", "is gone", State.BROKEN, "do that"),
]


def test_all_is_well_here_and_a_program_can_read_it(restore, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    result = restore("doctor", "--json")
    document = json.loads(result.stdout)
    broken = [finding for finding in document["findings"] if finding["state"] == "broken"]
    assert (result.exit_code, broken, document["works"]) == (0, [], True)
    subjects = [finding["subject"] for finding in document["findings"]]
    for subject in ("restore", "torch", "processor", "memory", "temporary files", "embedded models", "hub cache"):
        assert subject in subjects
    assert subjects[-3:] == ["self-test cpu fp32", "self-test cpu bf16", "self-test cpu fp16"]


def test_what_is_broken_ends_in_exit_code_1_and_says_what_to_do(restore, monkeypatch):
    monkeypatch.setattr(examination, "examine", lambda: iter(FINDINGS))
    result = restore("doctor")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "ok      one: is fine",
        "note    two: could be better",
        "        -> do this",
        "broken  three: is gone",
        "        -> do that",
    ]
    assert result.stderr == "1 broken, 1 to note\n"


def test_quiet_leaves_out_what_is_fine(restore, monkeypatch):
    monkeypatch.setattr(examination, "examine", lambda: iter(FINDINGS[:2]))
    result = restore("doctor", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["note    two: could be better", "        -> do this"]


def test_json_holds_every_fact(restore, monkeypatch):
    monkeypatch.setattr(examination, "examine", lambda: iter(FINDINGS))
    document = json.loads(restore("doctor", "--json").stdout)
    assert not document["works"]
    assert document["findings"][0] == {
        "subject": "one",
        "message": "is fine",
        "state": "ok",
        "advice": "",
        "facts": {"n": 1},
    }


def test_where_a_package_does_not_load_the_rest_is_left(monkeypatch):
    monkeypatch.setattr(software, "examine_versions", lambda: iter(FINDINGS[2:]))
    assert [finding.subject for finding in examination.examine()] == ["three", "the rest"]
