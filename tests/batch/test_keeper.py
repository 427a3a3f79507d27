"""Lines of many workers in one file."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from restore_cli.batch.keeper import Keeper
from restore_cli.batch.manifest import MANIFEST_NAME


def lines_in(folder):
    return (folder / MANIFEST_NAME).read_bytes().splitlines()


def test_every_line_is_there_when_its_call_returns_and_those_that_wait_share_a_trip_to_the_disk(tmp_path, monkeypatch):
    keeper, trips, real = Keeper(tmp_path), [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (trips.append(descriptor), real(descriptor)))

    def append(index):
        assert keeper.append("a", b"%d\n" % index) is None
        return b"%d" % index in lines_in(tmp_path)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(append, range(200)))
    assert sorted(map(int, lines_in(tmp_path))) == list(range(200))
    assert len(trips) <= 200
    trips.clear()
    with keeper._disk, ThreadPoolExecutor(8) as threads:  # the disk is busy until all have come
        waiting = [threads.submit(keeper.append, "a", b"%d\n" % index) for index in range(8)]
        while len(keeper._waiting) < 8:
            pass
        keeper._disk.release()
        assert [each.result() for each in waiting] == [None] * 8
        keeper._disk.acquire()
    assert len(trips) == 1


def test_a_worker_that_was_given_up_writes_no_more(tmp_path):
    keeper = Keeper(tmp_path)
    assert keeper.append("a", b"1\n") is None
    keeper.retire("a")
    assert "given up for lost" in keeper.append("a", b"2\n").message
    assert keeper.append("b", b"3\n") is None
    assert lines_in(tmp_path) == [b"1", b"3"]


def test_a_full_disk_is_told_to_all_who_wait(tmp_path, monkeypatch):
    keeper = Keeper(tmp_path)
    monkeypatch.setattr(os, "write", lambda descriptor, content: 0)
    assert "No space left" in keeper.append("a", b"1\n").message
