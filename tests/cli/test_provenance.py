"""What results say about themselves, and `restore show` and `restore redo`, which read it."""

import json
import shutil
from dataclasses import replace

import pytest
from PIL import Image, PngImagePlugin

from restore_cli.batch.redo import compare
from restore_cli.inference.memory import TileMemory
from restore_cli.io.provenance import embed, find
from restore_cli.io.read import read_image, read_metadata
from tests.pictures import read, values, write


@pytest.fixture
def made(restore, weights, tmp_path):
    """A result in the folder with its input and its model: in.png -> out.png by net.safetensors."""
    write(tmp_path / "in.png")
    shutil.copy(weights["x1"], tmp_path / "net.safetensors")
    assert restore("denoise", "in.png", "-o", "out.png", "-n", "net.safetensors", "--strength", "0.7").exit_code == 0
    return tmp_path / "out.png"


def test_show_tells_people_what_made_a_picture(restore, made):
    result = restore("show", "out.png")
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[0].startswith("denoise, 20") and lines[0].endswith("restore 0.1.0")
    assert lines[1].startswith("  input       in.png  sha256 ")
    assert lines[2].startswith("  model       net.safetensors  sha256 ")
    assert lines[3].startswith("  on          cpu in fp32 (torch ")
    assert lines[4] == "  settings    strength 0.7"


def test_show_tells_programs_everything(restore, made, weights):
    document = json.loads(restore("show", "out.png", "--json").stdout)
    (step,) = document["steps"]
    assert (document["file"], document["sidecar"], document["matches"]) == ("out.png", None, True)
    assert (step["task"], step["precision"], step["settings"]["finish"]["strength"]) == ("denoise", "fp32", 0.7)
    assert step["input"]["name"] == "in.png"


def test_no_folder_of_the_disk_is_told(restore, made, weights, tmp_path):
    write(tmp_path / "mask.png", values(channels=1))
    command = ("denoise", tmp_path / "in.png", "-n", weights["x1"], "--mask", tmp_path / "mask.png", "--overwrite")
    assert restore(*command, "-o", made).exit_code == 0
    packet = read_metadata(made).xmp
    assert b"mask.png" in packet
    assert not [folder for folder in (tmp_path, weights["x1"].parent) if str(folder).encode() in packet]


def test_two_steps_are_told_in_order_and_the_pictures_own_words_stay(restore, weights, tmp_path):
    packet = embed(None, find_made(restore, weights, tmp_path)).replace(b"</rdf:RDF>", b"<!-- kept --></rdf:RDF>")
    Image.fromarray(values()).save(tmp_path / "a.webp", xmp=packet)
    assert restore("sr", "a.webp", "-n", weights["x2"], "-o", "b.png").exit_code == 0
    lines = restore("show", "b.png").stdout.splitlines()
    assert [line.split(",")[0] for line in lines if not line.startswith(" ")] == ["denoise", "sr"]
    assert b"<!-- kept -->" in read_metadata(tmp_path / "b.png").xmp


def find_made(restore, weights, folder):
    write(folder / "first.png")
    assert restore("denoise", "first.png", "-n", weights["x1"]).exit_code == 0
    return find(folder / "first_denoise.png")


def test_stripped_results_and_foreign_pictures_say_nothing(restore, refused, weights, tmp_path):
    write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-n", weights["x1"], "--strip").exit_code == 0
    for name in ("in.png", "in_denoise.png"):
        assert f"{name} does not say how it was made" in refused("show", name)
        assert "does not say" in refused("redo", name, "--check")


