"""Files on the Hugging Face hub: how they are addressed, and how they arrive here intact.

huggingface_hub does the downloading and owns the cache, so nothing is fetched twice because another tool
fetched it first. On top of that this module checks the content a card pins, keeps `--offline` to its word,
and turns every way a download can fail into one line and the next thing to try.

The client freezes its settings when it is first imported. HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE are
therefore read here, at every call, and handed over; HF_TOKEN it reads at every call itself.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from restore_cli.errors import DownloadError, UsageError
from restore_cli.models.digest import sha256_of

__all__ = [
    "HubFile",
    "Progress",
    "ProgressBar",
    "cache_dir",
    "cached_path",
    "discard",
    "endpoint",
    "endpoint_shown",
    "fault_of",
    "fetch",
    "is_offline",
]

_FORM = "hf:owner/repo/path/in/repo.safetensors[@revision]; spaces/ or datasets/ may precede the owner"
_PREFIX = {"model": "", "space": "spaces/", "dataset": "datasets/"}
# The look-ahead keeps `hf:spaces/owner/repo`, which names no file, from being read as a model of "spaces".
_ADDRESS = re.compile(r"hf:(?:(spaces/|datasets/)|(?!spaces/|datasets/))([^/]+/[^/]+)/(.+?)(?:@([^@]*))?")
_REPO = re.compile(r"(?!.*(--|\.\.|\.git$))\w([\w.-]*\w)?/\w([\w.-]*\w)?", re.ASCII)
_PART = re.compile(r"(?!\.{1,2}$)[^\\:\x00-\x1f\x7f]+")  # of a path or revision; a colon is a Windows drive


class ProgressBar(Protocol):
    """What `fetch` needs of a progress bar."""

    def update(self, n: int, /) -> object:
        """Advance by `n` bytes; `n` is negative when a restart throws bytes away."""

    def close(self) -> object:
        """Take no more updates; called after a failure too."""


# (description, total in bytes or None where the server does not say) -> a running bar
Progress = Callable[[str, int | None], ProgressBar]


@dataclass(frozen=True)
class HubFile:
    """One file of one hub repository, and optionally what it must contain.

    Attributes:
        repo_id: "owner/repo".
        filename: path inside the repository, parts separated by "/".
        revision: branch, tag or commit.
        repo_type: "model", "space" or "dataset".
        sha256: the content's SHA-256 in hexadecimal; None accepts any content.
        size_bytes: the content's length; None accepts any.

    Raises:
        UsageError: a name no repository can have, or a path that could lead out of the cache.
    """

    repo_id: str
    filename: str
    revision: str = "main"
    repo_type: str = "model"
    sha256: str | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be an address."""
        parts = [*self.filename.split("/"), *self.revision.split("/")]
        named = self.repo_type in _PREFIX and _REPO.fullmatch(self.repo_id) and "@" not in self.revision
        if not named or not all(map(_PART.fullmatch, parts)):
            raise _malformed(self.address)

    @classmethod
    def parse(cls, address: str) -> HubFile:
        """Read `hf:owner/repo/path[@revision]`; what follows the last "@" is the revision.

        Raises:
            UsageError: the text is not such an address.
        """
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise _malformed(address)
        prefix, repo_id, filename, revision = found.groups()
        repo_type = (prefix or "models/").removesuffix("s/")
        return cls(repo_id, filename, "main" if revision is None else revision, repo_type)

    @property
    def address(self) -> str:
        """The text that `parse` reads back; it names the place, not the pinned content."""
        at = f"@{self.revision}" if self.revision != "main" or "@" in self.filename else ""
        return f"hf:{_PREFIX.get(self.repo_type, '?/')}{self.repo_id}/{self.filename}{at}"


