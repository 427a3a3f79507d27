"""A card's file from whichever of its places has it."""

from __future__ import annotations

import hashlib
import threading

import pytest

from restore_cli.errors import CheckpointError, DownloadError, UsageError
from restore_cli.models import lock
from restore_cli.models.download import Download, fetch, find, forget, is_cached
from tests.catalogue import CONTENT, REPO

SHA256 = hashlib.sha256(CONTENT).hexdigest()
TOKEN = "hf_NotToBeSeenAnywhere"
HUB_PATH, WEB_PATH = f"{REPO}/weights/net.safetensors", "net.safetensors"


def net(catalogue, **changes):
    return Download.of(catalogue.card("net", **changes))


def test_the_first_place_that_has_it_is_asked_and_no_other(catalogue):
    download = net(catalogue, places=("hub", "mirror", "web"))
    assert not is_cached(download)
    assert fetch(download).read_bytes() == CONTENT
    assert {request.path.split("/")[1] for request in catalogue.hub.requests} == {"owner"}
    asked = len(catalogue.hub.requests)
    assert is_cached(download) and fetch(download) == find(download)
    assert len(catalogue.hub.requests) == asked, "what is here and intact needs no server"


@pytest.mark.parametrize("places", [("hub", "mirror"), ("hub", "web"), ("hub", "mirror", "web")])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_mirror_answers_when_the_first_place_lost_it(catalogue, places, pinned):
    download = net(catalogue, places=places, pinned=pinned)
    del catalogue.hub.files[HUB_PATH]
    assert fetch(download).read_bytes() == CONTENT


def test_a_mirror_answers_when_the_first_host_is_dead(catalogue, monkeypatch):
    download = net(catalogue, places=("hub", "web"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # discard: nobody listens
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("nobody wants to wait for that"))
    assert fetch(download).read_bytes() == CONTENT


@pytest.mark.parametrize("places", [("hub", "mirror"), ("hub", "web")])
def test_a_place_with_another_content_is_passed_over(catalogue, places):
    download = net(catalogue, places=places)
    catalogue.hub.files[HUB_PATH] = CONTENT[::-1]
    path = fetch(download)
    assert path.read_bytes() == CONTENT
    assert all(each.read_bytes() == CONTENT for each in catalogue.files() if each.suffix == ".safetensors")


def test_when_every_place_fails_each_says_why(catalogue):
    download = net(catalogue, places=("hub", "mirror", "web"))
    del catalogue.hub.files[HUB_PATH]
    catalogue.hub.files["other/repo/net.safetensors"] = b"else"
    del catalogue.hub.web[WEB_PATH]
    with pytest.raises(DownloadError, match="any of its 3 places") as error:
        fetch(download)
    message = error.value.message
    assert "has no model owner/repo" in message and "it has 4 bytes" in message and "HTTP 404" in message
    assert "\n" not in message


@pytest.mark.parametrize("offline", ["parameter", "environment"])
def test_offline_and_missing_names_the_command_and_the_embedded_model(catalogue, offline, monkeypatch):
    download = net(catalogue, places=("hub", "web"))
    if offline == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="downloads are off") as error:
        fetch(download, offline=offline == "parameter")
    assert "`restore models pull net`" in error.value.hint
    assert "-n unet-denoise-color comes with the package" in error.value.hint
    assert not catalogue.hub.requests


@pytest.mark.parametrize("places", [("hub",), ("web",)])
def test_what_is_here_needs_no_network(catalogue, places):
    for pinned in (True, False):
        catalogue.machine(f"pinned {pinned}")
        path = fetch(net(catalogue, places=places, pinned=pinned))
        # As a later run sees it, which knows the pin of the first.
        assert fetch(net(catalogue, places=places, pinned=pinned), offline=True) == path


@pytest.mark.parametrize("places", [("hub",), ("web",)])
def test_a_poisoned_copy_is_replaced_online_and_refused_offline(catalogue, places):
    download = net(catalogue, places=places)
    fetch(download).resolve().write_bytes(CONTENT[::-1])
    assert fetch(download).read_bytes() == CONTENT
    fetch(download).resolve().write_bytes(CONTENT[::-1])
    with pytest.raises(DownloadError, match="refused and removed.*expected.*restore models pull net"):
        fetch(download, offline=True)
    assert find(download) is None


def test_an_intact_copy_is_used_where_another_is_poisoned(catalogue):
    download = net(catalogue, places=("hub", "mirror"))
    fetch(download)
    second = Download(download.card, download.places[1:], download.sha256, download.size_bytes)
    intact = fetch(second)
    find(download).resolve().write_bytes(CONTENT[::-1])
    assert fetch(download, offline=True) == intact


# --- files that nobody has stated a sha256 of ---


