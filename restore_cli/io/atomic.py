"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from restore_cli.errors import OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["remove_leftovers", "replacing", "write_whole"]


@contextlib.contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """A new file to write to, which takes the name `path` when the block ends, and vanishes if it fails.

    It can be read back, too. Written beside the target under a hidden name, so the last step is a rename inside
    one folder. A link is followed: the file it leads to is replaced. Missing folders are created.

    Args:
        path: the final name.
        overwrite: False to raise FileExistsError where the name is taken, even if only in the meantime.

    Raises:
        OSError: what the system said, the file not written and an earlier one untouched.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Without the target's name, which may already be as long as names can be.
    temporary = target.parent / f".restore-{secrets.token_hex(8)}.part"
    # Not tempfile: its files are private to the user, a result has the rights of any new file.
    stream = temporary.open("x+b")
    try:
        with _claimed(stream.fileno()):
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            if overwrite:
                with contextlib.suppress(OSError):
                    temporary.chmod(target.stat().st_mode & 0o7777)
                temporary.replace(target)
            else:
                _rename_to_free(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def write_whole(path: Path, content: bytes, *, overwrite: bool) -> None:
    """`content` as a file that appears whole or not at all.

    Raises:
        OutputError: it exists and may not be replaced, or what the system said.
    """
    try:
        with replacing(path, overwrite=overwrite) as stream:
            stream.write(content)
    except FileExistsError as error:
        raise OutputError(f"{path} exists.", "Add --overwrite, or choose another name.") from error
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror or error}.", "Choose another place for it.") from error


def remove_leftovers(folder: Path) -> int:
    """Remove what processes that were killed in the middle of `replacing` left in `folder`; says how many files.

    Files that are still being written are known by their lock, and left alone. Where the system has no such
    locks, everything is.
    """
    removed = 0
    for path in folder.glob(".restore-*.part") if fcntl else ():
        with contextlib.suppress(OSError), path.open("rb") as stream:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
    return removed


@contextlib.contextmanager
def _claimed(descriptor: int) -> Iterator[None]:
    """The file is locked while the block runs, also once `descriptor` is closed, and no longer than the process."""
    if fcntl is None:
        yield
        return
    kept = os.dup(descriptor)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(kept, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(kept)


def _rename_to_free(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)  # unlike a rename, this fails where the name is taken
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise FileExistsError(target) from None
        temporary.rename(target)
    else:
        temporary.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last through a power cut, where the system lets folders be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
