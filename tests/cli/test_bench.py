"""`restore bench masked` measures each size in a process of its own."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from restore_cli.cli.bench import app

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
