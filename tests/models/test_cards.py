"""The package's cards of other people's models: whole, sourced, and their requests well-formed."""

from __future__ import annotations

import dataclasses
import hashlib
import re

import pytest
import tomli_w

from restore_cli.archs.histoformer import Histoformer
from restore_cli.errors import RecipeError
from restore_cli.models.card import UNPINNED, Card, Evidence, HubLocation, Mirror, Tiling, read_card
from restore_cli.models.catalog import read_catalog
from restore_cli.models.choose import EXTRA_MODULES
from restore_cli.models.download import Download, fetch
from restore_cli.models.levels import family_members
from restore_cli.tasks import TASKS

CARDS = {card.id: card for card in read_catalog().values() if not card.embedded}
# What a card says of itself; everything else is a fact, and a fact has a source.
OURS = {"id", "task", "also", "summary", "evidence", "source", "wne", "config", "arch", "precisions", "rivals"}
BY_THE_CARDS_SOURCE = {"network", "scale", "channels", "conditioning", "level", "requires", "notes"}
PINNED_REVISION = re.compile("[0-9a-f]{40}")


def test_the_catalogue_is_as_large_as_it_should_be():
    assert len(CARDS) >= 40
    assert sum(card.file.pinned for card in CARDS.values()) >= 25
    assert {task for card in CARDS.values() for task in card.tasks} == set(TASKS)


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_every_fact_on_a_card_has_a_source(card: Card) -> None:
    unsourced = set()
    for field in dataclasses.fields(card):
        value = getattr(card, field.name)
        if field.name in OURS or not value:
            continue
        if field.name in BY_THE_CARDS_SOURCE:
            sourced = bool(card.source)
        elif field.name == "paper":
            sourced = "arXiv" in value  # a paper is its own source
        elif field.name == "precision_advice":
            sourced = "spandrel's table" in value
        elif isinstance(value, tuple):
            sourced = all(each.source for each in value)
        else:
            sourced = bool(value.source)
        if not sourced:
            unsourced.add(field.name)
    assert not unsourced
    assert card.evidence in Evidence
    assert card.network


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_a_card_is_pinned_by_content_by_commit_or_says_that_it_is_not(card: Card) -> None:
    if card.file.pinned:
        assert PINNED_REVISION.fullmatch(card.file.sha256[:40]) and len(card.file.sha256) == 64
    else:
        assert card.file.sha256 == UNPINNED
        # Where neither is known, the card's source line says so.
        located = card.hub is None or PINNED_REVISION.fullmatch(card.hub.revision)
        assert located or "recorded" in card.hub.source
    assert (card.evidence is Evidence.LISTED) == (not card.file.pinned)


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_terms_are_stated_and_doubtful_ones_do_not_count_as_commercial(card: Card) -> None:
    assert card.licence.name and card.licence.training_data
    free = re.match(r"(Apache-2\.0|MIT|BSD-3-Clause|CC-BY-4\.0)$", card.licence.name)
    assert card.licence.commercial == bool(free)
    assert not card.requires or card.requires in EXTRA_MODULES


def test_checkpoints_of_one_family_differ_in_their_weights_alone():
    families = {card.family for card in CARDS.values()} - {""}
    assert len(families) == 4
    for family in families:
        members = family_members(family)
        shared = ("task", "network", "scale", "channels", "conditioning", "requires", "tiling", "licence")
        for name in shared:
            assert len({getattr(card, name) for card in members}) == 1, (family, name)
        assert len(members) > 1


def test_a_card_of_our_own_network_shares_what_the_network_advises():
    assert CARDS["histoformer-weather"].tiling.overlap_px == Histoformer.overlap_px


def test_figures_of_a_procedure_that_was_not_run_here_are_said_to_be_quoted():
    card = CARDS["drunet-color"]
    quoted = {score.dataset: score.psnr for score in card.scores if score.protocol == "demosaic"}
    assert quoted == {"Kodak": 42.68, "McMaster": 39.39}
    assert any("quoted and not reproduced here" in note for note in card.notes)


def test_no_two_cards_are_the_same_file():
    hashes = [card.file.sha256 for card in CARDS.values() if card.file.pinned]
    assert len(set(hashes)) == len(hashes)
    places = [place.address for card in CARDS.values() for place in Download.of(card).places]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("card", CARDS.values(), ids=list(CARDS))
def test_every_place_of_a_card_is_asked_for_by_a_well_formed_request(catalogue, card: Card) -> None:
    """The same card, of content that the loopback has: the hub's requests are checked by a hub, in their own form."""
    content = card.id.encode()
    hub = catalogue.hub
    addresses = {}
    for mirror in card.mirrors:
        if mirror.address.startswith("https:"):
            name = mirror.address.removeprefix("https://")
            hub.web[name] = content
            addresses[mirror.address] = f"{hub.url}/web/{name}"
    served = dataclasses.replace(
        card,
        file=dataclasses.replace(card.file, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()),
        mirrors=tuple(Mirror(addresses.get(each.address, each.address), each.source) for each in card.mirrors),
    )
    download = Download.of(served)
    for place in download.places:
        hub.requests.clear()
        if not place.address.startswith("http"):
            prefix = {"model": "", "space": "spaces/"}[place.repo_type]
            hub.files[f"{prefix}{place.repo_id}/{place.filename}"] = content
            hub.revisions[place.revision] = place.revision if place.revision != "main" else "0" * 40
        alone = dataclasses.replace(download, places=(place,))
        path = fetch(alone)
        assert path.read_bytes() == content
        assert path.name == place.address.rpartition("/")[2].partition("@")[0] or path.name == card.file.name
        assert hub.requests and hub.requests[-1].method == "GET"
        catalogue.machine(f"next{len(hub.files)}{len(hub.web)}{place.address.count('/')}")


def table(**changes):
    return {
        "id": "mine",
        "task": "denoise",
        "summary": "For tests.",
        "file": {"name": "mine.pth", "bytes": 3, "sha256": "0" * 64},
        "licence": {"name": "CC0-1.0", "commercial": True, "training_data": "none"},
    } | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": {"name": "../mine.pth"}}, "no plain file name"),
        ({"file": {"name": "a\\mine.pth"}}, "no plain file name"),
        ({"file": {"name": ".."}}, "no plain file name"),
        ({"file": {"name": "C:mine.pth"}}, "no plain file name"),
        ({"file": {"name": "mine.pth", "sha256": "unknown"}}, "no sha256"),
        ({"also": ["sharpen"]}, "names no task"),
        ({"evidence": "hearsay"}, "expected"),
    ],
)
def test_a_card_with_an_impossible_value_is_refused(tmp_path, changes, message):
    path = tmp_path / "mine.toml"
    path.write_text(tomli_w.dumps(table(**changes)))
    with pytest.raises(RecipeError, match=message) as error:
        read_card(path)
    assert str(path) in error.value.message


def test_a_card_that_pins_nothing_says_so_by_leaving_it_out_or_in_a_word(tmp_path):
    path = tmp_path / "mine.toml"
    for file in ({"name": "mine.pth"}, {"name": "mine.pth", "sha256": "unpinned"}):
        path.write_text(tomli_w.dumps(table(file=file)))
        assert not read_card(path).file.pinned


def test_parts_of_a_card_are_what_they_were_before_sources_were_added():
    """Cards of one's own need no sources."""
    assert HubLocation("a/b", "c").source == Mirror("hf:a/b/c").source == Tiling(8).source == ""
