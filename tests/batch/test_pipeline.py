"""Reading, restoring and writing at the same time, and nobody sees it in the results."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

import restore_cli.batch.pipeline
import restore_cli.batch.run
from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.pipeline import run_jobs
from restore_cli.batch.plan import Job
from restore_cli.batch.run import restore_file
from restore_cli.batch.settings import Settings
from restore_cli.io.paths import Source
from restore_cli.options import RunOptions
from tests.pictures import read, values, write


@pytest.fixture
def work(weights):
    return Settings("denoise", (str(weights["x1"]),), run=RunOptions(device="cpu")).open()


@pytest.fixture
def jobs(tmp_path):
    def make(count, side=20, folder="out"):
        sources = [
            write(tmp_path / f"in/{index}.png", values(side, side + index, seed=index)) for index in range(count)
        ]
        return [Job(Source(path, path.relative_to(tmp_path)), tmp_path / folder / path.name) for path in sources]

    return make


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr(restore_cli.batch.pipeline, "_cores", lambda: 4)


def test_outcomes_come_in_order_and_are_those_of_one_file_after_another(work, jobs, tmp_path):
    overlapped, alone = jobs(9), jobs(9, folder="alone")
    (tmp_path / "in/4.png").write_bytes(b"not a picture")
    events = []
    for outcome in run_jobs(overlapped, work, lambda job: events.append((job, "started"))):
        assert (outcome.job, "started") in events
        events.append((outcome.job, outcome.status))
    assert [job for job, event in events if event == "started"] == overlapped
    ended = [(job, event) for job, event in events if event != "started"]
    assert ended == [(job, "failed" if job.source.path.stem == "4" else "done") for job in overlapped]
    for job, twin in zip(overlapped, alone, strict=True):
        assert restore_file(twin, work).status == dict(ended)[job]
        if job.target.exists():
            assert np.array_equal(read(job.target), read(twin.target))


def test_no_thread_begins_once_there_are_pictures(work, jobs, monkeypatch):
    """One that finds no memory to begin in would never be there, and `Thread.start` waits until it is."""
    events, real_start, real_load = [], threading.Thread.start, restore_cli.batch.pipeline.load

    def start(thread):
        events.append("thread")
        real_start(thread)

    def load(job, work):
        events.append("picture")
        return real_load(job, work)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(restore_cli.batch.pipeline, "load", load)
    assert [outcome.status for outcome in run_jobs(jobs(12), work)] == ["done"] * 12
    assert events == ["thread"] * 8 + ["picture"] * 12


def test_a_thread_that_cannot_be_started_ends_the_batch_at_once(work, jobs, monkeypatch):
    real_start, started = threading.Thread.start, []

    def start(thread):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        real_start(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="new thread"):
        next(run_jobs(jobs(1), work))
    assert len(started) == 2 and not any(thread.is_alive() for thread in started)


@pytest.mark.parametrize("slow", ["read_image", "restore_image", "write_image"])
def test_no_more_is_in_memory_than_the_pixels_allowed_whatever_is_slowest(work, jobs, monkeypatch, slow):
    """What a picture and its result take, counted from before it is read until after it is written."""
    pixels = {job.source.path: 2 * 20 * (20 + index) for index, job in enumerate(jobs(12))}
    held, most, lock = [], [], threading.Lock()
    pause = threading.Event()
    real_load, real_save = restore_cli.batch.pipeline.load, restore_cli.batch.pipeline.save
    real_slow = getattr(restore_cli.batch.run, slow)

    def load(job, work):
        with lock:
            held.append(pixels[job.source.path])
            most.append(sum(held))
        return real_load(job, work)

    def save(loaded, work):
        outcome = real_save(loaded, work)
        with lock:
            held.remove(pixels[outcome.job.source.path])
        return outcome

    def slowly(*arguments, **options):
        pause.wait(0.002)
        return real_slow(*arguments, **options)

    monkeypatch.setattr(restore_cli.batch.pipeline, "load", load)
    monkeypatch.setattr(restore_cli.batch.pipeline, "save", save)
    monkeypatch.setattr(restore_cli.batch.run, slow, slowly)
    outcomes = list(run_jobs(jobs(12), work, ahead_px=4000))
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert 2000 < max(most) <= 4000


def test_a_picture_larger_than_all_that_is_allowed_goes_alone(work, jobs):
    assert [outcome.status for outcome in run_jobs(jobs(3), work, ahead_px=1)] == ["done"] * 3


def test_reading_and_writing_go_on_while_the_network_works(work, jobs, monkeypatch):
    """The network waits until the next picture has been read and the last one written: so both are under way."""
    three = jobs(3)
    loaded, saved = (dict((job, threading.Event()) for job in three) for _ in range(2))
    names = ("load", "save", "restore")
    real = {name: getattr(restore_cli.batch.pipeline, name) for name in names}

    def load(job, work):
        picture = real["load"](job, work)
        loaded[job].set()
        return picture

    def save(picture, work):
        outcome = real["save"](picture, work)
        saved[picture.job].set()
        return outcome

    def restore(picture, work):
        index = three.index(picture.job)
        assert index == 2 or loaded[three[index + 1]].wait(60)
        assert index == 0 or saved[three[index - 1]].wait(60)
        return real["restore"](picture, work)

    for name, replacement in (("load", load), ("save", save), ("restore", restore)):
        monkeypatch.setattr(restore_cli.batch.pipeline, name, replacement)
    assert [outcome.status for outcome in run_jobs(three, work)] == ["done"] * 3


def test_an_interrupt_drops_what_is_in_the_network_and_writes_what_is_restored(work, jobs, monkeypatch, tmp_path):
    interrupts, real, seen = Interrupts(), restore_cli.batch.pipeline.restore, []

    def interrupted(picture, work):
        seen.append(picture.job)
        if len(seen) == 3:
            interrupts.requested = True
            raise KeyboardInterrupt
        return real(picture, work)

    monkeypatch.setattr(restore_cli.batch.pipeline, "restore", interrupted)
    outcomes = list(run_jobs(jobs(6), work, interrupts=interrupts))
    assert [outcome.job.source.path.stem for outcome in outcomes] == ["0", "1"]
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]


def test_whoever_stops_listening_stops_the_batch(work, jobs, tmp_path):
    running = run_jobs(jobs(20), work, ahead_px=2000)
    assert next(running).status == "done"
    running.close()
    assert len(list((tmp_path / "out").iterdir())) < 20
    assert not list((tmp_path / "out").glob("*.part"))


def test_a_bug_in_any_step_costs_one_file(work, jobs, monkeypatch):
    for name in ("read_image", "restore_image", "write_image"):
        real = getattr(restore_cli.batch.run, name)

        def buggy(first, *arguments, real=real, **options):
            if (getattr(first, "width", None) or read(first).shape[1]) == 21:
                raise KeyError("oops")
            return real(first, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(restore_cli.batch.run, name, buggy)
            overwriting = dataclasses.replace(work, existing=restore_cli.batch.run.Existing.OVERWRITE)
            outcomes = list(run_jobs(jobs(3), overwriting))
        assert [outcome.status for outcome in outcomes] == ["done", "failed", "done"], name
        assert "internal error (KeyError: 'oops')" in outcomes[1].message and "in buggy" in outcomes[1].trace
