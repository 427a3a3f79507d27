"""The hub, over real HTTP: huggingface_hub itself downloads, from a server on the loopback."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from restore_cli.errors import DownloadError, UsageError
from restore_cli.models.hub import HubFile, fetch
from tests.hub_server import COMMIT, HubServer

WEIGHTS = random.Random(0).randbytes(200_000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
FILE = HubFile("owner/repo", "weights/net.safetensors")
PINNED = HubFile("owner/repo", "weights/net.safetensors", sha256=SHA256, size_bytes=len(WEIGHTS))
CHUNK = 10 * 1024 * 1024  # bytes the client collects before it writes; only whole chunks survive a cut
TOKEN = "hf_NotToBeSeenAnywhere"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with one file, which the environment points at, and an empty cache."""
    for name in (
        "HF_TOKEN",
        "HF_HUB_OFFLINE",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HTTP_PROXY",
        "http_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as server:
        server.files["owner/repo/weights/net.safetensors"] = WEIGHTS
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client pauses a fixed second between attempts; here the clock's sleep does not."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


class Bar:
    """A progress bar that adds up."""

    def __init__(self) -> None:
        self.description, self.total, self.done, self.closed = "", -1, 0, 0

    def __call__(self, description: str, total: int | None) -> Bar:
        self.description, self.total = description, total or 0
        return self

    def update(self, n: int, /) -> None:
        self.done += n

    def close(self) -> None:
        self.closed += 1


def cached_files(tmp_path: Path) -> list[Path]:
    """Every content in the cache, whole or not, and every link to one, even if it leads nowhere."""
    found = (tmp_path / "home" / "hub").rglob("*")
    return [path for path in found if not path.is_dir() and {"blobs", "snapshots"} & set(path.parts)]


def run_python(code: str, **environment: str) -> subprocess.Popen[str]:
    """Start an interpreter that knows `fetch`, `FILE` and `PINNED`; the client reads its settings anew."""
    prelude = (
        "import time; time.sleep = lambda seconds: None\n"
        "from restore_cli.models.hub import HubFile, fetch\n"
        f"FILE = {FILE!r}\nPINNED = {PINNED!r}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
        cwd=Path(__file__).parents[2],
    )


# --- addresses ---


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        ("hf:owner/repo/net.pth", HubFile("owner/repo", "net.pth")),
        ("hf:owner/repo/a/b c/net.pth@v1.0", HubFile("owner/repo", "a/b c/net.pth", "v1.0")),
        ("hf:owner/repo/net.pth@refs/pr/1", HubFile("owner/repo", "net.pth", "refs/pr/1")),
        ("hf:owner/repo/x@2.pth@main", HubFile("owner/repo", "x@2.pth")),
        ("hf:spaces/o.w/r_1/net.pth", HubFile("o.w/r_1", "net.pth", repo_type="space")),
        ("hf:datasets/owner/repo/net.pth@" + COMMIT, HubFile("owner/repo", "net.pth", COMMIT, "dataset")),
    ],
)
def test_an_address_names_a_file_and_the_file_gives_it_back(address: str, parsed: HubFile) -> None:
    assert HubFile.parse(address) == parsed
    assert parsed.address == address


@pytest.mark.parametrize(
    "address",
    ["owner/repo/net.pth", "hf:", "hf:owner/net.pth", "hf:spaces/owner/repo", "hf://owner/repo/net.pth"]
    + ["hf:owner/repo/", "hf:owner/repo/a//b", "hf:owner/repo/net.pth@", "hf:ow ner/repo/net.pth"]
    + ["hf:owner--x/repo/net.pth", "hf:-owner/repo/net.pth", "hf:owner@v1/repo/net.pth", "hf:o/r/net.pth\n"],
)
def test_a_malformed_address_is_a_usage_error_that_shows_the_form(address: str) -> None:
    with pytest.raises(UsageError) as error:
        HubFile.parse(address)
    assert repr(address) in error.value.message
    assert "hf:owner/repo/path/in/repo.safetensors[@revision]" in error.value.hint


@pytest.mark.parametrize(
    "path",
    ["../net.pth", "a/../../net.pth", "./net.pth", "/etc/passwd", "a\\..\\net.pth", "C:/net.pth", "a/\x00"]
    + ["net.pth@../../x", "net.pth@/x", "net.pth@a\\b"],
)
def test_a_path_out_of_the_cache_is_refused(path: str) -> None:
    with pytest.raises(UsageError):
        HubFile.parse(f"hf:owner/repo/{path}")
    filename, _, revision = path.partition("@")  # a card's fields go the same way
    with pytest.raises(UsageError):
        HubFile("owner/repo", filename, revision or "main")


