"""`restore train` from the command line: train, stop, go on, export, and say what is wrong."""

from __future__ import annotations

import shlex
import signal

import pytest
import torch

from restore_cli.inference.restorer import load_model
from restore_cli.training import loop, processes
from tests.pictures import write
from tests.training.tiny import draw_photos, recipe_file

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def photos(tmp_path):
    recipe_file(tmp_path)
    return draw_photos(tmp_path / "data")


@pytest.fixture
def three_steps(monkeypatch):
    monkeypatch.setattr(loop, "Budget", lambda minutes, steps: Budget(minutes, 3))


Budget = loop.Budget


def test_a_recipe_becomes_a_model_that_restores(restore, photos, tmp_path, three_steps):
    trained = restore("train", "tiny.toml", "--data", "data", "--export", "out")
    assert (trained.exit_code, trained.stdout) == (0, "")
    assert "Trained: runs/tiny/checkpoint.pt" in trained.stderr
    assert "Exported: out/tiny.toml" in trained.stderr
    assert sorted(path.name for path in (tmp_path / "runs/tiny").iterdir()) == ["checkpoint.pt", "log.csv", "log.png"]
    write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-n", "out/tiny.safetensors").exit_code == 0


def test_a_finished_run_is_exported_without_its_pictures(restore, photos, tmp_path, three_steps):
    assert restore("train", "tiny.toml", "--data", "data", "-o", "run", "-q").stderr == ""
    before = (tmp_path / "run/checkpoint.pt").read_bytes()
    done = restore("train", "tiny.toml", "-o", "run", "--export", "out")
    assert (done.exit_code, done.stderr) == (0, "Exported: out/tiny.toml\n")
    again = restore("train", "tiny.toml", "-o", "run", "--export", "out")
    assert again.stderr == "Exported: out/tiny.toml, in place of the one that was there\n"
    assert load_model(str(tmp_path / "out/tiny.safetensors")).wne
    assert (tmp_path / "run/checkpoint.pt").read_bytes() == before


def test_ctrl_c_keeps_the_checkpoint_and_says_how_to_go_on(restore, photos, tmp_path, monkeypatch, three_steps):
    updates = []

    def update_and_press(self, network, step, update=loop.AveragedWeights.update):
        update(self, network, step)
        updates.append(step)
        if len(updates) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop.AveragedWeights, "update", update_and_press)
    stopped = restore("train", "tiny.toml", "--data", "data", "--minutes", 5, "--out", "my run", "--export", "out")
    assert stopped.exit_code == 130
    assert torch.load(tmp_path / "my run/checkpoint.pt")["step"] == 2
    assert not (tmp_path / "out").exists()
    said = next(line for line in stopped.stderr.splitlines() if line.startswith("Stopped"))
    command = shlex.split(said.partition("Go on with: ")[2])
    assert {"restore", "--minutes", "--export", "--resume"} <= set(command)
    assert restore(*command[1:]).exit_code == 0
    assert updates == [1, 2, 3]
    assert (tmp_path / "out/tiny.toml").exists()


def test_ctrl_c_before_the_first_step_promises_no_checkpoint(restore, photos, monkeypatch):
    def press(recipe, data_dir):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "read_corpus", press)
    stopped = restore("train", "tiny.toml", "--data", "data")
    assert (stopped.exit_code, "kept" in stopped.stderr) == (130, False)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing.toml", "--data", "data"], 1, "nothing.toml: no such recipe"),
        (["tiny.toml"], 2, "--data"),
        (["tiny.toml", "--resume", "--export", "out"], 2, "Nothing to train on. Add --data"),
        (["tiny.toml", "--data", "data", "--minutes", "0"], 2, "--minutes"),
        (["tiny.toml", "--data", "data", "--device", "cpu:7"], 1, "--device cpu:7"),
        (["tiny.toml", "--data", "data", "--resume"], 1, "nothing to resume"),
        (["tiny.toml", "--data", "data", "-o", "tiny.toml"], 1, "--out"),
        (["tiny.toml", "--data", "."], 1, "photos: no such folder. --data . holds data"),
        (["tiny.toml", "--export", "out"], 1, "nothing to export yet"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(refused, photos, arguments, code, message):
    assert message in refused("train", *arguments, code=code).replace(
        "photos: no such folder", "./photos: no such folder"
    )


def test_several_processes_are_given_the_same_work(restore, photos, monkeypatch, three_steps):
    pytest.importorskip("accelerate", reason="the extra multi-gpu is not installed")
    teams = []

    def run_team(count, device, work):
        teams.append((count, str(device), work.keywords["compile_backend"]))
        work(team=processes.Team(device))

    monkeypatch.setattr(processes, "run_team", run_team)
    done = restore("train", "tiny.toml", "--data", "data", "--processes", 2, "--compile", "--no-compile", "-q")
    assert (done.exit_code, teams) == (0, [(2, "cpu", None)])
