"""The loop learns, stops where a step ends, resumes to the bit, and says what is wrong."""

from __future__ import annotations

import signal
from itertools import pairwise

import pytest
import torch

from restore_cli.errors import CheckpointError, DeviceMemoryError, InputError, RecipeError, RestoreError
from restore_cli.training import loop
from restore_cli.training.config import OptimizerRecipe
from restore_cli.training.ema import AveragedWeights
from restore_cli.training.export import export_model
from restore_cli.training.loop import Budget, learning_rate, train, validation_psnr
from restore_cli.training.losses import LOSS_FUNCTIONS
from restore_cli.training.network import Trainee, build_trainee
from tests.training.tiny import NETWORK, draw, logged, recipe_with, run

# Layers are left out by chance while training: what resuming exactly is hardest for.
STOCHASTIC = '[network]\narch = "swinir"\nembed_dim = 8\ndepths = [2]\nnum_heads = [2]\nwindow_size = 8\nupscale = 1\n'
STOCHASTIC += 'mlp_ratio = 2.0\nimg_size = 16\nin_chans = 3\nimg_range = 1.0\nupsampler = ""\ndrop_path_rate = 0.5\n'


class Stopped(Exception):
    pass


def stop_after(last):
    def on_step(step):
        if step == last:
            raise Stopped

    return on_step


def states(*paths):
    return [torch.load(path, weights_only=True) for path in paths]


def equal(first, second):
    return all(
        torch.equal(first[part][key], second[part][key]) for part in ("network", "averaged") for key in first[part]
    )


def test_a_short_run_lowers_the_loss_and_logs_it(recipe, data, tmp_path):
    run(recipe, data, tmp_path / "run", steps=45)
    rows = logged(tmp_path / "run")
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40, 45]
    assert float(rows[-1]["loss"]) < 0.9 * float(rows[0]["loss"])
    assert float(rows[-1]["validation_psnr"]) > float(rows[0]["validation_psnr"])


def test_a_recipe_may_end_by_steps_and_say_how_often_to_log(data, tmp_path):
    recipe = recipe_with(tmp_path, ("minutes = 10", "minutes = 10\nsteps = 5"), ("[card]", "[log]\nevery = 2\n[card]"))
    train(recipe, data, tmp_path / "run", show_progress=False)
    assert [row["step"] for row in logged(tmp_path / "run")] == ["2", "4", "5"]


def test_the_largest_feature_is_recorded_where_the_recipe_asks_and_changes_nothing(recipe, data, tmp_path):
    watching = recipe_with(tmp_path, ("[card]", "[log]\nfeatures = true\n[card]"))
    plain, watched = (
        run(each, data, tmp_path / name, steps=10) for each, name in ((recipe, "plain"), (watching, "watched"))
    )
    assert equal(*states(plain, watched))
    (row,) = logged(tmp_path / "watched")
    trainee = build_trainee(recipe)
    averaged = AveragedWeights(trainee.network, 0.9)
    averaged.network.load_state_dict(states(watched)[0]["averaged"])
    assert 0 < float(row["largest_feature"]) < 100
    with torch.no_grad():
        for parameter in averaged.network.parameters():
            parameter.mul_(2)
    pictures = torch.rand(2, 3, 16, 16)
    assert loop.largest_feature(trainee, averaged, (pictures, pictures)) > float(row["largest_feature"])
    assert "largest_feature" not in logged(tmp_path / "plain")[0]


def test_a_last_row_is_not_written_twice(recipe, data, tmp_path):
    run(recipe, data, tmp_path / "run", steps=10)
    assert [row["step"] for row in logged(tmp_path / "run")] == ["10"]