@pytest.mark.parametrize("places", [("hub",), ("web",), ("hub", "web")])
def test_the_first_download_is_remembered(catalogue, places):
    download = net(catalogue, places=places, pinned=False)
    assert download.sha256 is None
    fetch(download)
    assert lock.read_pins()["net"] == lock.Pin(SHA256, len(CONTENT), download.address)
    assert Download.of(download.card).sha256 == SHA256


@pytest.mark.parametrize("places", [("hub",), ("web",)])
def test_another_content_under_the_same_card_is_refused_ever_after(catalogue, places):
    fetch(net(catalogue, places=places, pinned=False))
    catalogue.card("net", b"improved", places=places, pinned=False)
    download = Download.of(catalogue.card("net", b"improved", places=places, pinned=False))
    forget(download)
    with pytest.raises(DownloadError, match="was refused: it has 8 bytes, expected 200000"):
        fetch(download)
    assert find(download) is None
    lock.lock_path().unlink()
    assert fetch(Download.of(download.card)).read_bytes() == b"improved"


def test_a_copy_that_is_not_what_the_hub_announced_is_not_remembered(catalogue):
    """Another tool downloaded it; the cache names the file after the sha256 that the hub stated."""
    download = net(catalogue, pinned=False)
    fetch(download).resolve().write_bytes(CONTENT[:-1] + b"!")
    lock.lock_path().unlink()
    with pytest.raises(DownloadError, match="but the hub announced"):
        fetch(download)
    assert not lock.read_pins()
    assert fetch(download).read_bytes() == CONTENT


def test_a_card_that_pins_the_content_is_believed_before_the_first_download(catalogue):
    fetch(net(catalogue, pinned=False))
    new = Download.of(catalogue.card("net", b"improved"))
    assert fetch(new).read_bytes() == b"improved"


# --- two at once ---


@pytest.mark.parametrize("pinned", [True, False])
def test_two_processes_pulling_one_model_from_the_hub_both_get_a_good_file(catalogue, pinned):
    catalogue.card("net", pinned=pinned)
    catalogue.hub.meeting = threading.Barrier(2, timeout=30)
    pair = [catalogue.python("print(fetch(net).stat().st_size)") for _ in range(2)]
    assert [process.communicate(timeout=60) for process in pair] == [(f"{len(CONTENT)}\n", "")] * 2
    assert len(catalogue.files()) == 2, "one content and one link, no leftovers"
    assert set(lock.read_pins()) == (set() if pinned else {"net"})


def test_two_processes_pulling_one_model_from_a_web_address_download_it_once(catalogue):
    catalogue.card("net", places=("web",))
    pair = [catalogue.python("print(fetch(net).stat().st_size)") for _ in range(2)]
    assert [process.communicate(timeout=60) for process in pair] == [(f"{len(CONTENT)}\n", "")] * 2
    assert [path.name for path in catalogue.files()] == ["net.safetensors"]
    assert catalogue.hub.count("GET") == 1


# --- removal, tokens, addresses ---


def test_forgetting_removes_every_copy_and_counts_the_bytes(catalogue):
    download = net(catalogue, places=("hub", "mirror", "web"))
    fetch(download)
    elsewhere = Download(download.card, download.places[1:2], download.sha256, download.size_bytes)
    fetch(elsewhere)
    assert forget(download) == 2 * len(CONTENT)
    assert not catalogue.files() and forget(download) == 0


def test_a_copy_that_cannot_be_removed_is_named(catalogue, monkeypatch):
    download = net(catalogue)
    path = fetch(download)
    monkeypatch.setattr("pathlib.Path.unlink", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "no")))
    with pytest.raises(CheckpointError, match="cannot be removed"):
        forget(download)
    assert path.exists()


def test_a_token_appears_in_no_message_and_no_other_host_gets_it(catalogue, monkeypatch, caplog):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    download = net(catalogue, places=("hub", "web"))
    catalogue.hub.token = "hf_AnotherOne"
    assert fetch(download).read_bytes() == CONTENT
    sent = {path.split("/")[1]: headers for _, path, headers in catalogue.hub.requests}
    assert sent["owner"]["authorization"] == f"Bearer {TOKEN}"
    assert "authorization" not in sent["web"]
    forget(download)
    del catalogue.hub.web[WEB_PATH]
    with caplog.at_level("DEBUG"), pytest.raises(DownloadError) as error:
        fetch(download)
    assert TOKEN not in str(error.value) and TOKEN not in caplog.text


@pytest.mark.parametrize(
    "address", ["hf:owner/repo/../net.pth", "http://example.org/net.pth", "https://me:pw@example.org/x", "ssh://a/b"]
)
def test_a_mirror_with_an_impossible_address_is_refused(catalogue, address):
    card = catalogue.card("net", mirrors=[])
    from dataclasses import replace

    from restore_cli.models.card import Mirror

    with pytest.raises(UsageError):
        Download.of(replace(card, mirrors=(Mirror(address),)))
