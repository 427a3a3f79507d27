"""Files at web addresses: from a server on the loopback, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import sys

import pytest

from restore_cli.errors import DownloadError, UsageError
from restore_cli.models.web import BLOCK_BYTES, WebFile, fetch_web
from tests.catalogue import CONTENT

SHA256 = hashlib.sha256(CONTENT).hexdigest()
LARGE = CONTENT * 12  # more than two blocks
TOKEN = "hf_NotToBeSeenAnywhere"


@pytest.fixture
def net(catalogue):
    catalogue.hub.web["net.pth"] = CONTENT
    return WebFile(f"{catalogue.hub.url}/web/net.pth", "net.pth", SHA256, len(CONTENT))


def loose(file, **changes):
    return WebFile(file.address, file.name, **changes)


@pytest.mark.parametrize(
    "address",
    ["http://example.org/net.pth", "ftp://example.org/net.pth", "file:///etc/passwd", "example.org/net.pth"]
    + ["https://me:secret@example.org/net.pth", "https:///net.pth", "https://[::1/net.pth", "https://a/b c"]
    + ["http://127.0.0.1.example.org/net.pth", "https://a/\n"],
)
def test_what_is_no_public_https_address_is_refused(address):
    with pytest.raises(UsageError, match="not the web address"):
        WebFile(address, "net.pth")


def test_a_file_is_kept_under_its_sha256_and_nothing_else_is_left(catalogue, net):
    path = fetch_web(net)
    assert path.read_bytes() == CONTENT
    assert path.parts[-2:] == (SHA256, "net.pth")
    assert catalogue.files() == [path]
    assert fetch_web(loose(net)) == path, "of unknown content too"


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_broke_off_goes_on_where_it_stopped_or_starts_over(catalogue, ranges, pinned):
    hub = catalogue.hub
    hub.web["net.pth"] = LARGE
    hub.ranges, hub.cuts_left, hub.cut_at = ranges, 1, 2 * BLOCK_BYTES + 1000
    sha256 = hashlib.sha256(LARGE).hexdigest() if pinned else None
    seen = []

    class Bar:
        def __init__(self, description, total):
            seen.append([total, 0])

        def update(self, size):
            seen[-1][1] += size

        def close(self):
            pass

    path = fetch_web(WebFile(f"{hub.url}/web/net.pth", "net.pth", sha256), progress=Bar)
    assert path.read_bytes() == LARGE
    assert hub.requests[1].headers["range"].startswith("bytes=")
    assert hub.requests[1].headers["if-range"] == f'"{hashlib.sha256(LARGE).hexdigest()}"'
    assert seen[-1] == [len(LARGE), len(LARGE)]


def test_the_parts_of_two_versions_are_never_joined(catalogue):
    hub = catalogue.hub
    hub.web["net.pth"], hub.cuts_left, hub.cut_at, hub.cut_by = LARGE, 3, BLOCK_BYTES + 5, "close"
    file = WebFile(f"{hub.url}/web/net.pth", "net.pth")
    with pytest.raises(DownloadError, match="broke off|not all"):
        fetch_web(file)
    assert any(path.suffix == ".part" for path in catalogue.files()), "what arrived is kept aside"
    hub.web["net.pth"] = improved = LARGE[::-1]
    assert fetch_web(file).read_bytes() == improved


def test_without_a_version_and_without_a_hash_nothing_is_gone_on_with(catalogue):
    hub = catalogue.hub
    hub.web["net.pth"], hub.cuts_left, hub.cut_at, hub.web_etag = LARGE, 1, BLOCK_BYTES + 5, ""
    assert fetch_web(WebFile(f"{hub.url}/web/net.pth", "net.pth")).read_bytes() == LARGE
    assert "range" not in hub.requests[1].headers


def test_a_part_longer_than_the_file_starts_over(catalogue, net):
    fetch_web(net).unlink()
    part = catalogue.root / "here/store/incoming" / f"{hashlib.sha256(net.address.encode()).hexdigest()}.part"
    part.write_bytes(CONTENT + b"!")
    assert fetch_web(net).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["other content", "more of it", "less of it"])
def test_what_is_not_the_pinned_content_is_refused_and_not_kept(catalogue, net, fault):
    changed = {"other content": CONTENT[::-1], "more of it": CONTENT + b"!", "less of it": CONTENT[:-1]}
    catalogue.hub.web["net.pth"] = changed[fault]
    with pytest.raises(DownloadError, match="was refused: it") as error:
        fetch_web(net)
    assert net.address in error.value.message
    assert not catalogue.files()


def test_an_endless_answer_is_not_read_to_its_end(catalogue):
    catalogue.hub.web["net.pth"] = bytes(20 * BLOCK_BYTES)
    received = []

    class Bar:
        def __init__(self, description, total):
            pass

        def update(self, size):
            received.append(size)

        def close(self):
            pass

    with pytest.raises(DownloadError, match="expected 3"):
        fetch_web(WebFile(f"{catalogue.hub.url}/web/net.pth", "net.pth", SHA256, 3), progress=Bar)
    assert sum(received) <= 2 * BLOCK_BYTES


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"status": 503}, "HTTP 503"),
        ({"status": 404}, "HTTP 404"),
        ({"cuts_left": 9, "cut_at": 10}, "broke off|not all"),
    ],
    ids=["503", "404", "cuts"],
)
def test_a_failure_is_one_line_with_the_address(catalogue, net, fault, message):
    for name, value in fault.items():
        setattr(catalogue.hub, name, value)
    with pytest.raises(DownloadError, match=message) as error:
        fetch_web(net)
    assert net.address in error.value.message and "\n" not in str(error.value)


def test_a_dead_server_is_a_download_error(catalogue, net):
    catalogue.hub.stop()
    with pytest.raises(DownloadError, match="127.0.0.1 does not answer"):
        fetch_web(net)


def test_no_token_is_ever_sent_to_a_web_address(catalogue, net, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch_web(net)
    assert all(TOKEN not in str(request.headers) for request in catalogue.hub.requests)


def test_a_store_that_is_no_folder_is_named(catalogue, net, monkeypatch):
    (catalogue.root / "file").touch()
    monkeypatch.setenv("RESTORE_CACHE", str(catalogue.root / "file"))
    with pytest.raises(DownloadError, match="Not a directory.*Set RESTORE_CACHE"):
        fetch_web(net)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="rights bind only ordinary users")
def test_a_store_without_rights_is_named(catalogue, net):
    (catalogue.root / "here").mkdir(mode=0o500)
    with pytest.raises(DownloadError, match="Permission denied.*Set RESTORE_CACHE"):
        fetch_web(net)
