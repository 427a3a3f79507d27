"""Where the user's own things are: the settings, cards of one's own, the pins; and files that are on no hub.

RESTORE_HOME names the folder of the first, RESTORE_CACHE that of the last. Both are read at every call.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from restore_cli.tables import from_table, read_toml

__all__ = ["CACHE_VARIABLE", "HOME_VARIABLE", "Settings", "file_store", "home_dir", "own_cards_dir", "read_settings"]

HOME_VARIABLE = "RESTORE_HOME"
CACHE_VARIABLE = "RESTORE_CACHE"


@dataclass(frozen=True)
class Settings:
    """What `config.toml` says.

    Attributes:
        models: which models the tasks use: 'installed', 'embedded' or 'best'; empty leaves it to the program.
    """

    models: str = ""


def home_dir() -> Path:
    """The folder of settings, own cards and pins: RESTORE_HOME, else `restore` in the folder for settings."""
    return _folder(HOME_VARIABLE, "XDG_CONFIG_HOME", "~/.config")


def file_store() -> Path:
    """The folder of weights that no hub cache holds: RESTORE_CACHE, else `restore` in the folder for caches."""
    return _folder(CACHE_VARIABLE, "XDG_CACHE_HOME", "~/.cache")


def own_cards_dir() -> Path:
    """The folder of the cards that `restore models add` writes. It need not exist."""
    return home_dir() / "cards"


def read_settings() -> Settings:
    """The user's settings; the plain ones where there is no file. Raises RecipeError for a file that is none."""
    path = home_dir() / "config.toml"
    return from_table(Settings, read_toml(path), str(path)) if path.is_file() else Settings()


def _folder(variable: str, base: str, fallback: str) -> Path:
    named = os.environ.get(variable) or os.path.join(os.environ.get(base) or fallback, "restore")
    return Path(os.path.expandvars(named)).expanduser()
