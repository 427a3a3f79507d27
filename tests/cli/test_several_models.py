"""More than one opinion: averages of models, crops, windows' statistics, two views."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.torch import save_file

from restore_cli.archs import architecture
from restore_cli.io.read import read_image
from tests.networks import SMALL_CONFIGS, small_network
from tests.pictures import read, values, write


@pytest.fixture
def save(tmp_path):
    def make(name, arch_id, seed=0, **changes):
        path = tmp_path / f"{name}.safetensors"
        config = {**SMALL_CONFIGS[arch_id], **changes}
        network = small_network(arch_id, seed, **changes).float()
        assert isinstance(network, architecture(arch_id))
        save_file(network.state_dict(), path, metadata={"config": json.dumps(config)})
        return path.name

    return make


def test_models_are_averaged(restore, save, tmp_path):
    write(tmp_path / "in.png", values(32, 40))
    first, second = save("a", "unet"), save("b", "unet", seed=1)
    for name, models in (("a", [first]), ("b", [second]), ("both", [first, second])):
        arguments = [word for model in models for word in ("-n", model)] + ["--average"] * (len(models) > 1)
        # As floats: what these networks return of random weights is not in the range of whole numbers.
        assert restore("denoise", "in.png", "-o", f"{name}.tif", "--bit-depth", "32f", *arguments).exit_code == 0
    first, second, both = (read_image(tmp_path / f"{name}.tif").pixels for name in ("a", "b", "both"))
    assert np.abs(first - second).max() > 0.1
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-5)


def test_several_models_need_the_word_and_the_word_several_models(restore, save, tmp_path):
    write(tmp_path / "in.png")
    first, second = save("a", "unet"), save("b", "unet", seed=1)
    several = restore("denoise", "in.png", "-n", first, "-n", second)
    alone = restore("denoise", "in.png", "-n", first, "--average")
    assert several.exit_code == alone.exit_code == 2
    assert "--average" in several.stderr
    assert "-n" in alone.stderr


def test_models_of_different_scale_are_not_averaged(restore, save, tmp_path):
    write(tmp_path / "in.png")
    result = restore("sr", "in.png", "-n", save("a", "resnet"), "-n", save("b", "resnet", scale=4), "--average")
    assert result.exit_code == 2
    assert "scale" in result.stderr


def test_crops_and_local_statistics_run_a_network_of_instance_norms(restore, save, tmp_path):
    write(tmp_path / "in.png", values(70, 90))
    model = save("hinet", "hinet")
    for name, options in (
        ("whole", ["--tile", "off"]),
        ("crops", ["--crops", "32"]),
        ("more", ["--crops", "32", "--random-crops", "3"]),
        ("local", ["--local-statistics", "32", "--tile", "off"]),
    ):
        assert restore("denoise", "in.png", "-n", model, "-o", f"{name}.png", *options).exit_code == 0
    results = [read(tmp_path / f"{name}.png") for name in ("whole", "crops", "more", "local")]
    assert all(result.shape == (70, 90, 3) for result in results)
    assert not any(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize(
    "options",
    [
        ["--crops", "0"],
        ["--crops", "32", "--tile", "64"],
        ["--random-crops", "2"],
        ["--local-statistics", "-1"],
        ["--wne-eps", "0.1"],
        ["--wne", "--wne-eps", "2"],
    ],
)
def test_options_that_make_no_sense_together_are_refused(restore, save, tmp_path, options):
    write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-n", save("hinet", "hinet"), *options).exit_code == 2
    assert not (tmp_path / "in_denoise.png").exists()


def test_a_dual_pixel_network_takes_its_second_view(restore, save, tmp_path):
    write(tmp_path / "left.png", values(40, 48))
    write(tmp_path / "right.png", values(40, 48, seed=1))
    model = save("dual", "hi-ir-unet", views=2)
    assert restore("deblur", "left.png", "--second-view", "right.png", "-n", model).exit_code == 0
    assert read(tmp_path / "left_deblur.png").shape == (40, 48, 3)
    missing = restore("deblur", "left.png", "-n", model, "--overwrite")
    assert missing.exit_code == 2
    assert "--second-view" in missing.stderr


def test_a_dry_run_counts_crops(restore, save, tmp_path):
    write(tmp_path / "in.png", values(64, 64))
    result = restore("denoise", "in.png", "-n", save("hinet", "hinet"), "--crops", "32", "--dry-run")
    assert "4 tiles" in result.stdout
    assert "32 px, overlaps averaged" in result.stdout
