"""A batch on two nodes: what a plain run makes, whatever is lost on the way. It is run by tests.batch.on_cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.pictures import values, write

pytest.importorskip("ray", reason="Ray is not installed: pip install 'restore-cli[cluster]'")
pytest.importorskip("fsspec")
pytestmark = pytest.mark.slow

FILES = 24


@pytest.fixture(scope="module")
def happened(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    for index in range(FILES):
        write(folder / f"in/{index:02}.png", values(60, 40 + index, seed=index))
    (folder / "in/07.png").write_bytes(b"not a picture")
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as short:  # names of sockets are short
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "OMP_NUM_THREADS": "1", "RAY_TMPDIR": short}
        done = subprocess.run(
            [sys.executable, "-m", "tests.batch.on_cluster", folder, weights["x1"]],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,  # should it hang
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # of Ray's own messages nothing is among the data


def test_a_worker_killed_in_the_middle_loses_nothing_and_repeats_nothing_and_every_byte_is_that_of_a_local_run(
    happened,
):
    killed = happened["killed"]
    assert killed["counts"] == killed["plain"] == {"done": FILES - 1, "failed": 1}
    assert killed["same"] and killed["finished"] == 1 and killed["started"] == FILES
    assert ["worker of the cluster was lost" in note for note in killed["notes"]] == [True]


def test_a_bad_file_is_refused_in_the_same_words(happened):
    (message,) = happened["killed"]["failed"]
    assert message.startswith("in/07.png is not a picture")


def test_an_interrupt_leaves_what_is_said_to_be_finished_and_nothing_else(happened):
    interrupted = happened["interrupted"]
    assert 5 <= sum(interrupted["counts"].values()) < FILES
    assert interrupted["counts"]["done"] == interrupted["files"] == interrupted["finished"]


def test_by_urls_a_batch_is_taken_up_again_and_ends_though_a_node_is_lost_for_good(happened):
    resumed, before = happened["resumed"], happened["interrupted"]["counts"]["done"]
    assert resumed["counts"] == {"skipped": before, "done": FILES - 1 - before, "failed": 1}
    assert resumed["same"] and resumed["finished"] == 1
    (skipped,) = resumed["skipped"]
    assert skipped.startswith("file:///") and skipped.endswith("was done before")


def test_nothing_half_written_is_left(happened):
    assert happened["left"] == 0
