from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import restore_cli.batch.run
from restore_cli.batch.plan import Job
from restore_cli.batch.run import check_job, restore_file
from restore_cli.batch.work import Outcome, Work
from restore_cli.errors import InputError, OutputError
from restore_cli.evaluation.pairs import References
from restore_cli.evaluation.protocol import Scores
from restore_cli.inference.memory import MemoryEstimate
from restore_cli.inference.restorer import Restorer
from restore_cli.io.paths import Source
from restore_cli.models.build import build_model
from restore_cli.options import Existing, FinishOptions, Hints, RunOptions
from restore_cli.tasks import TASKS
from tests.io.helpers import dng, needs
from tests.pictures import values, write


@pytest.fixture
def work(weights):
    def make(task="denoise", network="x1", finish=None, **options):
        restorer = Restorer(build_model(str(weights[network])), RunOptions(device="cpu"))
        return Work(TASKS[task], restorer, Hints(), finish or FinishOptions(), **options)

    return make


def job(source: Path, target: Path) -> Job:
    return Job(Source(source, Path(source.name)), target)


@pytest.mark.parametrize(
    ("existing", "status"), [(Existing.FAIL, "failed"), (Existing.SKIP, "skipped"), (Existing.OVERWRITE, "done")]
)
def test_an_existing_result_fails_is_skipped_or_is_replaced(work, tmp_path, existing, status):
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    outcome = restore_file(job(write(tmp_path / "in.png"), target), work(existing=existing))
    assert outcome.status == status
    assert (target.read_bytes() == b"old") == (status != "done")


def test_checking_a_job_reads_headers_only(work, tmp_path):
    source = write(tmp_path / "in.jpg", values(60, 70))
    source.write_bytes(source.read_bytes()[:-100])
    header = check_job(job(source, tmp_path / "out.png"), work())
    assert (header.format, header.height, header.width) == ("JPEG", 60, 70)
    outcome = restore_file(job(source, tmp_path / "out.png"), work())
    assert outcome.status == "failed" and "cut short" in outcome.message


def test_checking_a_job_writes_nothing_and_refuses_a_lost_mask_or_reference(work, tmp_path):
    one = job(write(tmp_path / "in.png"), tmp_path / "new/out.png")
    before = sorted(tmp_path.rglob("*"))
    check_job(one, work())
    with pytest.raises(InputError, match="mask"):
        check_job(one, work(finish=FinishOptions(mask=tmp_path / "mask.png")))
    with pytest.raises(OutputError, match=r"would replace .*in.png"):
        twin = job(tmp_path / "in.png", tmp_path / "in.png")
        check_job(twin, work(existing=Existing.OVERWRITE, references=References(tmp_path / "in.png")))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_camera_raw_is_refused_before_it_is_decoded_unless_mosaics_are_wanted(work, tmp_path):
    needs("RAW")
    raw = dng(tmp_path / "a.dng", np.full((24, 32), 5000, np.uint16))
    with pytest.raises(InputError, match=r"a.dng: .*camera raw") as refused:
        check_job(job(raw, tmp_path / "out.png"), work())
    assert "restore demosaic" in refused.value.hint
    assert check_job(job(raw, tmp_path / "out.png"), work("demosaic")).format == "RAW"


def test_memory_is_foretold_of_the_formats_read_and_written(work, tmp_path, monkeypatch):
    """A JPEG is decoded as a whole, a TIFF by rows."""
    asked, nothing = [], MemoryEstimate(0, 0, 0)
    monkeypatch.setattr(restore_cli.batch.run, "estimate", lambda *_, **formats: asked.append(formats) or nothing)
    check_job(job(write(tmp_path / "in.jpg", values(60, 70)), tmp_path / "out.tiff"), work())
    assert asked == [{"source_format": "JPEG", "target_format": "TIFF"}]


def test_a_record_holds_what_applies_and_nothing_else(tmp_path):
    one = job(Path("in.png"), Path("out.png"))
    files = {"input": "in.png", "output": "out.png"}
    skipped = Outcome(one, "skipped", "out.png exists")
    assert skipped.as_record() == {**files, "status": "skipped", "message": "out.png exists"}
    failed = Outcome(one, "failed", "broken", "mend it", trace="...")
    assert failed.as_record() == {**files, "status": "failed", "message": "broken", "hint": "mend it"}
    done = Outcome(one, "done", size=(4, 3), seconds=1.23456, scores=Scores({"psnr": 30.0}))
    assert done.as_record() == {
        **files, "status": "done", "width": 4, "height": 3, "seconds": 1.235, "psnr": 30.0,
    }  # fmt: skip


def test_grey_pictures_go_to_the_grey_restorer_and_colour_ones_do_not(work, weights, tmp_path):
    grey = Restorer(build_model(str(weights["grey"])), RunOptions(device="cpu"))
    seen = {"grey": [], "colour": []}
    both = work(grey_restorer=grey)
    for name, restorer in (("grey", grey), ("colour", both.restorer)):
        restorer.model.network.module.register_forward_hook(
            lambda module, inputs, result, name=name: seen[name].append(inputs[0].shape[1])
        )
    sources = [write(tmp_path / "g.png", values(9, 8, channels=1)), write(tmp_path / "c.png", values(9, 8))]
    statuses = [restore_file(job(each, each.with_suffix(".tif")), both).status for each in sources]
    assert statuses == ["done", "done"]
    assert seen == {"grey": [1], "colour": [3]}
