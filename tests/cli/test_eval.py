"""`restore eval`: three ways in, one table out, and nothing scored that should not be."""

from __future__ import annotations

import csv
import json
import re
import shutil

import numpy as np
import pytest

from restore_cli.degradations.resize import resize_bicubic
from restore_cli.evaluation import run
from restore_cli.evaluation.protocol import PROTOCOLS
from restore_cli.models.digest import sha256_of
from tests.pictures import read, values, write


@pytest.fixture
def sharp(tmp_path):
    for index in range(3):
        write(tmp_path / f"set/p{index}.png", values(40, 48, seed=index))
    return tmp_path / "set"


def document(result, code=0):
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def mean(record, model, condition=""):
    (found,) = [each for each in record["mean"] if (each["model"], each["condition"]) == (model, condition)]
    return found


# --- three ways ---


def test_noise_of_several_levels_is_added_restored_and_scored(restore, sharp, weights):
    model = str(weights["x1"])
    levels = ("--sigma", "15", "--sigma", "50")
    found = document(restore("eval", "denoise", "--clean", sharp, *levels, "-n", "input", "-n", model, "--json"))
    assert mean(found, "input", "sigma_255 = 15")["psnr"] == pytest.approx(24.6, abs=0.2)
    assert mean(found, "input", "sigma_255 = 50")["psnr"] == pytest.approx(14.15, abs=0.2)
    assert len(found["pictures"]) == 12 and found["protocol"]["name"] == "denoise"
    assert {each["model"] for each in found["differences"]} == {model}
    assert any("RandomState(0)" in note for note in found["notes"])
    assert any("sha256" in note for note in found["notes"])


def test_what_it_restores_is_what_the_command_restores(restore, sharp, weights, tmp_path):
    for index in range(3):
        write(tmp_path / f"noisy/p{index}x.png", values(40, 48, seed=index + 9))
        (tmp_path / f"noisy/p{index}x.png").rename(tmp_path / f"noisy/p{index}.png")
    assert restore("jpeg", "noisy", "-o", "out", "-n", weights["x1"]).exit_code == 0
    options = ("-n", weights["x1"], "--json")
    run_here = document(restore("eval", "jpeg", "--input", "noisy", "--reference", sharp, *options))
    scored = document(restore("eval", "jpeg", "--pairs", "out", sharp, "--json"))
    ours, theirs = ([each["psnr"] for each in record["pictures"]] for record in (run_here, scored))
    assert ours == theirs
    assert scored["mean"][0]["model"] == "out" and "seconds" not in scored["pictures"][0]


def test_a_recipe_makes_the_input_as_restore_degrade_does(restore, sharp, tmp_path):
    assert restore("degrade", "rain", sharp, "-o", "rainy", "--seed", "7").exit_code == 0
    models = ("-n", "input", "--json")
    made = document(restore("eval", "derain", "--clean", sharp, "--degrade", "rain", "--seed", "7", *models))
    given = document(restore("eval", "derain", "--input", "rainy", "--reference", sharp, *models))
    assert [each["psnr"] for each in made["pictures"]] == [each["psnr"] for each in given["pictures"]]
    assert made["mean"][0]["condition"] == "rain"


def test_sr_reduces_clean_pictures_and_leaves_out_the_border(restore, sharp):
    found = document(restore("eval", "sr", "--clean", sharp, "--scale", "2", "-n", "bicubic", "--json"))
    clean = read(sharp / "p1.png")
    enlarged = resize_bicubic(resize_bicubic(clean, (20, 24)).astype(np.float32) / 255, (40, 48))
    expected = PROTOCOLS["sr"].score(enlarged, clean / 255, 2)
    assert found["pictures"][1]["psnr"] == pytest.approx(expected.psnr, abs=1e-4)
    assert found["protocol"]["border_px"] == 2


@pytest.mark.parametrize(("task", "options"), [("jpeg", ["--quality", "10"]), ("demosaic", ["--cfa", "gbrg"])])
def test_the_papers_conditions_need_one_option(restore, sharp, task, options):
    found = document(
        restore("eval", task, sharp, *options, "-n", "opencv-nlm" if task == "jpeg" else "opencv-ea", "--json")
    )
    assert found["mean"][0]["psnr"] > 25


@pytest.mark.parametrize("layout", [("HR", "LR_bicubic/X2"), ("GTmod12", "LRbicx2")])
def test_a_test_set_is_recognised_by_its_folders(restore, tmp_path, layout):
    write(tmp_path / "Set5" / layout[0] / "p.png", values(40, 48))
    write(tmp_path / "Set5" / layout[1] / "px2.png", values(20, 24))
    found = document(restore("eval", "sr", "Set5", "-s", "2", "-n", "bicubic", "--json"))
    assert found["pictures"][0]["picture"] == "p"
    assert "laid out" in found["notes"][0]


