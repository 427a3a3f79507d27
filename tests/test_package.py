"""What is shipped: the wheel works away from the clone, and the README tells the truth."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from restore_cli.evaluation.scores import DRIFT_DB, TABLE_END, TABLE_START, measure, readme_table
from restore_cli.models.catalog import read_catalog

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EMBEDDED = [card for card in read_catalog().values() if card.embedded]


@pytest.mark.slow
def test_the_wheel_installed_away_from_the_clone_restores_a_picture(tmp_path):
    def python(*arguments, **environment):
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # Built by the installed hatchling: an isolated build would ask the package index.
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT))
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for card in read_catalog().values():
        assert f"restore_cli/weights/{card.id}.toml" in names
        assert not card.embedded or f"restore_cli/weights/{card.file.name}" in names
    assert len(names) == len(set(names))

    site = tmp_path / "site"
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    where = python("-c", "import restore_cli; print(restore_cli.__file__)", PYTHONPATH=str(site))
    assert Path(where.strip()).is_relative_to(site)
    picture = tmp_path / "in.png"
    picture.write_bytes((ROOT / "examples/coffee_small.png").read_bytes())
    python("-m", "restore_cli", "sr", "--scale", "4", str(picture), "--device", "cpu", PYTHONPATH=str(site))
    assert (tmp_path / "in_sr4x.png").stat().st_size > picture.stat().st_size


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_every_example_runs(script, tmp_path):
    arguments = [str(tmp_path)] if script.stem == "make_pictures" else []
    done = subprocess.run([sys.executable, str(script), *arguments], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_pictures_of_examples_are_what_their_script_makes(tmp_path):
    script = ROOT / "examples/make_pictures.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, capture_output=True)
    for name in ("coffee_small.png", "chelsea_noisy.png"):
        assert (tmp_path / name).read_bytes() == (ROOT / "examples" / name).read_bytes()


def test_the_readmes_scores_are_the_cards():
    table = README.split(TABLE_START)[1].split(TABLE_END)[0].strip()
    assert table == readme_table(EMBEDDED).strip()


def test_every_embedded_model_has_measured_scores():
    for card in EMBEDDED:
        assert any(score.origin == "measured" for score in card.scores), card.id


@pytest.mark.shared
def test_the_cards_scores_can_be_measured_again(shared):
    # The quickest of them; `make scores-check` does all.
    card = read_catalog()["resnet-sr-x4"]
    written = {(score.origin, score.dataset): score.psnr for score in card.scores}
    for score in measure(card, shared / "data/test"):
        assert score.psnr == pytest.approx(written[score.origin, score.dataset], abs=DRIFT_DB)


def test_the_readme_names_every_model_it_uses_correctly():
    named = set(re.findall(r"-n ([a-z0-9]+(?:-[a-z0-9]+)+)\b", README))
    assert named
    cards = read_catalog()
    assert named <= set(cards) | {card.family for card in cards.values()}
