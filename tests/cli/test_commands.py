"""Each command from one end to the other: which files come out, where, and what is said about them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from restore_cli.batch.manifest import MANIFEST_NAME
from restore_cli.tasks import TASKS
from tests.hub_server import HubServer
from tests.pictures import read, values, write


def tree(folder):
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path) for path in files if path.name != MANIFEST_NAME)


@pytest.mark.parametrize("task", [name for name in TASKS if name not in ("sr", "demosaic")])
def test_a_task_that_keeps_the_size_writes_beside_the_input_and_leaves_it_alone(restore, weights, tmp_path, task):
    before = write(tmp_path / "in.png").read_bytes()
    result = restore(task, "in.png", "--model", weights["x1"])
    assert result.exit_code == 0
    assert result.stderr.startswith(f"in.png -> in_{task}.png (24x20")
    assert tree(tmp_path) == ["in.png", f"in_{task}.png"]
    assert (tmp_path / "in.png").read_bytes() == before
    restored = read(tmp_path / f"in_{task}.png")
    assert restored.shape == (20, 24, 3)
    assert not np.array_equal(restored, values())


@pytest.mark.parametrize("scale", [2, 4])
def test_sr_enlarges_by_the_scale_of_its_model_and_names_it(restore, weights, tmp_path, scale):
    write(tmp_path / "in.png")
    assert restore("sr", "in.png", "-n", weights[f"x{scale}"], "--scale", scale).exit_code == 0
    assert read(tmp_path / f"in_sr{scale}x.png").shape == (20 * scale, 24 * scale, 3)


@pytest.mark.parametrize("cfa", ["rggb", "bggr", "grbg", "gbrg"])
def test_demosaic_makes_colour_of_a_mosaic(restore, weights, tmp_path, cfa):
    write(tmp_path / "raw.png", values(channels=1))
    assert restore("demosaic", "raw.png", "--cfa", cfa, "-n", weights["unet"]).exit_code == 0
    assert read(tmp_path / "raw_demosaic.png").shape == (20, 24, 3)


def test_a_demosaicked_pgm_is_not_called_grey(restore, weights, tmp_path):
    write(tmp_path / "raw.pgm", values(channels=1))
    assert restore("demosaic", "raw.pgm", "-n", weights["x1"]).exit_code == 0
    assert (tmp_path / "raw_demosaic.ppm").read_bytes().startswith(b"P6")


def own_card(folder, weights, monkeypatch, *, commercial=True):
    """A card called 'mine' in a folder of one's own."""
    content = weights["x1"].read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    folder.mkdir()
    (folder / "mine.safetensors").write_bytes(content)
    (folder / "mine.toml").write_text(
        'id = "mine"\ntask = "denoise"\nsummary = "A test."\narch = "resnet"\n'
        "config = { channels = 3, width = 8, depth = 1, scale = 1 }\n"
        f'file = {{ name = "mine.safetensors", bytes = {len(content)}, sha256 = "{digest}" }}\n'
        f'licence = {{ name = "CC0-1.0", commercial = {str(commercial).lower()}, training_data = "none" }}\n'
    )
    monkeypatch.setenv("RESTORE_CARDS", str(folder))
    return folder


def test_a_card_of_ones_own_is_a_model_by_name_and_its_weights_are_checked(
    restore, refused, weights, tmp_path, monkeypatch
):
    folder = own_card(tmp_path / "cards", weights, monkeypatch)
    content = weights["x1"].read_bytes()
    write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-n", "mine").exit_code == 0
    assert "mine" in restore("models", "list", "--task", "denoise").stdout
    assert "CC0-1.0" in restore("models", "show", "mine").stdout
    assert json.loads(restore("models", "show", "mine", "--json").stdout)["id"] == "mine"
    assert "mine" in [card["id"] for card in json.loads(restore("models", "list", "--json").stdout)]
    line = refused("sr", "in.png", "-n", "mine", code=2)
    assert "mine keeps the size" in line
    (folder / "mine.safetensors").write_bytes(content[:-1] + b"x")
    assert "mine.safetensors: not the weights its card describes" in refused("denoise", "in.png", "-n", "mine")


