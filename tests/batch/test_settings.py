"""What a worker elsewhere must be told, and what of it decides a result."""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest

from restore_cli.batch.settings import Settings
from restore_cli.errors import RecipeError, UsageError
from restore_cli.options import BitDepth, Cfa, Encoding, Existing, FinishOptions, Hints, Precision, RunOptions
from tests.pictures import values, write


@pytest.fixture
def settings(weights):
    return Settings("denoise", (str(weights["x1"]),), run=RunOptions(device="cpu"))


EVERYTHING = Settings(
    task="deblur",
    models=("a.pth", "hf:b/c/d.pth"),
    grey_model="e.pth",
    scale=1,
    run=RunOptions("cpu", Precision.BF16, 64, 8, True, False, 0.0),
    hints=Hints(25.0, 90.0, Cfa.GBRG, Path("/second.png")),
    finish=FinishOptions(0.5, Path("/mask.png"), 3.0),
    encoding=Encoding(True, 90, BitDepth.SIXTEEN),
    existing=Existing.OVERWRITE,
    reference=Path("/clean"),
    offline=True,
    provenance=False,
    sidecar=True,
)


@pytest.mark.parametrize("each", [Settings("sr"), EVERYTHING])
def test_they_survive_json_and_pickle(each):
    assert Settings.from_json(json.loads(json.dumps(each.as_json()))) == each
    assert pickle.loads(pickle.dumps(each)) == each


def test_every_field_differs_from_its_default_in_the_test_above():
    """So that a field added later is carried over too."""
    for field in dataclasses.fields(Settings):
        assert getattr(EVERYTHING, field.name) != getattr(Settings("sr"), field.name), field.name


def test_files_are_named_so_that_they_are_found_from_anywhere(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(weights["x1"].parent)
    record = Settings("denoise", ("x1.safetensors",), finish=FinishOptions(mask=Path("mask.png"))).as_json()
    assert record["models"] == [str(weights["x1"])]
    assert record["finish"]["mask"] == str(weights["x1"].parent / "mask.png")


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"task": "denoise", "colour": 1}, "unknown colour"),
        ({"task": "nothing"}, "unknown task 'nothing'"),
        ({}, "not what it should be"),
        ({"task": "denoise", "run": {"precision": "fp7"}}, "settings.run.precision: 'fp7'"),
        ({"task": "denoise", "scale": "4"}, "settings.scale: expected int"),
        ({"task": "denoise", "models": 3}, "settings.models: 3"),
        ([], "not what it should be"),
    ],
)
def test_what_is_no_settings_is_refused(record, said):
    with pytest.raises(RecipeError, match=said):
        Settings.from_json(record)


def test_the_digest_changes_with_all_that_decides_a_result_and_with_nothing_else(settings, weights, tmp_path):
    mask = write(tmp_path / "mask.png", values(channels=1))
    changed = {
        "model": dataclasses.replace(settings, models=(str(weights["wne"]),)),
        "task": dataclasses.replace(settings, task="deblur"),
        "tile": dataclasses.replace(settings, run=dataclasses.replace(settings.run, tile_px=64)),
        "precision": dataclasses.replace(settings, run=dataclasses.replace(settings.run, precision=Precision.BF16)),
        "strength": dataclasses.replace(settings, finish=FinishOptions(0.5)),
        "mask": dataclasses.replace(settings, finish=FinishOptions(mask=mask)),
        "quality": dataclasses.replace(settings, encoding=Encoding(quality=80)),
    }
    digests = {name: each.digest(each.open()) for name, each in {"plain": settings, **changed}.items()}
    assert len(set(digests.values())) == len(digests)
    elsewhere = dataclasses.replace(
        settings,
        run=dataclasses.replace(settings.run, device="auto"),
        existing=Existing.OVERWRITE,
        offline=True,
        sidecar=True,
    )
    assert elsewhere.digest(settings.open()) == digests["plain"]
    (copy := tmp_path / "renamed.safetensors").write_bytes(weights["x1"].read_bytes())
    renamed = dataclasses.replace(settings, models=(str(copy),))
    assert renamed.digest(renamed.open()) == digests["plain"]
    write(mask, values(channels=1, seed=5))
    assert changed["mask"].digest(settings.open()) != digests["mask"]


def test_opening_checks_what_the_models_must_be_told(settings, weights):
    with pytest.raises(UsageError, match="takes one view"):
        dataclasses.replace(settings, hints=Hints(second_view=Path("b.png"))).open()
    with pytest.raises(UsageError, match="enlarges x2"):
        dataclasses.replace(settings, models=(str(weights["x2"]),)).open()
    work = Settings("denoise", run=RunOptions(device="cpu")).open()
    assert work.grey_restorer is not None and work.grey_model_sha256 != work.model_sha256
