"""A batch on a Ray cluster of two nodes on this machine, in a process of its own: what happened, as JSON.

python -m tests.batch.on_cluster FOLDER MODEL
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from restore_cli.batch.cluster import run_on_cluster
from restore_cli.batch.interrupts import Interrupts
from restore_cli.batch.manifest import MANIFEST_NAME, Manifest
from restore_cli.batch.pipeline import run_jobs
from restore_cli.batch.places import Places, PlacesManifest
from restore_cli.batch.plan import Job, jobs_for
from restore_cli.batch.settings import Settings
from restore_cli.batch.work import Outcome
from restore_cli.io.paths import Source
from restore_cli.options import OutputOptions, RunOptions
from restore_cli.tasks import TASKS

STORE_BYTES = 80 * 1024 * 1024


@contextmanager
def cluster_of_two() -> Iterator[tuple[str, Any, Any]]:
    """Its address, itself, and the node that the driver is not on."""
    from ray.cluster_utils import Cluster

    limits = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=limits)
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        cluster.wait_for_nodes()
        yield cluster.address, cluster, second
    finally:
        cluster.shutdown()


def kill_one_actor() -> None:
    """The process of one that restores pictures, in the middle of its work."""
    running = psutil.process_iter(["name", "environ"])
    actors = [each for each in running if str(each.info["name"]).startswith("ray::Actor")]
    actors = [each for each in actors if os.environ["RAY_TMPDIR"] in str(each.info["environ"])]
    actors[0].kill()


def run(settings: Settings, jobs: list[Job], manifest: Manifest, **options: Any) -> tuple[Counter[str], list[Outcome]]:
    """Statuses and outcomes; `after` is called after so many outcomes."""
    count, act = options.pop("after", (0, None))
    outcomes = []
    with manifest:
        work = replace(settings.open(), manifest=manifest)
        runner = run_on_cluster if "address" in options else run_jobs
        for outcome in runner(jobs, work, **options):
            outcomes.append(outcome)
            if len(outcomes) == count:
                act()
    return Counter(outcome.status for outcome in outcomes), outcomes


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != MANIFEST_NAME}


def finished(manifest: Path) -> Counter[str]:
    """How often each result is said to have been finished."""
    records = [json.loads(line) for line in (manifest / MANIFEST_NAME).read_text().splitlines()]
    return Counter(Path(record["output"]).name for record in records if record["status"] == "done")


def main(folder: Path, model: str) -> None:
    os.chdir(folder)
    settings = Settings("denoise", (model,), run=RunOptions(device="cpu"))
    digest = settings.digest(settings.open())
    names = sorted(os.listdir("in"))

    def jobs(target: str) -> list[Job]:
        return [Job(Source(Path("in", name), Path(name)), Path(target, name)) for name in names]

    report: dict[str, Any] = {"files": len(names)}
    plain, _ = run(settings, jobs("plain"), Manifest(Path("plain"), digest))
    expected = contents(Path("plain"))
    with cluster_of_two() as (address, cluster, second):
        # Files on storage that all machines share; a worker is killed in the middle.
        notes: list[str] = []
        started: list[Job] = []
        cluster_run = {"address": address, "note": notes.append, "on_start": started.append}
        manifest = Manifest(Path("out"), digest)
        counts, outcomes = run(settings, jobs("out"), manifest, **cluster_run, after=(5, kill_one_actor))
        failed = [outcome.message for outcome in outcomes if outcome.status == "failed"]
        report["killed"] = {
            "plain": plain,
            "counts": counts,
            "failed": failed,
            "same": contents(Path("out")) == expected,
            "finished": max(finished(Path("out")).values()),
            "started": len(set(started)),
            "notes": notes,
        }
        # The same by URLs: interrupted, taken up again, and a whole node lost on the way.
        places, output = Places().adding((folder / "far").as_uri())
        places, sources = places.sources((folder / "in").as_uri(), recursive=False)
        options = OutputOptions(output=output)
        far = jobs_for(sources, TASKS["denoise"], 1, options)
        interrupts = Interrupts()

        def interrupt() -> None:
            interrupts.requested = True

        cluster_run = {"address": address}
        manifest = PlacesManifest(Path("kept"), digest, places=places)
        counts, _ = run(settings, far, manifest, **cluster_run, interrupts=interrupts, after=(5, interrupt))
        report["interrupted"] = {
            "counts": counts,
            "files": len(contents(folder / "far")),
            "finished": len(finished(Path("kept"))),
        }
        notes = []
        manifest = PlacesManifest(Path("kept"), digest, places=places, resume=True)
        done = counts["done"]
        lose = (done + 4, lambda: cluster.remove_node(second, allow_graceful=False))
        counts, outcomes = run(settings, far, manifest, **cluster_run, note=notes.append, after=lose)
        report["resumed"] = {
            "counts": counts,
            "skipped": sorted({outcome.message for outcome in outcomes if outcome.status == "skipped"})[:1],
            "same": contents(folder / "far") == expected,
            "finished": max(finished(Path("kept")).values()),
            "notes": notes,
        }
    report["left"] = len([path for path in folder.rglob("*.part")])
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