def test_commercial_ok_refuses_terms_that_are_not_clearly_so(restore, refused, weights, tmp_path, monkeypatch):
    folder = own_card(tmp_path / "cards", weights, monkeypatch, commercial=False)
    write(tmp_path / "in.png")
    assert "terms (CC0-1.0) do not clearly allow" in refused(
        "denoise", "in.png", "-n", "mine", "--commercial-ok", code=2
    )
    assert "nothing says" in refused("denoise", "in.png", "-n", folder / "mine.safetensors", "--commercial-ok", code=2)
    scored = ("eval", "denoise", "--clean", "in.png", "--sigma", "25", "--commercial-ok")
    assert "terms (CC0-1.0) do not clearly allow" in refused(*scored, "-n", "mine", code=2)
    assert restore(*scored, "-n", "input").exit_code == 0
    listed = json.loads(restore("models", "list", "--commercial", "--json").stdout)
    assert all(card["licence"]["commercial"] for card in listed)
    assert "mine" not in {card["id"] for card in listed}
    assert restore("denoise", "in.png", "--commercial-ok").exit_code == 0


def test_several_files_and_a_folder_are_done_in_order_and_counted(restore, weights, tmp_path):
    for name in ("b.png", "a.png", "scans/d.jpg", "scans/c.tif", "scans/notes.txt.png.txt", "scans/deep/e.png"):
        if name.endswith("txt"):
            (tmp_path / name).write_text("not a picture, and not asked for")
        else:
            write(tmp_path / name)
    result = restore("denoise", "b.png", "a.png", "scans", "-n", weights["x1"])
    assert result.exit_code == 0
    lines = result.stderr.splitlines()
    assert [line.split(" -> ")[0] for line in lines[:-1]] == [
        "[1/4] b.png",
        "[2/4] a.png",
        "[3/4] scans/c.tif",
        "[4/4] scans/d.jpg",
    ]
    assert lines[-1] == "4 done"
    assert (tmp_path / "scans/d_denoise.jpg").exists() and not (tmp_path / "scans/deep/e_denoise.png").exists()


def test_recursive_keeps_the_tree(restore, weights, tmp_path):
    for name in ("in/a.png", "in/one/a.png", "in/one/two/a.png", "in/.hidden/a.png", "in/one/.hidden.png"):
        write(tmp_path / name)
    assert restore("denoise", "in", "-r", "-o", "out", "-n", weights["x1"]).exit_code == 0
    assert tree(tmp_path / "out") == ["a.png", "one/a.png", "one/two/a.png"]


def test_a_quoted_pattern_keeps_the_tree_below_its_first_wildcard(restore, weights, tmp_path):
    for name in ("in/a/x.png", "in/b/x.png", "in/x.png", "in/b/notes.txt"):
        write(tmp_path / name) if name.endswith("png") else (tmp_path / name).write_text("no picture")
    assert restore("denoise", "in/**/*", "-o", "out", "-n", weights["x1"]).exit_code == 0
    assert tree(tmp_path / "out") == ["a/x.png", "b/x.png", "x.png"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (name, name)
        for name in (
            "été 日本.png",
            "two words.png",
            "-dash.png",
            "[1].png",
            "[bold]b[red].png",
            ":smile:.png",
            "{task}.png",
            "back\\slash.png",
            "%s'\".png",
            "UPPER.PNG",
        )
    ]
    + [("new\nline.png", "new\\nline.png"), ("not\udcffutf8.png", "not\\udcffutf8.png")],
)
def test_any_name_is_read_written_shown_on_one_line_and_valid_json(restore, weights, tmp_path, name, shown):
    try:
        write(tmp_path / "plain.png").rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system has no such names")
    result = restore("denoise", "-n", weights["x1"], "--json", "--", name)
    assert result.exit_code == 0
    stem, _, extension = name.rpartition(".")
    assert (tmp_path / f"{stem}_denoise.{extension}").exists()
    (record,) = json.loads(result.stdout)["files"]
    assert record["input"] == name and record["output"] == f"{stem}_denoise.{extension}"
    assert result.stderr.startswith(f"{shown} -> ") and len(result.stderr.splitlines()) == 1


