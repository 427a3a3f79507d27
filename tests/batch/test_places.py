"""Pictures behind URLs, here of fsspec's file systems in memory and on the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from restore_cli.batch.manifest import Standing
from restore_cli.batch.places import Places, PlacesManifest, is_url, staged
from restore_cli.batch.plan import Job
from restore_cli.errors import InputError, OutputError, UsageError
from restore_cli.io.paths import Source
from tests.pictures import values, write

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def memory(tmp_path):
    """memory://bucket with pictures."""
    system = fsspec.filesystem("memory")
    content = write(tmp_path / "a.png").read_bytes()
    for name in ("a.png", "deep/b.png", "deep/.hidden.png", "notes.txt"):
        system.pipe_file(f"/bucket/in/{name}", content)
    yield system
    system.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("url", "recursive", "names"),
    [
        ("memory://bucket/in", False, ["a.png"]),
        ("memory://bucket/in/", True, ["a.png", "deep/b.png"]),
        ("memory://bucket/in/*.png", False, ["a.png"]),
        ("memory://bucket/in/deep/b.png", False, ["b.png"]),
    ],
)
def test_a_folder_a_pattern_or_a_picture_is_found_and_has_its_url(memory, url, recursive, names):
    places, sources = Places().sources(url, recursive=recursive)
    assert [str(source.relative) for source in sources] == names
    for source in sources:
        assert memory.exists(places.url_of(source.path)) and not source.path.exists()


def test_where_there_are_no_pictures_or_no_such_protocol_that_is_said(memory):
    for url in ("memory://bucket/none", "memory://bucket/in/*.jpg", "memory://bucket/in/deep/none.png"):
        with pytest.raises(InputError, match="no pictures there"):
            Places().sources(url, recursive=False)
    with pytest.raises((InputError, UsageError), match="nosuch://"):
        Places().sources("nosuch://bucket/in", recursive=False)


def test_files_of_this_machine_are_no_urls_and_are_left_alone(tmp_path):
    places, _ = Places().adding("s3://bucket/out")
    assert places.url_of(tmp_path / "a.png") is None and not is_url("a.png") and not is_url("/a/b")
    assert is_url("s3://bucket/in") and places.url_of(Path("s3:/bucket/out/a.png")) == "s3://bucket/out/a.png"
    job = Job(Source(tmp_path / "a.png", Path("a.png")), tmp_path / "b.png")
    with staged(job, places) as local:
        assert local is job


@pytest.fixture
def far(memory, tmp_path):
    """Places and a job from memory://bucket/in to file://.../out."""
    places, root = Places().adding((tmp_path / "out").as_uri())
    places, (source, *_) = places.sources("memory://bucket/in", recursive=False)
    return places, Job(source, root / "a.png")


def test_a_picture_is_fetched_and_its_result_delivered_whole(far, tmp_path):
    places, job = far
    with staged(job, places) as local:
        assert local.source.path.read_bytes() == (tmp_path / "a.png").read_bytes()
        assert (local.source.path.name, local.target.name) == ("a.png", "a.png") and local.target.parent.parent.is_dir()
        folder = local.source.path.parents[1]
        result = write(local.target, values(seed=3))
        assert not places.exists(job.target) and places.size(job.target) is None
        places.deliver(result, job.target)
        assert places.exists(job.target) and places.size(job.target) == result.stat().st_size
        delivered = result.read_bytes()
    assert not folder.exists()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"a.png": delivered}


def test_what_cannot_be_delivered_or_fetched_fails_with_the_url_and_leaves_nothing(far, tmp_path, monkeypatch):
    places, job = far
    from fsspec.implementations.local import LocalFileSystem

    def refuse(self, source, target, **options):
        raise PermissionError("no room")

    monkeypatch.setattr(LocalFileSystem, "mv", refuse)
    with pytest.raises(OutputError, match=r"file://.*out/a.png: no room"):
        places.deliver(tmp_path / "a.png", job.target)
    assert not list((tmp_path / "out").iterdir())
    gone = Job(Source(job.source.path.with_name("gone.png"), Path("gone.png")), job.target)
    with pytest.raises(InputError, match=r"memory://bucket/in/gone.png"), staged(gone, places):
        pass


def test_a_manifest_of_results_behind_urls_knows_finished_broken_and_foreign_ones(far, tmp_path):
    places, job = far
    whole = write(tmp_path / "result.png")

    def opened():
        return PlacesManifest(tmp_path / "kept", "digest", resume=True, places=places)

    with opened() as manifest:
        assert manifest.standing(job.target, "sha") is Standing.NEW
        manifest.begin(job, "sha", Standing.NEW)
        places.deliver(whole, job.target)
    with opened() as manifest:  # killed between the two lines
        assert manifest.standing(job.target, "sha") is Standing.FINISHED
        manifest.finish(job, "sha", whole.stat().st_size)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:-30])
    with opened() as manifest:
        assert manifest.standing(job.target, "sha") is Standing.FINISHED
        assert manifest.standing(job.target, "other") is Standing.FOREIGN
        places.deliver(tmp_path / "cut.png", job.target)
        assert manifest.standing(job.target, "sha") is Standing.BROKEN
        manifest.remove(job.target)
        assert manifest.standing(job.target, "sha") is Standing.NEW
