"""`restore diagnose` as it is typed."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.diagnosis.pictures import noisy, rounded, scene


@pytest.fixture
def pictures(tmp_path):
    clean = rounded(scene(520, 600))
    PillowImage.fromarray(clean.astype(np.uint8)).save(tmp_path / "clean.png")
    PillowImage.fromarray(rounded(noisy(clean, 20)).astype(np.uint8)).save(tmp_path / "noisy.png")
    return tmp_path


def test_it_says_what_is_wrong_how_sure_it_is_and_what_to_type(restore, pictures):
    result = restore("diagnose", "noisy.png")
    head, finding, command = result.stdout.splitlines()
    assert (result.exit_code, head) == (0, "noisy.png:")
    assert finding.startswith("  noise of sigma ")
    assert finding.endswith("(99 % sure)")
    assert command == "    -> restore denoise noisy.png"


def test_the_readme_shows_what_it_prints(restore, monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    shown = (root / "README.md").read_text(encoding="utf-8").partition("$ restore diagnose examples/")[2]
    assert restore("diagnose", "examples/chelsea_noisy.png").stdout == shown.partition("\n")[2].partition("```")[0]


def test_json_has_the_figures(restore, pictures):
    (found,) = json.loads(restore("diagnose", "noisy.png", "--json").stdout)["pictures"]
    assert found["input"] == "noisy.png"
    assert found["sigma_255"] == pytest.approx(20, rel=0.05)
    assert found["jpeg_quality"] is None
    assert found["findings"][0]["command"] == "restore denoise noisy.png"


def test_quiet_leaves_out_what_is_well(restore, pictures):
    assert "clean.png: nothing wrong found" in restore("diagnose", ".").stdout
    assert "clean" not in restore("diagnose", ".", "-q").stdout


def test_a_bad_file_is_reported_and_the_others_are_done(restore, pictures):
    (pictures / "bad.png").write_bytes(b"no picture")
    result = restore("diagnose", "bad.png", "clean.png", "--json")
    bad, clean = json.loads(result.stdout)["pictures"]
    assert (result.exit_code, clean["findings"]) == (1, [])
    assert "bad.png" in bad["error"]
    assert result.stderr.startswith("error: bad.png")


def test_a_missing_file_is_one_line(refused):
    assert "nowhere.png" in refused("diagnose", "nowhere.png")
