"""Every picture is scored by what the model returned, whatever became of the one before."""

from __future__ import annotations

import dataclasses
import gc
import math
import re
import weakref

import numpy as np
import pytest

from restore_cli.errors import InputError, OutputError
from restore_cli.evaluation.conditions import AS_THEY_ARE, gaussian_noise, jpeg
from restore_cli.evaluation.contestants import Contestant, baseline_contestant, network_contestant, pictures_contestant
from restore_cli.evaluation.journal import JOURNAL_NAME, Journal
from restore_cli.evaluation.pairs import clean_pictures, pair_up
from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.evaluation.run import Findings, Work, evaluate
from restore_cli.inference.engine import restore_image
from restore_cli.inference.restorer import load_model
from restore_cli.io.read import read_image
from restore_cli.options import RunOptions
from restore_cli.tasks import TASKS
from tests.pictures import read, values, write


def work(task="denoise", contestants=None, conditions=(AS_THEY_ARE,), **more):
    contestants = contestants or (baseline_contestant("input", TASKS[task], 1),)
    return Work(TASKS[task], PROTOCOLS[task], 1, tuple(conditions), tuple(contestants), **more)


def run(pairing, task):
    findings = Findings()
    assert [each for each in evaluate(pairing.pairs, task, findings)] == list(pairing.pairs)
    return findings


def counted(name="counted", broken=()):
    """A contestant that returns its input a bit darker, keeps count, and fails at pictures of these widths."""
    calls = []

    def restore(image, condition):
        calls.append((image, condition))
        if image.width in broken:
            raise broken[image.width]
        return image.with_pixels(image.pixels * np.float32(0.9))

    return Contestant(name, "a test", restore, {"name": name}), calls


@pytest.fixture
def clean(tmp_path):
    for index, width in enumerate((30, 31, 32)):
        write(tmp_path / f"clean/p{index}.png", values(24, width, seed=index))
    return tmp_path / "clean"


def test_noise_is_scored_as_it_was_made_neither_clipped_nor_rounded(clean):
    conditions = (gaussian_noise(25), gaussian_noise(50))
    findings = run(clean_pictures(clean), work(conditions=conditions, made=True))
    assert len(findings.rows) == 6
    for row in findings.rows:
        sigma = float(row.condition.split("=")[1])
        assert row.scores["psnr"] == pytest.approx(20 * math.log10(255 / sigma), abs=0.3)
        noise = np.random.RandomState(0).normal(0, sigma / 255, read(row.reference).shape)
        assert row.scores["psnr"] == pytest.approx(-10 * math.log10(np.mean(noise**2)), abs=1e-4)


def test_a_network_is_run_as_the_product_runs_it(tmp_path, weights):
    samples = values(24, 30)
    write(tmp_path / "in/p.png", np.dstack([samples, values(24, 30, 1, seed=3)]))
    write(tmp_path / "in/grey.png", values(24, 30, 1))
    write(tmp_path / "out/p.png", np.dstack([values(24, 30, seed=5), values(24, 30, 1, seed=3)]))
    write(tmp_path / "out/grey.png", values(24, 30, 1, seed=5))
    model = network_contestant(str(weights["x1"]), TASKS["denoise"], None, RunOptions(device="cpu"))
    findings = run(pair_up(tmp_path / "in", tmp_path / "out"), work(contestants=[model]))
    assert not findings.failures and len(findings.rows) == 2
    restorer = load_model(str(weights["x1"]), device="cpu")
    for row in findings.rows:
        restored = restore_image(read_image(row.degraded), restorer, TASKS["denoise"]).pixels
        expected = PROTOCOLS["denoise"].score(restored, read_image(row.reference).pixels)
        assert row.scores == expected.values


def test_grey_pictures_go_through_the_grey_model(tmp_path, weights):
    write(tmp_path / "c.png", values(24, 30)), write(tmp_path / "g.png", values(24, 30, 1))
    names = str(weights["x1"]), str(weights["grey"])
    options = RunOptions(device="cpu")
    both = network_contestant(names[0], TASKS["denoise"], None, options, grey=names[1])
    assert both.name == " / ".join(names)
    for picture, name in zip(("c.png", "g.png"), names, strict=True):
        alone = network_contestant(name, TASKS["denoise"], None, options)
        image = read_image(tmp_path / picture)
        expected = alone.restore(image, AS_THEY_ARE).pixels
        assert np.array_equal(both.restore(image, AS_THEY_ARE).pixels, expected)


