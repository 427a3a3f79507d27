from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from restore_cli.batch.log import Log
from restore_cli.errors import OutputError


def test_a_line_is_an_object_with_its_time_and_is_there_at_once(tmp_path):
    path = tmp_path / "new/log.jsonl"
    with Log(path) as log:
        log.add("begun", files=2)
        log.add("file", input="new\nline \udcff.png")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["begun", "file"]
    assert lines[1]["input"] == "new\nline \udcff.png"
    assert datetime.fromisoformat(lines[0]["time"]).utcoffset().total_seconds() == 0


def test_an_earlier_log_is_added_to(tmp_path):
    for _ in range(2):
        with Log(tmp_path / "log") as log:
            log.add("begun")
    assert len((tmp_path / "log").read_text().splitlines()) == 2


def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    with pytest.raises(OutputError, match="--log"):
        Log(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_costs_lines_and_says_so():
    with Log(Path("/dev/full")) as log:
        log.add("begun")
        assert log.failure is not None and "No space left" in log.failure.message


def test_a_line_behind_one_that_was_cut_off_stands_for_itself(tmp_path, monkeypatch):
    with Log(tmp_path / "log") as log:
        real = log._stream

        class Filling:
            def write(self, line):
                return real.write(line[:9])

        monkeypatch.setattr(log, "_stream", Filling())
        log.add("file")
        monkeypatch.setattr(log, "_stream", real)
        log.add("ended")
    cut, whole = (tmp_path / "log").read_text().splitlines()
    assert len(cut) == 9 and json.loads(whole)["event"] == "ended" and log.failure is not None
