"""What can be known from headers alone, and what of it stops a batch before it begins."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import restore_cli.batch.forecast
import restore_cli.batch.pipeline
from restore_cli.batch.forecast import (
    TYPICAL_BYTES,
    TYPICAL_BYTES_OF_LOSSY,
    Preview,
    Room,
    check_room,
    forecast,
    measure_speed,
    memory_for,
    room_for,
    seconds_for,
)
from restore_cli.batch.manifest import Manifest, Standing
from restore_cli.batch.pipeline import BYTES_A_PIXEL, MOST_FILES, waiting_bytes
from restore_cli.batch.plan import Job
from restore_cli.batch.settings import Settings
from restore_cli.errors import OutputError
from restore_cli.io.formats import WRITABLE_FORMATS
from restore_cli.io.paths import Source
from restore_cli.options import BitDepth, Encoding, Existing, Hints, RunOptions
from tests.pictures import values, write


@pytest.fixture
def settings(weights):
    return Settings("sr", (str(weights["x2"]),), run=RunOptions(device="cpu", tile_px=16))


@pytest.fixture
def job(tmp_path):
    def make(name="a.png", target=None, samples=None):
        path = write(tmp_path / name, samples)
        return Job(Source(path, Path(name)), tmp_path / "out" / (target or name))

    return make


def test_each_job_is_foretold_in_order_and_nothing_is_written(settings, job, tmp_path):
    jobs = [job("a.png"), job("b.png"), job("c.png")]
    jobs[1].source.path.write_bytes(b"no picture")
    write(jobs[2].target)
    before = sorted(tmp_path.rglob("*"))
    work = dataclasses.replace(settings.open(), existing=Existing.SKIP)
    first, second, third = forecast(jobs, work)
    assert (first.status, first.height, first.width, first.frames) == ("planned", 20, 24, 1)
    assert first.tiles == work.restorer.pieces(20, 24) > 1
    assert second.status == "would fail" and "b.png" in second.message
    assert third.status == "would skip"
    assert sorted(tmp_path.rglob("*")) == before


def test_memory_is_that_of_the_most_demanding_picture_and_of_those_read_and_written_meanwhile(settings, job):
    work = settings.open()
    previews = forecast([job("a.png"), job("large.png", samples=values(90, 90)), job("lost.png")], work)
    small, large, lost = previews
    failing = dataclasses.replace(lost, status="would fail", height=10**4, width=10**4)
    alone = memory_for([large], work)
    assert memory_for([large, failing], work) == alone != memory_for([small], work)
    both = memory_for([small, large, failing], work)
    assert both == dataclasses.replace(alone, host_bytes=alone.host_bytes + BYTES_A_PIXEL * 5 * 20 * 24)


def test_no_more_pictures_are_counted_than_are_in_hand_at_once(monkeypatch):
    monkeypatch.setattr(restore_cli.batch.pipeline, "pixels_ahead", lambda: 1000)
    assert waiting_bytes([300]) == 0
    assert waiting_bytes([300, 500, 100]) == BYTES_A_PIXEL * 400
    assert waiting_bytes([300, 500, 400]) == BYTES_A_PIXEL * 500
    assert waiting_bytes([300, 5000]) == 0  # that one is alone
    assert waiting_bytes([1] * 100) == BYTES_A_PIXEL * (MOST_FILES - 1)


def test_every_format_for_results_has_a_typical_size():
    assert set(TYPICAL_BYTES) == set(TYPICAL_BYTES_OF_LOSSY) == set(WRITABLE_FORMATS)


def test_what_was_lossy_is_not_kept_as_if_it_were_not(settings, job):
    work = settings.open()
    (from_png,) = forecast([job("a.png", "a.webp")], work)
    (from_jpeg,) = forecast([job("b.jpg", "b.webp")], work)
    (asked,) = forecast([job("c.png", "c.webp")], dataclasses.replace(work, encoding=Encoding(quality=80)))
    assert from_jpeg.file_bytes == asked.file_bytes < from_png.file_bytes / 2


def test_floats_take_what_floats_take_whatever_depth_was_asked_for(settings, job):
    work = settings.open()
    for encoding in (Encoding(), Encoding(bit_depth=BitDepth.FLOAT)):
        (preview,) = forecast([job("a.png", "a.exr")], dataclasses.replace(work, encoding=encoding))
        assert preview.file_bytes == round(4 * 20 * 24 * TYPICAL_BYTES["EXR"])


def test_what_was_done_before_is_not_planned_again(settings, job, tmp_path):
    one, work = job(), settings.open()
    with Manifest(tmp_path / "out", "digest") as manifest:
        manifest.begin(one, "input", Standing.NEW)
        write(one.target)
        manifest.finish(one, "input", one.target.stat().st_size)
    with Manifest(tmp_path / "out", "digest", resume=True, dry=True) as manifest:
        (preview,) = forecast([one], dataclasses.replace(work, manifest=manifest))
    assert preview.status == "would skip" and "done before" in preview.message


def test_the_size_of_a_result_follows_its_input_or_the_format(settings, job):
    work = settings.open()
    png, jpeg = job("a.png"), job("a.png", "a.jpg")
    like_the_input, other_format = forecast([png, jpeg], work)
    assert like_the_input.file_bytes == 4 * png.source.path.stat().st_size
    assert 0 < other_format.file_bytes < 20 * 24 * 4 * 3
    (deep,) = forecast([png], dataclasses.replace(work, encoding=Encoding(bit_depth=BitDepth.SIXTEEN)))
    assert 20 * 24 * 4 * 2 < deep.file_bytes < 20 * 24 * 4 * 6


def test_room_is_counted_once_a_disk_and_only_for_what_will_be_written(job, tmp_path):
    one, two = job("a.png"), job("b.png")
    planned = [Preview(one, "planned", file_bytes=3), Preview(two, "planned", file_bytes=4)]
    (room,) = room_for([*planned, Preview(two, "would fail")])
    assert (room.folder, room.needed_bytes) == (tmp_path, 7)
    assert room.free_bytes > 0


def test_a_batch_that_a_disk_cannot_hold_is_refused_and_one_that_it_may_is_not():
    check_room([Room(Path("/"), 1000, 1000), Room(Path("/"), 1000, 500)])  # only a guess: results may be smaller
    with pytest.raises(OutputError, match=r"need about 9.0 GB, and 1.0 GB are free"):
        check_room([Room(Path("/"), 1, 10), Room(Path("/out"), 9 * 10**9, 10**9)])


def test_the_speed_is_measured_on_as_much_as_can_be_told_from_nothing(settings, monkeypatch):
    restorer = settings.open().restorer
    sides = []

    def pretended(restorer, hints, side):
        sides.append(side)
        return side**2 / 1e5

    monkeypatch.setattr(restore_cli.batch.forecast, "_seconds_of_one", pretended)
    restorer.policy = dataclasses.replace(restorer.policy, tile_px=None)
    assert measure_speed(restorer, Hints()) == (pytest.approx(1e-5), 256)
    assert sides == [64, 64, 128, 256]
    restorer.policy = dataclasses.replace(restorer.policy, tile_px=100)
    assert measure_speed(restorer, Hints())[1] == 64  # no larger than a tile


def test_time_counts_what_tiles_share_twice(settings, job):
    restorer = settings.open().restorer
    (preview,) = forecast([job("large.png", samples=values(100, 80))], settings.open())
    assert seconds_for(preview, restorer, 1e-3) > 8
    (small,) = forecast([job("small.png", samples=values(8, 8))], settings.open())
    assert seconds_for(small, restorer, 1e-3) == pytest.approx(0.064)
