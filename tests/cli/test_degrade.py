from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageCms

from restore_cli.degradations.recipes import DEGRADATIONS
from tests.pictures import read, values, write

PHOTO = values(40, 48)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "kind", [kind for kind in DEGRADATIONS if kind not in ("bicubic", "mosaic", "chain", "choice")]
)
def test_a_kind_by_its_name_degrades_beside_the_input(restore, tmp_path, kind):
    before = write(tmp_path / "in.png", PHOTO).read_bytes()
    result = restore("degrade", kind, "in.png", "--seed", "1")
    assert (result.exit_code, result.stderr, result.stdout) == (0, f"in.png -> in_{kind}.png\n", "")
    assert files(tmp_path) == ["in.png", f"in_{kind}.png"]
    assert (tmp_path / "in.png").read_bytes() == before
    degraded = read(tmp_path / f"in_{kind}.png")
    assert (degraded.shape, degraded.dtype) == (PHOTO.shape, np.uint8)
    assert not np.array_equal(degraded, PHOTO)


def test_a_picture_is_degraded_alike_alone_in_company_and_in_another_format(restore, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        write(tmp_path / "in" / name, PHOTO)
    write(tmp_path / "b.tif", PHOTO)
    assert restore("degrade", "rain", "in", "-o", "all").exit_code == 0
    assert files(tmp_path / "all") == ["a.png", "b.png", "c.png"]
    assert restore("degrade", "rain", "b.tif", "-o", "alone.png").exit_code == 0
    assert np.array_equal(read(tmp_path / "alone.png"), read(tmp_path / "all/b.png"))
    assert not np.array_equal(read(tmp_path / "all/a.png"), read(tmp_path / "all/b.png"))
    assert restore("degrade", "rain", "b.tif", "-o", "other.png", "--seed", "1").exit_code == 0
    assert not np.array_equal(read(tmp_path / "other.png"), read(tmp_path / "alone.png"))


def test_settings_change_what_is_done(restore, tmp_path):
    write(tmp_path / "in.png", PHOTO)
    sizes = []
    for quality in ("10", "[90, 95]"):
        assert restore("degrade", "jpeg", "in.png", "--set", f"quality={quality}", "--overwrite").exit_code == 0
        sizes.append(np.abs(read(tmp_path / "in_jpeg.png").astype(int) - PHOTO).mean())
    assert sizes[0] > 2 * sizes[1]


def test_reducing_reduces_and_grey_stays_grey(restore, tmp_path):
    write(tmp_path / "in.png", values(41, 50, channels=1))
    assert restore("degrade", "bicubic", "in.png", "-o", "small.png", "--set", "scale=4").exit_code == 0
    assert read(tmp_path / "small.png").shape == (10, 12)


@pytest.mark.parametrize("pattern", ["rggb", "gbrg"])
def test_a_mosaic_is_the_raw_picture_that_demosaic_reads(restore, weights, tmp_path, pattern):
    write(tmp_path / "in.png", PHOTO)
    wanted = ["--set", f'patterns=["{pattern}"]']
    assert restore("degrade", "mosaic", "in.png", "-o", "raw.png", *wanted).exit_code == 0
    raw = read(tmp_path / "raw.png")
    for place, colour in enumerate(pattern):
        row, column = divmod(place, 2)
        assert np.array_equal(raw[row::2, column::2], PHOTO[row::2, column::2, "rgb".index(colour)])
    assert restore("demosaic", "raw.png", "--cfa", pattern, "-n", weights["unet"]).exit_code == 0


def test_the_pattern_that_was_drawn_is_said(restore, tmp_path):
    names = [f"{letter}.png" for letter in "abcdef"]
    for name in names:
        write(tmp_path / name, PHOTO)
    document = json.loads(
        restore("degrade", "mosaic", *names, "--set", 'patterns=["rggb","bggr","gbrg"]', "-o", "drawn", "--json").stdout
    )
    drawn = [each["cfa"] for each in document["files"]]
    assert len(set(drawn)) > 1
    for name, pattern in zip(names, drawn, strict=True):
        made = restore("degrade", "mosaic", name, "--set", f"patterns={pattern}", "-o", "one.png", "--overwrite")
        assert made.stderr == f"{name} -> one.png (--cfa {pattern})\n"
        assert np.array_equal(read(tmp_path / "one.png"), read(tmp_path / "drawn" / name))


def test_a_file_can_say_more_than_a_name(restore, tmp_path):
    write(tmp_path / "in.png", PHOTO)
    (tmp_path / "phone.toml").write_text(
        'kind = "chain"\nsteps = [\n  { kind = "motion-blur", length_px = 6 },\n'
        '  { kind = "choice", of = [{ kind = "gaussian-noise" }, { kind = "poisson-gaussian" }] },\n'
        '  { kind = "jpeg", quality = [30, 50] },\n]\n'
    )
    assert restore("degrade", "phone.toml", "in.png").exit_code == 0
    assert files(tmp_path) == ["in.png", "in_phone.png", "phone.toml"]


def test_profile_and_depth_of_the_file(restore, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    write(tmp_path / "in.png", PHOTO, icc_profile=profile)
    write(tmp_path / "deep.png", values(bits=16))
    assert restore("degrade", "snow", "in.png", "deep.png", "-o", "out").exit_code == 0
    with Image.open(tmp_path / "out/in.png") as written:
        assert written.info["icc_profile"] == profile
    assert read(tmp_path / "out/deep.png").dtype == np.uint8
    assert restore("degrade", "mosaic", "in.png", "-o", "raw.png").exit_code == 0
    with Image.open(tmp_path / "raw.png") as written:
        assert "icc_profile" not in written.info


def test_nothing_is_overwritten_unless_asked(restore, refused, tmp_path):
    write(tmp_path / "in.png", PHOTO)
    write(tmp_path / "out.png", PHOTO)
    assert "out.png exists" in refused("degrade", "rain", "in.png", "-o", "out.png")
    skipped = restore("degrade", "rain", "in.png", "-o", "out.png", "--skip-existing")
    assert (skipped.exit_code, skipped.stderr) == (0, "out.png exists, skipped\n")
    assert np.array_equal(read(tmp_path / "out.png"), PHOTO)
    assert restore("degrade", "rain", "in.png", "-o", "out.png", "--overwrite").exit_code == 0
    assert not np.array_equal(read(tmp_path / "out.png"), PHOTO)


def test_a_bad_file_does_not_stop_the_others_and_json_tells(restore, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    write(tmp_path / "b.png", PHOTO)
    result = restore("degrade", "jpeg", "a.png", "b.png", "-o", "out", "--json", "--set", "quality=7")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: a.png")
    document = json.loads(result.stdout)
    assert [each["status"] for each in document["files"]] == ["failed", "done"]
    assert document["settings"] == {"quality": [7, 7], "twice": 0.0}
    assert (document["recipe"], document["seed"]) == ("jpeg", 0)
    assert document["files"][1]["width"] == 48


def test_a_dry_run_writes_nothing_and_says_what_it_would(restore, tmp_path):
    write(tmp_path / "in.png", PHOTO)
    result = restore("degrade", "rain", "in.png", "-o", "out", "--dry-run")
    assert (result.exit_code, result.stdout) == (0, "in.png -> out/in.png\n")
    document = json.loads(restore("degrade", "rain", "in.png", "-o", "out", "--dry-run", "--json").stdout)
    assert (document["dry_run"], document["files"][0]["status"]) == (True, "planned")
    assert (
        "in.png: 48x40 pixels cannot be reduced by 64"
        in restore("degrade", "bicubic", "in.png", "--set", "scale=64", "--dry-run").stderr
    )
    (tmp_path / "bad.png").write_bytes(b"x")
    assert restore("degrade", "rain", "in.png", "bad.png", "-o", "out", "--dry-run").exit_code == 1
    assert files(tmp_path) == ["bad.png", "in.png"]


def test_quiet_says_nothing(restore, tmp_path):
    write(tmp_path / "in.png", PHOTO)
    assert restore("degrade", "rain", "in.png", "-q").output == ""


def test_the_list_names_every_kind_with_its_settings(restore):
    result = restore("degrade", "--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith(" ")] == list(DEGRADATIONS)
    assert "    scale = (required)" in lines
    assert "    quality = [10, 40]" in lines


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["hail", "in.png"], 1, "hail: no such degradation. A TOML file, or one of bicubic,"),
        (["rain", "none.png"], 1, "There is no file none.png"),
        (["rain", "in.png", "--set", "density"], 2, "--set density: no value"),
        (["rain", "in.png", "--set", "densty=3"], 1, "rain: unknown key 'densty'. Did you mean 'density'?"),
        (["jpeg", "in.png", "--set", "quality=0"], 1, "Jpeg: quality = [0, 0] is out of range. 1 to 100"),
        (["jpeg", "in.png", "--set", "quality=high"], 1, "jpeg.quality: expected"),
        (["bicubic", "in.png"], 1, "bicubic: missing scale"),
        (["bicubic", "in.png", "--set", "scale=64"], 1, "in.png: 48x40 pixels cannot be reduced by 64"),
        (
            ["mosaic", "in.png", "--set", "sigma_255=-5"],
            1,
            "Mosaic: sigma_255 = [-5.0, -5.0] is out of range",
        ),
        (["jpeg", "in.png", "--set", "kind=rain"], 2, "--set kind: the kind is jpeg"),
        (["rain", "in.png", "-o", "out.jpg"], 1, "--output out.jpg: results are PNG"),
        (["rain", "in.png", "-o", ""], 2, "--output is empty"),
        (["rain", "-"], 2, "Pipes are not supported"),
        (["rain", "in.png", "--overwrite", "--skip-existing"], 2, "contradict each other"),
    ],
)
def test_what_cannot_be_done_is_one_line(refused, tmp_path, arguments, code, said):
    write(tmp_path / "in.png", PHOTO)
    assert said in refused("degrade", *arguments, code=code)
    assert files(tmp_path) == ["in.png"]