def test_fields_the_address_could_not_give_back_are_refused() -> None:
    with pytest.raises(UsageError):
        HubFile("owner/repo", "net.pth", "v1@home")
    with pytest.raises(UsageError):
        HubFile("owner/repo", "net.pth", repo_type="bucket")


# --- the way it should go ---


def test_a_first_download_returns_the_content_and_the_cache_serves_the_next(hub: HubServer) -> None:
    path = fetch(PINNED)
    assert path.read_bytes() == WEIGHTS
    asked = len(hub.requests)
    assert fetch(PINNED) == path
    assert len(hub.requests) == asked, "an intact pinned file needs no server"


def test_an_unpinned_file_is_compared_with_the_server_but_not_downloaded_again(hub: HubServer) -> None:
    path = fetch(FILE)
    assert fetch(FILE) == path
    assert hub.count("GET") == 1
    hub.files["owner/repo/weights/net.safetensors"] = b"improved"
    hub.revisions["main"] = COMMIT[::-1]
    assert fetch(FILE).read_bytes() == b"improved"


def test_an_old_copy_gives_way_to_the_pinned_content(hub: HubServer) -> None:
    fetch(FILE)
    new = b"improved"
    hub.files["owner/repo/weights/net.safetensors"] = new
    hub.revisions["main"] = COMMIT[::-1]
    assert fetch(HubFile(FILE.repo_id, FILE.filename, sha256=hashlib.sha256(new).hexdigest())).read_bytes() == new


def test_the_pinned_revision_reaches_the_server(hub: HubServer) -> None:
    hub.revisions["refs/pr/1"] = COMMIT[::-1]
    path = fetch(HubFile.parse("hf:owner/repo/weights/net.safetensors@refs/pr/1"))
    assert path.parts[-3] == COMMIT[::-1]
    assert {request.path for request in hub.requests} == {"/owner/repo/resolve/refs%2Fpr%2F1/weights/net.safetensors"}


@pytest.mark.parametrize("prefix", ["spaces/", "datasets/"])
def test_spaces_and_datasets_are_asked_under_their_own_names(hub: HubServer, prefix: str) -> None:
    hub.files[f"{prefix}owner/repo/net.pth"] = b"elsewhere"
    assert fetch(HubFile.parse(f"hf:{prefix}owner/repo/net.pth")).read_bytes() == b"elsewhere"


def test_the_cache_lies_where_hf_home_says(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch(FILE).is_relative_to(tmp_path / "home" / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "other"))
    assert fetch(FILE).is_relative_to(tmp_path / "other")


