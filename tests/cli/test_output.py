"""What is said and how: bars on a terminal, lines elsewhere, one document for programs; and how a run ends early."""

from __future__ import annotations

import json
import math
import os
import signal

import pytest
from rich.markup import escape

import restore_cli.batch.run
from restore_cli.batch.manifest import MANIFEST_NAME
from restore_cli.cli._output import Display, json_ready, one_line
from tests.pictures import read, write


@pytest.fixture
def terminal(monkeypatch):
    """Makes Rich believe in one."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")


def test_bars_for_files_and_tiles_on_a_terminal(restore, weights, tmp_path, terminal):
    for name in ("a.png", "b.png", "[red]c.png"):
        write(tmp_path / name)
    result = restore("denoise", "a.png", "b.png", "[red]c.png", "-n", weights["unet"], "--tile", "16")
    assert result.exit_code == 0
    for shown in ("━", "3/3", "tiles", "[red]c.png"):
        assert shown in result.stderr
    assert result.stdout == ""


def test_no_bars_where_there_is_no_terminal_and_with_quiet_nowhere(restore, weights, tmp_path, monkeypatch):
    write(tmp_path / "a.png")
    assert "━" not in restore("denoise", "a.png", "-n", weights["x1"]).stderr
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert restore("denoise", "a.png", "-n", weights["x1"], "-q", "--overwrite").output == ""


def test_a_failure_colours_its_own_line_and_not_the_bars(terminal, capsys):
    display = Display()
    with display.batch(2):
        display.file_started("a.png")
        display.error("a.png is empty.")
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "is empty" in line]
    assert line.endswith("\x1b[31merror: a.png is empty.\x1b[0m")


def test_a_download_has_a_bar_on_a_terminal_a_line_elsewhere_and_nothing_when_quiet(terminal, monkeypatch, capsys):
    def download(**how):
        bar = Display(**how).download("net.pth", 2_000_000)
        bar.update(1_000_000), bar.update(1_000_000), bar.close()
        return capsys.readouterr().err

    assert "net.pth" in (shown := download()) and "2.0/2.0 MB" in shown
    monkeypatch.delenv("FORCE_COLOR")
    assert download() == "Downloading net.pth (2.0 MB)\n"
    assert download(quiet=True) == ""


def test_a_note_is_said_once_and_markup_is_left_alone(capsys):
    display = Display()
    for _ in range(3):
        display.note("Out of memory :smile: [bold]x[/bold]")
    assert capsys.readouterr().err == "Out of memory :smile: [bold]x[/bold]\n"


def test_one_line_escapes_what_would_break_the_line_or_the_terminal():
    assert one_line("a\nb\x1b[31m\udcff é") == "a\\nb\\x1b[31m\\udcff é"
    assert one_line("é", "ascii") == "\\xe9"
    assert one_line(escape("[x]")) == "\\[x]"


def test_json_has_no_infinity():
    assert json_ready({"a": [math.inf, 1.5, (math.nan,)], "b": "inf"}) == {"a": [None, 1.5, [None]], "b": "inf"}


@pytest.fixture
def interrupted_at(monkeypatch, tmp_path):
    """Sends the real signal while the n-th picture is restored."""

    def arrange(number, sent=signal.SIGINT):
        real, done = restore_cli.batch.run.restore_image, []

        def interrupting(*arguments, **options):
            if len(done) == number - 1:
                os.kill(os.getpid(), sent)
            done.append(real(*arguments, **options))
            return done[-1]

        monkeypatch.setattr(restore_cli.batch.run, "restore_image", interrupting)

    return arrange


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_what_is_finished_says_what_is_not_and_exits_130(
    restore, weights, tmp_path, interrupted_at, number
):
    for name in "abcd":
        write(tmp_path / f"{name}.png")
    interrupted_at(3, number)
    result = restore("denoise", ".", "-n", weights["x1"], "-o", "out", "--json")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-2:] == ["error: interrupted; 2 of 4 files were not done.", "2 done"]
    document = json.loads(result.stdout)
    assert [each["input"] for each in document["files"]] == ["a.png", "b.png"]
    assert sorted(os.listdir(tmp_path / "out")) == [MANIFEST_NAME, "a.png", "b.png"]
    for name in ("a.png", "b.png"):
        assert read(tmp_path / "out" / name).shape == (20, 24, 3)


# Where it cuts a reading of /proc short, that file is closed by the collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_writing_lets_the_file_be_finished(restore, weights, tmp_path, monkeypatch, number):
    """The writer is a thread, which no signal tears away from its work."""
    for name in "abcdefgh":
        write(tmp_path / f"{name}.png")
    sent = []

    def interrupting(descriptor):
        if not sent and os.readlink(f"/proc/self/fd/{descriptor}").endswith(".part"):
            sent.append(os.kill(os.getpid(), number))

    monkeypatch.setattr(os, "fsync", interrupting)
    result = restore("denoise", ".", "-n", weights["x1"], "-o", "out")
    assert result.exit_code == 130
    finished = sorted(each.name for each in (tmp_path / "out").glob("*.png"))
    assert finished and finished == [f"{name}.png" for name in "abcdefgh"][: len(finished)]
    for name in finished:
        assert read(tmp_path / "out" / name).shape == (20, 24, 3)


def test_an_interrupt_before_the_first_file_is_one_line_too(refused, weights, tmp_path, monkeypatch):
    def interrupt(*arguments, **options):
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("restore_cli.inference.levels.build_model", interrupt)
    write(tmp_path / "a.png")
    assert refused("denoise", "a.png", "-n", weights["x1"], code=130) == "error: interrupted."


def test_a_bug_in_one_picture_shows_its_trace_and_the_others_are_done(weights, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from restore_cli.cli import app

    def buggy(image, *arguments, **options):
        if image.width == 1:
            raise KeyError("oops")
        return real(image, *arguments, **options)

    real = restore_cli.batch.run.restore_image
    monkeypatch.setattr(restore_cli.batch.run, "restore_image", buggy)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.png")
    from tests.pictures import values

    write(tmp_path / "b.png", values(1, 1))
    result = CliRunner().invoke(app, ["denoise", "b.png", "a.png", "-n", str(weights["x1"])])
    assert result.exit_code == 1
    assert "b.png: internal error (KeyError: 'oops')." in result.stderr
    assert "Traceback" in result.stderr and "in buggy" in result.stderr
    assert "1 done, 1 failed" in result.stderr
