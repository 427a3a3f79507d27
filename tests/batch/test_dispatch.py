"""Who does what next, and what a lost worker costs."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restore_cli.batch.dispatch import IN_HAND, MOST_LOSSES, Dispatch, Feed
from restore_cli.batch.manifest import Manifest, Standing
from restore_cli.batch.plan import Job
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Work
from restore_cli.io.paths import Source
from restore_cli.options import FinishOptions, Hints
from restore_cli.tasks import TASKS
from tests.pictures import write

BARE = Work(TASKS["denoise"], None, Hints(), FinishOptions())  # nothing of it is asked for without a manifest


def numbered(count, folder=Path()):
    return [Job(Source(Path(f"{index}.png"), Path(f"{index}.png")), folder / f"{index}.png") for index in range(count)]


def take_all(dispatch, worker):
    taken = []
    while (job := dispatch.take(worker)) is not None:
        taken.append(job)
    return taken


def test_a_worker_holds_a_few_jobs_and_gets_another_for_each_that_it_returns():
    jobs = numbered(100)
    dispatch = Dispatch(jobs, 2)
    assert take_all(dispatch, "a") == jobs[:IN_HAND]
    assert take_all(dispatch, "b") == jobs[IN_HAND : 2 * IN_HAND]
    dispatch.returned("b", jobs[IN_HAND + 1])
    assert take_all(dispatch, "a") == []
    assert take_all(dispatch, "b") == [jobs[2 * IN_HAND]]


def test_few_jobs_are_shared_out_rather_than_kept_in_one_hand():
    dispatch = Dispatch(numbered(3), 3)
    assert [len(take_all(dispatch, worker)) for worker in "abc"] == [1, 1, 1]


def test_what_a_lost_worker_held_goes_alone_the_next_time():
    jobs = numbered(40)
    dispatch = Dispatch(jobs, 2)
    held = take_all(dispatch, "a")
    take_all(dispatch, "b")
    assert list(dispatch.lost("a", "", BARE)) == []
    assert take_all(dispatch, "c") == [held[0]]
    dispatch.returned("b", jobs[4])
    assert take_all(dispatch, "b") == [jobs[8]]  # it has other jobs in hand
    dispatch.returned("c", held[0])
    assert take_all(dispatch, "c") == [held[1]]


@given(
    st.integers(0, 30),
    st.integers(1, 4),
    st.sets(st.integers(0, 29), max_size=3),
    st.lists(st.integers(0, 9), max_size=60),
)
def test_every_job_has_one_outcome_and_only_those_that_kill_their_workers_fail(count, workers, deadly, chance):
    """A worker dies when it comes to a deadly job; which worker comes to its next job first is left to chance."""
    jobs = numbered(count)
    dispatch, hands, ended = Dispatch(jobs, workers), [[] for _ in range(workers)], []
    names = list(range(workers))
    for step in range(1000):
        if dispatch.is_over:
            break
        for place in range(workers):
            hands[place] += take_all(dispatch, names[place])
        busy = [place for place in range(workers) if hands[place]]
        assert busy, "jobs are left, and nobody gets one"
        place = busy[chance[step % len(chance)] % len(busy)] if chance else busy[0]
        job = hands[place].pop(0)
        if int(job.target.stem) in deadly:
            outcomes = list(dispatch.lost(names[place], "it crashed", BARE))
            assert all("3 workers were lost over it" in outcome.message for outcome in outcomes)
            ended += [(outcome.job, outcome.status) for outcome in outcomes]
            names[place], hands[place] = object(), []
        else:
            dispatch.returned(names[place], job)
            ended.append((job, "done"))
    assert sorted(ended, key=lambda each: int(each[0].target.stem)) == [
        (job, "failed" if index in deadly else "done") for index, job in enumerate(jobs)
    ]


@pytest.fixture
def begun(tmp_path):
    """A job that another process has begun, of a work with a manifest that was opened before."""
    (job,) = numbered(1, tmp_path)
    with Manifest(tmp_path, "digest") as ours, Manifest(tmp_path, "digest") as theirs:
        theirs.begin(job, "sha", Standing.NEW)
        yield job, replace(BARE, manifest=ours)


def lose(job, work):
    dispatch = Dispatch([job], 1)
    assert dispatch.take("a") == job
    outcomes = list(dispatch.lost("a", "it crashed", work))
    assert dispatch.is_over == bool(outcomes)
    return outcomes


def test_what_was_written_before_the_worker_was_lost_is_not_done_again(begun):
    job, work = begun
    write(job.target)
    (outcome,) = lose(job, work)
    assert (outcome.status, outcome.size, outcome.bytes) == ("done", (24, 20), job.target.stat().st_size)


def test_what_was_not_is_done_again(begun):
    assert lose(*begun) == []


def test_half_a_result_is_cleared_away_and_so_is_one_without_the_sidecar_that_was_asked_for(begun):
    job, work = begun
    whole = write(job.target).read_bytes()
    job.target.write_bytes(whole[:-30])
    assert lose(job, work) == [] and not job.target.exists()
    job.target.write_bytes(whole)
    assert lose(job, replace(work, settings=Settings("denoise", sidecar=True))) == [] and not job.target.exists()


def test_a_result_of_an_earlier_run_is_neither_taken_for_the_lost_workers_nor_cleared_away(tmp_path):
    (job,) = numbered(1, tmp_path)
    write(job.target)
    with Manifest(tmp_path, "digest") as earlier:
        earlier.finish(job, "sha", job.target.stat().st_size)
    with Manifest(tmp_path, "digest", resume=True) as manifest:
        assert lose(job, replace(BARE, manifest=manifest)) == []
    assert job.target.exists()


def test_a_job_that_was_given_up_in_time_is_over():
    (job,) = numbered(1)
    dispatch = Dispatch([job], 1)
    for _ in range(MOST_LOSSES - 1):
        assert dispatch.take("a") == job
        assert list(dispatch.lost("a", "it crashed", BARE)) == [] and not dispatch.is_over
    dispatch.take("a")
    (outcome,) = dispatch.lost("a", "it crashed", BARE)
    assert outcome.status == "failed" and "because it crashed" in outcome.message and dispatch.is_over


def test_a_feed_waits_only_where_there_is_nothing_else_to_do():
    feed, jobs = Feed(), numbered(3)
    assert feed.more(False) == []
    feed.put(jobs[0]), feed.put(jobs[1])
    assert feed.more(True) == jobs[:2]
    later = threading.Timer(0.01, lambda: (feed.put(jobs[2]), feed.close()))
    later.start()
    assert feed.more(True) + feed.more(True) == [jobs[2]]
    assert feed.more(True) == []
    later.join()