@pytest.mark.parametrize("name", ["out.ppm", "out.bmp"])
def test_a_format_without_room_says_so_and_a_sidecar_speaks_for_it(restore, refused, weights, tmp_path, name):
    write(tmp_path / "in.png")
    result = restore("denoise", "in.png", "-o", name, "-n", weights["x1"])
    assert "has no place for how it was made" in result.stderr and "--sidecar" in result.stderr
    assert "does not say" in refused("show", name)
    result = restore("denoise", "in.png", "-o", name, "-n", weights["x1"], "--sidecar", "--overwrite")
    assert "no place" not in result.stderr
    assert f"{name}.restore.json" in json.loads(restore("show", name, "--json").stdout)["sidecar"]
    assert restore("redo", name, "--check", "-n", weights["x1"]).stdout == f"{name}: same\n"
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1] + b"\0")
    assert "has changed since" in restore("show", name).stderr


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.tif", "out.webp"])
def test_redo_makes_the_same_file_to_the_byte_from_anywhere(restore, weights, tmp_path, name, monkeypatch):
    write(tmp_path / "in.png", values(bits=16))
    assert restore("denoise", "in.png", "-o", name, "-n", weights["x1"], "--tta").exit_code == 0
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # another time
    shutil.move(tmp_path / "in.png", tmp_path / "moved to.png")
    shutil.copy(weights["x1"], tmp_path / "renamed.safetensors")
    result = restore("redo", name, "--input", "moved to.png", "-n", "renamed.safetensors")
    stem, suffix = name.split(".")
    assert (result.exit_code, result.stdout) == (0, f"{name}: same\n"), result.stderr
    assert (tmp_path / f"{stem}_redo.{suffix}").read_bytes() == (tmp_path / name).read_bytes()


def test_redo_finds_input_mask_and_model_by_name_in_a_folder(restore, weights, tmp_path):
    write(tmp_path / "deep/er/in.png"), write(tmp_path / "deep/in.png", values(seed=1))
    write(tmp_path / "mask.png", values(channels=1))
    shutil.copy(weights["x2"], tmp_path / "net.safetensors")
    command = ("sr", "deep/er/in.png", "-n", "net.safetensors", "--mask", "mask.png", "-o", "out.tif")
    assert restore(*command).exit_code == 0
    shutil.move(tmp_path / "mask.png", tmp_path / "deep/mask.png")
    shutil.move(tmp_path / "net.safetensors", tmp_path / "deep/er/net.safetensors")
    assert restore("redo", "out.tif", "--check", "--input", "deep").stdout == "out.tif: same\n"


def test_a_grey_pictures_own_model_is_recorded_and_repeated(restore, tmp_path):
    write(tmp_path / "grey.png", values(channels=1))
    assert restore("denoise", "grey.png").exit_code == 0
    assert "  model       unet-denoise-grey  sha256 " in restore("show", "grey_denoise.png").stdout
    assert restore("redo", "grey_denoise.png", "--check").stdout == "grey_denoise.png: same\n"