def test_a_file_named_by_output_gets_the_format_of_its_name(restore, weights, tmp_path):
    write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-o", "new/folder/out.tif", "-n", weights["x1"]).exit_code == 0
    assert (tmp_path / "new/folder/out.tif").read_bytes()[:2] in (b"II", b"MM")


def test_in_an_output_folder_names_stay_unless_that_would_be_the_input(restore, weights, tmp_path):
    write(tmp_path / "in/a.png")
    assert restore("denoise", "in", "-o", "out", "-n", weights["x1"]).exit_code == 0
    assert restore("denoise", "in", "-o", "in", "-n", weights["x1"]).exit_code == 0
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert restore("denoise", "in/a.png", "-o", "link", "--suffix", "_x", "-n", weights["x1"]).exit_code == 0
    assert tree(tmp_path / "in") == ["a.png", "a_denoise.png", "a_x.png"]
    assert tree(tmp_path / "out") == ["a.png"]


def test_suffix_and_format_name_the_results_and_a_suffix_asked_for_counts_in_a_folder_too(restore, weights, tmp_path):
    write(tmp_path / "in.jpg")
    assert restore("denoise", "in.jpg", "--suffix", "-clean", "-f", "PNG", "-n", weights["x1"]).exit_code == 0
    assert (tmp_path / "in-clean.png").read_bytes().startswith(b"\x89PNG")
    assert restore("denoise", "in.jpg", "--suffix", "2", "-f", "tiff", "-o", "out", "-n", weights["x1"]).exit_code == 0
    assert tree(tmp_path / "out") == ["in2.tif"]


def test_a_gif_which_we_do_not_write_becomes_a_png(restore, weights, tmp_path):
    write(tmp_path / "in.gif")
    assert restore("denoise", "in.gif", "-n", weights["x1"]).exit_code == 0
    assert (tmp_path / "in_denoise.png").exists()


def test_two_results_of_one_name_are_refused_before_any_work(refused, weights, tmp_path):
    write(tmp_path / "a.jpg"), write(tmp_path / "a.png")
    line = refused("denoise", "a.jpg", "a.png", "-f", "png", "-o", "out", "-n", weights["x1"])
    assert "a.jpg and a.png would both be written to out/a.png" in line
    assert tree(tmp_path) == ["a.jpg", "a.png"]


def test_a_result_that_exists_is_refused_skipped_or_replaced_as_asked(restore, refused, weights, tmp_path):
    write(tmp_path / "in.png")
    (tmp_path / "in_denoise.png").write_bytes(b"precious")
    command = ("denoise", "in.png", "-n", weights["x1"])
    line = refused(*command)
    assert "in_denoise.png exists" in line and "--overwrite or --skip-existing" in line
    result = restore(*command, "--skip-existing")
    assert (result.exit_code, result.stderr) == (0, "in_denoise.png exists, skipped\n")
    assert (tmp_path / "in_denoise.png").read_bytes() == b"precious"
    assert restore(*command, "--overwrite").exit_code == 0
    assert read(tmp_path / "in_denoise.png").shape == (20, 24, 3)


@pytest.mark.parametrize("inputs", [["in", "-r"], ["in/**/*"], ["in/**/*.png", "in/**/*.jpg"]])
@pytest.mark.parametrize(
    ("output", "results"),
    [([], ["a_sr2x.png", "deep/b_sr2x.jpg"]), (["-o", "in/results"], ["results/a.png", "results/deep/b.jpg"])],
)
def test_a_second_run_over_a_folder_or_pattern_takes_no_result_for_an_input(
    restore, weights, tmp_path, inputs, output, results
):
    write(tmp_path / "in/a.png"), write(tmp_path / "in/deep/b.jpg")
    for _ in range(2):
        result = restore("sr", *inputs, "-n", weights["x2"], "--overwrite", *output)
        assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "2 done"), result.stderr
    assert tree(tmp_path / "in") == sorted(["a.png", "deep/b.jpg", *results])