@pytest.mark.parametrize("network", [NETWORK, STOCHASTIC], ids=["unet", "stochastic"])
def test_a_resumed_run_equals_an_uninterrupted_one(data, tmp_path, network):
    recipe = recipe_with(tmp_path, (NETWORK, network))
    whole = run(recipe, data, tmp_path / "whole", steps=12)
    with pytest.raises(Stopped):
        run(recipe, data, tmp_path / "parts", steps=12, on_step=stop_after(7))
    parts = run(recipe, data, tmp_path / "parts", steps=12, resume=True)
    first, second = states(whole, parts)
    assert first["step"] == second["step"] == 12
    assert equal(first, second)


def test_ctrl_c_ends_the_step_keeps_it_and_the_run_goes_on_from_there(recipe, data, tmp_path, ctrl_c_is_heard):
    whole = run(recipe, data, tmp_path / "whole", steps=6)
    with pytest.raises(KeyboardInterrupt):
        run(
            recipe,
            data,
            tmp_path / "parts",
            steps=6,
            on_step=lambda step: signal.raise_signal(signal.SIGINT) if step == 3 else None,
        )
    assert states(tmp_path / "parts/checkpoint.pt")[0]["step"] == 3
    parts = run(recipe, data, tmp_path / "parts", steps=6, resume=True)
    assert equal(*states(whole, parts))


def test_a_finished_run_resumed_changes_nothing(recipe, data, tmp_path):
    path = run(recipe, data, tmp_path / "run", steps=3)
    before, rows = states(path)[0], logged(tmp_path / "run")
    run(recipe, data, tmp_path / "run", steps=3, resume=True)
    assert equal(before, states(path)[0])
    assert logged(tmp_path / "run") == rows


def test_compiled_or_not_the_checkpoint_is_the_same(recipe, data, tmp_path):
    plain = run(recipe, data, tmp_path / "plain", steps=2)
    compiled = run(recipe, data, tmp_path / "compiled", steps=2, compile_backend="aot_eager")
    first, second = states(plain, compiled)
    for part in ("network", "averaged"):
        assert first[part].keys() == second[part].keys()
        for key in first[part]:
            # Adam's first steps are as long for a gradient of 1e-9 as for one of 1: bf16 rounds elsewhere.
            torch.testing.assert_close(first[part][key], second[part][key], rtol=0, atol=5e-3)
    run(recipe, data, tmp_path / "compiled", steps=3, resume=True)


def test_weights_that_run_away_never_replace_a_good_checkpoint(recipe, data, tmp_path, monkeypatch):
    path = run(recipe, data, tmp_path / "run", steps=2)
    good = path.read_bytes()
    monkeypatch.setitem(LOSS_FUNCTIONS, "l1", lambda restored, clean: (restored - clean).mean() * float("nan"))
    with pytest.raises(RecipeError, match="stopped being numbers"):
        run(recipe, data, tmp_path / "run", steps=4, resume=True)
    assert path.read_bytes() == good
    with pytest.raises(RecipeError, match="rate and start again"):
        run(recipe, data, tmp_path / "other", steps=4)


@pytest.mark.parametrize("content", [b"", b"text", "a list"])
def test_what_is_no_checkpoint_is_named(recipe, data, tmp_path, content):
    path = run(recipe, data, tmp_path / "run", steps=1)
    path.write_bytes(content) if isinstance(content, bytes) else torch.save([content], path)
    with pytest.raises(CheckpointError, match="not a checkpoint of this recipe"):
        run(recipe, data, tmp_path / "run", steps=2, resume=True)
    with pytest.raises(CheckpointError, match="not a checkpoint of this recipe"):
        export_model(recipe, path, tmp_path)


def test_small_pictures_are_left_out_and_counted(recipe, data, tmp_path, capsys):
    draw(data / "photos/0.png", 1, 40)
    both = recipe_with(tmp_path, ("batch = 2", "batch = 2\nreductions = [1, 2]"))
    run(both, data, tmp_path / "run", steps=1, show_progress=True)
    assert "1 of 3 training pictures are smaller than a patch: left out" in capsys.readouterr().err


