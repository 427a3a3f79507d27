"""Many files: taken up again, written down, and stopped before they begin where there is no room."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest

import restore_cli.batch.run
from restore_cli.batch.manifest import MANIFEST_NAME
from tests.pictures import read, values, write


@pytest.fixture
def batch(restore, weights, tmp_path):
    """Runs over a folder `in` of three pictures, two of them in a folder of their own."""
    for index, name in enumerate(("a.png", "deep/b.png", "deep/c.png")):
        write(tmp_path / "in" / name, values(seed=index))

    def run(*options, network="x1", code=0):
        result = restore("denoise", "in", "-r", "-o", "out", "-n", weights[network], *options)
        assert result.exit_code == code, result.stderr
        return result.stderr.splitlines()

    return run


def test_resume_leaves_what_is_finished_and_does_what_is_missing_or_cut_short(batch, tmp_path):
    batch()
    before = {path: path.stat().st_ino for path in (tmp_path / "out").rglob("*.png")}
    whole = read(tmp_path / "out/deep/c.png")
    (tmp_path / "out/deep/b.png").unlink()
    cut = tmp_path / "out/deep/c.png"
    cut.write_bytes(cut.read_bytes()[:-30])
    lines = batch("--resume")
    assert lines[0].endswith("out/a.png was done before, skipped") and lines[-1] == "2 done, 1 skipped"
    assert (tmp_path / "out/a.png").stat().st_ino == before[tmp_path / "out/a.png"]
    assert np.array_equal(read(cut), whole)
    assert batch("--resume")[-1] == "3 skipped"


def test_resume_does_again_what_another_input_or_other_settings_would_change_only_if_it_may(batch, tmp_path):
    batch()
    write(tmp_path / "in/a.png", values(seed=9))
    lines = batch("--resume", code=1)
    assert "out/a.png exists" in lines[0] and "--overwrite" in lines[0]
    assert lines[-1] == "2 skipped, 1 failed"
    assert batch("--resume", "--overwrite")[-1] == "1 done, 2 skipped"
    assert batch("--resume", "--overwrite", "--strength", "0.5")[-1] == "3 done"
    assert batch("--resume", "--overwrite", network="unet")[-1] == "3 done"


def test_without_resume_or_leave_to_overwrite_every_result_is_in_the_way(batch):
    batch()
    lines = batch(code=1)
    assert len(lines) == 4 and "--resume to go on" in lines[0]


def test_resume_removes_what_a_killed_run_left_half_written_and_not_what_is_being_written(batch, tmp_path):
    import fcntl

    batch()
    left, busy = (tmp_path / f"out/deep/.restore-{name}.part" for name in ("left", "busy"))
    left.write_bytes(b"half"), busy.write_bytes(b"half")
    with busy.open("rb") as stream:
        fcntl.flock(stream.fileno(), fcntl.LOCK_EX)
        with pytest.raises(AssertionError, match="a temporary file was left behind"):
            batch("--resume")
    assert not left.exists() and busy.exists()
    batch("--resume")
    assert not busy.exists()


def test_a_dry_resume_foretells_what_is_done_before_and_creates_nothing(batch, restore, weights, tmp_path):
    batch()
    (tmp_path / "out/deep/b.png").unlink()
    before = (tmp_path / "out" / MANIFEST_NAME).read_bytes()
    result = restore("denoise", "in", "-r", "-o", "out", "-n", weights["x1"], "--resume", "--dry-run", "--json")
    document = json.loads(result.stdout)
    assert [each["status"] for each in document["files"]] == ["would skip", "planned", "would skip"]
    assert (tmp_path / "out" / MANIFEST_NAME).read_bytes() == before
    assert document["seconds"] > 0 and document["memory"]["host_bytes"] > 0
    assert document["disk"][0]["free_bytes"] > document["disk"][0]["needed_bytes"] > 0


def test_beside_the_inputs_a_batch_is_resumed_too(restore, weights, tmp_path):
    for name in ("a.png", "deep/b.png"):
        write(tmp_path / name)
    command = ("denoise", "a.png", "deep/b.png", "-n", weights["x1"], "--resume")
    assert restore(*command).stderr.splitlines()[-1] == "2 done"
    assert restore(*command).stderr.splitlines()[-1] == "2 skipped"
    assert (tmp_path / MANIFEST_NAME).exists()


def test_one_file_leaves_no_manifest_unless_it_is_asked_for(restore, weights, tmp_path):
    write(tmp_path / "a.png")
    assert restore("denoise", "a.png", "-o", "one.png", "-n", weights["x1"]).exit_code == 0
    assert not (tmp_path / MANIFEST_NAME).exists()
    for said in ("two.png (24x20", "two.png was done before, skipped"):
        assert said in restore("denoise", "a.png", "-o", "two.png", "-n", weights["x1"], "--resume").stderr
    assert (tmp_path / MANIFEST_NAME).exists()


def test_the_log_has_a_line_for_the_beginning_every_file_and_the_end(batch, tmp_path):
    (tmp_path / "in/a.png").write_bytes(b"no picture")
    batch("--log", "log.jsonl", code=1)
    begun, *files, ended = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert (begun["event"], begun["files"], begun["settings"]["task"]) == ("begun", 3, "denoise")
    assert [(each["event"], each["status"]) for each in files] == [
        ("file", "failed"),
        ("file", "done"),
        ("file", "done"),
    ]
    assert "in/a.png" in files[0]["message"] and files[1]["output"] == "out/deep/b.png"
    assert (ended["event"], ended["done"], ended["failed"], ended["exit_code"]) == ("ended", 2, 1, 1)
    (tmp_path / "in/a.png").unlink()
    batch("--log", "log.jsonl", "--resume", "-q")
    assert json.loads(Path("log.jsonl").read_text().splitlines()[-1])["skipped"] == 2


def test_what_was_noted_is_in_the_log_even_when_quiet(batch, tmp_path):
    batch("--log", "log.jsonl", "-q", "--sigma", "3")
    notes = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines() if '"note"' in line]
    assert ["--sigma is not used" in note["message"] for note in notes] == [True]


def test_a_log_that_cannot_be_written_stops_the_batch_before_it_begins(batch, tmp_path):
    (line,) = batch("--log", "in", code=1)
    assert "--log in: Is a directory" in line
    assert not list((tmp_path / "out").glob("*.png"))


def test_a_batch_for_which_there_is_no_room_is_refused_at_once(batch, restore, weights, tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100))
    monkeypatch.setattr(restore_cli.batch.run, "restore_image", None)
    (line,) = batch(code=1)
    assert "the results need about" in line and "are free" in line
    result = restore("denoise", "in", "-r", "-o", "new", "-n", weights["x1"], "--dry-run")
    assert result.exit_code == 1 and "disk: about" in result.stdout and "are free" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_picture_for_which_there_is_no_memory_fails_alone_and_before_the_work(batch, monkeypatch):
    from restore_cli.inference import memory

    large = write(Path("in/large.png"), values(300, 300))
    real = memory.available_memory
    of_this_thread = threading.local()  # pictures are read beside each other
    monkeypatch.setattr(
        memory, "available_memory", lambda: 10**5 if getattr(of_this_thread, "is_large", False) else real()
    )

    def estimate(restorer, height, width, channels, **formats):
        of_this_thread.is_large = height == 300
        return memory.estimate(restorer, height, width, channels, **formats)

    monkeypatch.setattr(restore_cli.batch.run, "estimate", estimate)
    lines = batch(code=1)
    assert lines[-1] == "3 done, 1 failed"
    (failed,) = [line for line in lines if line.startswith("error")]
    assert str(large.relative_to(os.getcwd()) if large.is_absolute() else large) in failed and "memory" in failed


def test_failures_of_a_long_batch_are_named_again_at_its_end(restore, weights, tmp_path):
    for index in range(25):
        write(tmp_path / f"in/{index:02}.png", values(8, 8))
    (tmp_path / "in/03.png").write_bytes(b"no picture")
    result = restore("denoise", "in", "-o", "out", "-n", weights["x1"])
    assert result.stderr.splitlines()[-2:] == ["failed: in/03.png", "24 done, 1 failed"]


def test_a_sidecar_is_written_and_one_that_is_missing_is_made_up_for(batch, tmp_path):
    batch("--sidecar")
    sidecar = tmp_path / "out/a.png.restore.json"
    assert json.loads(sidecar.read_text())["steps"][-1]["task"] == "denoise"
    sidecar.unlink()
    assert batch("--sidecar", "--resume")[-1] == "1 done, 2 skipped"
    assert sidecar.exists()


def test_a_result_whose_sidecar_found_no_room_is_made_up_for_too(batch, tmp_path, monkeypatch):
    real = restore_cli.batch.run.write_sidecar

    def full(target, *steps):
        if target.stem == "b":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(target, *steps)

    with monkeypatch.context() as patch:
        patch.setattr(restore_cli.batch.run, "write_sidecar", full)
        lines = batch("--sidecar", code=1)
    assert "Cannot write out/deep/b.png.restore.json" in lines[1] and "add --resume" in lines[1]
    assert batch("--sidecar", "--resume")[-1] == "1 done, 2 skipped"
    assert (tmp_path / "out/deep/b.png.restore.json").exists()


def test_a_manifest_without_room_names_the_picture_whose_turn_it_was(batch, tmp_path, monkeypatch):
    real, full = os.fsync, []

    def fsync(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(MANIFEST_NAME) and not full:
            full.append(descriptor)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    lines = batch(code=1)
    assert lines[0].startswith("error: in/a.png: out/" + MANIFEST_NAME) and lines[-1] == "2 done, 1 failed"


def test_a_log_without_room_costs_its_lines_and_no_picture(batch):
    lines = batch("--log", "/dev/full", code=1)
    assert lines[-1].startswith("error: --log /dev/full: No space left") and lines[-2] == "3 done"


# --- files of several pictures ---


@pytest.fixture
def pages(tmp_path):
    from PIL import Image

    first, *others = [Image.fromarray(values(seed=seed)) for seed in range(3)]
    first.save(tmp_path / "pages.tif", save_all=True, append_images=others)
    return "pages.tif"


def test_of_several_pictures_the_first_is_restored_and_the_others_are_mentioned(restore, weights, pages, tmp_path):
    result = restore("denoise", pages, "-o", "out", "-n", weights["x1"])
    assert "1 file holds several pictures, of which the first is restored" in result.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["pages.tif"]


def test_all_of_them_or_one_by_number_have_results_of_their_own(restore, refused, weights, pages, tmp_path):
    write(tmp_path / "single.png")
    result = restore("denoise", pages, "single.png", "-o", "out", "-n", weights["x1"], "--frames", "all", "-f", "png")
    assert result.exit_code == 0 and "several" not in result.stderr
    made = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert made == ["pages_f000.png", "pages_f001.png", "pages_f002.png", "single.png"]
    for seed in range(3):
        write(tmp_path / "page.png", values(seed=seed))
        restore("denoise", "page.png", "-o", "alone.png", "-n", weights["x1"], "--overwrite")
        assert np.array_equal(read(tmp_path / f"out/pages_f00{seed}.png"), read(tmp_path / "alone.png"))
    assert restore("denoise", pages, "-n", weights["x1"], "--frames", "2").exit_code == 0
    assert (tmp_path / "pages_f002_denoise.tif").exists()
    assert "has no picture 3; it has 3" in refused("denoise", pages, "-n", weights["x1"], "--frames", "3")
    assert "first, all or a number" in refused("denoise", pages, "-n", weights["x1"], "--frames", "-1", code=2)
    line = refused("denoise", pages, "-o", "one.tif", "-n", weights["x1"], "--frames", "all", code=2)
    assert "names one file, but there are 3 inputs" in line