def test_check_says_how_a_changed_file_differs_and_leaves_nothing(restore, made, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    samples = read(made)
    samples[0, 0] ^= 1
    packet = read_image(made).xmp
    Image.fromarray(samples).save(tmp_path / "x.png")
    with Image.open(tmp_path / "x.png") as picture:
        picture.save(made, pnginfo=_with(packet))
    (tmp_path / "x.png").unlink()
    result = restore("redo", "out.png", "--check")
    assert result.exit_code == 1
    assert result.stdout.startswith("out.png: differs in 3 of 1440 samples, by at most 1 of 255")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_whose_metadata_alone_has_changed_is_told_apart(restore, made):
    packet = read_image(made).xmp
    with Image.open(made) as picture:
        picture.load()
        picture.save(made, pnginfo=_with(packet))
    document = json.loads(restore("redo", "out.png", "--check", "--json").stdout)
    assert (document["verdict"], document["same"], document["same_pixels"]) == (
        "same pixels, other metadata",
        False,
        True,
    )
    assert document["output"] is None


def _with(packet):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    info.add_text("Comment", "changed")
    return info


def test_what_went_wrong_on_the_way_is_recorded(restore, weights, tmp_path, monkeypatch):
    from restore_cli.inference.device import OnDevice
    from restore_cli.options import Precision

    real = OnDevice._run

    def overflowing(self, picture, conditioning, precision):
        result = real(self, picture, conditioning, precision)
        return result if precision is Precision.FP32 else result * float("inf")

    monkeypatch.setattr(OnDevice, "_run", overflowing)
    write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-o", "out.png", "-n", weights["x1"], "--precision", "bf16").exit_code == 0
    (note,) = find(tmp_path / "out.png").notes
    assert note.startswith("bf16 overflowed")
    assert f"  noted       {note}" in restore("show", "out.png").stdout.splitlines()
    result = restore("redo", "out.png", "--check", "-n", weights["x1"])
    assert result.stdout == "out.png: same\n" and f"the first run noted: {note}" in result.stderr


def test_redo_cuts_as_small_as_memory_once_sufficed_for(restore, weights, tmp_path, monkeypatch):
    write(tmp_path / "in.png", values(70, 90, bits=16))
    # Without an overlap every seam shows.
    command = ("denoise", "in.png", "-n", weights["x1"], "--tile-overlap", "0", "-o")
    assert restore(*command, "plenty.png").exit_code == 0
    with monkeypatch.context() as crowded:
        crowded.setattr(TileMemory, "shortage", lambda self, shape: "none is left" if max(shape[2:]) > 24 else "")
        result = restore(*command, "short.png")
        assert result.exit_code == 0 and "tiles of 22 pixels" in result.stderr
    assert not compare(tmp_path / "short.png", tmp_path / "plenty.png").same_pixels
    assert find(tmp_path / "short.png").environment["tile_px"] == "22"
    result = restore("redo", "short.png", "-n", weights["x1"])
    assert result.stdout == "short.png: same\n"
    assert (tmp_path / "short_redo.png").read_bytes() == (tmp_path / "short.png").read_bytes()
    assert restore("redo", "plenty.png", "-n", weights["x1"], "--check").stdout == "plenty.png: same\n"


def test_what_a_device_had_no_memory_for_is_repeated_where_it_was_done(restore, weights, tmp_path):
    write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-n", weights["x1"]).exit_code == 0
    made = tmp_path / "in_denoise.png"
    step = find(made)
    assert "device" not in step.settings["run"]  # or the same picture would be another file by --devices cpu,cpu
    run = {**step.settings["run"], "precision": "bf16"}
    _say(made, replace(step, settings={**step.settings, "run": run}))
    assert "same pixels" in restore("redo", made.name, "-n", weights["x1"], "--check").stdout
    _say(made, replace(step, device="cuda:99"))
    result = restore("redo", made.name, "-n", weights["x1"], "--check")
    assert "same pixels" in result.stdout and "device was cuda:99, is " in result.stderr


def test_redo_refuses_an_input_or_a_model_that_is_another(refused, made, weights, tmp_path):
    line = refused("redo", "out.png", "--check", "-n", weights["wne"])
    assert "net.safetensors is not the model of that run" in line
    write(tmp_path / "in.png", values(seed=1))
    line = refused("redo", "out.png", "--check")
    assert "in.png is not the input of that run: its sha256 is not " in line and "--input PATH" in line
    (tmp_path / "in.png").unlink()
    assert "The input in.png was not found" in refused("redo", "out.png", "--check")
    assert "There is no file gone" in refused("redo", "out.png", "--input", "gone")


def test_redo_refuses_a_mask_that_is_gone(restore, refused, made, tmp_path):
    write(tmp_path / "mask.png", values(channels=1))
    command = ("denoise", "in.png", "-n", "net.safetensors", "--mask", "mask.png", "-o", "out.png", "--overwrite")
    assert restore(*command).exit_code == 0
    (tmp_path / "mask.png").unlink()
    assert "The mask mask.png was not found" in refused("redo", "out.png")


def test_redo_replaces_nothing_unless_asked(restore, refused, made, tmp_path):
    (tmp_path / "out_redo.png").write_bytes(b"precious")
    assert "out_redo.png exists" in refused("redo", "out.png")
    assert "out.png is the picture to repeat" in refused("redo", "out.png", "-o", "out.png", "--overwrite")
    assert "out.jpg would not be the same: out.png is PNG" in refused("redo", "out.png", "-o", "out.jpg", code=2)
    assert "--check keeps no result" in refused("redo", "out.png", "-o", "a.png", "--check", code=2)
    assert restore("redo", "out.png", "--overwrite").stdout == "out.png: same\n"
    (tmp_path / "folder").mkdir()
    assert restore("redo", "out.png", "-o", "folder").exit_code == 0
    assert (tmp_path / "folder/out.png").read_bytes() == made.read_bytes()


def test_a_record_of_another_version_or_machine_is_followed_with_a_word(restore, made, tmp_path):
    step = find(made)
    elsewhere = replace(step, version="0.0.9", environment={**step.environment, "processor": "Z80"})
    _say(made, elsewhere)
    result = restore("redo", "out.png", "--check")
    assert "not as it was: restore was 0.0.9, is 0.1.0" in result.stderr
    assert "not as it was: processor was Z80, is " in result.stderr
    assert (result.exit_code, result.stdout) == (1, "out.png: same pixels, other metadata\n")


def test_a_record_that_cannot_be_followed_is_refused(refused, made):
    step = find(made)
    _say(made, replace(step, settings={**step.settings, "task": "cook"}))
    line = refused("redo", "out.png", "--check")
    assert "The record cannot be followed" in line and "cook" in line
    for part in ("run", "finish"):
        _say(made, replace(step, settings={**step.settings, part: 3}))
        assert "The record cannot be followed" in refused("redo", "out.png", "--check")


def _say(path, step):
    """Put this record into a picture in the place of its own."""
    with Image.open(path) as picture:
        picture.load()
        picture.save(path, pnginfo=_with(embed(None, step)))


def test_a_picture_that_fills_its_jpeg_with_words_keeps_them_and_fails_not(restore, weights, tmp_path):
    packet = embed(None, find_made(restore, weights, tmp_path))
    packet += b" " * (65_504 - len(packet))
    Image.fromarray(values()).save(tmp_path / "in.jpg", xmp=packet)
    result = restore("sr", "in.jpg", "-n", weights["x2"])
    assert result.exit_code == 0 and "in_sr2x.jpg does not say how it was made" in result.stderr
    assert read_metadata(tmp_path / "in_sr2x.jpg").xmp == packet


def test_a_damaged_packet_stays_as_it_is_with_a_word(restore, weights, tmp_path):
    Image.fromarray(values()).save(tmp_path / "in.webp", xmp=b"<x:xmpmeta>cut sh")
    result = restore("denoise", "in.webp", "-o", "out.png", "-n", weights["x1"])
    assert result.exit_code == 0 and "out.png does not say how it was made" in result.stderr
    assert read_metadata(tmp_path / "out.png").xmp == b"<x:xmpmeta>cut sh"


def test_the_page_of_a_file_of_several_is_recorded_and_repeated(restore, weights, tmp_path):
    pages = [Image.fromarray(values(seed=seed)) for seed in range(3)]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    assert restore("denoise", "in.tif", "--frames", "all", "-n", weights["x1"], "-o", "out").exit_code == 0
    names = sorted(path.name for path in (tmp_path / "out").glob("*.tif"))
    assert [find(tmp_path / "out" / name).frame for name in names] == [0, 1, 2]
    assert restore("show", f"out/{names[2]}").stdout.splitlines()[1].endswith(", picture 2")
    result = restore("redo", f"out/{names[2]}", "--check", "--input", ".", "-n", weights["x1"])
    assert result.stdout == f"out/{names[2]}: same\n"