def test_another_recipes_checkpoint_is_not_resumed(recipe, data, tmp_path):
    run(recipe, data, tmp_path / "run", steps=1)
    wider = recipe_with(tmp_path, ("[4, 8]", "[4, 12]"))
    with pytest.raises(CheckpointError, match="not a checkpoint of this recipe"):
        run(wider, data, tmp_path / "run", steps=2, resume=True)


def test_missing_pictures_leave_no_checkpoint_in_the_way(recipe, data, tmp_path):
    with pytest.raises(InputError, match="photos"):
        run(recipe, tmp_path, tmp_path / "run", steps=1)
    run(recipe, data, tmp_path / "run", steps=1)


def test_a_run_starts_from_the_weights_that_init_names(data, tmp_path, weights):
    recipe = recipe_with(tmp_path, ("wne = true", f'init = "{weights["unet"]}"'))
    started = build_trainee(recipe).network.state_dict()
    run(recipe, data, tmp_path / "run", steps=1)
    # The first steps of the warm-up are short: after one the run is still next to where it started.
    after = states(tmp_path / "run/checkpoint.pt")[0]["network"]
    for key, value in after.items():
        torch.testing.assert_close(value, started[key], rtol=0, atol=1e-3)


def test_what_the_compiler_or_the_device_cannot_do_is_said_in_our_words(recipe, data, tmp_path, monkeypatch):
    def no_compiler(graph, inputs):
        raise RuntimeError("no compiler here")

    with pytest.raises(RestoreError, match=r"torch.compile failed: .*--no-compile"):
        run(recipe, data, tmp_path / "run", steps=1, compile_backend=no_compiler)

    def no_memory(restored, clean):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(LOSS_FUNCTIONS, "l1", no_memory)
    with pytest.raises(DeviceMemoryError, match=r"2 patches of 16 pixels.*data\.batch"):
        run(recipe, data, tmp_path / "run", steps=1, resume=True)


class Halving(torch.nn.Conv2d):
    """Works in the tensor it is given, as spandrel's RCAN does."""

    def forward(self, picture):
        return super().forward(picture.mul_(0.5))


def test_a_network_of_another_result_is_refused_before_the_loss_would_broadcast_it(recipe, data, tmp_path, monkeypatch):
    trainee = Trainee(torch.nn.Conv2d(3, 1, 1), wne=False)
    monkeypatch.setattr(loop, "build_trainee", lambda recipe, fresh: trainee)
    with pytest.raises(RecipeError, match=r"makes \(2, 1, 16, 16\), not \(2, 3, 16, 16\)"):
        run(recipe, data, tmp_path / "run", steps=1)


def test_validation_leaves_its_pictures_alone():
    trainee = Trainee(Halving(1, 1, 1), wne=False)
    averaged = AveragedWeights(trainee.network, 0.9)
    validation = (torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16))
    assert validation_psnr(trainee, averaged, validation) == validation_psnr(trainee, averaged, validation)


def test_the_rate_warms_up_and_ends_low():
    optimizer = OptimizerRecipe(loss="l1", minutes=1, rate=1e-3, last_rate=1e-6, warmup=0.1)
    rates = [learning_rate(optimizer, share / 100) for share in range(101)]
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) == 10
    assert rates[-1] == pytest.approx(1e-6)
    assert all(first > second for first, second in pairwise(rates[10:]))


def test_a_budget_ends_by_time_or_by_steps():
    assert Budget(minutes=2).share_used(60, 10**6) == 0.5
    assert Budget(minutes=2, steps=10).share_used(60, 8) == 0.8
    assert Budget(minutes=2, steps=10).share_used(10**6, 1) == 1


def test_a_run_ends_when_its_time_is_up(recipe, data, tmp_path):
    train(recipe, data, tmp_path / "run", budget=Budget(1e-9), show_progress=False)
    assert states(tmp_path / "run/checkpoint.pt")[0]["step"] == 0
