"""The short form of `make torture`, and that it would notice."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tests.pictures import values, write
from tests.torture.batches import judged, same_picture
from tests.torture.counts import Counts, table
from tests.torture.hostile import CORPUS
from tests.torture.ordeals import ORDEALS, face
from tests.torture.process import Ran, call, restore


@pytest.mark.parametrize("name", ORDEALS)
def test_an_ordeal_is_passed(tmp_path, name):
    if name == "hostile" and not CORPUS.is_dir():
        pytest.skip(f"{CORPUS} is not there; RESTORE_DATA names another place")
    counts = face(name, tmp_path, full=False)
    assert counts.passed, table([(name, counts, 0)])
    assert counts.restored >= 10


# --- what it would notice ---


@pytest.fixture
def ran(tmp_path):
    """A run over one file that was restored and one that was refused, and what is changed about it."""
    write(tmp_path / "a.png")
    files = [
        {"input": "a.png", "output": "a.png", "status": "done"},
        {"input": "b.png", "output": "b_out.png", "status": "failed", "message": "b.png is empty."},
    ]

    def change(lines=("error: b.png is empty.",), files=files, code=1):
        return judged(Ran(code, json.dumps({"files": files}).encode(), "\n".join(lines)), tmp_path)[0]

    return change


def test_a_run_as_it_should_be_passes(ran):
    assert ran() == Counts(given=2, restored=1, refused=1) and ran().passed


@pytest.mark.parametrize(
    "changes",
    [
        {"lines": ()},
        {"lines": ("error: b.png is empty.", "libpng warning: ...")},
        {"lines": ("error: it is empty.",)},
        {"lines": ("b.png is empty.",)},
        {"lines": ("error: b.png: internal error (KeyError).",)},
        {"lines": ("Traceback (most recent call last):",)},
        {"code": 0},
        {"code": -11},
        {"files": [{"input": "c.png", "output": "c_out.png", "status": "done"}], "lines": (), "code": 0},
    ],
)
def test_whatever_is_not_as_it_should_be_is_a_fault(ran, changes):
    assert not ran(**changes).passed and ran(**changes).faults


def test_results_of_failures_and_temporary_files_are_faults(ran, tmp_path):
    write(tmp_path / "b_out.png")
    assert ran().wrong == 1
    (tmp_path / "b_out.png").rename(tmp_path / ".restore-0.part")
    assert ran().wrong == 1


def test_other_pictures_are_told_apart(tmp_path):
    first = write(tmp_path / "a.png", values(9, 8, 4))
    assert same_picture(first, write(tmp_path / "b.png", values(9, 8, 4)))
    assert not same_picture(first, write(tmp_path / "c.png", values(8, 9, 4)))
    changed = values(9, 8, 4)
    changed[3, 4, 1] += 2
    changed[3, 4, 3] = 200
    assert not same_picture(first, write(tmp_path / "d.png", changed))
    deep = values(9, 8, 3, bits=16)
    assert same_picture(write(tmp_path / "e.png", deep), write(tmp_path / "f.png", deep))
    assert (
        same_picture(tmp_path / "absent.png", first) is None and same_picture(first, tmp_path / "absent.png") is False
    )


def test_files_of_which_nothing_was_said_do_not_pass():
    assert not Counts(given=2, restored=1).passed and not Counts().passed
    assert "1 files are not accounted for" in table([("x", Counts(given=2, restored=1), 0)])


def test_a_process_says_how_it_ended_and_what_memory_it_took(tmp_path):
    assert call(tmp_path, killed).code == -9 and call(tmp_path, killed).crashed
    done = call(tmp_path, takes, 50_000_000)
    assert (done.code, done.result) == (0, 50_000_000) and 45_000_000 < done.grown_bytes < 90_000_000
    version = restore(tmp_path, "--version")
    assert (version.code, version.stderr) == (0, "") and version.stdout.count(b".") >= 2


def killed():
    os.kill(os.getpid(), 9)


held = []


def takes(size):
    held.append(b"x" * size)  # until the process ends: who looks only now and then sees it at last
    return size


def test_a_machine_without_memory_for_a_thread_is_one_line(tmp_path):
    write(tmp_path / "a.png")
    ran = call(tmp_path, without_threads)
    assert ran.code == 1
    assert ran.stderr.startswith("error: There is not enough memory to go on.") and len(ran.stderr.splitlines()) == 1


def without_threads():
    from restore_cli.cli import main, restore

    def starved(*arguments):
        raise RuntimeError("can't start new thread")

    restore.run_and_report = starved
    sys.argv = ["restore", "denoise", "-q", "a.png"]
    main()
