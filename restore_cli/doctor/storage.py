"""Weights: those of the package, those downloaded, and what stands between us and more."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from restore_cli.doctor.finding import Finding, State, in_bytes
from restore_cli.errors import RestoreError
from restore_cli.models.card import Card
from restore_cli.models.catalog import read_catalog, weights_path
from restore_cli.models.download import Download, find
from restore_cli.models.home import file_store, home_dir, read_settings
from restore_cli.models.hub import cache_dir, endpoint_shown, fault_of, is_offline
from restore_cli.models.lock import read_pins

__all__ = ["examine_embedded", "examine_folders", "examine_home", "examine_installed", "examine_network"]

PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
# Name and password before the host, with or without a scheme.
CREDENTIALS = re.compile(r"(//|^)[^/@]*@")
REINSTALL = "pip install --force-reinstall --no-deps restore-cli"
PARTIAL = (".incomplete", ".part")  # of the hub's client, and ours


def examine_home() -> Iterator[Finding]:
    """The user's settings, cards and pins: whether they can be read."""
    home = home_dir()
    for read in (read_settings, read_catalog, read_pins):
        try:
            read()
        except RestoreError as error:
            yield Finding("settings and cards", error.message, State.BROKEN, error.hint)
            return
    yield Finding("settings and cards", f"{home}" if home.is_dir() else f"{home}, not there yet")


def examine_embedded() -> Iterator[Finding]:
    """The weights that come with the package, by sha256."""
    cards = [card for card in _cards() if card.embedded]
    intact = []
    for card in cards:
        path = weights_path(card)
        if fault := _fault(path, card.file.sha256):
            yield Finding(f"model {card.id}", f"{path}: {fault}", State.BROKEN, REINSTALL)
        else:
            intact.append(card)
    size = sum(card.file.bytes for card in intact)
    yield Finding(
        "embedded models",
        f"{len(intact)} of {len(cards)} intact, {in_bytes(size)}",
        facts={"models": [card.id for card in intact], "bytes": size},
    )


def examine_installed() -> Iterator[Finding]:
    """The models of the catalogue that were downloaded, by sha256 as far as that is known."""
    intact = []
    for card in _cards():
        download = None if card.embedded else Download.of(card)
        path = find(download) if download else None
        if download is None or path is None:
            continue
        if fault := _fault(path, download.sha256, download.size_bytes):
            advice = f"restore models pull {shlex.quote(card.id)}"
            yield Finding(f"model {card.id}", f"{path}: {fault}", State.BROKEN, advice, {"file": str(path)})
        else:
            intact.append(card.id)
    yield Finding("downloaded models", ", ".join(intact) or "none yet", facts={"models": intact})


def examine_folders() -> Iterator[Finding]:
    """The folders of downloads: their size, and what in them never arrived in full."""
    for subject, folder, variable in (
        ("hub cache", cache_dir(), "HF_HOME"),
        ("other downloads", file_store(), "RESTORE_CACHE"),
    ):
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        total = sum(path.stat().st_size for path in files)
        facts = {"folder": str(folder), "bytes": total}
        if folder.is_dir() and not os.access(folder, os.W_OK):
            advice = f"Set {variable} to a folder you can write to, unless nothing new is to be downloaded."
            yield Finding(subject, f"{folder}, {in_bytes(total)}, read-only", State.NOTE, advice, facts)
        else:
            yield Finding(subject, f"{folder}, {in_bytes(total)}", facts=facts)
        partial = [path for path in files if path.suffix in PARTIAL]
        if partial:
            size = in_bytes(sum(path.stat().st_size for path in partial))
            advice = "The same download goes on from there. If it is not wanted any more: rm "
            yield Finding(
                "partial downloads",
                f"{len(partial)} in {folder}, {size}",
                State.NOTE,
                advice + shlex.join(str(path) for path in partial),
                {"files": [str(path) for path in partial]},
            )


def examine_network() -> Iterator[Finding]:
    """Whether downloads are allowed, from where and through what. Asks no server, prints no secret."""
    from huggingface_hub import get_token

    offline, token = is_offline(), get_token() or ""
    facts = {"offline": offline, "endpoint": endpoint_shown(), "token": bool(token)}
    if not re.fullmatch(r"[!-~]*", token):
        advice = "Set HF_TOKEN again, whole and without blanks or quotes."
        yield Finding("downloads", "the token has a character no token has", State.BROKEN, advice, facts)
    else:
        message = f"from {endpoint_shown()}, {'with' if token else 'without'} a token"
        yield Finding("downloads", "off (HF_HUB_OFFLINE)" if offline else message, facts=facts)
    proxies = {}
    for name in PROXIES:
        value = os.environ.get(name) or os.environ.get(name.lower())
        if value:
            proxies[name] = ",".join(CREDENTIALS.sub(r"\1", part) for part in value.split(","))
    if proxies:
        yield Finding("proxies", ", ".join(f"{name}={value}" for name, value in proxies.items()), facts=proxies)


def _cards() -> list[Card]:
    try:
        return list(read_catalog().values())
    except RestoreError:  # told of by `examine_home`
        return []


def _fault(path: Path, sha256: str | None, size_bytes: int | None = None) -> str:
    try:
        return fault_of(path, sha256, size_bytes)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