def fetch(file: HubFile, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """Return the local path of `file`, downloading it unless the cache has it.

    An intact copy of a file with a pinned `sha256` is returned without asking the server. Any other copy is
    compared with the server's first; where no server answers, the copy does.

    Args:
        file: what to fetch, and what it must contain.
        offline: touch no network; HF_HUB_OFFLINE=1 asks for the same.
        progress: makes the progress bar of a download; None shows nothing at all.

    Raises:
        DownloadError: the file cannot be had, or is not what is pinned. In the second case it is removed
            from the cache, so that the next call downloads it again.
    """
    from httpx2 import HTTPError, InvalidURL  # what huggingface_hub speaks through, and lets through

    offline = offline or is_offline()
    try:
        path = cached_path(file)
        if offline:
            if path is None:
                raise _offline_miss(file)
        elif path is not None and file.sha256 and not fault_of(path, file.sha256, file.size_bytes):
            return path
        else:
            path = _download(file, progress, fallback=path is not None)
        fault = fault_of(path, file.sha256, file.size_bytes)
    except (OSError, HTTPError, InvalidURL, RuntimeError) as failure:  # hf_xet raises RuntimeError
        raise _explained(file, failure) from failure
    if fault:
        discard(path, cache_dir())
        raise DownloadError(
            f"{file.address} was refused: {fault}.",
            "Run the same command again to download it afresh. If it is refused again, the file was changed "
            "at its source or on the way: do not use it.",
        )
    return path


def is_offline() -> bool:
    """Whether the environment forbids the network: HF_HUB_OFFLINE, read now."""
    from huggingface_hub import is_offline_mode

    asked = re.fullmatch("1|on|yes|true", os.environ.get("HF_HUB_OFFLINE", ""), re.IGNORECASE)
    return asked is not None or is_offline_mode()


def cached_path(file: HubFile) -> Path | None:
    """Where `file` lies in the cache, if it does; the content is not checked."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(
        file.repo_id, file.filename, cache_dir=cache_dir(), revision=file.revision, repo_type=file.repo_type
    )
    return Path(found) if isinstance(found, str) else None  # its third answer: known not to exist


def cache_dir() -> Path:
    """Return the hub's cache folder: the client's own rules, applied to the environment as it is now."""
    env = os.environ
    home = env.get("HF_HOME") or os.path.join(env.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    folder = env.get("HF_HUB_CACHE") or env.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return Path(os.path.expandvars(folder)).expanduser()


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, else huggingface.co. May hold a password; `endpoint_shown` does not."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def endpoint_shown() -> str:
    """The hub's address for messages: a mirror's may hold a password, which is left out."""
    return re.sub(r"//[^/]*@", "//", endpoint())


def _download(file: HubFile, progress: Progress | None, *, fallback: bool) -> Path:
    from huggingface_hub import get_hf_file_metadata, get_token, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    if not re.fullmatch(r"[!-~]*", get_token() or ""):  # the HTTP library would quote it in its error
        raise DownloadError(
            f"{file.address} could not be downloaded: the hub token contains a character no token has.",
            "Set HF_TOKEN again, whole and without blanks or quotes.",
        )
    place: dict[str, Any] = {"repo_type": file.repo_type, "revision": file.revision, "endpoint": endpoint()}
    place |= {"repo_id": file.repo_id, "filename": file.filename}
    with no_client_warnings():
        if not fallback:
            # With no copy to fall back on, the client knocks at a dead server for 23 seconds. Once will do;
            # an answer, even a refusal, is for the download to deal with.
            with suppress(HfHubHTTPError):
                get_hf_file_metadata(hf_hub_url(**place), endpoint=endpoint())
        bar = _bar_class(progress, file.filename)
        return Path(hf_hub_download(**place, cache_dir=cache_dir(), tqdm_class=bar))


@contextmanager
def no_client_warnings() -> Iterator[None]:
    """Keep "trying to resume" and its like off stderr, where they would tear a progress bar."""

    def passes(record: logging.LogRecord) -> bool:
        return record.levelno != logging.WARNING  # debug output, for those who ask for it, stays

    handlers = logging.getLogger("huggingface_hub").handlers
    for handler in handlers:
        handler.addFilter(passes)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(passes)


def _bar_class(progress: Progress | None, description: str) -> Any:  # noqa: ANN401 - passes for a type[tqdm]
    class Bar:
        """The part of tqdm that the client calls."""

        def __init__(self, total: int | None = None, **_: object) -> None:
            self._shown = progress(description, total) if progress else None

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def update(self, n: int) -> None:
            if self._shown is not None:
                self._shown.update(n)

        def close(self) -> None:
            if self._shown is not None:
                self._shown.close()

        def _ignore(self, *_: object, **__: object) -> None: ...

        # Offering update_transfer spares us a second bar, which xet fills with compressed bytes.
        update_transfer = set_postfix_str = set_transfer_postfix_str = _ignore

    return Bar


def fault_of(path: Path, sha256: str | None, size_bytes: int | None) -> str:
    """What is wrong with the content at `path`, or "" where it is as pinned; None pins nothing."""
    size = path.stat().st_size
    if size_bytes not in (None, size):
        return f"it has {size} bytes, expected {size_bytes}"
    if sha256:
        found = sha256_of(path)
        if found != sha256.lower():
            return f"its sha256 is {found}, expected {sha256.lower()}"
    return ""


def discard(path: Path, cache: Path) -> None:
    """Remove a cached file: a link and all it leads to, but nothing outside the folder `cache`."""
    cache = cache.resolve()
    path = path.parent.resolve() / path.name
    with suppress(OSError):  # in a read-only cache it stays, and stays refused
        while path.is_relative_to(cache):
            target = path.parent / path.readlink() if path.is_symlink() else None
            path.unlink(missing_ok=True)
            if target is None:
                return
            path = target.parent.resolve() / target.name


def _malformed(address: str) -> UsageError:
    return UsageError(f"{address!r} is not the address of a file on the hub.", f"Accepted: {_FORM}.")


def _offline_miss(file: HubFile) -> DownloadError:
    command = ["hf", "download", file.repo_id, file.filename, "--revision", file.revision]
    if file.repo_type != "model":
        command += ["--repo-type", file.repo_type]
    return DownloadError(
        f"{file.address} is not in {cache_dir()}, and downloads are off (--offline or HF_HUB_OFFLINE).",
        f"While online, run: {shlex.join(command)}",
    )


def _explained(file: HubFile, failure: Exception) -> DownloadError:
    """Put `failure` into our words; its own may quote a header, a signed link or a page of HTML."""
    import httpx2
    from huggingface_hub import errors

    hub = endpoint_shown()
    page = f"{hub}/{_PREFIX[file.repo_type]}{file.repo_id}"
    if isinstance(failure, errors.LocalEntryNotFoundError) and isinstance(failure.__cause__, Exception):
        failure = failure.__cause__  # the client reports both: the server failed, the cache has no copy
    match failure:
        case errors.GatedRepoError():
            what = f"{file.repo_id} asks its users to accept terms first"
            hint = f"Accept them at {page}, then set HF_TOKEN to a token of the same account."
        case errors.RepositoryNotFoundError():
            what = f"{hub} has no {file.repo_type} {file.repo_id}, or not for you"
            hint = "Check the spelling; if it is private, set HF_TOKEN to a token that may read it."
        case errors.RevisionNotFoundError():
            what = f"{file.repo_id} has no revision {file.revision}"
            hint = f"Its revisions are listed at {page}/commits/main."
        case errors.EntryNotFoundError():
            what = f"{file.repo_id} has no such file at revision {file.revision}"
            hint = f"Check the spelling; its files are listed at {page}/tree/{file.revision}."
        case errors.HfHubHTTPError() if failure.response.status_code in (401, 403):
            what = f"{hub} refused access (HTTP {failure.response.status_code})"
            hint = "Set HF_TOKEN to a valid token that may read it; `hf auth whoami` checks the one in use."
        case errors.HfHubHTTPError():
            what = f"{hub} answered HTTP {failure.response.status_code}"
            hint = "Try again in a few minutes, or set HF_ENDPOINT to a mirror."
        case errors.FileMetadataError():
            what = f"{hub} does not answer as a model hub does"
            hint = "Check HF_ENDPOINT, and that no proxy or login page stands in between."
        case httpx2.TimeoutException() | httpx2.ConnectError() | httpx2.ProxyError():
            what = f"{hub} does not answer"
            hint = "Check the connection, HTTPS_PROXY and HF_ENDPOINT; --offline uses only what is cached."
        case httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            what = f"{hub} is not an address"
            hint = "Set HF_ENDPOINT to one like https://hf-mirror.com, or unset it."
        case RuntimeError():
            what = "the transfer over xet failed"
            hint = "Run the same command again, or set HF_HUB_DISABLE_XET=1 to download over plain HTTP."
        case OSError(errno=int(number)):
            what = f"the cache {cache_dir()} failed: {os.strerror(number)}"
            hint = "Set HF_HOME to a folder you can write to, on a disk with enough room."
        case _:
            what = f"not all of it arrived from {hub}"
            hint = "Run the same command again; nothing incomplete was kept."
    return DownloadError(f"{file.address} could not be downloaded: {what}.", hint)