def test_the_default_model_is_the_tasks_grey_pictures_have_their_own(restore, tmp_path):
    write(tmp_path / "set/grey.png", values(24, 24, 1))
    found = document(restore("eval", "denoise", "set", "--sigma", "25", "--json"))
    alone = document(restore("eval", "denoise", "set", "--sigma", "25", "-n", "unet-denoise-grey", "--json"))
    assert found["mean"][0]["model"] == "unet-denoise-color / unet-denoise-grey"
    assert found["mean"][0]["psnr"] == alone["mean"][0]["psnr"]


# --- what is shown ---


def test_the_table_names_protocol_means_and_differences(restore, sharp, weights):
    model = str(weights["x1"])
    result = restore("eval", "denoise", sharp, "--sigma", "25", "-n", "input", "-n", model)
    assert result.stdout.startswith("protocol denoise: ")
    assert "neither clipped nor rounded" in result.stdout and "mean over pictures" in result.stdout
    assert re.search(r"PSNR dB +SSIM.*PSNR over input \[95 %\]", result.stdout)
    assert re.search(rf"sigma_255 = 25 +{re.escape(model)} +3 .* [+-]\d+\.\d\d \[.*\]\n", result.stdout)


def test_every_channel_convention_side_by_side_shows_the_trap(restore, sharp):
    found = document(restore("eval", "jpeg", sharp, "--quality", "10", "-n", "input", "--all-channels", "--json"))
    row = mean(found, "input", "quality = 10")
    assert row["psnr_y"] - row["psnr_y_full"] == pytest.approx(20 * np.log10(255 / 219), abs=0.01)
    assert row["psnr"] == row["psnr_rgb"]
    assert {"psnr_channels.0", "psnr_channels.2", "ssim_y"} <= row.keys()
    table = restore("eval", "jpeg", sharp, "--quality", "10", "-n", "input", "--all-channels").stdout
    assert "G dB" in table


def test_more_metrics_by_name_and_unknown_ones_are_refused(restore, refused, sharp):
    options = ("eval", "jpeg", sharp, "--quality", "10", "-n", "input")
    found = document(restore(*options, "--metrics", "psnr_y, mae", "--json"))
    assert {"psnr", "ssim", "psnr_y", "mae"} <= found["pictures"][0].keys()
    assert "psnry" in refused(*options, "--metrics", "psnry", code=2)


