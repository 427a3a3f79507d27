"""A run's folder: nothing is overwritten, nothing is half written, and the log goes on where the weights do."""

from __future__ import annotations

import os
import stat

import cv2
import pytest

from restore_cli.errors import CheckpointError, OutputError
from restore_cli.training.record import LogRow, RunFolder, read_log

ROWS = [LogRow(step, step / 10, 1e-4, 0.5 / step, 20.0 + step) for step in (10, 20, 30)]


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "run", resume=False)
    for row in ROWS:
        made.add_row(row)
    made.save({"step": 30})
    return tmp_path / "run"


def test_a_new_run_never_overwrites_an_old_one(folder):
    with pytest.raises(CheckpointError, match="exists"):
        RunFolder(folder, resume=False)


def test_there_must_be_something_to_resume(tmp_path):
    with pytest.raises(CheckpointError, match="nothing to resume"):
        RunFolder(tmp_path, resume=True)


def test_a_log_taken_up_is_the_log_that_was_written(folder):
    resumed = RunFolder(folder, resume=True)
    before = (folder / "log.csv").read_text()
    resumed.read_rows(last_step=30)
    assert [row.step for row in resumed.rows] == [10, 20, 30]
    resumed.add_row(LogRow(40, 4.0, 1e-5, 0.01, 60.0))
    assert (folder / "log.csv").read_text() == before + "40,4.00,1e-05,0.010000,60.000\n"


def test_the_largest_feature_is_a_column_only_where_it_is_recorded(folder):
    resumed = RunFolder(folder, resume=True)
    assert "largest_feature" not in (folder / "log.csv").read_text()
    resumed.read_rows(last_step=20)
    resumed.add_row(LogRow(30, 3.0, 1e-5, 0.01, 60.0, 25.857))
    lines = (folder / "log.csv").read_text().splitlines()
    assert lines[0].endswith("validation_psnr,largest_feature")
    assert (lines[1][-1], lines[3]) == (",", "30,3.00,1e-05,0.010000,60.000,25.857")
    assert [row.largest_feature for row in read_log(folder / "log.csv")] == [None, None, 25.857]
    resumed.save({"step": 30})
    plotted = cv2.imread(str(folder / "log.png"))
    assert plotted.shape[0] > 800  # a third panel


def test_rows_after_the_last_checkpoint_are_forgotten(folder):
    resumed = RunFolder(folder, resume=True)
    resumed.read_rows(last_step=20)
    assert [row.step for row in resumed.rows] == [10, 20]


def test_a_run_without_a_log_goes_on_and_one_with_another_files_does_not(folder):
    (folder / "log.csv").write_text("name,price\npear,3\n")
    resumed = RunFolder(folder, resume=True)
    with pytest.raises(CheckpointError, match="not the log of a run"):
        resumed.read_rows(30)
    (folder / "log.csv").unlink()
    resumed.read_rows(30)
    assert resumed.rows == []


def test_the_plot_is_a_picture_that_changes_with_the_log(folder):
    before = cv2.imread(str(folder / "log.png"))
    assert min(before.shape[:2]) > 400
    resumed = RunFolder(folder, resume=True)
    resumed.read_rows(30)
    resumed.add_row(LogRow(40, 4.0, 1e-5, 0.01, 10.0))
    resumed.save({"step": 40})
    assert (before != cv2.imread(str(folder / "log.png"))).any()


def test_nothing_temporary_is_left_behind(folder):
    assert sorted(os.listdir(folder)) == ["checkpoint.pt", "log.csv", "log.png"]


def test_a_folder_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="--out"):
        RunFolder(tmp_path / "file/run", resume=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_has_become_read_only_is_an_error_that_names_the_file(folder):
    resumed = RunFolder(folder, resume=True)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(OutputError, match=r"checkpoint\.pt.*--resume"):
        resumed.save({})
    folder.chmod(stat.S_IRWXU)
