"""Damaged weights are found, secrets are not shown."""

import hashlib

import pytest

from restore_cli.doctor import storage
from restore_cli.doctor.finding import State
from restore_cli.models.catalog import read_catalog

RIGHT = hashlib.sha256(b"right").hexdigest()


def test_the_weights_of_the_package_are_those_of_their_cards():
    (finding,) = storage.examine_embedded()
    embedded = [card.id for card in read_catalog().values() if card.embedded]
    assert finding.state is State.OK and finding.facts["models"] == embedded


def own_card(folder, *, place=""):
    """A card called 'mine', embedded unless it has a place to be downloaded from; its content is b'right'."""
    folder.mkdir()
    (folder / "mine.toml").write_text(
        'id = "mine"\ntask = "denoise"\nsummary = "A test."\narch = "resnet"\n'
        f'[file]\nname = "mine.safetensors"\nbytes = 5\nsha256 = "{RIGHT}"\n'
        '[licence]\nname = "CC0-1.0"\ncommercial = true\ntraining_data = "none"\n' + place
    )
    return folder


@pytest.mark.parametrize(("content", "said"), [(b"wrong", "its sha256 is"), (None, "it cannot be read")])
def test_weights_that_are_not_are_broken(monkeypatch, tmp_path, content, said):
    folder = own_card(tmp_path / "cards")
    if content is not None:
        (folder / "mine.safetensors").write_bytes(content)
    monkeypatch.setenv("RESTORE_CARDS", str(folder))
    broken, rest = storage.examine_embedded()
    assert (broken.subject, broken.state, rest.state) == ("model mine", State.BROKEN, State.OK)
    assert said in broken.message and broken.advice


@pytest.mark.parametrize("spoilt", ["RESTORE_CARDS", "RESTORE_HOME"])
def test_cards_and_settings_that_cannot_be_read_are_broken_and_not_a_crash(monkeypatch, tmp_path, spoilt):
    if spoilt == "RESTORE_HOME":
        (tmp_path / "config.toml").write_text("no toml")
        monkeypatch.setenv(spoilt, str(tmp_path))
    else:
        monkeypatch.setenv(spoilt, str(tmp_path / "gone"))
    (finding,) = storage.examine_home()
    assert finding.state is State.BROKEN and finding.advice + finding.message
    assert list(storage.examine_embedded()) and list(storage.examine_installed())


def test_the_users_folder_need_not_be_there(monkeypatch, tmp_path):
    monkeypatch.setenv("RESTORE_HOME", str(tmp_path / "none"))
    (finding,) = storage.examine_home()
    assert finding.state is State.OK and "not there yet" in finding.message


@pytest.fixture
def caches(monkeypatch, tmp_path):
    """The hub's cache and our own, with a card whose file belongs into either."""
    place = '[[mirrors]]\naddress = "https://example.org/mine.safetensors"\n'
    place += '[[mirrors]]\naddress = "hf:owner/repo/mine.safetensors"\n'
    monkeypatch.setenv("RESTORE_CARDS", str(own_card(tmp_path / "cards", place=place)))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("RESTORE_CACHE", str(tmp_path / "own"))
    return tmp_path / "hub", tmp_path / "own"


def hub_copy(hub, content):
    """`content` as the hub's client keeps it."""
    repository = hub / "models--owner--repo"
    for folder in ("blobs", "refs", "snapshots/" + "a" * 40):
        (repository / folder).mkdir(parents=True)
    (repository / "refs/main").write_text("a" * 40)
    (repository / "blobs" / RIGHT).write_bytes(content)
    link = repository / "snapshots" / ("a" * 40) / "mine.safetensors"
    link.symlink_to(repository / "blobs" / RIGHT)
    return link


def own_copy(own, content):
    path = own / "files" / RIGHT / "mine.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_caches_that_are_not_there_yet_are_no_fault(caches):
    findings = [*storage.examine_folders(), *storage.examine_installed()]
    assert [finding.state for finding in findings] == [State.OK] * 3
    assert findings[0].facts["bytes"] == 0 and findings[-1].message == "none yet"


@pytest.mark.parametrize("kind", [hub_copy, own_copy])
def test_an_intact_download_is_installed_and_its_bytes_are_counted_once(caches, kind):
    kind(caches[kind is own_copy], b"right")
    (finding,) = storage.examine_installed()
    assert finding.facts["models"] == ["mine"]
    sizes = [finding.facts["bytes"] for finding in storage.examine_folders()]
    assert sizes == ([45, 0] if kind is hub_copy else [0, 5])  # of the hub's, 40 say which commit


@pytest.mark.parametrize("kind", [hub_copy, own_copy])
@pytest.mark.parametrize("content", [b"wrong", b"short of it"])
def test_a_damaged_download_is_broken_and_the_way_out_said(caches, kind, content):
    path = kind(caches[kind is own_copy], content)
    broken, rest = storage.examine_installed()
    assert (broken.state, broken.facts, broken.advice) == (
        State.BROKEN,
        {"file": str(path)},
        "restore models pull mine",
    )
    assert rest.facts["models"] == []


@pytest.mark.parametrize("name", ["models--any--repo/blobs/abc.incomplete", "incoming/abc.part"])
def test_a_download_that_never_arrived_in_full_is_noted(caches, name):
    path = caches[name.endswith("part")] / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    (finding,) = [each for each in storage.examine_folders() if each.subject == "partial downloads"]
    assert (finding.state, finding.facts) == (State.NOTE, {"files": [str(path)]})
    assert finding.message.startswith("1 in ") and finding.message.endswith(", 4 B")


def network(monkeypatch, **variables):
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN", *storage.PROXIES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return list(storage.examine_network())


def test_offline_endpoint_and_token_are_told_without_the_token(monkeypatch):
    (finding,) = network(monkeypatch, HF_TOKEN="hf_secret", HF_ENDPOINT="https://me:secret@mirror.example/hub")
    assert finding.message == "from https://mirror.example/hub, with a token"
    assert "secret" not in str(finding)
    (finding,) = network(monkeypatch, HF_HUB_OFFLINE="1")
    assert finding.message.startswith("off") and finding.facts["offline"]


def test_a_token_that_cannot_be_one_is_broken_and_not_shown(monkeypatch):
    (finding,) = network(monkeypatch, HF_TOKEN="hf_sécret")
    assert finding.state is State.BROKEN and "cret" not in str(finding)


def test_proxies_are_shown_without_their_passwords(monkeypatch):
    _, finding = network(
        monkeypatch, https_proxy="http://user:secret@proxy:3128", ALL_PROXY="user:secret@socks:1080", NO_PROXY="a,b.c"
    )
    assert finding.message == "HTTPS_PROXY=http://proxy:3128, ALL_PROXY=socks:1080, NO_PROXY=a,b.c"
