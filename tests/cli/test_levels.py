"""The level that a network must be told, where the user does not say it: estimated from each picture, and printed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import save

from restore_cli.archs.resnet import ResNet
from restore_cli.io.provenance import find
from restore_cli.tasks import SIGMA
from tests.catalogue import catalogue  # noqa: F401 - a fixture
from tests.diagnosis.pictures import noisy, rounded, scene
from tests.pictures import read, write

LEVELS = (15, 25, 50)


def grainy(path, sigma_255):
    """A small picture with so much noise."""
    return write(path, rounded(noisy(scene()[:120, :160], sigma_255)).astype(np.uint8))


@pytest.fixture
def drunet(tmp_path):
    """A network that must be told the noise level, as a file: DRUNet, of few features."""
    from spandrel.architectures.DRUNet.__arch.network_unet import DRUNet

    torch.manual_seed(0)
    torch.save(DRUNet(in_nc=4, out_nc=3, nc=[8, 8, 8, 8], nb=2).state_dict(), tmp_path / "drunet.pth")
    return "drunet.pth"


@pytest.fixture
def family(catalogue):  # noqa: F811
    """Three checkpoints of one network, none of them here yet."""
    for seed, level in enumerate(LEVELS):
        torch.manual_seed(seed)
        content = save(ResNet(width=8, depth=1).state_dict())
        catalogue.card(f"net-denoise-{level}", content, level=level)
    return catalogue


def level_of(result):
    return find(result).settings["hints"]["sigma_255"]


def models_of(result):
    return [model.name for model in find(result).models]


def fetched(catalogue):  # noqa: F811
    """Levels of the checkpoints that were downloaded, in that order."""
    paths = [
        request.path for request in catalogue.hub.requests if request.method == "GET" and "/resolve/" in request.path
    ]
    return [int(path.rsplit("-", 1)[1].partition(".")[0]) for path in paths]


def test_it_is_estimated_from_each_picture_and_said_once_a_file(restore, drunet, tmp_path):
    for name, sigma_255 in (("a", 12), ("b", 33)):
        grainy(tmp_path / f"in/{name}.png", sigma_255)
    result = restore("denoise", "in", "-n", drunet, "-o", "out")
    assert result.exit_code == 0
    for name, sigma_255 in (("a", 12), ("b", 33)):
        level = level_of(tmp_path / f"out/{name}.png")
        assert level == pytest.approx(sigma_255, rel=0.1)
        lines = [line for line in result.stderr.splitlines() if "estimated" in line and f"in/{name}.png" in line]
        assert lines == [f"in/{name}.png: --sigma {level:g} estimated from the picture."]


def test_what_is_estimated_is_what_could_have_been_said(restore, drunet, tmp_path):
    grainy(tmp_path / "a.png", 20)
    assert restore("denoise", "a.png", "-n", drunet, "-o", "estimated.png", "-q").stderr == ""
    level = level_of(tmp_path / "estimated.png")
    said = restore("denoise", "a.png", "-n", drunet, "-o", "said.png", "--sigma", level)
    assert "estimated" not in said.stderr
    assert np.array_equal(read(tmp_path / "said.png"), read(tmp_path / "estimated.png"))
    other = restore("denoise", "a.png", "-n", drunet, "-o", "other.png", "--sigma", "3")
    assert (other.exit_code, level_of(tmp_path / "other.png")) == (0, 3)
    assert not np.array_equal(read(tmp_path / "other.png"), read(tmp_path / "estimated.png"))


def test_a_run_with_an_estimate_can_be_repeated_to_the_byte(restore, drunet, tmp_path):
    grainy(tmp_path / "a.png", 20)
    restore("denoise", "a.png", "-n", drunet, "-o", "out.png")
    result = restore("redo", "out.png", "--check", "-n", drunet)
    assert (result.exit_code, result.stdout) == (0, "out.png: same\n")
    assert "the first run noted: --sigma" in result.stderr
    shown = restore("show", "out.png").stdout
    assert f"sigma {level_of(tmp_path / 'out.png'):g}" in shown


def test_a_picture_that_tells_nothing_fails_with_the_option_and_the_others_are_done(restore, drunet, tmp_path):
    write(tmp_path / "in/white.png", np.full((90, 90, 3), 255, np.uint8))
    grainy(tmp_path / "in/grainy.png", 20)
    result = restore("denoise", "in", "-n", drunet, "-o", "out")
    assert result.exit_code == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert error.startswith("error: in/white.png: the level of its noise cannot be told from the picture.")
    assert "Add --sigma LEVEL" in error
    assert [path.name for path in (tmp_path / "out").glob("*.png")] == ["grainy.png"]


def test_the_plan_says_that_it_will_be_estimated(restore, drunet, tmp_path):
    grainy(tmp_path / "a.png", 20)
    result = restore("denoise", "a.png", "-n", drunet, "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "--sigma: estimated from each picture" in result.stdout.splitlines()
    told = restore("denoise", "a.png", "-n", drunet, "--dry-run", "--sigma", "9", "--json")
    assert json.loads(told.stdout)["estimated"] == []
    assert json.loads(restore("denoise", "a.png", "-n", drunet, "--dry-run", "--json").stdout)["estimated"] == [
        SIGMA.name
    ]


def test_a_network_that_must_be_told_the_noise_of_a_picture_takes_no_mosaic(restore, family, tmp_path):
    from spandrel.architectures.DRUNet.__arch.network_unet import DRUNet

    torch.save(DRUNet(in_nc=2, out_nc=1, nc=[8, 8, 8, 8], nb=2).state_dict(), tmp_path / "grey.pth")
    write(tmp_path / "mosaic.png", np.zeros((8, 8), np.uint8))
    for model in ("grey.pth", "net-denoise"):
        result = restore("demosaic", "mosaic.png", "-n", model)
        assert result.exit_code == 2
        assert f"{model} is for pictures of a known level of noise, not for mosaics" in result.stderr


# --- a family: a checkpoint a level ---


def test_each_picture_gets_the_checkpoint_nearest_to_its_noise_and_says_which(restore, family, tmp_path):
    for name, sigma_255 in (("a", 14), ("b", 47), ("c", 15)):
        grainy(tmp_path / f"in/{name}.png", sigma_255)
    result = restore("denoise", "in", "-n", "net-denoise", "-o", "out")
    assert result.exit_code == 0
    assert [models_of(tmp_path / f"out/{name}.png") for name in "abc"] == [
        ["net-denoise-15"],
        ["net-denoise-50"],
        ["net-denoise-15"],
    ]
    level = level_of(tmp_path / "out/b.png")
    assert f"in/b.png: --sigma {level:g} estimated from the picture. net-denoise-50 is nearest." in result.stderr
    # Those that a picture needed, and no other; each once.
    assert fetched(family) == [15, 50]
    for name, expected in (("a", 15), ("b", 50)):
        restore("denoise", f"in/{name}.png", "-n", f"net-denoise-{expected}", "-o", f"{name}.png")
        assert np.array_equal(read(tmp_path / f"{name}.png"), read(tmp_path / f"out/{name}.png"))


def test_a_level_far_from_all_checkpoints_is_worth_a_word(restore, family, tmp_path):
    grainy(tmp_path / "a.png", 6)
    result = restore("denoise", "a.png", "-n", "net-denoise")
    assert "net-denoise-15 was made for --sigma 15, not" in result.stderr


def test_what_was_downloaded_before_is_opened_first_and_offline_says_what_to_fetch(restore, family, tmp_path):
    assert restore("models", "pull", "net-denoise-50").exit_code == 0
    grainy(tmp_path / "loud.png", 48)
    grainy(tmp_path / "soft.png", 14)
    assert restore("denoise", "loud.png", "-n", "net-denoise").exit_code == 0
    assert fetched(family) == [50]
    result = restore("denoise", "soft.png", "-n", "net-denoise", "--offline")
    assert result.exit_code == 1
    assert "soft.png: " in result.stderr and "restore models pull net-denoise-15" in result.stderr


def test_a_first_picture_that_cannot_be_read_stops_nothing(restore, family, tmp_path):
    write(tmp_path / "in/a.png").write_bytes(b"not a picture")
    grainy(tmp_path / "in/b.png", 14)
    result = restore("denoise", "in", "-n", "net-denoise", "-o", "out")
    assert (result.exit_code, models_of(tmp_path / "out/b.png")) == (1, ["net-denoise-15"])
    assert "1 done, 1 failed" in result.stderr


def test_a_family_told_its_level_is_one_model(restore, family, tmp_path):
    grainy(tmp_path / "a.png", 14)
    result = restore("denoise", "a.png", "-n", "net-denoise", "--sigma", "50", "-o", "out.png")
    assert "estimated" not in result.stderr
    assert (models_of(tmp_path / "out.png"), fetched(family)) == (["net-denoise-50"], [50])


def test_a_familys_result_can_be_repeated_by_the_checkpoint_that_made_it(restore, family, tmp_path):
    grainy(tmp_path / "a.png", 48)
    restore("denoise", "a.png", "-n", "net-denoise", "-o", "out.png")
    result = restore("redo", "out.png", "--check")
    assert (result.exit_code, result.stdout) == (0, "out.png: same\n")


def test_the_plan_names_the_family(restore, family, tmp_path):
    grainy(tmp_path / "a.png", 48)
    missing = restore("denoise", "a.png", "-n", "net-denoise", "--dry-run")
    assert "net-denoise-50: would first be downloaded from hf:" in missing.stdout
    restore("models", "pull", "net-denoise-50")
    planned = restore("denoise", "a.png", "-n", "net-denoise", "--dry-run")
    assert planned.stdout.startswith("model net-denoise (resnet, licence MIT)\n")
    assert "--sigma: estimated from each picture" in planned.stdout


def test_a_resumed_run_knows_its_results_whichever_checkpoints_are_here(restore, family, tmp_path):
    for name, sigma_255 in (("a", 14), ("b", 47)):
        grainy(tmp_path / f"in/{name}.png", sigma_255)
    command = ("denoise", "in", "-n", "net-denoise", "-o", "out", "--resume")
    assert restore(*command).exit_code == 0
    shutil.rmtree(family.root / "here/hub")
    again = restore(*command)
    assert again.exit_code == 0 and again.stderr.count("was done before") == 2


# --- restore eval ---


def test_eval_takes_the_checkpoint_of_each_condition(restore, family, tmp_path):
    grainy(tmp_path / "set/a.png", 0)
    levels = ("--sigma", "15", "--sigma", "50")
    names = [word for name in ("net-denoise", "net-denoise-15", "net-denoise-50") for word in ("-n", name)]
    found = json.loads(restore("eval", "denoise", "set", *levels, *names, "--json").stdout)
    psnr = {(each["model"], each["condition"]): each["psnr"] for each in found["mean"]}
    for level in (15, 50):
        condition = f"sigma_255 = {level}"
        assert psnr["net-denoise", condition] == psnr[f"net-denoise-{level}", condition]
    assert psnr["net-denoise-15", "sigma_255 = 15"] != psnr["net-denoise-50", "sigma_255 = 15"]
    assert any("net-denoise, the nearest of 15, 25, 50: resnet" in note for note in found["notes"])
    assert 25 not in fetched(family)


def test_eval_estimates_what_nobody_knows_as_the_command_does(restore, drunet, tmp_path):
    grainy(tmp_path / "noisy/a.png", 20)
    grainy(tmp_path / "clean/a.png", 0)
    assert restore("denoise", "noisy", "-n", drunet, "-o", "out").exit_code == 0
    pairs = ("--input", "noisy", "--reference", "clean", "-n", drunet, "--json")
    estimated, told, other = (
        json.loads(restore("eval", "denoise", *pairs, *level).stdout)
        for level in ((), ("--sigma", level_of(tmp_path / "out/a.png")), ("--sigma", 3))
    )
    assert estimated["mean"][0]["psnr"] == told["mean"][0]["psnr"] != other["mean"][0]["psnr"]
    assert any("--sigma estimated where it is not known" in note for note in estimated["notes"])
