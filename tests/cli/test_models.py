"""`restore models`: the catalogue as a page, and its files fetched, checked, carried and named."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys

import pytest

from restore_cli.cli._catalogue import card_page, catalogue_page, parse_size
from restore_cli.errors import UsageError
from restore_cli.models.catalog import find_card, read_catalog
from restore_cli.models.download import Download, find
from restore_cli.models.lock import lock_path, read_pins
from restore_cli.tasks import TASKS
from tests.catalogue import CONTENT, REPO, catalogue, impatient
from tests.pictures import values, write

__all__ = ["catalogue", "impatient"]
TOKEN = "hf_NotToBeSeenAnywhere"


# --- the page ---


@pytest.mark.parametrize("width", [80, 100, 200])
def test_the_list_fits_the_window_and_shows_every_model_of_every_task(width):
    cards = list(read_catalog().values())
    lines = list(catalogue_page(cards, {"drunet-color"}, {"drunet-grey": 130_000_000}, width))
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() and line.isascii() for line in lines)
    blocks = {line.split(":")[0] for line in lines if line.endswith(tuple(row.help for row in TASKS.values()))}
    assert blocks == set(TASKS)
    for card in cards:
        shown = [line for line in lines if line[2:].split(" ")[0] == card.id]
        assert len(shown) == len(card.tasks)
        for line in shown:
            assert line.startswith("=" if card.embedded else "+" if card.id == "drunet-color" else " ")
            assert (" *" in line) == (not card.licence.commercial)
            assert (line[1] == "?") == (not card.file.pinned and card.id != "drunet-grey")
            told = "pinned" if card.id == "drunet-grey" else card.file.sha256[:8]
            assert (f"  {told}  " in f"{line}  ") == (width == 200)


def test_no_description_ends_inside_brackets_or_in_the_middle_of_a_hubs_models_line():
    for width in (80, 120):
        for line in catalogue_page(list(read_catalog().values()), (), {}, width):
            assert line.count("(") == line.count(")")
            assert not line.endswith("...") or line.startswith("=")


def test_what_must_be_told_is_said_where_the_task_does_not_tell_it():
    page = "\n".join(catalogue_page(list(read_catalog().values()), (), {}, None))
    denoise, demosaic = page.partition("denoise: ")[2].partition("deblur: ")[0], page.partition("demosaic: ")[2]
    assert "any noise level (needs --sigma, or estimates it)" in denoise
    assert "--sigma" not in demosaic
    assert "-n swinir-jpeg-color takes the checkpoint nearest to the level" in page


def test_at_200_columns_the_published_figure_is_there(restore):
    lines = list(catalogue_page(list(read_catalog().values()), (), {}, 200))
    (swinir,) = [line for line in lines if "swinir-m-sr-x4 " in line]
    assert "Set5 32.92 dB" in swinir and "SwinIR-M x4" in swinir


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of POSIX")
@pytest.mark.parametrize("columns", [100, 200])
def test_on_a_terminal_the_list_is_as_wide_as_it(tmp_path, columns):
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "restore_cli", "models", "list", "--task", "jpeg"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    process.communicate()
    widths = [len(line) for line in shown.decode().replace("\r", "").splitlines()]
    assert process.returncode == 0
    assert {100: 80, 200: 120}[columns] < max(widths) <= columns


def test_off_a_terminal_nothing_is_shortened(restore):
    assert "..." not in restore("models", "list").stdout
    assert read_catalog()["unet-jpeg"].summary in restore("models", "list", "--task", "jpeg").stdout


def test_the_list_can_be_narrowed(restore, catalogue):
    def ids(*options):
        return {each["id"] for each in json.loads(restore("models", "list", "--json", *options).stdout)}

    everything = ids()
    assert everything == set(read_catalog())
    assert ids("--task", "demosaic") == {"unet-demosaic", "drunet-color", "grl-s-demosaic"}
    assert everything - ids("--commercial") == {
        card.id for card in read_catalog().values() if not card.licence.commercial
    }
    assert {"omnisr-sr-x2", "unet-jpeg"} <= ids("--max-size", "6MB") and "fbcnn-color" not in ids("--max-size", "6M")
    assert "fbcnn-color" in ids("--max-size", "0.3GB")
    installed = {each.id for each in read_catalog().values() if each.embedded}
    assert ids("--installed") == installed
    catalogue.card("net")
    assert restore("models", "pull", "net").exit_code == 0
    assert ids("--installed") == installed | {"net"}


@pytest.mark.parametrize("text", ["", "large", "-3", "1TB", "1 2"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(("text", "size"), [("100", 1e8), ("1.5GB", 1.5e9), ("20 kB", 2e4), ("3m", 3e6)])
def test_sizes_are_read_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("card", read_catalog().values(), ids=lambda card: card.id)
def test_a_card_is_shown_in_full_with_those_who_say_so(card):
    places = [] if card.embedded else [place.address for place in Download.of(card).places]
    lines = list(card_page(card, "", "card.toml", places, card.file.sha256 if card.file.pinned else "", 100))
    shown = " ".join(" ".join(lines).split())
    facts = (
        card.id,
        card.summary,
        card.file.name,
        card.file.sha256,
        card.licence.name,
        card.paper,
        *places,
        *card.notes,
        *(f"{rival.name} {rival.validation_psnr:.2f} dB" for rival in card.rivals),
    )
    sources = (card.source, card.file.source, card.licence.source, *(each.source for each in card.mirrors))
    for text in (*facts, *sources):
        assert " ".join(text.split()) in shown
    # Addresses and hashes are not broken; everything else fits.
    assert all(len(line) <= 100 or len(max(line.split(), key=len)) > 60 for line in lines)
    assert sum(line.endswith((" published", " measured")) for line in lines) == sum(
        score.origin in ("published", "measured") for score in card.scores
    )


def test_a_card_is_shown_with_where_it_is(restore, catalogue):
    card = catalogue.card("net", pinned=False)
    document = json.loads(restore("models", "show", "net", "--json").stdout)
    assert (document["installed"], document["path"], document["expected_sha256"]) == (False, None, None)
    assert "no; `restore models pull net`" in restore("models", "show", "net").stdout
    restore("models", "pull", "net")
    assert str(find(Download.of(card))) in restore("models", "show", "net").stdout
    assert "of the first download" in " ".join(restore("models", "show", "net").stdout.split())
    assert json.loads(restore("models", "show", "net", "--json").stdout)["expected_sha256"] == read_pins()["net"].sha256


# --- pull, verify, remove ---


def test_models_are_pulled_at_once_and_each_told_of(restore, catalogue):
    names = [f"net{number}" for number in range(6)]
    for name in names:
        catalogue.card(name, name.encode() * 1000, places=("hub", "web"), pinned=name != "net3")
    result = restore("models", "pull", *names)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == names
    assert all(re.search(r"downloaded, 4 kB, sha256 [0-9a-f]{16}$", line) for line in lines)
    assert "6 models" in result.stderr
    again = restore("models", "pull", *names, "--json")
    assert {each["status"] for each in json.loads(again.stdout)} == {"already here"}
    assert set(read_pins()) == {"net3"}


def test_checkpoints_of_all_levels_are_pulled_by_the_name_they_share(restore, catalogue):
    for level in (15, 25):
        catalogue.card(f"net-{level}", str(level).encode(), level=level)
    result = restore("models", "pull", "net", "net-15", "--json")
    assert sorted(each["model"] for each in json.loads(result.stdout)) == ["net-15", "net-25"]


def test_a_failure_does_not_stop_the_others(restore, catalogue):
    catalogue.card("good"), catalogue.card("lost"), catalogue.card("late")
    del catalogue.hub.files[f"{REPO}/weights/lost.safetensors"]
    result = restore("models", "pull", "good", "lost", "late", "--json")
    assert result.exit_code == 1
    states = {each["model"]: each["status"] for each in json.loads(result.stdout)}
    assert states == {"good": "downloaded", "lost": "failed", "late": "downloaded"}
    assert "no such file at revision main" in result.stderr


def test_a_task_or_everything_can_be_meant(restore, catalogue, monkeypatch):
    (
        catalogue.card("net", places=("hub",)),
        catalogue.card("bound", commercial=False),
        catalogue.card("wet", task="derain"),
    )
    own = {name: card for name, card in read_catalog().items() if name in ("net", "bound", "wet")}
    monkeypatch.setattr("restore_cli.models.catalog.read_catalog", lambda: own)

    def pulled(*options):
        catalogue.machine(" ".join(options))
        return {each["model"] for each in json.loads(restore("models", "pull", "--json", *options).stdout)}

    assert pulled("--all") == set(own)
    assert pulled("--task", "denoise") == {"net", "bound"}
    assert pulled("--all", "--commercial-ok") == {"net", "wet"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("net", "--all"), "Which models?"),
        (("--all", "--task", "sr"), "Which models?"),
        (("--task", "sharpen"), "Unknown task 'sharpen'"),
        (("unet-jpeg",), "needs no download"),
        (("bound", "--commercial-ok"), "do not clearly allow commercial use"),
    ],
)
def test_what_cannot_be_meant_is_refused(refused, catalogue, arguments, message):
    catalogue.card("net"), catalogue.card("bound", commercial=False)
    assert message in refused("models", "pull", *arguments, code=2)
    assert not catalogue.hub.requests


def test_an_unknown_model_is_refused_before_anything_is_downloaded(refused, catalogue):
    catalogue.card("net")
    assert "no model of that name" in refused("models", "pull", "net", "swinir-m-sr-4x")
    assert not catalogue.hub.requests


def test_a_poisoned_entry_is_found_and_pulled_afresh(restore, catalogue):
    card = catalogue.card("net")
    restore("models", "pull", "net")
    assert restore("models", "verify").exit_code == 0
    find(Download.of(card)).resolve().write_bytes(CONTENT[::-1])
    result = restore("models", "verify", "--json")
    assert result.exit_code == 1
    (bad,) = [each for each in json.loads(result.stdout) if each["state"] == "changed"]
    assert bad["model"] == "net" and "expected" in bad["fault"]
    assert "Run `restore models pull net`" in result.stderr
    result = restore("models", "pull", "net")
    assert "was changed" in result.stderr and "downloaded" in result.stdout
    assert restore("models", "verify", "net").exit_code == 0


def test_verify_names_what_is_missing_only_when_asked_for_it(restore, catalogue):
    catalogue.card("net")
    assert restore("models", "verify").exit_code == 0
    result = restore("models", "verify", "net")
    assert result.exit_code == 1 and "net is not installed" in result.stderr


def test_models_are_removed_and_the_embedded_are_not(restore, refused, catalogue):
    card = catalogue.card("net")
    restore("models", "pull", "net")
    result = restore("models", "remove", "net")
    assert "0.2 MB free again" in result.stderr and find(Download.of(card)) is None
    assert "not installed" in restore("models", "remove", "net").stderr
    assert "comes with the package" in refused("models", "remove", "unet-jpeg", code=2)


def test_a_token_is_not_printed_whatever_happens(restore, catalogue, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    catalogue.card("net", places=("hub", "web"))
    catalogue.hub.token = "hf_AnotherOne"
    for arguments in (("pull", "net"), ("show", "net"), ("verify",), ("search", "net"), ("list",)):
        result = restore("models", *arguments)
        assert TOKEN not in result.output


def test_an_interrupted_pull_ends_at_once(catalogue):
    catalogue.card("net")
    code = """
