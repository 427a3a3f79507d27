"""`restore bench`: masked, each size in a process of its own; models and batch, in turns."""

from __future__ import annotations

import json
import statistics

import pytest
from typer.testing import CliRunner

from restore_cli.cli.bench import app
from restore_cli.evaluation.speed import Speed
from restore_cli.models.catalog import read_catalog

QUICK = ("masked", "--width", "6", "--depth", "1")


def test_each_size_is_measured_by_itself_and_its_precision_named():
    result = CliRunner().invoke(app, [*QUICK, "--megapixels", "0.06", "--megapixels", "0.001", "--json"])
    assert result.exit_code == 0, result.output
    large, small = json.loads(result.stdout)
    assert (large["height"], large["width"], small["height"]) == (248, 248, 32)
    assert large["precision"] == small["precision"] == "bf16"
    assert large["seconds"] > small["seconds"] > 0
    # Measured after the larger one, and yet smaller: each peak is its own.
    assert large["peak_bytes"] > small["peak_bytes"] > 0


@pytest.mark.parametrize("wrong", [("--width", "20"), ("--depth", "0"), ("--megapixels", "0"), ("--megapixels", "-1")])
def test_nonsense_is_refused_before_anything_is_computed(wrong):
    result = CliRunner().invoke(app, ["masked", *wrong])
    assert result.exit_code == 2
    assert wrong[0] in result.stderr


SMALL = ("bench", "models", "--size", "33", "--rounds", "3")


def test_models_are_timed_alike_and_compared_with_the_reference(restore, weights):
    names = [argument for name in ("x4", "x1") for argument in ("-n", weights[name])]
    result = restore(*SMALL, *names, "--reference", weights["x2"], "--threads", 1, "--json")
    records = json.loads(result.stdout)
    assert [each["model"] for each in records] == ["x4.safetensors", "x1.safetensors", "x2.safetensors"]
    assert [each["output_width"] for each in records] == [36, 33, 34]
    reference = records[-1]
    for each in records:
        assert (each["precision"], each["threads"], len(each["seconds"])) == ("fp32", 1, 3)
        assert each["median_seconds"] == statistics.median(each["seconds"]) > 0
        megapixels = each["output_width"] * each["output_height"] / 1e6
        assert each["seconds_per_megapixel"] == pytest.approx(each["median_seconds"] / megapixels)
        ratios = [theirs / ours for ours, theirs in zip(each["seconds"], reference["seconds"], strict=True)]
        expected = statistics.median(ratios) * megapixels / (34 * 34 / 1e6)
        assert each["times_as_fast_as_reference"] == pytest.approx(expected)
        assert each["score"] is None
    assert records[-1]["times_as_fast_as_reference"] == 1


def test_without_a_reference_there_are_numbers_and_no_ratio(restore):
    result = restore(*SMALL, "-n", "resnet-sr-x4", "-q")
    header, row = result.stdout.splitlines()
    assert "times as fast" not in header
    assert row.startswith("resnet-sr-x4  36x36")
    assert "dB on Set5 (protocol sr)" in row
    assert result.stderr == ""


def test_a_reference_among_the_models_is_timed_once_and_last(restore, weights):
    result = restore(*SMALL, "-n", weights["x2"], "-n", weights["x1"], "--reference", weights["x2"], "-q")
    header, *rows = result.stdout.splitlines()
    assert header.endswith("times as fast as x2.safetensors")
    assert [row.split()[0] for row in rows] == ["x1.safetensors", "x2.safetensors"]
    assert rows[-1].split()[-1] == "1.00"


def test_without_names_all_embedded_models_are_meant(restore, monkeypatch):
    timed = []

    def pretended(restorers, size_px, rounds, **rest):
        timed.extend(restorer.model.name for restorer in restorers)
        return [Speed(name, 1, 10, 10, "fp32", (1.0,)) for name in timed]

    monkeypatch.setattr("restore_cli.evaluation.speed.measure_speeds", pretended)
    records = json.loads(restore("bench", "models", "--json", "-q").stdout)
    embedded = [card for card in read_catalog().values() if card.embedded]
    assert timed == [card.id for card in embedded] == [each["model"] for each in records]
    assert [each["score"]["psnr"] for each in records] == [card.scores[0].psnr for card in embedded]


def test_an_unknown_reference_is_refused_with_a_way_out(refused):
    assert "nothing.pth: no such model file." in refused(*SMALL, "--reference", "nothing.pth", "-q")


def test_a_folder_is_timed_beside_the_bare_network(restore, weights):
    result = restore(*("bench", "batch", "--files", 2, "--size", 20, "--rounds", 2, "-n", weights["x1"]), "--json")
    record = json.loads(result.stdout)
    assert (record["files"], record["tiles"], record["megapixels"]) == (2, 2, 0.0008)
    for name in ("folder_seconds", "network_seconds", "batched_seconds"):
        assert len(record[name]) == 2 and min(record[name]) > 0
    ratios = [below / above for above, below in zip(record["folder_seconds"], record["network_seconds"], strict=True)]
    assert record["share"] == pytest.approx(statistics.median(ratios))
    assert record["same_bits"] in (True, False)