def test_csv_has_every_score(restore, refused, sharp):
    options = ("eval", "jpeg", sharp, "--quality", "10", "--quality", "40", "-n", "input", "--csv", "out.csv")
    found = document(restore(*options, "--json"))
    with open("out.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["psnr"]) for line in lines] == [each["psnr"] for each in found["pictures"]]
    assert lines[1]["condition"] == "quality = 40"
    assert "out.csv exists" in refused(*options)
    assert restore(*options, "--overwrite").exit_code == 0


def test_a_report_holds_pictures_that_were_kept_nowhere_else(restore, refused, sharp, tmp_path):
    options = ("eval", "jpeg", sharp, "--quality", "10", "-n", "input", "-n", "opencv-median", "--report", "out.html")
    record = document(restore(*options, "--json"))
    page = (tmp_path / "out.html").read_text()
    assert page.count("data:image/") >= 9 and "protocol" in page.lower()
    assert "restored" not in record["pictures"][0] and "degraded" not in record["pictures"][0]
    assert "out.html exists" in refused(*options)


def test_identical_pictures_are_infinitely_alike(restore, sharp):
    result = restore("eval", "jpeg", "--pairs", sharp, sharp)
    assert re.search(r" inf +1\.0000", result.stdout)
    assert document(restore("eval", "jpeg", "--pairs", sharp, sharp, "--json"))["mean"][0]["psnr"] is None


def test_a_dry_run_names_the_pairs_and_reads_no_model(restore, sharp, tmp_path):
    (tmp_path / "model.pth").write_bytes(b"not a model")
    result = restore("eval", "denoise", sharp, "--sigma", "25", "-n", "model.pth", "--dry-run")
    assert result.exit_code == 0 and "p2: " in result.stdout
    assert document(restore("eval", "denoise", sharp, "--sigma", "5", "--dry-run", "--json"))["dry_run"] is True


# --- kept, resumed, interrupted ---


def test_a_run_is_kept_and_resumed(restore, refused, sharp, tmp_path):
    options = ("eval", "jpeg", sharp, "--quality", "10", "-n", "input", "-n", "opencv-median", "-o", "kept")
    first = document(restore(*options, "--json"))
    row = first["pictures"][1]
    assert row["restored"] == "kept/restored/quality_10/opencv-median/p0.png"
    assert np.array_equal(read(tmp_path / first["pictures"][0]["restored"]), read(tmp_path / row["degraded"]))
    assert "--resume or --overwrite" in refused(*options)
    again = restore(*options, "--resume", "--json")
    assert "kept/journal.jsonl: 6 scored already" in again.stderr
    assert document(again)["pictures"] == first["pictures"]
    assert document(restore(*options, "--overwrite", "--json"))["mean"] == first["mean"]


def test_ctrl_c_shows_what_was_scored_and_the_next_run_goes_on(restore, sharp, monkeypatch):
    scored = run.write_image
    calls = []

    def interrupted(image, path, **options):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(path)
        scored(image, path, **options)

    options = ("eval", "jpeg", sharp, "--quality", "10", "-n", "input", "-o", "kept")
    with monkeypatch.context() as patch:
        patch.setattr(run, "write_image", interrupted)
        stopped = restore(*options)
    assert stopped.exit_code == 130
    assert "interrupted" in stopped.stderr and re.search(r"input +1 ", stopped.stdout)
    assert "Not finished: 3 pictures" in stopped.stdout
    again = restore(*options, "--resume", "--json")
    assert "kept/journal.jsonl: 1 scored already" in again.stderr
    assert mean(document(again), "input", "quality = 10")["pictures"] == 3


def test_a_bad_picture_in_the_middle_is_named_and_the_rest_scored(restore, sharp):
    (sharp / "p1.png").write_bytes(b"\x89PNG\r\n\x1a\nrest is lost")
    result = restore("eval", "jpeg", sharp, "--quality", "10", "-n", "input")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ") and "p1.png" in result.stderr and result.stderr.count("\n") == 1
    assert re.search(r"input +2 ", result.stdout)
    record = document(restore("eval", "jpeg", sharp, "--quality", "10", "-n", "input", "--json"), code=1)
    assert record["failures"][0]["picture"] == "p1"


# --- published figures ---


@pytest.fixture
def card(tmp_path, weights, monkeypatch):
    """Puts a card with a published figure into the catalogue."""

    def make(psnr, task="jpeg", dataset="set", condition="quality 10"):
        folder = tmp_path / "cards"
        folder.mkdir(exist_ok=True)
        bytes, sha256 = weights["x1"].stat().st_size, sha256_of(weights["x1"])
        shutil.copy(weights["x1"], folder / "mine.safetensors")
        folder.joinpath("mine.toml").write_text(
            f"""
            id = "mine"
            task = "{task}"
            summary = "For a test."
            file = {{name = "mine.safetensors", bytes = {bytes}, sha256 = "{sha256}"}}
            licence = {{name = "MIT", commercial = true, training_data = "none"}}
            [[scores]]
            protocol = "{task}"
            dataset = "{dataset}"
            origin = "published"
            psnr = {psnr}
            condition = "{condition}"
            """
        )
        monkeypatch.setenv("RESTORE_CARDS", str(folder))

    return make


def test_a_published_figure_is_compared_and_a_gap_explained(restore, sharp, card):
    options = ("eval", "jpeg", sharp, "--quality", "10", "-n", "mine", "-n", "input", "--paper")
    card(0.0)
    found = mean(document(restore(*options, "--all-channels", "--json")), "mine", "quality = 10")
    card(found["psnr"] + 0.01)
    assert re.search(r"mine quality = 10: measured .* difference -0.01 dB, agrees", restore(*options).stdout)
    card(found["psnr_y"])
    result = document(restore(*options, "--json"))
    assert result["published"][0]["explanation"].startswith("Y, limited range")
    assert result["published"][0]["difference"] == pytest.approx(found["psnr"] - found["psnr_y"], abs=1e-6)
    card(found["psnr"] + 11)
    result = restore(*options)
    assert "-11.00 dB: unexplained" in result.stdout
    assert "input: no published figure" in result.stdout


def test_figures_of_other_sets_and_levels_are_not_compared(restore, sharp, card):
    for changes in ({"dataset": "LIVE1"}, {"condition": "quality 40"}):
        card(30.0, **changes)
        result = restore("eval", "jpeg", sharp, "--quality", "10", "-n", "mine", "--paper")
        assert "mine: no published figure to compare with" in result.stdout


# --- refusals ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense", "set"], "Unknown task 'nonsense'"),
        (["denoise"], "in one way which pictures"),
        (["denoise", "set", "--clean", "set"], "in one way which pictures"),
        (["denoise", "--input", "set"], "in one way which pictures"),
        (["denoise", "set"], "--sigma LEVEL or --degrade gaussian-noise"),
        (["derain", "set"], "--degrade rain"),
        (["derain", "set", "--sigma", "5"], "--sigma has no meaning with derain"),
        (["jpeg", "set", "--quality", "0"], "--quality 0 is outside 1 to 100"),
        (["denoise", "set", "--sigma", "300"], "--sigma 300 is outside"),
        (["denoise", "set", "--sigma", "5", "--sigma", "5"], "named twice"),
        (["denoise", "set", "--sigma", "5", "--degrade", "jpeg"], "--sigma has no meaning with --degrade"),
        (["denoise", "set", "--sigma", "5", "--scale", "2"], "--scale has no meaning"),
        (["denoise", "set", "--sigma", "5", "-n", "bicubic"], "--model bicubic: no baseline of denoise"),
        (["denoise", "set", "--sigma", "5", "-n", "input", "-n", "input"], "one model twice"),
        (["denoise", "set", "--sigma", "5", "--resume"], "--resume needs the folder"),
        (["denoise", "set", "--sigma", "5", "-o", "k", "--resume", "--overwrite"], "contradict"),
        (["denoise", "set", "--sigma", "5", "-o", ""], "empty"),
        (["denoise", "--input", "set", "--reference", "set", "--degrade", "jpeg"], "--degrade has no meaning"),
        (["denoise", "--input", "set", "--reference", "set", "--seed", "1"], "--seed has no meaning"),
        (["denoise", "--input", "set", "--reference", "set", "--sigma", "1", "--sigma", "2"], "given twice"),
        (["sr", "--pairs", "set", "set"], "Add --scale"),
        (["sr", "set", "--scale", "1"], "does not enlarge"),
        (["jpeg", "--pairs", "set", "set", "-n", "input"], "--model has no meaning with --pairs"),
        (["jpeg", "--pairs", "set", "set", "-o", "kept"], "-o has no meaning with --pairs"),
        (["jpeg", "set", "--degrade", "mosaic"], "does not make what jpeg restores"),
        (["sr", "set", "--degrade", "jpeg"], "does not make what sr x4 restores"),
        (["demosaic", "set", "--degrade", "rain", "-n", "opencv-ea"], "does not make what demosaic restores"),
    ],
)
def test_what_contradicts_itself_is_refused(refused, sharp, arguments, message):
    assert message in refused("eval", *arguments, code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["denoise", "nowhere", "--sigma", "5"], "nowhere: no such folder"),
        (["denoise", "--clean", "empty", "--sigma", "5"], "empty: no pictures in this folder"),
        (["sr", "empty"], "not laid out like a known test set"),
        (["jpeg", "--pairs", "set", "empty"], "empty: no pictures"),
        (["jpeg", "--pairs", "other", "set"], "in other zzz, in set p1, p2"),
        (["jpeg", "--pairs", "twins", "set"], "p0.jpg and twins/p0.png have one name"),
        (["jpeg", "set", "--quality", "5", "-n", "no-such-model"], "no-such-model"),
        (["jpeg", "set", "--degrade", "no-such-kind"], "no-such-kind: no such degradation"),
        (["jpeg", "set", "--quality", "5", "-n", "input", "-o", "set"], "set holds other files"),
        (["jpeg", "set", "--quality", "5", "-n", "input", "--csv", "set"], "set is a folder"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_named(refused, sharp, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    for name in ("other/p0.png", "other/zzz.png", "twins/p0.png", "twins/p0.jpg"):
        write(tmp_path / name, values(40, 48))
    assert message in refused("eval", *arguments)


def test_missing_partners_may_be_allowed_and_are_listed(restore, sharp, tmp_path):
    write(tmp_path / "other/p0.png", values(40, 48, seed=5)), write(tmp_path / "other/zzz.png")
    result = restore("eval", "jpeg", "--pairs", "other", sharp, "--allow-missing")
    assert result.exit_code == 0
    assert "Left out for want of a partner: other/zzz.png, " in result.stdout


def test_a_model_of_another_scale_is_refused(refused, sharp, weights):
    assert "enlarges x2, not x4" in refused("eval", "sr", sharp, "-s", "4", "-n", weights["x2"], code=2)
    assert "enlarges x2" in refused("eval", "jpeg", sharp, "--quality", "5", "-n", weights["x2"], code=2)


# --- the papers' numbers ---


@pytest.mark.shared
def test_bicubic_and_noisy_inputs_have_the_papers_psnr(restore, shared):
    sets = shared / "data/test"
    found = document(restore("eval", "sr", sets / "Set5", "-n", "bicubic", "--json"))
    assert found["mean"][0]["psnr"] == pytest.approx(28.42, abs=0.02)
    found = document(restore("eval", "denoise", sets / "Set12", "--sigma", "25", "-n", "input", "--json"))
    assert found["mean"][0]["psnr"] == pytest.approx(20.18, abs=0.03)
