"""The test sets that score a model, and what they are made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from restore_cli.degradations.mosaic import BAYER_PATTERNS
from restore_cli.errors import InputError
from restore_cli.evaluation.benchmarks import benchmarks
from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.evaluation.scores import score_pairs
from restore_cli.models.catalog import find_card
from restore_cli.tasks import TASKS
from tests.pictures import values, write

SAME_SIZE = [name for name, task in TASKS.items() if not task.enlarges]
SETS = ("CBSD68", "Set12", "LIVE1", "classic5", "McMaster")


def card_for(task: str, channels: int = 3):
    """Any card, said to do `task` and nothing else."""
    return dataclasses.replace(find_card("unet-denoise-color"), id="nothing's-default", task=task, channels=channels)


@pytest.fixture
def test_dir(tmp_path):
    for name in SETS:
        grey = name in ("Set12", "classic5")
        write(tmp_path / name / "a.png", values(100, 120, channels=1 if grey else 3))
        write(tmp_path / name / "b.png", values(99, 130, channels=1 if grey else 3, seed=1))
    return tmp_path


@pytest.mark.parametrize("task", SAME_SIZE)
def test_a_benchmarks_pictures_are_the_same_each_time_and_differ_from_the_clean_ones(task, test_dir):
    for benchmark in benchmarks(card_for(task), test_dir):
        first, second = list(benchmark.pairs()), list(benchmark.pairs())
        assert len(first) == 2
        for (degraded, clean), (again, _) in zip(first, second, strict=True):
            np.testing.assert_array_equal(degraded, again)
            assert degraded.dtype == np.float32
            assert np.array_equal(degraded, clean) == (benchmark.condition == "clean pictures")


@pytest.mark.parametrize("task", SAME_SIZE)
def test_baselines_answer_in_the_references_size(task, test_dir):
    for benchmark in benchmarks(card_for(task), test_dir):
        for restore in benchmark.baselines.values():
            for degraded, clean in benchmark.pairs():
                assert restore(degraded).shape == clean.shape


@pytest.mark.parametrize("task", [name for name in SAME_SIZE if TASKS[name].input == "picture"])
def test_each_task_is_also_scored_on_clean_pictures(task, test_dir):
    assert "clean pictures" in [benchmark.condition for benchmark in benchmarks(card_for(task), test_dir)]


def test_a_default_of_two_tasks_is_scored_on_both(test_dir, monkeypatch):
    card = card_for("weather")
    monkeypatch.setitem(TASKS, "derain", dataclasses.replace(TASKS["derain"], default_models={"color": card.id}))
    assert {benchmark.task for benchmark in benchmarks(card, test_dir)} == {"weather", "derain"}


def test_a_missing_test_set_is_an_error(tmp_path):
    with pytest.raises(InputError, match="CBSD68"):
        [list(each.pairs()) for each in benchmarks(card_for("derain"), tmp_path)]


@pytest.mark.shared
def test_the_inputs_of_the_papers_jpeg_tables_are_met(shared):
    # Dong et al. 2015 and after: 25.69 and 30.28 dB for LIVE1 in colour, 27.82 and 32.43 for classic5.
    found = {}
    for benchmark in benchmarks(card_for("jpeg"), shared / "data/test"):
        quality = benchmark.condition.split(",")[0]
        if quality in ("quality 10", "quality 40"):
            scores = score_pairs(benchmark.pairs(), benchmark.baselines["input"], "jpeg")
            found[benchmark.dataset, quality] = np.mean([each.psnr for each in scores])
    assert found["LIVE1", "quality 10"] == pytest.approx(25.69, abs=0.005)
    assert found["LIVE1", "quality 40"] == pytest.approx(30.28, abs=0.005)
    assert found["classic5", "quality 10"] == pytest.approx(27.82, abs=0.005)
    assert found["classic5", "quality 40"] == pytest.approx(32.43, abs=0.005)


@pytest.mark.shared
def test_opencvs_demosaicer_reads_each_pattern_as_we_mean_it(shared):
    # A pattern taken for another one costs 10 dB and more.
    for benchmark in benchmarks(card_for("demosaic"), shared / "data/test"):
        assert benchmark.condition in BAYER_PATTERNS
        degraded, clean = next(benchmark.pairs())
        restored = benchmark.baselines["OpenCV VNG"](degraded)
        assert PROTOCOLS["demosaic"].score(restored, clean).psnr > 26
