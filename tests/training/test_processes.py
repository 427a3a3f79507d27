"""Two processes do together what one does alone, agree on when to stop, and end together."""

from __future__ import annotations

import os
import signal
from functools import partial
from unittest import mock

import pytest
import torch

from restore_cli.errors import DeviceError, OutputError, UsageError
from restore_cli.training import loop
from restore_cli.training.processes import Team, check_processes, run_team
from tests.training.tiny import logged, recipe_with, run

CPU = torch.device("cpu")


@pytest.fixture
def accelerate():
    pytest.importorskip("accelerate", reason="the extra multi-gpu is not installed")


def life_of_a_team(recipe, data, folder, *, team):
    """What each of two processes goes through."""
    # By the budget of the second process it would never end; the main one's counts.
    budget = loop.Budget(60, 6 if team.is_main else 10**9)
    options = {"team": team, "budget": budget, "validate_every": 3, "show_progress": False}

    def interrupt_after_three(step):
        if team.is_main and step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    try:
        loop.train(recipe, data, folder, on_step=interrupt_after_three, **options)
    except KeyboardInterrupt:
        assert torch.load(folder / "checkpoint.pt")["step"] == 3
    else:
        raise AssertionError("not interrupted")
    trained = []
    with mock.patch.object(loop, "build_trainee", side_effect=keeping(trained, loop.build_trainee)):
        loop.train(recipe, data, folder, resume=True, **options)
    for weights in trained[0].network.parameters():
        assert torch.equal(team.mean(weights.detach()), weights)
    assert team.mean(torch.tensor([1.0, team.index])).tolist() == [1.0, 0.5]
    if not team.is_main:
        raise OutputError("the disk of the second is full.", "Buy another.")


def keeping(kept, make):
    def made(*arguments, **options):
        kept.append(make(*arguments, **options))
        return kept[-1]

    return made


def distance(first, second):
    pairs = [(first["network"][key], second["network"][key]) for key in first["network"]]
    return sum((one - other).abs().sum() for one, other in pairs)


# One test, because starting two processes is what takes the time.
def test_two_processes_do_what_one_does_with_the_whole_batch(tmp_path, data, accelerate, ctrl_c_is_heard):
    recipe = recipe_with(tmp_path, ("batch = 2", "batch = 4"), ("rate = 2e-3", "rate = 1e-2"))
    start = torch.load(run(recipe, data, tmp_path / "start", steps=1))
    run(recipe, data, tmp_path / "alone", steps=6, validate_every=3)
    with pytest.raises(OutputError, match="disk of the second") as raised:
        run_team(2, CPU, partial(life_of_a_team, recipe, data, tmp_path / "together"))
    assert raised.value.hint == "Buy another."
    alone, together = (torch.load(tmp_path / name / "checkpoint.pt") for name in ("alone", "together"))
    assert together["step"] == alone["step"] == 6
    assert together["network"].keys() == alone["network"].keys()

    # The mean of two gradients in bfloat16 is not the gradient of the mean to the last bit.
    assert distance(together, alone) < 0.02 * distance(start, alone)
    for first, second in zip(logged(tmp_path / "alone"), logged(tmp_path / "together"), strict=True):
        assert first["step"] == second["step"]
        assert float(first["loss"]) == pytest.approx(float(second["loss"]), rel=0.01)


def test_a_team_of_one_is_itself_without_accelerate():
    team = Team("cpu")
    network = torch.nn.Linear(2, 1)
    network(torch.ones(1, 2)).backward()
    before = network.weight.grad.clone()
    team.average_gradients(network)
    team.wait()
    assert torch.equal(network.weight.grad, before)
    assert team.is_main
    assert team.agreed(0.3) == 0.3
    assert team.mean(before) is before


@pytest.mark.parametrize(
    ("count", "device", "batch", "error", "message"),
    [
        (3, "cpu", 4, UsageError, "cannot share a batch of 4"),
        (2, "cuda:0", 4, UsageError, "one GPU a process"),
        (2, "mps", 4, UsageError, "one GPU a process"),
        (99, "cuda", 99, DeviceError, "GPUs"),
    ],
)
def test_what_a_team_cannot_do_is_refused_before_it_starts(accelerate, count, device, batch, error, message):
    with pytest.raises(error, match=message):
        check_processes(count, torch.device(device), batch)


def test_a_team_without_accelerate_names_the_extra(monkeypatch):
    monkeypatch.setattr("restore_cli.training.processes.find_spec", lambda name: None)
    check_processes(1, CPU, 4)
    with pytest.raises(UsageError, match=r"restore-cli\[multi-gpu\]"):
        check_processes(2, CPU, 4)


def test_a_launcher_that_starts_several_of_us_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="--processes N"):
        check_processes(1, CPU, 4)