@pytest.mark.parametrize(
    "error", [InputError("bad picture"), MemoryError(), ZeroDivisionError("our bug")], ids=lambda each: type(each)
)
def test_a_failing_picture_costs_only_itself(clean, error):
    model, _ = counted(broken={31: error})
    other, _ = counted("other")
    findings = run(clean_pictures(clean), work(contestants=[model, other]))
    assert [(row.picture, row.model) for row in findings.rows] == [
        *(("p0", "counted"), ("p0", "other"), ("p1", "other"), ("p2", "counted"), ("p2", "other"))
    ]
    (failure,) = findings.failures
    assert (failure.picture, failure.model) == ("p1", "counted")
    assert "p1.png" in failure.message
    assert bool(failure.trace) == isinstance(error, ZeroDivisionError)


def test_an_unreadable_file_in_the_middle_is_named(clean):
    (clean / "p1.png").write_bytes((clean / "p1.png").read_bytes()[:200])
    findings = run(clean_pictures(clean), work())
    assert [row.picture for row in findings.rows] == ["p0", "p2"]
    assert "p1.png" in findings.failures[0].message and findings.failures[0].model == ""


def with_alpha(samples, opacity):
    return np.dstack([samples, np.full(samples.shape[:2], opacity, np.uint8)])


@pytest.mark.parametrize(
    ("restored", "reference", "message"),
    [
        (values(24, 30), values(24, 31), "the reference is 31x24, the restored picture 30x24"),
        (values(24, 30), values(24, 30, 1), "the reference is grey, the restored picture in colour"),
        (values(24, 30, 1), values(24, 30), "the reference is in colour, the restored picture grey"),
        (with_alpha(values(24, 30), 9), values(24, 30), "a.png has transparency, .*b.png has none"),
        (values(24, 30), with_alpha(values(24, 30), 9), "b.png has transparency, .*a.png has none"),
    ],
)
def test_what_cannot_be_compared_is_a_failure_that_names_both(tmp_path, restored, reference, message):
    pairing = pair_up(write(tmp_path / "a.png", restored), write(tmp_path / "b.png", reference))
    findings = run(pairing, work("jpeg", [pictures_contestant(tmp_path)], restored=True))
    assert not findings.rows
    assert re.search(message, findings.failures[0].message)
    assert "a.png" in findings.failures[0].message and "b.png" in findings.failures[0].message


def test_an_opaque_alpha_and_grey_saved_as_rgb_change_nothing(tmp_path):
    grey, other = values(24, 30, 1), values(24, 30, 1, seed=1)
    write(tmp_path / "a/grey.png", np.dstack([grey] * 3)), write(tmp_path / "b/grey.png", other)
    write(tmp_path / "a/opaque.png", with_alpha(values(24, 30), 255)), write(tmp_path / "b/opaque.png", values(seed=1))
    write(tmp_path / "b/opaque.png", values(24, 30, seed=1))
    findings = run(pair_up(tmp_path / "a", tmp_path / "b"), work("jpeg", restored=True))
    expected = PROTOCOLS["jpeg"].score(np.atleast_3d(grey) / 255, np.atleast_3d(other) / 255)
    assert not findings.failures
    assert findings.rows[0].scores["psnr"] == pytest.approx(expected.psnr, abs=1e-4)


def test_of_transparent_pictures_the_colours_are_scored_and_that_is_said(tmp_path):
    write(tmp_path / "a.png", with_alpha(values(24, 30), 9))
    write(tmp_path / "b.png", with_alpha(values(24, 30, seed=1), 80))
    for pairing, made in ((pair_up(tmp_path / "a.png", tmp_path / "b.png"), False), (clean_pictures(tmp_path), True)):
        findings = run(pairing, work("jpeg", conditions=(jpeg(10) if made else AS_THEY_ARE,), made=made))
        assert findings.rows and not findings.failures
        assert "transparency" in next(iter(findings.notes))


