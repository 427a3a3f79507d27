"""Looking for models: in the catalogue, and on the hub when there is a network."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from restore_cli.errors import DownloadError
from restore_cli.models.card import Card
from restore_cli.models.hub import endpoint, endpoint_shown, is_offline, no_client_warnings

__all__ = ["Found", "matching", "search_hub"]

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
MOST_FILES = 6


@dataclass(frozen=True)
class Found:
    """A repository of the hub.

    Attributes:
        repo_id: 'owner/repo'.
        downloads: in the last month, as the hub counts them.
        licence: the tag, or empty.
        files: addresses of what may be weights, at most a few.
    """

    repo_id: str
    downloads: int
    licence: str
    files: tuple[str, ...]


def matching(cards: Iterable[Card], words: str) -> list[Card]:
    """The cards in whose name, task, network, summary or paper every word is found."""
    wanted = words.casefold().split()
    found = []
    for card in cards:
        text = " ".join((card.id, *card.tasks, card.network, card.arch, card.summary, card.paper)).casefold()
        if all(word in text for word in wanted):
            found.append(card)
    return found


def search_hub(words: str, limit: int) -> list[Found]:
    """Repositories of the hub for `words`, the most downloaded first. No token is sent: what is public suffices.

    Raises:
        DownloadError: the hub does not answer, or refuses.
    """
    if is_offline():
        raise DownloadError("The hub is not searched: HF_HUB_OFFLINE is set.", "Unset it.")
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import HfApi, get_session
    from huggingface_hub.errors import HfHubHTTPError

    hub = HfApi(endpoint=endpoint(), token=False)
    try:
        with no_client_warnings():
            # The client knocks at a dead server for half a minute. Once will do; any answer is one.
            get_session().head(endpoint())
            models = list(hub.list_models(search=words, limit=limit, full=True, sort="downloads"))
    except HfHubHTTPError as error:
        raise _failed(f"answered HTTP {error.response.status_code}") from error
    except (HTTPError, InvalidURL, OSError, ValueError) as error:
        raise _failed("does not answer as a model hub does") from error
    return [
        Found(
            repo_id=each.id,
            downloads=each.downloads or 0,
            licence=next((tag[8:] for tag in each.tags or () if tag.startswith("license:")), ""),
            files=tuple(
                f"hf:{each.id}/{file.rfilename}"
                for file in each.siblings or ()
                if os.path.splitext(file.rfilename)[1].lower() in SUFFIXES
            )[:MOST_FILES],
        )
        for each in models
    ]


def _failed(what: str) -> DownloadError:
    return DownloadError(
        f"The hub {endpoint_shown()} {what}.", "Check the connection and HF_ENDPOINT; --offline searches the catalogue."
    )
