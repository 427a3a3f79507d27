"""Several processes do one batch, and nobody sees it in the results, whatever happens to the processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from multiprocessing import forkserver

import psutil
import pytest

from restore_cli.batch import workers
from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.manifest import MANIFEST_NAME, Manifest
from restore_cli.batch.pipeline import run_jobs
from restore_cli.batch.plan import Job
from restore_cli.batch.settings import Settings
from restore_cli.batch.workers import run_on_devices
from restore_cli.errors import DeviceError
from restore_cli.inference.device import check_devices
from restore_cli.io.paths import Source
from restore_cli.options import RunOptions
from tests.pictures import values, write

TWO = ("cpu", "cpu")


@pytest.fixture(scope="module", autouse=True)
def one_moment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        yield


@pytest.fixture(scope="module")
def quick_start():
    """torch is imported once, by a server that every process is a fork of; it has this moment's environment."""
    forkserver._forkserver._stop()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["restore_cli.batch.workers", "spandrel"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "CONTEXT", context)
        yield
    forkserver._forkserver._stop()


@pytest.fixture
def batch(quick_start, weights, tmp_path):
    """Runs over so many pictures, the third of which is none, into a folder; here, or in two processes."""
    settings = Settings("denoise", (str(weights["x1"]),), run=RunOptions(device="cpu"))

    def run(count, folder, run=run_jobs, **options):
        jobs = []
        for index in range(count):
            path = write(tmp_path / f"in/{index}.png", values(20, 20 + index, seed=index))
            jobs.append(Job(Source(path, path.relative_to(tmp_path)), tmp_path / folder / path.name))
        jobs[2].source.path.write_bytes(b"not a picture")
        work = settings.open()
        with Manifest(tmp_path / folder, settings.digest(work)) as manifest:
            yield from run(jobs, replace(work, manifest=manifest), **options)

    return run


def statuses(outcomes):
    return {outcome.job.target.name: (outcome.status, outcome.message) for outcome in outcomes}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != MANIFEST_NAME}


def written(folder):
    """How often the manifest says of each result that it was finished."""
    records = [json.loads(line) for line in (folder / MANIFEST_NAME).read_text().splitlines()]
    return Counter(record["output"] for record in records if record["status"] == "done")


def test_a_process_killed_in_the_middle_loses_nothing_and_repeats_nothing_and_every_byte_is_that_of_a_plain_run(
    batch, tmp_path
):
    plain = list(batch(12, "plain"))
    started, notes, outcomes = [], [], []
    for outcome in batch(12, "two", run_on_devices, devices=TWO, on_start=started.append, note=notes.append):
        outcomes.append(outcome)
        if len(outcomes) == 4:
            victim, other = multiprocessing.active_children()
            os.kill(victim.pid, signal.SIGKILL)
    assert not multiprocessing.active_children()
    assert len(outcomes) == 12 and {outcome.job for outcome in outcomes} == set(started)
    assert statuses(outcomes) == statuses(plain)
    assert statuses(outcomes)["2.png"][0] == "failed"
    assert contents(tmp_path / "two") == contents(tmp_path / "plain") and len(contents(tmp_path / "two")) == 11
    assert set(written(tmp_path / "two").values()) <= {1}
    (note,) = notes
    assert "cpu: its process was lost: it was ended by SIGKILL" in note and other.exitcode == 0


def test_an_interrupt_ends_the_processes_once_they_have_written_what_is_restored(batch, tmp_path):
    interrupts, outcomes = Interrupts(), []
    for outcome in batch(40, "two", run_on_devices, devices=TWO, interrupts=interrupts):
        outcomes.append(outcome)
        interrupts.requested = True
    assert not multiprocessing.active_children()
    assert 0 < len(outcomes) < 40
    done = {name for name, (status, _) in statuses(outcomes).items() if status == "done"}
    assert done == contents(tmp_path / "two").keys() == written(tmp_path / "two").keys()


def test_models_that_cannot_be_opened_there_stop_the_batch_with_the_reason(batch, weights, tmp_path):
    outcomes = batch(60, "two", run_on_devices, devices=("cpu", "meta"))  # more than one does before the other fails
    with pytest.raises(DeviceError, match="meta"):
        list(outcomes)
    assert not multiprocessing.active_children()


def test_devices_that_are_not_there_are_refused_by_name():
    check_devices(["cpu", "cpu"])
    with pytest.raises(DeviceError, match="cuda:99"):
        check_devices(["cpu", "cuda:99"])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ctrl-c", "kill"])
def test_a_command_that_is_interrupted_or_killed_leaves_no_process_and_nothing_half_written(weights, tmp_path, how):
    for index in range(300):
        write(tmp_path / f"in/{index}.png", values(40, 40, seed=index % 9))
    command = ["denoise", "in", "-o", "out", "-n", str(weights["unet"]), "--devices", "cpu,cpu"]
    code = f"import sys; from restore_cli.cli import main; sys.argv = ['restore', *{command!r}]; main()"
    # So small a pipe is full after some of the files: the run cannot end before it is interrupted.
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        pipesize=4096,
        text=True,
        start_new_session=True,
    )
    said = [process.stderr.readline() for _ in range(3)]
    assert all("->" in line for line in said), said
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    if how == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    else:
        process.kill()
    said += process.communicate()[1].splitlines()
    assert process.returncode == (130 if how == "ctrl-c" else -signal.SIGKILL)
    gone, alive = psutil.wait_procs(children, timeout=60)
    assert not alive and len(gone) == len(children)
    assert not any("Traceback" in line for line in said)
    made = contents(tmp_path / "out")
    assert 3 <= len(made) < 300 and not [name for name in made if name.endswith(".part")]
    if how == "ctrl-c":
        assert any(f"interrupted; {300 - len(made)} of 300 files were not done." in line for line in said)
        assert made.keys() == written(tmp_path / "out").keys()
