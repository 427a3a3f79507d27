"""Looking in the catalogue, and on a hub of the loopback."""

from __future__ import annotations

import pytest

from restore_cli.errors import DownloadError
from restore_cli.models.catalog import read_catalog
from restore_cli.models.search import matching, search_hub

ANSWER = {
    "id": "owner/net",
    "downloads": 7,
    "tags": ["pytorch", "license:mit"],
    "siblings": [{"rfilename": "README.md"}, {"rfilename": "weights/net.safetensors"}, {"rfilename": "net.PTH"}],
}
TOKEN = "hf_NotToBeSeenAnywhere"


def test_every_word_must_be_found_in_any_case():
    found = [card.id for card in matching(read_catalog().values(), "SwinIR x4")]
    assert "swinir-m-sr-x4" in found and "swinir-m-sr-x2" not in found
    assert not matching(read_catalog().values(), "swinir nonsense")
    assert {card.id for card in matching(read_catalog().values(), "demosaic")} >= {"drunet-color", "unet-demosaic"}


def test_the_hub_is_asked_without_a_token_and_only_files_of_weights_are_named(catalogue, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    catalogue.hub.found = [ANSWER, {"id": "owner/bare"}]
    first, second = search_hub("net & more", limit=2)
    assert (first.repo_id, first.downloads, first.licence) == ("owner/net", 7, "mit")
    assert first.files == ("hf:owner/net/weights/net.safetensors", "hf:owner/net/net.PTH")
    assert (second.licence, second.files) == ("", ())
    (request,) = [each for each in catalogue.hub.requests if each.path.startswith("/api/models")]
    assert "search=net+%26+more" in request.path or "search=net%20%26%20more" in request.path
    assert TOKEN not in str(request.headers)


@pytest.mark.parametrize("fault", ["dead", "503", "offline"])
def test_a_hub_that_cannot_be_asked_is_an_error_of_one_line(catalogue, fault, monkeypatch, impatient, caplog):
    if fault == "dead":
        catalogue.hub.stop()
    elif fault == "503":
        catalogue.hub.status = 503
    else:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="hub") as error:
        search_hub("net", limit=1)
    assert "\n" not in str(error.value)
    assert fault != "dead" or not caplog.records, "it knocked more than once"
