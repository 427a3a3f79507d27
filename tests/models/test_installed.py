"""What is here, whether it is what it was, and its removal."""

from __future__ import annotations

import hashlib

import pytest

from restore_cli.errors import UsageError
from restore_cli.models.catalog import find_card, read_catalog
from restore_cli.models.download import Download, fetch
from restore_cli.models.installed import State, examine, installed_path, remove
from restore_cli.models.lock import lock_path
from tests.catalogue import CONTENT

SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_embedded_models_are_here_and_intact():
    for card in read_catalog().values():
        if card.embedded:
            assert examine(card).state is State.INTACT


def test_of_the_hubs_models_none_is_here_at_first(catalogue):
    assert not [card.id for card in read_catalog().values() if not card.embedded and installed_path(card)]


@pytest.mark.parametrize("places", [("hub",), ("web",)])
@pytest.mark.parametrize("pinned", [True, False])
def test_a_poisoned_entry_of_the_cache_is_detected(catalogue, places, pinned):
    card = catalogue.card("net", places=places, pinned=pinned)
    assert examine(card) is None
    path = fetch(Download.of(card))
    assert (examine(card).state, examine(card).sha256) == (State.INTACT, SHA256)
    path.resolve().write_bytes(CONTENT[:-1] + b"!")
    found = examine(card)
    assert found.state is State.CHANGED and f"expected {SHA256}" in found.fault
    path.resolve().write_bytes(CONTENT[:-1])
    assert "it has 199999 bytes" in examine(card).fault or "sha256" in examine(card).fault


def test_a_file_that_nothing_pins_is_neither_intact_nor_changed(catalogue):
    card = catalogue.card("net", pinned=False)
    fetch(Download.of(card))
    lock_path().unlink()
    assert examine(card).state is State.UNPINNED


def test_removal_frees_the_file_but_the_pin_stays(catalogue):
    card = catalogue.card("net", pinned=False)
    fetch(Download.of(card))
    assert remove(card) == len(CONTENT)
    assert installed_path(card) is None and not catalogue.files()
    assert Download.of(card).sha256 == SHA256
    assert remove(card) == 0


def test_what_comes_with_the_package_is_not_removed():
    with pytest.raises(UsageError, match="comes with the package"):
        remove(find_card("unet-jpeg"))
