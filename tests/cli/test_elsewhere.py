"""`--devices` and `--cluster`: what they refuse, and that the rest is as ever."""

from __future__ import annotations

import json
import sys

import pytest

from restore_cli.batch import cluster, places, workers
from restore_cli.batch.manifest import MANIFEST_NAME
from restore_cli.batch.pipeline import run_jobs
from restore_cli.batch.places import PlacesManifest
from tests.pictures import values, write


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--devices", "cpu,"), "a name is empty"),
        (("--devices", ""), "--devices is empty"),
        (("--devices", "cpu", "--device", "cpu"), "--device and --devices contradict"),
        (("--devices", "cpu", "--cluster", "ray"), "--devices and --cluster contradict"),
        (("--cluster", "dask"), "--cluster dask: not a cluster"),
        (("--cluster", "ray://10.0.0.1"), "not a cluster"),
        (("--cluster", "ray", "--device", "cuda:1"), "one of many on a cluster"),
        (("--devices", "cpu", "-o", "-"), "--devices is for batches"),
        (("--cluster", "ray", "-o", "-"), "--cluster is for batches"),
        (("-o", "s3://bucket/out"), "Add --cluster ray"),
        (("--cluster", "ray", "-o", "s3://bucket/out", "--dry-run"), "--dry-run is not for pictures behind URLs"),
        (("--cluster", "ray", "-o", "s3://bucket/out", "--sidecar"), "--sidecar is not"),
        (("--cluster", "ray", "-o", "s3://bucket/out", "--frames", "all"), "--frames all is not"),
    ],
)
def test_contradictions_are_refused_before_anything_is_opened(refused, tmp_path, options, said):
    write(tmp_path / "in.png")
    assert said in refused("denoise", "in.png", *options, code=2)


def test_pictures_behind_urls_need_a_place_for_their_results(refused):
    assert "it must be said where results go" in refused("denoise", "s3://bucket/in", "--cluster", "ray", code=2)


def test_a_device_that_is_not_there_is_named(refused, weights, tmp_path):
    write(tmp_path / "in.png")
    assert "cuda:99: not on this machine" in refused("denoise", "in.png", "--devices", "cpu,cuda:99")


def test_without_ray_the_way_to_get_it_is_said(refused, weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    write(tmp_path / "in.png")
    line = refused("denoise", "in.png", "-o", "out", "-n", weights["x1"], "--cluster", "ray", code=2)
    assert "--cluster needs Ray. pip install 'restore-cli[cluster]'" in line


@pytest.fixture
def heard(monkeypatch):
    """What other processes are told, which here do nothing: this one does it, the last job first."""
    heard = {}

    def run(jobs, work, on_start, *, interrupts, **options):
        heard.update(options, work=work)
        yield from run_jobs(jobs[::-1], work, on_start, interrupts=interrupts)

    monkeypatch.setattr(workers, "run_on_devices", run)
    monkeypatch.setattr(cluster, "run_on_cluster", run)
    return heard


def test_results_that_come_in_any_order_are_listed_in_that_of_the_inputs(heard, restore, weights, tmp_path):
    for index in range(3):
        write(tmp_path / f"in/{index}.png", values(seed=index))
    result = restore("denoise", "in", "-o", "out", "-n", weights["x1"], "--devices", "cpu, cpu", "--json", "--resume")
    assert result.exit_code == 0 and "[1/3] in/2.png" in result.stderr
    assert [each["input"] for each in json.loads(result.stdout)["files"]] == ["in/0.png", "in/1.png", "in/2.png"]
    assert heard["devices"] == ["cpu", "cpu"] and heard["resume"]
    assert str(heard["work"].restorer.device) == "cpu"


def test_a_batch_elsewhere_has_a_manifest_even_of_one_file(heard, restore, weights, tmp_path):
    write(tmp_path / "in.png")
    command = ("denoise", "in.png", "-o", "out", "-n", weights["x1"])
    for options, address in ((("--cluster", "ray"), None), (("--cluster", "ray:auto", "--overwrite"), "auto")):
        assert restore(*command, *options).exit_code == 0
        assert heard["address"] == address and heard["device"] == "auto"
        assert heard["work"].manifest.path.name == MANIFEST_NAME and (tmp_path / "out" / MANIFEST_NAME).exists()


def test_urls_are_listed_and_spoken_of_as_they_were_typed(restore, weights, tmp_path, monkeypatch):
    """The actors' part is done here, by the same code."""
    pytest.importorskip("fsspec")
    monkeypatch.setenv("RESTORE_HOME", str(tmp_path / "home"))
    for name in ("a.png", "deep/b.png", "out/c.png"):
        write(tmp_path / "in" / name)
    jobs = []

    def run(given, work, on_start, **options):
        assert isinstance(work.manifest, PlacesManifest)
        for job in given:
            jobs.append((work.manifest.places.url_of(job.source.path), work.manifest.places.url_of(job.target)))
            with places.staged(job, work.manifest.places) as local:
                assert local.source.path.exists()
        return iter(())

    monkeypatch.setattr(cluster, "run_on_cluster", run)
    url = (tmp_path / "in").as_uri()
    restore("denoise", url, "-r", "-o", f"{url}/out", "-n", weights["x1"], "--cluster", "ray")
    assert jobs == [(f"{url}/a.png", f"{url}/out/a.png"), (f"{url}/deep/b.png", f"{url}/out/deep/b.png")]
    (manifest,) = (tmp_path / "home/manifests").rglob(MANIFEST_NAME)
    assert not list(tmp_path.glob("file:*"))
