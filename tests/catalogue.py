"""A catalogue of its own for a test: cards in a folder, their files on the loopback hub, empty caches."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from restore_cli.models.card import Card
from restore_cli.models.catalog import find_card
from tests.hub_server import HubServer

CONTENT = random.Random(0).randbytes(200_000)
REPO = "owner/repo"


class Catalogue:
    """What a test needs: `hub` serves, `card` writes a card and puts its file where it says."""

    def __init__(self, hub: HubServer, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub, self.root, self._patch = hub, root, monkeypatch
        self.folder = root / "catalogue"
        self.folder.mkdir()
        monkeypatch.setenv("RESTORE_CARDS", str(self.folder))
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "RESTORE_MODELS"):
            monkeypatch.delenv(name, raising=False)
        self.machine("here")

    def machine(self, name: str) -> Path:
        """From now on the caches, pins and own cards are those of another machine."""
        home = self.root / name
        self._patch.setenv("HF_HOME", str(home / "hub"))
        self._patch.setenv("RESTORE_HOME", str(home / "home"))
        self._patch.setenv("RESTORE_CACHE", str(home / "store"))
        return home

    def card(
        self,
        card_id: str = "net",
        content: bytes = CONTENT,
        *,
        places: tuple[str, ...] = ("hub",),
        pinned: bool = True,
        commercial: bool = True,
        **fields: Any,
    ) -> Card:
        """A card whose file, `content`, is at `places`: 'hub', 'web', or 'mirror' (the hub again, elsewhere)."""
        name = f"{card_id}.safetensors"
        table: dict[str, Any] = {"id": card_id, "task": "denoise", "summary": f"The model {card_id}", **fields}
        table["file"] = {"name": name}
        if pinned:
            table["file"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        table["licence"] = {"name": "MIT", "commercial": commercial, "training_data": "none"}
        if "hub" in places:
            table["hub"] = {"repo_id": REPO, "filename": f"weights/{name}"}
            self.hub.files[f"{REPO}/weights/{name}"] = content
        table["mirrors"] = []
        if "mirror" in places:
            table["mirrors"].append({"address": f"hf:other/repo/{name}"})
            self.hub.files[f"other/repo/{name}"] = content
        if "web" in places:
            table["mirrors"].append({"address": f"{self.hub.url}/web/{name}"})
            self.hub.web[name] = content
        (self.folder / f"{card_id}.toml").write_text(tomli_w.dumps(table))
        return find_card(card_id)

    def files(self, *parts: str) -> list[Path]:
        """Every file of weights on this machine, links included; whole or not."""
        home = Path(os.environ["RESTORE_HOME"]).parent
        found = [path for path in home.rglob("*") if not path.is_dir()]
        return [path for path in found if {"blobs", "snapshots", "files", "incoming"} & set(path.parts)
                and path.suffix not in (".held", ".lock")]  # fmt: skip

    def python(self, code: str) -> subprocess.Popen[str]:
        """Start an interpreter that has `fetch` and `net`, the download of the card of that name."""
        prelude = (
            "from restore_cli.models.download import Download, fetch\n"
            "from restore_cli.models.catalog import find_card\n"
            "net = Download.of(find_card('net'))\n"
        )
        return subprocess.Popen(
            [sys.executable, "-c", prelude + code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """An empty catalogue beside the package's, on a machine where nothing is installed."""
    with HubServer() as hub:
        yield Catalogue(hub, tmp_path, monkeypatch)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client pauses between attempts; here the clock's sleep does not."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
