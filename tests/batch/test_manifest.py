"""What counts as finished, and what does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restore_cli.batch.manifest import MANIFEST_NAME, Manifest, Standing, common_folder
from restore_cli.batch.plan import Job
from restore_cli.errors import OutputError
from restore_cli.io.paths import Source
from tests.pictures import write


@pytest.fixture
def job(tmp_path):
    return Job(Source(tmp_path / "in.png", Path("in.png")), tmp_path / "out/deep/in.png")


def standing(job, input_sha256="input", settings="settings"):
    """As the next run sees it."""
    with Manifest(job.target.parents[1], settings, resume=True) as manifest:
        return manifest.standing(job.target, input_sha256)


@pytest.fixture
def before(job):
    """A run that came as far as asked."""

    def run(*, begun=True, written=True, finished=True, resume=False):
        with Manifest(job.target.parents[1], "settings", resume=resume) as manifest:
            known = manifest.standing(job.target, "input")
            if begun:
                manifest.begin(job, "input", known)
            if written:
                write(job.target)
            if finished:
                manifest.finish(job, "input", job.target.stat().st_size)

    return run


def test_a_finished_result_is_that_of_this_input_and_these_settings_only(job, before):
    assert standing(job) is Standing.NEW
    before()
    assert standing(job) is Standing.FINISHED
    assert standing(job, None) is Standing.FINISHED  # the input taken as unchanged
    assert standing(job, input_sha256="another") is Standing.FOREIGN
    assert standing(job, settings="others") is Standing.FOREIGN
    job.target.unlink()
    assert standing(job) is Standing.NEW


def test_without_resume_nothing_of_earlier_runs_is_believed(job, before):
    before()
    with Manifest(job.target.parents[1], "settings") as manifest:
        assert manifest.standing(job.target, "input") is Standing.FOREIGN


def test_a_run_killed_between_its_two_lines_left_a_whole_file_or_none(job, before):
    before(written=False, finished=False)
    assert standing(job) is Standing.NEW
    before(finished=False)
    assert standing(job) is Standing.FINISHED
    assert standing(job, input_sha256="another") is Standing.FOREIGN


@pytest.mark.parametrize("finished", [True, False])
def test_a_file_cut_short_is_not_trusted_whatever_the_manifest_says(job, before, finished):
    before(finished=finished)
    job.target.write_bytes(job.target.read_bytes()[:-20])
    assert standing(job) is Standing.BROKEN
    # And it stays ours where the run that should mend it is killed too.
    before(written=False, finished=False, resume=True)
    assert standing(job) is Standing.BROKEN


def test_a_result_that_somebody_worked_on_since_is_theirs(job, before):
    before()
    write(job.target, dpi=(72, 72))
    assert standing(job) is Standing.FOREIGN


def test_a_file_that_was_there_before_the_killed_run_is_not_taken_for_its_result(job, before):
    write(job.target)
    before(written=False, finished=False)
    assert standing(job) is Standing.FOREIGN


def test_a_result_that_could_not_be_written_is_not_found_in_what_came_there_later(job, before):
    with Manifest(job.target.parents[1], "settings") as manifest:
        manifest.begin(job, "input", Standing.NEW)
        manifest.give_up(job, "input")
    write(job.target)
    assert standing(job) is Standing.FOREIGN


@pytest.mark.parametrize("garbage", [b'{"output": "deep/in.png", "sta', b"[]\n", b"\xff\n", b'{"status": "done"}\n'])
def test_a_line_cut_short_counts_for_nothing_and_spoils_no_other(job, before, garbage):
    manifest = job.target.parents[1] / MANIFEST_NAME
    manifest.parent.mkdir()
    manifest.write_bytes(garbage)
    before()
    assert standing(job) is Standing.FINISHED
    manifest.write_bytes(manifest.read_bytes() + garbage)
    assert standing(job) is Standing.FINISHED
    assert json.loads(manifest.read_bytes().splitlines()[-1 if garbage.endswith(b"x") else 1])["status"] == "begun"


def test_the_folder_may_be_moved_and_names_may_be_anything(tmp_path):
    odd = Job(Source(tmp_path / "in.png", Path("in.png")), tmp_path / "out/new\nline \udcff.png")
    with Manifest(tmp_path / "out", "settings") as manifest:
        manifest.begin(odd, "input", Standing.NEW)
        write(tmp_path / "plain.png").rename(odd.target)
        manifest.finish(odd, "input", odd.target.stat().st_size)
    (tmp_path / "out").rename(tmp_path / "moved")
    with Manifest(tmp_path / "moved", "settings", resume=True) as manifest:
        assert manifest.standing(tmp_path / "moved" / odd.target.name, "input") is Standing.FINISHED


def test_two_runs_may_write_into_one(job, tmp_path):
    other = Job(job.source, tmp_path / "out/other.png")
    with Manifest(tmp_path / "out", "settings") as first, Manifest(tmp_path / "out", "settings") as second:
        for manifest, each in ((first, job), (second, other)):
            manifest.begin(each, "input", Standing.NEW)
        for manifest, each in ((first, job), (second, other)):
            write(each.target)
            manifest.finish(each, "input", each.target.stat().st_size)
    assert standing(job) is standing(other.__class__(other.source, job.target)) is Standing.FINISHED
    with Manifest(tmp_path / "out", "settings", resume=True) as manifest:
        assert manifest.standing(other.target, "input") is Standing.FINISHED


def test_a_dry_one_creates_nothing_and_a_folder_that_cannot_be_is_refused(tmp_path):
    with Manifest(tmp_path / "out", "settings", resume=True, dry=True) as manifest:
        assert manifest.standing(tmp_path / "out/a.png") is Standing.NEW
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="restore-manifest.jsonl: File exists"):
        Manifest(tmp_path / "file", "settings")


def test_the_common_folder_is_the_innermost_one(tmp_path):
    assert common_folder([tmp_path / "a/x.png"]) == tmp_path / "a"
    assert common_folder([tmp_path / "a/x.png", tmp_path / "ab/c/y.png"]) == tmp_path