def test_one_file_named_twice_is_done_once(restore, weights, tmp_path):
    write(tmp_path / "a.png")
    result = restore("denoise", "a.png", "./a.png", ".", "*.png", tmp_path / "a.png", "-n", weights["x1"])
    assert (result.exit_code, len(result.stderr.splitlines())) == (0, 1)


def test_a_dry_run_prints_the_plan_and_writes_nothing(restore, weights, tmp_path):
    write(tmp_path / "in/a.png"), write(tmp_path / "in/b.jpg")
    command = ("sr", "in", "-n", weights["x4"], "-o", "out", "--tile", "16", "--dry-run")
    result = restore(*command)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "in/a.png (24x20) -> out/a.png (96x80), 4 tiles" in result.stdout
    assert "x4.safetensors" in result.stdout and "cpu in fp32" in result.stdout
    document = json.loads(restore(*command, "--json").stdout)
    assert [each["status"] for each in document["files"]] == ["planned", "planned"]
    assert tree(tmp_path) == ["in/a.png", "in/b.jpg"]


def test_a_dry_run_foretells_what_would_fail_or_be_skipped(restore, weights, tmp_path):
    write(tmp_path / "a.png"), write(tmp_path / "a_denoise.png")
    (tmp_path / "broken.png").write_bytes(b"")
    command = ("denoise", "a.png", "broken.png", "-n", weights["x1"], "--dry-run", "--json")
    result = restore(*command)
    assert result.exit_code == 1 and len(result.stderr.splitlines()) == 2
    assert [each["status"] for each in json.loads(result.stdout)["files"]] == ["would fail", "would fail"]
    result = restore(*command, "--skip-existing")
    assert [each["status"] for each in json.loads(result.stdout)["files"]] == ["would skip", "would fail"]


def test_json_is_all_there_is_on_standard_output(restore, weights, tmp_path):
    write(tmp_path / "a.png"), write(tmp_path / "b.png")
    (tmp_path / "broken.png").write_text("text")
    result = restore("denoise", "a.png", "broken.png", "b.png", "-n", weights["x1"], "--json", "--reference", "a.png")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["done"], document["failed"], document["skipped"]) == (2, 1, 0)
    assert [each["status"] for each in document["files"]] == ["done", "failed", "done"]
    assert "broken.png" in document["files"][1]["message"]
    assert document["files"][0]["psnr"] > 0 and document["mean"]["psnr"] > 0
    assert document["protocol"].startswith("denoise: ")


def test_json_stays_json_when_nothing_could_be_begun(restore, weights):
    result = restore("denoise", "missing.png", "-n", weights["x1"], "--json")
    assert result.exit_code == 1
    assert "missing.png" in json.loads(result.stdout)["error"]


