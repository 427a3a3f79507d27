"""What arrived when a file was first downloaded that no page prints the sha256 of.

Trust on first use: the first download decides, and whatever comes later under the same card must be the same
content. The list is `models.lock` in the user's own folder (`restore_cli.models.home`), TOML that one may read
and edit: taking an entry out makes the next download the first again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from restore_cli.errors import DownloadError
from restore_cli.io.atomic import replacing
from restore_cli.models.home import HOME_VARIABLE, home_dir
from restore_cli.tables import from_table, read_toml

__all__ = ["Pin", "lock_path", "pin", "read_pins"]

HEADER = (
    "# Written by restore: what the models that no page prints a sha256 of were, when they were first downloaded.\n\n"
)


@dataclass(frozen=True)
class Pin:
    """The content of a card's file: its sha256, its size, and the place it came from."""

    sha256: str
    bytes: int
    address: str


def lock_path() -> Path:
    """The file of the pins. It need not exist."""
    return home_dir() / "models.lock"


def read_pins() -> dict[str, Pin]:
    """The pin of each card that has one, by id; raises RecipeError for a file that was spoilt."""
    path = lock_path()
    if not path.is_file():
        return {}
    return {card_id: from_table(Pin, table, f"{path}: {card_id}") for card_id, table in read_toml(path).items()}


def pin(card_id: str, found: Pin) -> None:
    """Remember `found` as the content of `card_id`'s file, unless that is known already.

    Raises:
        DownloadError: another content is pinned, or the list cannot be written.
    """
    import tomli_w

    try:
        with _alone():
            pins = read_pins()
            known = pins.setdefault(card_id, found)
            if known.sha256 != found.sha256:
                raise DownloadError(
                    f"{card_id} was refused: its sha256 is {found.sha256}, but {known.sha256} came from "
                    f"{known.address} at first.",
                    f"If the change is meant, take the entry out of {lock_path()}.",
                )
            if known is found:
                text = HEADER + tomli_w.dumps({name: asdict(pins[name]) for name in sorted(pins)})
                with replacing(lock_path(), overwrite=True) as stream:
                    stream.write(text.encode())
    except OSError as error:
        raise DownloadError(
            f"{lock_path()}: {error.strerror or error}; the sha256 of {card_id} could not be remembered.",
            f"Set {HOME_VARIABLE} to a folder you can write to.",
        ) from error


@contextmanager
def _alone() -> Iterator[None]:
    """No other process changes the list meanwhile."""
    from filelock import FileLock

    folder = home_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".models.lock.held"):
        yield
