"""`-`: a picture in by standard input, out by standard output, and nothing else there."""

from __future__ import annotations

import errno
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from restore_cli.cli import app
from tests.pictures import read, values, write


@pytest.fixture
def pipe(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, given=b"", task="denoise", network="x1"):
        command = [task, *(str(each) for each in arguments), "-n", str(weights[network])]
        result = CliRunner().invoke(app, command, input=given)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def expected(restore, weights, tmp_path):
    source = write(tmp_path / "in.png")
    assert restore("denoise", "in.png", "-o", "expected.png", "-n", weights["x1"]).exit_code == 0
    return source.read_bytes(), read(tmp_path / "expected.png")


@pytest.mark.parametrize("output", [("-o", "-"), ()])
def test_a_pipe_gives_the_pixels_a_file_would(pipe, expected, tmp_path, output):
    before = sorted(tmp_path.iterdir())
    result = pipe("-", *output, given=expected[0])
    assert result.exit_code == 0
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(result.stdout_bytes))), expected[1])
    assert result.stderr.startswith("standard input -> standard output (24x20")
    assert sorted(tmp_path.iterdir()) == before


def test_either_end_may_be_a_file(pipe, expected, tmp_path):
    assert pipe("-", "-o", "out.png", given=expected[0]).exit_code == 0
    assert np.array_equal(read(tmp_path / "out.png"), expected[1])
    result = pipe("in.png", "-o", "-", "-f", "tiff")
    assert result.stdout_bytes[:2] in (b"II", b"MM")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(result.stdout_bytes))), expected[1])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM", "GIF"])
def test_the_format_is_that_of_what_comes_in_as_far_as_we_write_it(pipe, kind):
    Image.fromarray(values()).save(given := io.BytesIO(), kind)
    result = pipe("-", given=given.getvalue())
    assert result.exit_code == 0, result.stderr
    assert Image.open(io.BytesIO(result.stdout_bytes)).format == ("PNG" if kind == "GIF" else kind)


@pytest.mark.parametrize(
    ("given", "said"), [(b"", "standard input is empty"), (b"text and no picture", "standard input is not a picture")]
)
def test_what_is_no_picture_is_said_of_the_stream(pipe, given, said):
    result = pipe("-", given=given)
    assert (result.exit_code, result.stdout_bytes) == (1, b"")
    assert result.stderr.startswith(f"error: {said}") and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-", "in.png"), "the only input"),
        (("in.png", "in2.png", "-o", "-"), "takes one picture, but there are 2 inputs"),
        (("in.png", "-o", "-", "--json"), "--json prints to standard output"),
        (("in.png", "-o", "-", "--reference", "in.png"), "--reference prints to standard output"),
        (("in.png", "-o", "-", "--sidecar"), "--sidecar needs a file"),
        (("in.png", "-o", "-", "--resume"), "--resume needs a file"),
    ],
)
def test_what_does_not_go_with_a_pipe_is_a_usage_error(pipe, tmp_path, arguments, said):
    write(tmp_path / "in.png"), write(tmp_path / "in2.png")
    result = pipe(*arguments)
    assert result.exit_code == 2 and said in result.stderr
    assert b"PNG" not in result.stdout_bytes


def test_a_file_called_dash_is_still_a_file(pipe, tmp_path):
    write(tmp_path / "-.png").rename(tmp_path / "-")
    assert pipe("./-", "-o", "out.png").exit_code == 0


def test_a_scale_too_large_for_the_format_is_said_of_the_stream(pipe):
    Image.fromarray(values(1, 20_000)).save(given := io.BytesIO(), "JPEG")
    result = pipe("-", given=given.getvalue(), task="sr", network="x4")
    assert result.exit_code == 1 and "standard input: JPEG holds at most 65535" in result.stderr


def test_real_pipes_carry_the_picture(weights, tmp_path):
    """As in `cat a.png | restore denoise - -o - > b.png`."""
    write(tmp_path / "in.png")
    command = [sys.executable, "-m", "restore_cli", "denoise", "-", "-o", "-", "-n", str(weights["x1"])]
    with (tmp_path / "in.png").open("rb") as given:
        done = subprocess.run(command, stdin=given, capture_output=True, cwd=tmp_path)
    assert done.returncode == 0 and Image.open(io.BytesIO(done.stdout)).size == (24, 20)


def test_a_reader_that_goes_away_is_no_traceback(pipe, expected, monkeypatch):
    def gone(source, target):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("restore_cli.cli._pipes.shutil.copyfileobj", gone)
    result = pipe("in.png", "-o", "-")
    assert result.exit_code == 1 and result.stdout_bytes == b""
