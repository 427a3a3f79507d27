"""Models carried between two machines, the second without a network."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from restore_cli.errors import CheckpointError, DownloadError, RecipeError, UsageError
from restore_cli.models import lock
from restore_cli.models.catalog import find_card, read_catalog
from restore_cli.models.download import Download, fetch
from restore_cli.models.installed import installed_path
from restore_cli.models.transfer import SUMS, export_models, import_models
from tests.catalogue import CONTENT


def carried(catalogue, cards, *, offline=True):
    """The folder with `cards`, pulled here; from then on the machine is another, its network off."""
    for card in cards:
        fetch(Download.of(card))
    folder = catalogue.root / "stick"
    list(export_models(cards, folder))
    catalogue.machine("there")
    if offline:
        catalogue.hub.stop()
    return folder


@pytest.mark.parametrize("places", [("hub",), ("web",), ("hub", "web")])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_model_carried_over_is_used_without_a_network(catalogue, places, pinned):
    card = catalogue.card("net", places=places, pinned=pinned)
    folder = carried(catalogue, [card])
    assert installed_path(card) is None
    (arrived,) = import_models(folder)
    assert (arrived.id, arrived.bytes) == ("net", len(CONTENT))
    assert fetch(Download.of(card), offline=True).read_bytes() == CONTENT
    assert ("net" in lock.read_pins()) == (not pinned)


def test_several_models_share_a_folder_and_later_ones_join_them(catalogue):
    cards = [catalogue.card(name, name.encode()) for name in ("one", "two", "three")]
    for card in cards:
        fetch(Download.of(card))
    folder = catalogue.root / "stick"
    assert [each.id for each in export_models(cards[:2], folder)] == ["one", "two"]
    assert [each.id for each in export_models(cards[2:], folder)] == ["three"]
    lines = (folder / SUMS).read_text().splitlines()
    assert len(lines) == 6
    for line in lines:
        sha256, _, place = line.partition("  ")
        assert hashlib.sha256((folder / place).read_bytes()).hexdigest() == sha256
    catalogue.machine("there")
    assert {each.id for each in import_models(folder)} == {"one", "two", "three"}


def test_only_what_is_installed_and_intact_is_exported(catalogue):
    card = catalogue.card("net")
    with pytest.raises(CheckpointError, match="not installed.*restore models pull net"):
        list(export_models([card], catalogue.root / "stick"))
    fetch(Download.of(card)).resolve().write_bytes(CONTENT[::-1])
    with pytest.raises(CheckpointError, match="expected"):
        list(export_models([card], catalogue.root / "stick"))
    assert not (catalogue.root / "stick").exists()


@pytest.mark.parametrize("resealed", [False, True])
@pytest.mark.parametrize("pinned", [True, False])
def test_tampered_weights_are_refused(catalogue, resealed, pinned):
    card = catalogue.card("net", pinned=pinned)
    folder = carried(catalogue, [card])
    if not pinned:
        lock.pin("net", lock.Pin(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "an earlier download"))
    (folder / "net/net.safetensors").write_bytes(CONTENT[::-1])
    if resealed:  # by somebody who knows how the folder is made
        sums = folder / SUMS
        sums.write_text(
            sums.read_text().replace(hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(CONTENT[::-1]).hexdigest())
        )
    with pytest.raises(DownloadError, match="was refused: its sha256 is"):
        list(import_models(folder))
    assert installed_path(card) is None and not catalogue.files()


@pytest.mark.parametrize(
    "place",
    ["../net.safetensors", "net/../../x", "/etc/passwd", "net/sub/file", "net\\..\\x/y", "../x/net.toml", "net/.."]
    + ["C:/net", "net/a:b", ".ssh/key"],
)
def test_a_line_that_leads_out_of_the_folder_is_refused_before_anything_is_read(catalogue, place):
    folder = carried(catalogue, [catalogue.card("net")])
    sums = folder / SUMS
    sums.write_text(sums.read_text() + f"{'0' * 64}  {place}\n")
    with pytest.raises(RecipeError, match="leads out of the folder"):
        list(import_models(folder))
    assert not catalogue.files()


@pytest.mark.parametrize("text", ["nonsense\n", "0" * 64 + " net/one space\n", "Z" * 64 + "  net/x\n"])
def test_a_spoilt_list_is_named_with_its_line(catalogue, text):
    folder = carried(catalogue, [catalogue.card("net")])
    (folder / SUMS).write_text(text)
    with pytest.raises(RecipeError, match="SHA256SUMS, line 1"):
        list(import_models(folder))


def test_a_folder_that_is_no_export_is_named(tmp_path, catalogue):
    with pytest.raises(RecipeError, match="no SHA256SUMS"):
        list(import_models(tmp_path))


def test_a_card_the_other_machine_does_not_know_becomes_its_own(catalogue):
    folder = carried(catalogue, [catalogue.card("net")])
    (catalogue.folder / "net.toml").unlink()
    assert "net" not in read_catalog()
    list(import_models(folder))
    assert installed_path(find_card("net")).read_bytes() == CONTENT


def test_a_card_cannot_come_under_the_name_of_another(catalogue):
    folder = carried(catalogue, [catalogue.card("net")])
    (catalogue.folder / "net.toml").unlink()
    shutil.move(folder / "net", folder / "ten")
    shutil.move(folder / "ten/net.toml", folder / "ten/ten.toml")
    (folder / SUMS).write_text(
        (folder / SUMS).read_text().replace("net/net.toml", "ten/ten.toml").replace("net/", "ten/")
    )
    with pytest.raises(RecipeError, match="the card's id is 'net'"):
        list(import_models(folder))
    assert not catalogue.files()


def test_what_comes_with_the_package_is_not_replaced(catalogue):
    folder = carried(catalogue, [catalogue.card("net")])
    (folder / SUMS).write_text((folder / SUMS).read_text().replace("net/", "unet-jpeg/"))
    with pytest.raises(UsageError, match="comes with the package"):
        list(import_models(folder))