def test_the_token_is_sent_to_the_hub_but_not_on_to_its_storage(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token, hub.cdn = TOKEN, True
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch(PINNED).read_bytes() == WEIGHTS
    for request in hub.requests:
        expected = None if request.path.startswith("/cdn/") else f"Bearer {TOKEN}"
        assert request.headers.get("authorization") == expected
    assert hub.requests[-1].path == f"/cdn/{SHA256}"


def test_progress_receives_every_byte_and_is_closed(hub: HubServer) -> None:
    bar = Bar()
    fetch(FILE, progress=bar)
    assert (bar.description, bar.total, bar.done, bar.closed) == (
        FILE.filename,
        len(WEIGHTS),
        len(WEIGHTS),
        1,
    )
    unused = Bar()
    fetch(FILE, progress=unused)
    assert unused.total == -1, "nothing is downloaded, so no bar is made"


def test_nothing_is_written_to_stderr_without_progress(hub: HubServer) -> None:
    hub.cuts_left = 1  # the client would report its retry, and with TQDM_POSITION=-1 its bar even to a pipe
    process = run_python("fetch(PINNED)", TQDM_POSITION="-1")
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0
    assert hub.count("GET") == 2


def test_two_processes_fetching_at_once_both_get_a_good_file(hub: HubServer, tmp_path: Path) -> None:
    hub.meeting = threading.Barrier(2, timeout=30)
    pair = [run_python("print(fetch(PINNED).stat().st_size)") for _ in range(2)]
    assert [process.communicate(timeout=60) for process in pair] == [(f"{len(WEIGHTS)}\n", "")] * 2
    assert len(cached_files(tmp_path)) == 2, "one content and one link, no leftovers"


# --- offline ---


@pytest.mark.parametrize("how", ["parameter", "environment"])
def test_an_offline_hit_needs_no_server(hub: HubServer, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch(PINNED)
    hub.stop()
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch(PINNED, offline=how == "parameter") == path
    assert fetch(FILE, offline=how == "parameter") == path


def test_an_offline_miss_says_which_command_fetches_the_file(hub: HubServer) -> None:
    with pytest.raises(DownloadError) as error:
        fetch(HubFile("owner/repo", "a b.pth", "v1", "space"), offline=True)
    assert "hf:spaces/owner/repo/a b.pth@v1" in error.value.message
    assert error.value.hint.endswith("hf download owner/repo 'a b.pth' --revision v1 --repo-type space")
    assert not hub.requests


@pytest.mark.parametrize(("argument", "variable"), [("offline=True", "0"), ("", "1")])
def test_offline_asks_the_server_nothing_at_all(hub: HubServer, argument: str, variable: str) -> None:
    """Not even /api/agent-harnesses, which the client otherwise asks for in each new process."""
    process = run_python(f"fetch(FILE, {argument})", HF_HUB_OFFLINE=variable, HF_HUB_DISABLE_TELEMETRY="0")
    assert f"DownloadError: {FILE.address} is not in" in process.communicate(timeout=60)[1]
    assert not hub.requests


def test_a_cached_file_is_used_when_the_server_cannot_be_reached(hub: HubServer) -> None:
    path = fetch(FILE)
    hub.stop()
    assert fetch(FILE) == path


# --- wrong content ---


def test_wrong_hash_is_refused_and_removed_from_the_cache(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as error:
        fetch(HubFile(FILE.repo_id, FILE.filename, sha256="0" * 64))
    assert FILE.address in error.value.message
    assert SHA256 in error.value.message and "0" * 64 in error.value.message
    assert not cached_files(tmp_path)


@pytest.mark.parametrize("offline", [False, True])
def test_a_poisoned_cache_entry_is_refused_then_downloaded_again(hub: HubServer, tmp_path: Path, offline: bool) -> None:
    path = fetch(PINNED)
    path.resolve().write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(DownloadError, match=f"expected {SHA256}"):
        fetch(PINNED, offline=offline)
    assert not cached_files(tmp_path)
    assert fetch(PINNED).read_bytes() == WEIGHTS
    assert hub.count("GET") == 2


def test_a_wrong_size_is_refused_even_without_a_hash(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="it has 200000 bytes, expected 7"):
        fetch(HubFile(FILE.repo_id, FILE.filename, size_bytes=7))
    assert not cached_files(tmp_path)


def test_removing_a_bad_entry_leaves_files_outside_the_cache_alone(hub: HubServer, tmp_path: Path) -> None:
    """A snapshot's link may lead out: some keep large weights on another disk."""
    path = fetch(PINNED)
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(b"mine")
    path.unlink()
    path.symlink_to(mine)
    with pytest.raises(DownloadError):
        fetch(PINNED, offline=True)
    assert not path.is_symlink()
    assert mine.read_bytes() == b"mine"


# --- broken transfers ---


@pytest.mark.parametrize("fault", [{"serves_at_most": 150_000}, {"cut_at": 150_000, "cuts_left": 99}])
def test_a_truncated_body_is_refused_and_not_kept(
    hub: HubServer, tmp_path: Path, fault: dict[str, int], impatient: None
) -> None:
    for name, value in fault.items():
        setattr(hub, name, value)
    with pytest.raises(DownloadError, match="not all of it arrived"):
        fetch(PINNED)
    assert not cached_files(tmp_path)
    hub.serves_at_most, hub.cuts_left = None, 0
    assert fetch(PINNED).read_bytes() == WEIGHTS


@pytest.mark.parametrize(("cut_by", "reason"), [("reset", "not all of it"), ("vanish", "does not answer")])
def test_a_server_gone_in_the_middle_is_a_download_error(
    hub: HubServer, tmp_path: Path, cut_by: str, reason: str, impatient: None
) -> None:
    hub.cuts_left, hub.cut_at, hub.cut_by = 1, 100_000, cut_by
    bar = Bar()
    with pytest.raises(DownloadError, match=reason) as error:
        fetch(PINNED, progress=bar)
    assert FILE.address in error.value.message
    assert bar.closed == 1
    assert not cached_files(tmp_path)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_cut_once_goes_on_or_starts_over_and_is_whole(hub: HubServer, ranges: bool, impatient: None) -> None:
    content = WEIGHTS * 54 + b"end"  # a little more than a chunk
    hub.files["owner/repo/large.pth"] = content
    hub.ranges, hub.cuts_left, hub.cut_at = ranges, 1, CHUNK + 1000
    bar = Bar()
    large = HubFile("owner/repo", "large.pth", sha256=hashlib.sha256(content).hexdigest())
    assert fetch(large, progress=bar).stat().st_size == len(content)
    assert hub.requests[-1].headers["range"] == f"bytes={CHUNK}-"
    assert bar.done == bar.total == len(content)


def test_a_failure_of_xet_is_a_download_error_that_shows_the_way_around(hub: HubServer, tmp_path: Path) -> None:
    pytest.importorskip("hf_xet")
    hub.xet = True
    with pytest.raises(DownloadError, match="xet failed.*HF_HUB_DISABLE_XET=1"):
        fetch(PINNED)
    assert not cached_files(tmp_path)


# --- refusals ---


@pytest.mark.parametrize(
    ("address", "message", "hint"),
    [
        ("hf:owner/nothing/net.pth", "has no model owner/nothing", "Check the spelling"),
        ("hf:spaces/owner/nothing/net.pth", "has no space owner/nothing", "Check the spelling"),
        ("hf:owner/repo/nothing.pth", "has no such file at revision main", "/owner/repo/tree/main"),
        ("hf:owner/repo/net.pth@v9", "owner/repo has no revision v9", "/owner/repo/commits/main"),
    ],
)
def test_what_is_not_there_is_named(hub: HubServer, address: str, message: str, hint: str) -> None:
    with pytest.raises(DownloadError) as error:
        fetch(HubFile.parse(address))
    assert error.value.message.startswith(address) and message in error.value.message
    assert hint in error.value.hint


def test_a_private_file_asks_for_a_token_and_never_shows_the_wrong_one(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_AnotherOne"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(DownloadError, match="set HF_TOKEN") as error:
        fetch(FILE)
    assert TOKEN not in str(error.value)
    assert hub.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("token", [TOKEN + "\x01", TOKEN + "…", f"{TOKEN} {TOKEN}"])
def test_a_token_no_header_can_hold_is_refused_unseen(
    hub: HubServer, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(DownloadError, match="Set HF_TOKEN again") as error:
        fetch(FILE)
    assert TOKEN not in str(error.value)
    assert error.value.__context__ is None


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        ({"gated": True}, "asks its users to accept terms first", "/owner/repo, then set HF_TOKEN"),
        ({"status": 401}, "refused access (HTTP 401)", "Set HF_TOKEN"),
        ({"status": 403}, "refused access (HTTP 403)", "Set HF_TOKEN"),
        ({"status": 503}, "answered HTTP 503", "Try again in a few minutes"),
        ({"is_hub": False}, "does not answer as a model hub does", "Check HF_ENDPOINT"),
    ],
    ids=["gated", "401", "403", "503", "login page"],
)
def test_a_refusal_says_what_to_do(
    hub: HubServer, fault: dict[str, bool | int], message: str, hint: str, impatient: None
) -> None:
    for name, value in fault.items():
        setattr(hub, name, value)
    with pytest.raises(DownloadError) as error:
        fetch(FILE)
    assert message in error.value.message and FILE.address in error.value.message
    assert hint in error.value.hint
    assert "\n" not in str(error.value)


def test_a_dead_server_is_reported_at_once(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.stop()
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("nobody wants to wait for that"))
    with pytest.raises(DownloadError, match="does not answer.*--offline"):
        fetch(FILE)


def test_a_mirrors_password_is_not_shown(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("//", "//me:secret@"))
    with pytest.raises(DownloadError) as error:
        fetch(HubFile("owner/repo", "nothing.pth"))
    assert hub.url in error.value.hint and "secret" not in str(error.value)


@pytest.mark.parametrize("endpoint", ["huggingface.co", "http://[::1"])
def test_an_endpoint_that_is_no_address_is_named(
    endpoint: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(DownloadError, match="is not an address"):
        fetch(FILE)


def test_a_cache_that_is_no_folder_is_named(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match="Not a directory.*Set HF_HOME") as error:
        fetch(FILE)
    assert str(tmp_path / "file" / "hub") in error.value.message


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_file_that_does_not_fit_is_a_download_error(hub: HubServer, tmp_path: Path) -> None:
    """A limit on the size of files fails the write as a full disk does, at a cost every machine can pay."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); fetch(PINNED)"
    stderr = run_python(limit).communicate(timeout=60)[1]
    assert f"DownloadError: {FILE.address} could not be downloaded: the cache" in stderr
    assert "File too large. Set HF_HOME" in stderr
    assert not cached_files(tmp_path)
