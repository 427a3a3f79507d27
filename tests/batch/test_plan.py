from __future__ import annotations

from pathlib import Path

import pytest

from restore_cli.batch.plan import check_output, plan_jobs
from restore_cli.errors import OutputError, UsageError
from restore_cli.options import OutputOptions
from restore_cli.tasks import TASKS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.JPG", "c.gif", "d.mpo", "e"):
        (tmp_path / name).touch()


def targets(*inputs, task="sr", scale=4, recursive=False, **output):
    output = {name: Path(value) if name == "output" else value for name, value in output.items()}
    jobs = plan_jobs(inputs, TASKS[task], scale, OutputOptions(**output), recursive=recursive)
    return [str(job.target) for job in jobs]


def test_a_result_is_named_after_task_and_scale_and_keeps_a_format_we_write():
    assert targets("a.png", "b.JPG") == ["a_sr4x.png", "b_sr4x.JPG"]
    assert targets("a.png", scale=2) == ["a_sr2x.png"]
    assert targets("a.png", task="denoise", scale=1) == ["a_denoise.png"]


def test_what_we_cannot_write_becomes_png():
    assert targets("c.gif", "d.mpo", "e") == ["c_sr4x.png", "d_sr4x.png", "e_sr4x.png"]


def test_format_and_suffix_are_taken_as_asked():
    assert targets("a.png", format="JPEG") == ["a_sr4x.jpg"]
    assert targets("a.png", format=".tif", suffix="-big") == ["a-big.tif"]
    assert targets("a.png", output="out", suffix="-big") == ["out/a-big.png"]


def test_a_mosaic_called_pgm_gives_a_ppm():
    Path("raw.pgm").touch()
    assert targets("raw.pgm", task="demosaic", scale=1) == ["raw_demosaic.ppm"]
    assert targets("raw.pgm", task="denoise", scale=1) == ["raw_denoise.pgm"]


def test_a_second_run_plans_the_same():
    before = targets(".")
    for name in before:
        Path(name).touch()
    assert targets(".") == before


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"format": "gif"}, OutputError, "Accepted: png"),
        ({"format": "png", "output": "out.tif"}, UsageError, "--format png contradicts --output out.tif"),
        ({"suffix": "_x", "output": "out.tif"}, UsageError, "--suffix has no meaning"),
        ({"output": "out.jp2"}, OutputError, "If a folder is meant, make it first"),
    ],
)
def test_options_that_leave_each_other_without_effect_are_refused(options, error, said):
    options = {name: Path(value) if name == "output" else value for name, value in options.items()}
    with pytest.raises(error, match=said):
        check_output(OutputOptions(**options), 1)
    with pytest.raises(error, match=said):
        plan_jobs(["a.png"], TASKS["sr"], 4, OutputOptions(**options), recursive=False)


def test_options_that_agree_are_not():
    check_output(OutputOptions(Path("out.jpeg"), format="jpg"), 1)
    check_output(OutputOptions(Path("out.jp2"), suffix="_x"), 2)  # a strange folder
    check_output(OutputOptions(), 1)
