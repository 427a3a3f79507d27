"""Whatever is wrong: one line that names it and the way out, nothing half-written, the rest still done."""

from __future__ import annotations

import dataclasses
import os
import pickle
import struct
import zlib

import numpy as np
import pytest

from restore_cli.batch.manifest import MANIFEST_NAME
from restore_cli.tasks import TASKS
from tests.pictures import read, values, write


def png_of_size(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def half_a_picture(tmp_path, name):
    path = write(tmp_path / name, values(60, 60))
    content = path.read_bytes()
    path.unlink()
    return content[: len(content) // 2]


BROKEN = {
    "empty.png": lambda tmp_path: b"",
    "text.png": lambda tmp_path: b"these are words\nand more words\n",
    "page.png": lambda tmp_path: b"<html>404 not found</html>",
    "cut.png": lambda tmp_path: half_a_picture(tmp_path, "x.png"),
    "cut.jpg": lambda tmp_path: half_a_picture(tmp_path, "x.jpg"),
    "nothing.png": lambda tmp_path: png_of_size(0, 7),
    "bomb.png": lambda tmp_path: png_of_size(100_000, 100_000),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_picture_is_named_and_nothing_is_written(refused, weights, tmp_path, name):
    (tmp_path / name).write_bytes(BROKEN[name](tmp_path))
    assert name in refused("denoise", name, "-n", weights["x1"])
    assert os.listdir(tmp_path) == [name]


def test_the_good_pictures_of_a_batch_are_done_whatever_the_bad_ones_are(restore, weights, tmp_path):
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content(tmp_path))
    write(tmp_path / "first.png"), write(tmp_path / "last.png"), (tmp_path / "folder.png").mkdir()
    os.symlink("nowhere", tmp_path / "link.png")
    os.mkfifo(tmp_path / "pipe.png")
    bad = ["missing.png", "link.png", "pipe.png", *BROKEN]
    result = restore("denoise", "first.png", *bad, "last.png", "-n", weights["x1"], "-o", "out")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[-1] == f"2 done, {len(bad)} failed"
    for name, line in zip(bad, lines[1:-2], strict=True):
        assert line.startswith("error: ") and name in line
    assert sorted(os.listdir(tmp_path / "out")) == [MANIFEST_NAME, "first.png", "last.png"]


def test_a_missing_file_is_missed_before_a_model_is_loaded(refused):
    assert "There is no file missing.png" in refused("denoise", "missing.png", "-n", "hf:nobody/nothing/net.pth")
    assert "a.png; none of the 3 inputs is there" in refused("denoise", "a.png", "b.png", "c.png", "-n", "nothing.pth")


def test_a_folder_or_pattern_without_pictures_is_refused(refused, weights, tmp_path):
    write(tmp_path / "in/deep/a.png")
    assert "in: no pictures in this folder. Pass --recursive" in refused("denoise", "in", "-n", weights["x1"])
    (tmp_path / "empty").mkdir()
    assert "empty: no pictures" in refused("denoise", "empty", "-r", "-n", weights["x1"])
    assert "*.tif: no picture matches this pattern" in refused("denoise", "*.tif", "-n", weights["x1"])


def test_empty_names_are_refused_and_not_taken_for_the_current_folder(refused, weights, tmp_path):
    write(tmp_path / "a.png")
    assert "input's name is empty" in refused("denoise", "", "-n", weights["x1"], code=2)
    for option in ("--output", "--model", "--mask", "--reference", "--format", "--device", "--log"):
        assert f"{option} is empty" in refused("denoise", "a.png", "-n", weights["x1"], option, "", code=2)
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("option", ["--mask", "--reference"])
@pytest.mark.parametrize("kind", ["missing", "text", "folder"])
def test_a_mask_or_reference_that_is_no_picture_is_named(refused, weights, tmp_path, option, kind):
    write(tmp_path / "in.png")
    if kind == "folder":
        (tmp_path / "other").mkdir()
    elif kind == "text":
        (tmp_path / "other").write_text("words")
    assert "other" in refused("denoise", "in.png", "-n", weights["x1"], option, "other")
    assert not (tmp_path / "in_denoise.png").exists()


def test_a_reference_that_does_not_fit_is_refused_before_the_work(refused, weights, tmp_path):
    write(tmp_path / "in.png"), write(tmp_path / "clean.png", values(20, 25))
    line = refused("denoise", "in.png", "-n", weights["x1"], "--reference", "clean.png")
    assert "clean.png: the reference is 25x20, the restored picture 24x20" in line
    write(tmp_path / "dot.png", values(1, 1)), write(tmp_path / "large.png", values(4, 4))
    assert "border of 4" in refused("sr", "dot.png", "-n", weights["x4"], "--reference", "large.png")
    write(tmp_path / "refs/other.png")
    assert "no picture named 'in'" in refused("denoise", "in.png", "-n", weights["x1"], "--reference", "refs")
    (tmp_path / "cut.png").write_bytes(half_a_picture(tmp_path, "x.png"))
    write(tmp_path / "sixty.png", values(60, 60))
    assert "cut.png is cut short" in refused("denoise", "sixty.png", "-n", weights["x1"], "--reference", "cut.png")
    assert not list(tmp_path.glob("*_*"))


# --- models ---


class Evil:
    """Unpickled carelessly, makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("kind", ["pickle", "old pickle", "torch"])
def test_code_in_a_checkpoint_is_refused_and_not_run(refused, tmp_path, kind):
    import torch

    write(tmp_path / "in.png")
    trap = tmp_path / "trap"
    payload = {"state_dict": {"weight": Evil(trap)}}
    if kind == "torch":
        torch.save(payload, tmp_path / "evil.pth")
    else:
        (tmp_path / "evil.pth").write_bytes(pickle.dumps(payload, protocol=0 if kind == "old pickle" else 4))
    line = refused("denoise", "in.png", "-n", "evil.pth")
    assert "evil.pth" in line and "refused, nothing of it was run" in line and ".safetensors" in line
    assert not trap.exists()
    pickle.loads(pickle.dumps(Evil(trap)))  # it would have worked
    assert trap.exists()


@pytest.mark.parametrize("kind", ["html", "empty", "text", "noise", "cut", "list", "unknown", "misfit"])
def test_a_file_that_is_no_checkpoint_is_refused_by_name(refused, weights, tmp_path, kind):
    import torch
    from safetensors.torch import load_file, save_file

    write(tmp_path / "in.png")
    content = {
        "html": b"<!DOCTYPE html><html><body>Not found</body></html>",
        "empty": b"",
        "text": b"hello world",
        "noise": np.random.default_rng(0).bytes(3000),
        "cut": weights["x1"].read_bytes()[:-500],
    }
    path = tmp_path / "net.pth"
    if kind in content:
        path.write_bytes(content[kind])
    elif kind == "misfit":
        tensors = load_file(weights["x1"])
        tensors["fuse.weight"] = tensors["fuse.weight"][:2].contiguous()
        save_file(tensors, path)
    else:
        torch.save([1, 2] if kind == "list" else {"some.weight": torch.zeros(3)}, path)
    line = refused("denoise", "in.png", "-n", "net.pth")
    assert line.startswith("error: net.pth: ")
    assert "HTML" in line or kind != "html"


def test_a_model_that_is_not_there_is_refused_with_near_names(refused, tmp_path):
    write(tmp_path / "in.png")
    line = refused("sr", "in.png", "-n", "swinir-m-sr-4x")
    assert "swinir-m-sr-4x" in line and "Did you mean" in line and "swinir-m-sr-x4" in line
    assert "nothing.pth: no such model file" in refused("sr", "in.png", "-n", "nothing.pth")
    (tmp_path / "folder").mkdir()
    assert "folder: a folder, not a model file" in refused("sr", "in.png", "-n", "folder")
    assert "'hf:one/two' is not the address" in refused("sr", "in.png", "-n", "hf:one/two", code=2)


def test_a_task_without_weights_names_the_way_out(refused, tmp_path, monkeypatch):
    write(tmp_path / "in.png")
    for name in ("weather", "deblur"):
        monkeypatch.setitem(TASKS, name, dataclasses.replace(TASKS[name], default_models={}))
    line = refused("weather", "in.png")
    assert "'weather'" in line and "-n FILE.pth" in line and "hf:owner/repo/file" in line
    assert "-n nafnet-gopro-width64" in refused("deblur", "in.png")


def test_a_scale_the_model_or_task_cannot_do_is_refused(refused, weights, tmp_path):
    write(tmp_path / "in.png")
    line = refused("sr", "in.png", "--scale", "2", "-n", weights["x4"], code=2)
    assert "enlarges x4, not x2" in line and "--scale 4" in line
    for scale in ("0", "-1", "5"):
        assert "sr offers x2, x3, x4" in refused("sr", "in.png", "--scale", scale, code=2)
    assert "Use it with restore sr" in refused("denoise", "in.png", "-n", weights["x4"], code=2)
    assert "keeps the size" in refused("sr", "in.png", "-n", weights["x1"], code=2)
    assert "keeps the size" in refused("sr", "in.png", "-n", "nafnet-gopro-width64", code=2)  # not downloaded


def test_a_network_that_returns_no_numbers_fails_without_a_black_picture(refused, weights, tmp_path):
    from safetensors.torch import load_file, save_file

    write(tmp_path / "in.png")
    tensors = load_file(weights["x1"])
    tensors["fuse.weight"] *= float("nan")
    save_file(tensors, tmp_path / "nan.safetensors")
    assert "in.png: " in refused("denoise", "in.png", "-n", "nan.safetensors")
    assert not (tmp_path / "in_denoise.png").exists()


# --- options ---


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--overwrite", "--skip-existing"], "contradict"),
        (["--tile", "off", "--tile-overlap", "8"], "no meaning"),
        (["--tile", "8", "--tile-overlap", "8"], "leaves nothing"),
        (["--tile", "0"], "auto, off or a number"),
        (["--tile", "-1"], "auto, off or a number"),
        (["--tile", "1.5"], "auto, off or a number"),
        (["--tile", ""], "auto, off or a number"),
        (["--tile-overlap", "-1"], "negative"),
        (["--strength", "nan"], "between 0 and 1"),
        (["--strength", "1.01"], "between 0 and 1"),
        (["--strength", "-inf"], "between 0 and 1"),
        (["--sigma", "nan"], "--sigma nan is outside 0 to 255"),
        (["--sigma", "-1"], "--sigma -1 is outside"),
        (["--suffix", "a/b"], "another folder"),
        (["-o", "out.png", "-f", "tiff"], "--format tiff contradicts --output out.png"),
        (["-o", "out.png", "--suffix", "_x"], "--suffix has no meaning"),
    ],
)
def test_contradictory_or_impossible_options_are_usage_errors(refused, weights, tmp_path, options, said):
    write(tmp_path / "in.png")
    assert said in refused("denoise", "in.png", "-n", weights["x1"], *options, code=2)
    assert os.listdir(tmp_path) == ["in.png"]


def test_a_format_we_do_not_write_is_refused_before_a_model_is_loaded(refused, tmp_path):
    write(tmp_path / "in.png")
    for options in (["-f", "jpgg"], ["-o", "out.jpgg"], ["-o", "out.gif"], ["-o", "out.jp2"]):
        assert "Accepted: png" in refused("denoise", "in.png", "-n", "hf:nobody/nothing/net.pth", *options)


def test_nothing_of_a_mosaic_can_be_kept(refused, weights, tmp_path):
    write(tmp_path / "in.png", values(channels=1))
    for options in (["--strength", "0.5"], ["--mask", "in.png"]):
        assert "a mosaic, not a picture" in refused("demosaic", "in.png", "-n", weights["x1"], *options, code=2)
    write(tmp_path / "colour.png")
    assert "colour.png: the picture is in colour" in refused("demosaic", "colour.png", "-n", weights["x1"])


# --- outputs ---


@pytest.mark.parametrize("output", ["in.png", "./in.png", "IN.png", "link.png", "folder/../in.png", "away/in.png"])
def test_no_result_ever_replaces_an_input(refused, weights, tmp_path, output):
    before = write(tmp_path / "in.png").read_bytes()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.png").symlink_to("in.png")
    (tmp_path / "away").symlink_to(".")
    line = refused("denoise", "in.png", "-o", output, "--overwrite", "-n", weights["x1"])
    assert "would replace the input" in line
    assert (tmp_path / "in.png").read_bytes() == before


def test_a_result_may_replace_a_hard_link_to_the_input_which_stays_whole(restore, weights, tmp_path):
    before = write(tmp_path / "in.png").read_bytes()
    os.link(tmp_path / "in.png", tmp_path / "twin.png")
    assert restore("denoise", "in.png", "-o", "twin.png", "--overwrite", "-n", weights["x1"]).exit_code == 0
    assert (tmp_path / "in.png").read_bytes() == before


def test_no_result_ever_replaces_its_mask_or_reference(refused, weights, tmp_path):
    write(tmp_path / "noisy/a.png"), write(tmp_path / "clean/a.png"), write(tmp_path / "mask.png", values(channels=1))
    command = ("denoise", "noisy", "--overwrite", "-n", weights["x1"])
    assert "would replace clean/a.png" in refused(*command, "--reference", "clean", "-o", "clean")
    assert "would replace mask.png" in refused(*command, "--mask", "mask.png", "-o", "mask.png")
    assert np.array_equal(read(tmp_path / "clean/a.png"), values())


def test_an_output_that_cannot_be_written_is_refused_before_the_work(refused, weights, tmp_path, monkeypatch):
    write(tmp_path / "in.png")
    (tmp_path / "file").write_text("in the way")

    def no_work(*arguments, **options):
        raise AssertionError("the work was begun")

    monkeypatch.setattr("restore_cli.batch.run.restore_image", no_work)
    command = ("denoise", "in.png", "-n", weights["x1"])
    for output in ("file/out.png", "file/deep/er/"):
        assert "file is a file, not a folder" in refused(*command, "-o", output)
    (tmp_path / "out.png").mkdir()
    write(tmp_path / "more.png"), (tmp_path / "out.png/in.png").mkdir()
    assert "out.png/in.png is a folder" in refused(*command, "-o", "out.png")
    assert "the name is too long" in refused(*command, "--suffix", "x" * 300)
    monkeypatch.setattr(os, "access", lambda *arguments: False)  # as root, nothing is forbidden
    assert "no permission to write" in refused(*command, "-o", "new/out.png")
    assert not (tmp_path / "new").exists()


def test_one_output_file_for_two_inputs_is_a_usage_error(refused, weights, tmp_path):
    write(tmp_path / "a.png"), write(tmp_path / "b.png")
    line = refused("denoise", "a.png", "b.png", "-o", "out.png", "-n", weights["x1"], code=2)
    assert "out.png names one file, but there are 2 inputs" in line


def test_a_picture_its_format_cannot_hold_is_refused_before_the_work(refused, weights, tmp_path, monkeypatch):
    def no_work(*arguments, **options):
        raise AssertionError("the work was begun")

    monkeypatch.setattr("restore_cli.batch.run.restore_image", no_work)
    write(tmp_path / "wide.png", values(1, 20_000))
    line = refused("sr", "wide.png", "-n", weights["x4"], "-f", "jpg")
    assert "wide.png: JPEG holds at most 65535 pixels" in line and "--format png" in line
    write(tmp_path / "clear.png", values(channels=4))
    line = refused("denoise", "clear.png", "-n", weights["x1"], "-f", "jpg")
    assert "clear.png" in line and "transparent" in line and "--format png" in line


def test_a_full_disk_leaves_nothing_behind_and_the_rest_is_tried(restore, weights, tmp_path, monkeypatch):
    import errno

    write(tmp_path / "a.png", values(60, 80)), write(tmp_path / "b.png", values(8, 10))
    real, full = os.fsync, []

    def fsync(descriptor):
        # Both are written at once: the large one is a.png.
        is_large = os.fstat(descriptor).st_size > 2000
        if is_large and os.readlink(f"/proc/self/fd/{descriptor}").endswith(".part") and not full:
            full.append(descriptor)
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    result = restore("denoise", "a.png", "b.png", "-n", weights["x1"], "-o", "out")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (1, "1 done, 1 failed")
    (refused,) = (line for line in result.stderr.splitlines() if "the disk is full" in line)
    assert "out/a.png" in refused
    assert sorted(os.listdir(tmp_path / "out")) == [MANIFEST_NAME, "b.png"]


def test_running_out_of_memory_is_a_failure_of_one_file(restore, weights, tmp_path, monkeypatch):
    import restore_cli.batch.run as run

    write(tmp_path / "a.png"), write(tmp_path / "b.png")
    real = run.restore_image

    def scarce(image, *arguments, **options):
        if not (tmp_path / "tried").exists():
            (tmp_path / "tried").touch()
            raise MemoryError
        return real(image, *arguments, **options)

    monkeypatch.setattr(run, "restore_image", scarce)
    result = restore("denoise", "a.png", "b.png", "-n", weights["x1"])
    assert result.exit_code == 1
    assert "a.png: not enough memory for a picture of 24x20" in result.stderr.splitlines()[0]
    assert (tmp_path / "b_denoise.png").exists()
