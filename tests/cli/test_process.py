"""What only a process of its own can show: imports, streams, signals, limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from restore_cli.batch.manifest import MANIFEST_NAME
from tests.pictures import read, values, write

HEAVY = (
    *("torch", "torchvision", "spandrel", "cv2", "huggingface_hub", "safetensors", "numpy", "PIL", "matplotlib"),
    *("ray", "fsspec"),
)


def python(code, cwd, *, environment=None, **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **(environment or {})}, text=True, **options)


def test_help_imports_nothing_heavy(tmp_path):
    code = f"""
import sys
from typer.testing import CliRunner
from restore_cli.cli import app
from restore_cli.cli.restore import COMMANDS
for command in [[], *([name] for name in COMMANDS), ["models"], ["train"]]:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.stdout
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = python(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_refusals_that_need_no_network_import_no_torch(tmp_path):
    write(tmp_path / "in.png")
    code = """
import sys
from typer.testing import CliRunner
from restore_cli.cli import app
for command in (["sr", "missing.png"], ["sr", "in.png", "-o", "out.xyz"], ["sr", "in.png", "--mask", "missing"],
                ["sr", "in.png", "--tile", "0"], ["models", "list"], ["models", "show", "no"]):
    result = CliRunner().invoke(app, command)
    assert "Traceback" not in result.output
    print(result.exit_code, end=" ")
print("torch" in sys.modules)
"""
    done = python(code, tmp_path)
    assert (done.stdout, done.stderr) == ("1 1 1 2 0 1 False\n", "")


def test_other_peoples_warnings_do_not_reach_the_user(tmp_path):
    code = """
import warnings
from restore_cli import cli
cli.app = lambda: warnings.warn("torch.meshgrid: in an upcoming release")
cli.main()
"""
    assert python(code, tmp_path).stderr == ""
    assert "meshgrid" in python(code, tmp_path, environment={"PYTHONWARNINGS": "default"}).stderr


def test_what_is_said_while_a_decoder_is_kept_quiet_is_heard(tmp_path):
    code = """
import os, sys
from restore_cli import cli
from restore_cli.io.tiff_parts import quiet_stderr
def app():
    with quiet_stderr():
        os.write(2, b"libtiff: ...")
        print("error: a.tif is damaged.", file=sys.stderr)
cli.app = app
cli.main()
"""
    assert python(code, tmp_path).stderr == "error: a.tif is damaged.\n"


@pytest.mark.parametrize("arguments", ["'models', 'list'", "'models', 'list', '--json'"])
def test_a_reader_that_goes_away_or_a_full_disk_behind_standard_output_is_no_traceback(tmp_path, arguments):
    code = f"import sys; from restore_cli.cli import main; sys.argv = ['restore', {arguments}]; main()"
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as closed:
        done = python(code, tmp_path, stdout=closed)
    assert (done.returncode, done.stderr) == (1, "")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = python(code, tmp_path, stdout=full)
        assert done.returncode == 1
        assert done.stderr == "error: Cannot write to standard output: No space left on device.\n"


def test_a_file_larger_than_the_system_allows_fails_alone_and_leaves_nothing(weights, tmp_path):
    """The nearest thing to a full disk that needs no disk: a limit on the size of files."""
    write(tmp_path / "large.png", values(90, 90)), write(tmp_path / "small.png", values(2, 2))
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
from restore_cli.cli import main
sys.argv = ["restore", "denoise", "large.png", "small.png", "-n", {str(weights["x1"])!r}, "-o", "out", "--json"]
main()
"""
    done = python(code, tmp_path)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 3
    assert "out/large.png" in lines[0] and "larger than the system allows" in lines[0]
    assert [each["status"] for each in json.loads(done.stdout)["files"]] == ["failed", "done"]
    assert sorted(os.listdir(tmp_path / "out")) == [MANIFEST_NAME, "small.png"]


def test_an_interrupt_on_a_terminal_exits_130_and_gives_the_cursor_back(weights, tmp_path):
    pty = pytest.importorskip("pty")
    for name in "abc":
        write(tmp_path / f"{name}.png")
    code = f"""
import os, signal, sys
import restore_cli.batch.run as run
real, seen = run.restore_image, []
def interrupting(image, *rest, **options):
    seen.append(image)
    if len(seen) == 2:
        os.kill(os.getpid(), signal.SIGINT)
    return real(image, *rest, **options)
run.restore_image = interrupting
from restore_cli.cli import main
sys.argv = ["restore", "denoise", ".", "-n", {str(weights["unet"])!r}, "-o", "out", "--tile", "16"]
main()
"""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    text = shown.decode()
    assert process.wait() == 130
    assert "━" in text and "tiles" in text and "Traceback" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0
    assert "interrupted; 2 of 3 files were not done." in text
    assert sorted(os.listdir(tmp_path / "out")) == [MANIFEST_NAME, "a.png"]
    assert read(tmp_path / "out/a.png").shape == (20, 24, 3)


@pytest.mark.shared
def test_a_published_checkpoint_runs_without_a_word_from_the_libraries(shared, tmp_path):
    write(tmp_path / "in.png")
    command = [sys.executable, "-m", "restore_cli", "sr", "in.png", "-n", str(shared / "checkpoints/craft_x4.pth")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (0, "", 1)