def test_16_bits_against_8_are_scored_in_the_unit_range_and_said_once(tmp_path):
    for name in ("p", "q"):
        write(tmp_path / f"a/{name}.png", (values(24, 30).astype(np.uint16) * 257))
        write(tmp_path / f"b/{name}.png", values(24, 30))
    findings = run(pair_up(tmp_path / "a", tmp_path / "b"), work("jpeg", restored=True))
    assert [row.scores["psnr"] for row in findings.rows] == [math.inf, math.inf]
    (note,) = findings.notes
    assert "16 bits" in note and "8" in note


# --- kept pictures and the journal ---


def test_kept_pictures_are_what_was_scored(clean, tmp_path):
    model, other = counted("a/model x")[0], counted("a_model_x")[0]
    findings = run(
        clean_pictures(clean), work("jpeg", [model, other], (jpeg(10), jpeg(40)), made=True, keep=tmp_path / "kept")
    )
    assert len({row.restored for row in findings.rows}) == len(findings.rows) == 12
    assert findings.rows[3].restored == tmp_path / "kept/restored/quality_40/a_model_x/p0.png"
    row = findings.rows[2]
    assert row.degraded == tmp_path / "kept/degraded/quality_40/p0.png"
    scores = PROTOCOLS["jpeg"].score(read(row.restored) / 255, read(row.reference) / 255)
    assert row.scores["psnr"] == pytest.approx(scores.psnr, abs=1e-4)
    assert np.abs(read(row.degraded) * 0.9 - read(row.restored)).max() < 0.6


def test_a_resumed_run_takes_over_what_is_whole_and_does_the_rest(clean, tmp_path):
    keep = tmp_path / "kept"
    conditions = (jpeg(10), jpeg(40))

    def once(model, **changes):
        with Journal(keep, resume=True) as journal:
            settings = {"made": True, "keep": keep, "journal": journal, **changes}
            return run(clean_pictures(clean), work("jpeg", [model], conditions, **settings))

    model, calls = counted()
    first = once(model)
    assert len(calls) == 6
    again, calls = counted()
    assert once(again).rows == first.rows and not calls

    journal = keep / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes()[:-40])
    again, calls = counted()
    once(again)
    assert len(calls) == 1

    (keep / "restored/quality_10/counted/p1.png").write_bytes(b"half")
    again, calls = counted()
    assert once(again).rows[0].scores == first.rows[0].scores
    assert len(calls) == 1

    write(clean / "p2.png", values(24, 32, seed=9))
    again, calls = counted()
    once(again)
    assert len(calls) == 2

    again, calls = counted()
    once(dataclasses.replace(again, identity={"name": "other weights"}))
    assert len(calls) == 6
    again, calls = counted()
    once(again, more=("psnr_y",))
    assert len(calls) == 6


def test_an_interrupt_keeps_what_was_scored(clean, tmp_path):
    model, _ = counted(broken={31: KeyboardInterrupt()})
    findings = Findings()
    with Journal(tmp_path / "kept") as journal, pytest.raises(KeyboardInterrupt):
        list(
            evaluate(
                clean_pictures(clean).pairs,
                work(contestants=[model], keep=tmp_path / "kept", journal=journal),
                findings,
            )
        )
    assert [row.picture for row in findings.rows] == ["p0"]
    with Journal(tmp_path / "kept", resume=True) as journal:
        assert len(journal) == 1


def test_a_place_that_cannot_be_written_to_ends_the_run(clean, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/restored").touch()
    with pytest.raises(OutputError, match="kept"):
        list(evaluate(clean_pictures(clean).pairs, work(keep=tmp_path / "kept"), Findings()))


def test_one_picture_is_in_memory_at_a_time(clean):
    seen = []

    def restore(image, condition):
        gc.collect()
        assert sum(each() is not None for each in seen) == 0
        seen.append(weakref.ref(image.pixels))
        return image

    findings = run(clean_pictures(clean), work(contestants=[Contestant("a", "a test", restore, {})]))
    assert len(findings.rows) == 3 and not findings.failures
