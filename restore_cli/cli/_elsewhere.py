"""`--devices` and `--cluster`: a batch that is done in other processes than this one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from restore_cli.batch.interrupts import Interrupts
from restore_cli.cli._params import Shared
from restore_cli.cli._pipes import PIPE
from restore_cli.errors import UsageError
from restore_cli.options import OutputOptions

if TYPE_CHECKING:
    from restore_cli.batch.places import Places, PlacesManifest
    from restore_cli.batch.plan import Job
    from restore_cli.batch.work import Outcome, Work
    from restore_cli.io.paths import Source

__all__ = ["Far", "Runner", "check_elsewhere", "choose_runner", "find_far", "is_elsewhere"]

CLUSTER = re.compile(r"ray(?::([^/]+))?")  # Ray's own ray://HOST is for drivers outside the cluster
CLUSTER_DEVICES = ("auto", "cuda", "cpu")


class Runner(Protocol):
    """Does the jobs of a batch; see `restore_cli.batch.pipeline.run_jobs`."""

    def __call__(
        self,
        jobs: Sequence[Job],
        work: Work,
        on_start: Callable[[Job], None] = ...,
        *,
        interrupts: Interrupts | None = ...,
    ) -> Iterator[Outcome]:
        """What became of each job."""


@dataclass(frozen=True)
class Far:
    """What of a batch is behind URLs.

    Attributes:
        places: which URLs.
        sources: every picture, of this machine or not.
        output: where results go, with a path in the place of a URL.
        url: that it stands for, or "".
    """

    places: Places
    sources: list[Source]
    output: OutputOptions
    url: str

    def manifest(self, folder: Path, digest: str, *, resume: bool) -> PlacesManifest:
        """That of the batch: in `folder`; for a URL on this machine, because few stores can add to a file."""
        from restore_cli.batch.places import PlacesManifest
        from restore_cli.models.home import home_dir

        if _is_url(self.url):
            folder = home_dir() / "manifests" / hashlib.sha256(self.url.rstrip("/").encode()).hexdigest()[:16]
        return PlacesManifest(folder, digest, resume=resume, places=self.places)


def is_elsewhere(shared: Shared) -> bool:
    """Whether other processes do the work."""
    return shared.devices is not None or shared.cluster is not None


def check_elsewhere(shared: Shared) -> None:
    """Raises UsageError for options that contradict each other; nothing is asked of the machine."""
    if shared.devices is not None:
        if not all(shared.device_names()):
            raise UsageError(f"--devices {shared.devices}: a name is empty.", "Such as --devices cuda:0,cuda:1.")
        if shared.device != "auto":
            raise UsageError("--device and --devices contradict each other.", "Choose one.")
        if shared.cluster is not None:
            raise UsageError("--devices and --cluster contradict each other.", "A cluster takes all there are.")
    if shared.cluster is not None:
        if not CLUSTER.fullmatch(shared.cluster):
            raise UsageError(f"--cluster {shared.cluster}: not a cluster.", "Give ray, or ray:HOST:PORT.")
        if shared.device not in CLUSTER_DEVICES:
            raise UsageError(f"--device {shared.device} is one of many on a cluster.", "Use auto, cuda or cpu.")
    if is_elsewhere(shared) and PIPE in (*shared.inputs, shared.output):
        option = "--cluster" if shared.devices is None else "--devices"
        raise UsageError(f"{option} is for batches, not for pipes.", "Leave it out.")
    if not any(map(_is_url, (*shared.inputs, shared.output or ""))):
        return
    if shared.cluster is None:
        raise UsageError("URLs are for batches on a cluster.", "Add --cluster ray, or copy the pictures.")
    if shared.output is None:
        raise UsageError("Of pictures behind URLs, it must be said where results go.", "Add --output URL or folder.")
    for option, given in (
        ("--dry-run", shared.dry_run),  # it reads what the files begin with
        ("--sidecar", shared.sidecar),
        ("--frames all", shared.frames == "all"),
    ):
        if given:
            raise UsageError(f"{option} is not for pictures behind URLs.", "Leave it out.")


def find_far(shared: Shared, output: OutputOptions) -> Far | None:
    """The batch's pictures, where any of them or the output is behind a URL.

    Raises:
        InputError, UsageError: as `io.paths.find_sources` and `Places.sources`.
    """
    urls = [text for text in shared.inputs if _is_url(text)]
    if not urls and not _is_url(shared.output or ""):
        return None
    from restore_cli.batch.places import Places
    from restore_cli.io.paths import find_sources

    places, url = Places(), shared.output or ""
    if _is_url(url):
        places, target = places.adding(url)
        output = replace(output, output=target)
    here = [text for text in shared.inputs if text not in urls]
    sources = find_sources(here, recursive=shared.recursive, output=output.output) if here else []
    for each in urls:
        places, found = places.sources(each, recursive=shared.recursive)
        sources += [source for source in found if output.output not in source.path.parents]
    return Far(places, sources, output, url)


def choose_runner(shared: Shared, note: Callable[[str], None]) -> Runner:
    """What does the jobs: this process, others here, or a cluster's; `note` is told what those note."""
    if shared.devices is not None:
        from restore_cli.batch.workers import run_on_devices

        return partial(run_on_devices, devices=shared.device_names(), resume=shared.resume, note=note)
    if shared.cluster is not None:
        from restore_cli.batch.cluster import run_on_cluster

        found = CLUSTER.fullmatch(shared.cluster)
        return partial(run_on_cluster, address=found and found[1], device=shared.device, note=note)
    from restore_cli.batch.pipeline import run_jobs

    return run_jobs


def _is_url(text: str) -> bool:
    return "://" in text and not os.path.exists(text)