def test_quiet_says_nothing_but_errors(restore, weights, tmp_path):
    write(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("text")
    result = restore("denoise", "a.png", "-n", weights["x1"], "-q", "--sigma", "3")
    assert (result.exit_code, result.output) == (0, "")
    result = restore("denoise", "a.png", "b.png", "-n", weights["x1"], "-q", "--overwrite")
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (1, "", 1)


def test_identical_pictures_have_an_infinite_psnr_and_json_stays_valid(restore, weights, tmp_path):
    write(tmp_path / "in.png")
    command = ("denoise", "in.png", "-n", weights["x1"], "--strength", "0", "--reference", "in.png", "--overwrite")
    assert "PSNR inf dB, SSIM 1.0000" in restore(*command).stdout

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    document = json.loads(restore(*command, "--json").stdout, parse_constant=refuse)
    assert document["files"][0]["psnr"] is None and document["mean"] == {"psnr": None, "ssim": 1.0}


def test_a_reference_file_or_folder_is_found_by_name_and_scored(restore, weights, tmp_path):
    write(tmp_path / "in/babyx4.png", values(16, 16, seed=1)), write(tmp_path / "in/bird.png", values(16, 16, seed=2))
    write(tmp_path / "clean/bird.png", values(64, 64, seed=2)), write(tmp_path / "clean/baby.png", values(66, 67))
    result = restore("sr", "in", "-n", weights["x4"], "-o", "out", "--reference", "clean")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("in/babyx4.png: PSNR ") and ", SSIM " in lines[0]
    assert lines[1].startswith("in/bird.png: PSNR ")
    assert lines[2].startswith("mean of 2: PSNR ")
    assert "border of 4 px cropped" in lines[2]


def test_the_score_is_that_of_the_file_as_written(restore, weights, tmp_path):
    write(tmp_path / "in.png"), write(tmp_path / "clean.png", values(seed=1))
    result = restore("denoise", "in.png", "-n", weights["x1"], "--reference", "clean.png", "--json")
    (record,) = json.loads(result.stdout)["files"]
    difference = read(tmp_path / "in_denoise.png").astype(float) - read(tmp_path / "clean.png")
    assert record["psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean(difference**2)), abs=1e-6)


def test_a_model_from_the_hub_is_downloaded_once_with_a_word_and_then_found_offline(
    restore, refused, weights, tmp_path, monkeypatch
):
    write(tmp_path / "in.png")
    with HubServer() as hub:
        hub.files["owner/repo/net.safetensors"] = weights["x1"].read_bytes()
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        command = ("denoise", "in.png", "-n", "hf:owner/repo/net.safetensors", "--overwrite")
        assert "net.safetensors is not in" in refused(*command, "--offline")
        assert restore(*command).stderr.startswith("Downloading")
        assert "Downloading" not in restore(*command).stderr
        assert "has no such file" in refused(*command[:3], "hf:owner/repo/other.pth")
    assert restore(*command, "--offline").exit_code == 0


def test_without_a_name_the_embedded_model_is_used_and_a_better_one_named_in_one_line(restore, tmp_path):
    write(tmp_path / "in.png")
    lines = restore("denoise", "in.png").stderr.splitlines()
    assert len([line for line in lines if "`restore models pull nafnet-sidd" in line]) == 1
    assert restore("denoise", "in.png", "-q", "--overwrite").stderr == ""


@pytest.mark.parametrize(
    ("options", "variable", "said"),
    [
        (("--embedded",), "best", "Using unet-denoise-color, which comes with the package, as --embedded asks."),
        (("--best", "--offline"), "", "is not installed and downloads are off"),
        ((), "embedded", "as RESTORE_MODELS asks"),
    ],
)
def test_the_policy_is_an_option_before_it_is_a_variable(restore, tmp_path, monkeypatch, options, variable, said):
    monkeypatch.setenv("RESTORE_MODELS", variable)
    write(tmp_path / "in.png")
    result = restore("denoise", "in.png", *options)
    assert result.exit_code == 0
    assert said in result.stderr
    assert "sha256 " in restore("show", "in_denoise.png").stdout


def test_best_says_in_a_dry_run_what_would_be_downloaded(restore, tmp_path):
    write(tmp_path / "in.png")
    result = restore("denoise", "in.png", "--best", "--dry-run")
    assert "would first be downloaded from hf:" in result.stdout
    assert "best for denoise on a CPU" in result.stderr


def test_a_named_model_and_a_policy_contradict_each_other(refused, tmp_path):
    write(tmp_path / "in.png")
    assert "Leave out --embedded" in refused("denoise", "in.png", "-n", "unet-denoise-color", "--best", code=2)
    assert "contradict" in refused("denoise", "in.png", "--embedded", "--best", code=2)


def test_of_a_family_of_models_the_nearest_to_a_told_level_is_taken(restore, tmp_path):
    write(tmp_path / "in.png")
    planned = restore("denoise", "in.png", "-n", "swinir-denoise-color", "--sigma", "30", "--dry-run")
    assert "swinir-denoise-color-25: would first be downloaded" in planned.stdout
    assert "was made for --sigma 25, not 30" in planned.stderr
