"""A network with a checkpoint a level: the told level chooses."""

from __future__ import annotations

import pytest
import tomli_w

from restore_cli.errors import RecipeError, UsageError
from restore_cli.models.catalog import CARD_FOLDERS_VARIABLE, find_card, read_catalog
from restore_cli.models.levels import any_member, family_conditioning, family_members, family_sha256, settle_level
from restore_cli.options import Hints
from restore_cli.tasks import QUALITY_FACTOR, SIGMA


def card(folder, card_id, task, **facts):
    table = {
        "id": card_id,
        "task": task,
        "summary": "For tests.",
        "file": {"name": "weights.pth"},
        "licence": {"name": "MIT", "commercial": True, "training_data": "none"},
    } | facts
    (folder / f"{card_id}.toml").write_text(tomli_w.dumps(table))


@pytest.fixture(autouse=True)
def catalogue(tmp_path, monkeypatch):
    for level in (15, 25, 50):
        card(tmp_path, f"net-denoise-{level}", "denoise", level=level)
    for level in (10, 20, 30, 40):
        card(tmp_path, f"net-jpeg-{level}", "jpeg", level=level)
    card(tmp_path, "net-denoise-blind", "denoise")
    monkeypatch.setenv(CARD_FOLDERS_VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("sigma", "level"),
    [(0, 15), (5, 15), (15, 15), (19, 15), (20, 25), (25, 25), (35, 25), (36, 50), (50, 50), (255, 50)],
)
def test_the_noise_level_chooses_the_nearest_checkpoint_by_ratio(sigma, level):
    assert settle_level("net-denoise", Hints(sigma_255=sigma))[0] == f"net-denoise-{level}"


@pytest.mark.parametrize(("quality", "level"), [(1, 10), (10, 10), (14, 10), (15, 20), (24, 20), (25, 30), (90, 40)])
def test_the_jpeg_quality_chooses_likewise(quality, level):
    assert settle_level("net-jpeg", Hints(quality_factor=quality))[0] == f"net-jpeg-{level}"


def test_only_a_level_that_is_noticeably_off_is_worth_a_word():
    assert settle_level("net-denoise", Hints(sigma_255=25)) == ("net-denoise-25", "")
    assert settle_level("net-denoise", Hints(sigma_255=26)) == ("net-denoise-25", "")
    assert settle_level("net-jpeg", Hints(quality_factor=90)) == (
        "net-jpeg-40",
        "net-jpeg-40 was made for --quality-factor 40, not 90.",
    )


def test_a_checkpoint_named_with_its_level_is_obeyed_and_a_nearer_one_named():
    assert settle_level("net-denoise-15", Hints(sigma_255=50)) == (
        "net-denoise-15",
        "net-denoise-15 was made for --sigma 15, not 50; net-denoise-50 is nearer.",
    )
    assert settle_level("net-denoise-15", Hints()) == ("net-denoise-15", "")


def test_a_family_without_a_level_is_an_error_that_names_levels_and_option():
    with pytest.raises(UsageError, match=r"checkpoint for each of --sigma 15, 25, 50") as caught:
        settle_level("net-denoise", Hints(quality_factor=30))
    assert "--sigma LEVEL" in caught.value.hint
    assert "net-denoise-15" in caught.value.hint


@pytest.mark.parametrize("name", ["net-denoise-blind", "net", "models/file.pth", "hf:owner/repo/file.pth", ""])
def test_any_other_name_comes_back_as_it_is(name):
    assert settle_level(name, Hints(sigma_255=25)) == (name, "")


def test_the_family_is_the_id_without_the_level():
    assert find_card("net-denoise-15").family == "net-denoise"
    assert find_card("net-denoise-blind").family == ""


def test_a_family_has_its_members_by_level_and_what_must_be_known_of_a_picture():
    assert [card.level for card in family_members("net-denoise")] == [15, 25, 50]
    assert family_conditioning("net-denoise") is SIGMA
    assert family_conditioning("net-jpeg") is QUALITY_FACTOR
    for single in ("net-denoise-15", "net-denoise-blind", "file.pth", "hf:a/b/c.pth"):
        assert (family_members(single), family_conditioning(single), any_member(single)) == ((), None, single)


def test_of_a_family_one_to_begin_with_is_that_of_the_known_level_or_the_middle_one():
    assert any_member("net-denoise") == "net-denoise-25"
    assert any_member("net-denoise", Hints(quality_factor=3)) == "net-denoise-25"
    assert any_member("net-denoise", Hints(sigma_255=60)) == "net-denoise-50"


def test_the_content_of_a_family_is_that_of_all_its_cards(catalogue):
    before = family_sha256("net-denoise")
    assert before != family_sha256("net-jpeg")
    card(catalogue, "net-denoise-25", "denoise", level=25, file={"name": "weights.pth", "sha256": "0" * 64})
    assert family_sha256("net-denoise") != before


@pytest.mark.parametrize(("card_id", "task"), [("net-denoise-x", "denoise"), ("net-deblur-7", "deblur")])
def test_a_level_that_neither_id_nor_task_knows_of_is_refused(catalogue, card_id, task):
    card(catalogue, card_id, task, level=7)
    with pytest.raises(RecipeError, match="level = 7"):
        read_catalog()