import os, signal, sys, threading
import restore_cli.models.download as download
started = threading.Event()
def forever(*_, **__):
    started.set()
    threading.Event().wait()
download.fetch = forever
threading.Thread(target=lambda: (started.wait(), os.kill(os.getpid(), signal.SIGINT)), daemon=True).start()
signal.signal(signal.SIGINT, signal.default_int_handler)
from restore_cli.cli import main
sys.argv = ["restore", "models", "pull", "net"]
main()
"""
    process = catalogue.python(code)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130 and stderr.splitlines()[-1] == "error: interrupted."


# --- export, import ---


def test_models_are_carried_to_a_machine_without_a_network(restore, catalogue):
    catalogue.card("net"), catalogue.card("loose", b"loose", places=("web",), pinned=False)
    restore("models", "pull", "net", "loose")
    result = restore("models", "export", "stick")
    assert result.exit_code == 0 and "restore models import stick" in result.stderr
    catalogue.machine("there")
    catalogue.hub.stop()
    assert {each["model"] for each in json.loads(restore("models", "import", "stick", "--json").stdout)} == {
        "net",
        "loose",
    }
    assert restore("models", "verify", "net", "loose").exit_code == 0
    assert "[loose]" in lock_path().read_text()


def test_there_must_be_something_to_export_and_a_folder_to_import(refused, catalogue):
    assert "No model is installed" in refused("models", "export", "stick", code=2)
    assert "comes with the package" in refused("models", "export", "stick", "unet-jpeg", code=2)
    assert "no SHA256SUMS" in refused("models", "import", "nowhere")


# --- add ---


@pytest.mark.parametrize("kind", ["x4", "wne", "grey"])
def test_a_checkpoint_gets_a_name_and_does_the_same_under_it(restore, refused, weights, catalogue, tmp_path, kind):
    shutil.copy(weights[kind], tmp_path / "My Net.safetensors")
    task = () if kind == "x4" else ("--task", "denoise")
    result = restore("models", "add", "My Net.safetensors", *task)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("my-net  resnet, x")
    assert re.search(r"tried on a drawn picture: 100x72 -> \d+x\d+ in", result.stdout)
    shown = restore("models", "show", "my-net").stdout
    assert "added by you" in shown and "commercial use not clearly allowed" in shown
    write(tmp_path / "in.png")
    command = "sr" if kind == "x4" else "denoise"
    (tmp_path / "My Net.safetensors").unlink()
    assert restore(command, "in.png", "-n", "my-net", "-o", "a.png").exit_code == 0
    assert restore(command, "in.png", "-n", weights[kind], "-o", "b.png").exit_code == 0
    assert (tmp_path / "a.png").read_bytes()[-500:] == (tmp_path / "b.png").read_bytes()[-500:]
    assert "not clearly allow" in refused(command, "in.png", "-n", "my-net", "--commercial-ok", code=2)
    assert "has a model of that name" in refused("models", "add", weights[kind], "--id", "my-net", *task, code=2)
    assert restore("models", "remove", "my-net").exit_code == 0
    assert "no model of that name" in refused("models", "show", "my-net")


def test_a_checkpoint_on_the_hub_is_pinned_to_commit_and_content(restore, weights, catalogue):
    catalogue.hub.files["owner/repo/net.safetensors"] = weights["x2"].read_bytes()
    assert restore("models", "add", "hf:owner/repo/net.safetensors").exit_code == 0
    document = json.loads(restore("models", "show", "net", "--json").stdout)
    assert document["hub"]["revision"] == catalogue.hub.revisions["main"]
    assert len(document["file"]["sha256"]) == 64 and document["scale"] == 2
    catalogue.hub.files["owner/repo/net.safetensors"] = weights["x4"].read_bytes()
    restore("models", "export", "stick")
    catalogue.machine("there")
    assert restore("models", "import", "stick").exit_code == 0
    assert restore("models", "verify", "net").exit_code == 0


def test_a_denoiser_is_added_as_the_demosaicker_it_can_be(restore, catalogue, tmp_path):
    import torch
    from spandrel.architectures.DRUNet.__arch.network_unet import DRUNet

    torch.save(DRUNet(in_nc=4, out_nc=3, nc=[8, 8, 8, 8], nb=2).state_dict(), tmp_path / "net.pth")
    result = restore("models", "add", "net.pth", "--task", "demosaic")
    assert result.exit_code == 0, result.stderr
    assert find_card("net").conditioning == "blind"
    write(tmp_path / "mosaic.png", values(20, 24, 1))
    assert restore("demosaic", "mosaic.png", "-n", "net").exit_code == 0


def test_what_makes_no_picture_or_fits_no_task_is_not_added(restore, refused, weights, catalogue, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    state = load_file(weights["x2"])
    broken = {key: torch.full_like(value, float("nan")) for key, value in state.items()}
    save_file(broken, tmp_path / "broken.safetensors")
    assert "not numbers" in restore("models", "add", "broken.safetensors").stderr
    assert "its task cannot be told" in refused("models", "add", weights["x1"], code=2)
    assert "enlarges x2" in refused("models", "add", weights["x2"], "--task", "denoise", code=2)
    assert "not a name" in refused("models", "add", weights["x2"], "--id", "../x", code=2)
    assert "no such model file" in refused("models", "add", "missing.pth")
    assert "in the catalogue already" in refused("models", "add", "unet-jpeg", "--id", "other", code=2)
    assert all(card.embedded is False or "added" not in card.summary for card in read_catalog().values())


def test_a_checkpoint_is_tried_on_a_picture_of_ones_own(restore, weights, catalogue, tmp_path):
    write(tmp_path / "in.png")
    result = restore("models", "add", weights["unet"], "--task", "demosaic", "--id", "mine")
    assert result.exit_code == 0, result.output
    result = restore("models", "add", weights["x2"], "--picture", "in.png", "--id", "two")
    assert "tried on in.png: 24x20 -> 48x40" in result.stdout


# --- search ---


def test_catalogue_and_hub_are_searched(restore, catalogue):
    catalogue.hub.found = [
        {"id": "owner/derainer", "downloads": 5, "tags": ["license:mit"], "siblings": [{"rfilename": "net.pth"}]}
    ]
    shown = restore("models", "search", "restormer", "derain").stdout
    assert "restormer-derain" in shown and "owner/derainer" in shown and "hf:owner/derainer/net.pth" in shown
    asked = catalogue.hub.count("GET")
    document = json.loads(restore("models", "search", "restormer", "--offline", "--json").stdout)
    assert "restormer-derain" in document["catalogue"] and document["hub"] == []
    assert catalogue.hub.count("GET") == asked
