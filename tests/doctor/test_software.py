"""Versions, extras and formats, on installations that have something wrong with them."""

from importlib import metadata

import pytest

from restore_cli.doctor import software
from restore_cli.doctor.finding import State
from restore_cli.io import extras

NEEDS = [
    "numpy>=1.26",
    "tqdm>=4",
    "tomli>=2; python_version < '3'",
    'rawpy>=0.20; extra == "raw"',
    'ray>=2; extra == "cluster"',
    'fsspec>=1; extra == "cluster"',
    'pytest>=8; extra == "test"',
    'restore-cli[cluster,raw]; extra == "all"',
]


@pytest.fixture
def installed(monkeypatch):
    """An installation of these packages and versions; changed by changing it."""
    versions = {"numpy": "2.1", "tqdm": "4.5", "rawpy": "0.24", "ray": "2.9", "torchvision": "0.20"}

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(software.metadata, "version", version)
    monkeypatch.setattr(software.metadata, "requires", lambda name: NEEDS)
    monkeypatch.setattr(software, "MODULES", {})
    return versions


def versions():
    return {finding.subject: finding for finding in software.examine_versions()}


def test_packages_that_are_there_and_new_enough_are_fine(installed):
    found = versions()
    assert set(found) == {"restore", "numpy", "tqdm", "torchvision"}
    assert {finding.state for finding in found.values()} == {State.OK}
    assert found["numpy"].facts == {"version": "2.1"}


def test_a_package_that_is_missing_is_broken_and_the_command_said(installed):
    del installed["tqdm"]
    assert versions()["tqdm"].state is State.BROKEN
    assert versions()["tqdm"].advice == "pip install 'tqdm>=4'"


def test_a_package_that_is_too_old_is_broken(installed):
    installed["numpy"] = "1.25.2"
    assert (versions()["numpy"].state, versions()["numpy"].message) == (State.BROKEN, "1.25.2 is not >=1.26")


def test_a_package_that_does_not_load_is_broken_and_says_why(installed, monkeypatch, tmp_path):
    (tmp_path / "needs_libgl.py").write_text("raise ImportError('libGL.so.1: cannot open\\nshared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(software, "MODULES", {"tqdm": "needs_libgl"})
    finding = versions()["tqdm"]
    assert finding.state is State.BROKEN
    assert finding.message == "4.5 cannot be loaded (ImportError: libGL.so.1: cannot open shared object file)"


def test_an_extra_is_on_when_all_of_it_is_there(installed):
    found = {finding.subject: finding for finding in software.examine_extras()}
    assert set(found) == {"extra [raw]", "extra [cluster]"}
    assert found["extra [raw]"].message == "on: rawpy 0.24"
    assert found["extra [cluster]"].message == "off: fsspec not installed; pip install 'restore-cli[cluster]'"
    assert not found["extra [cluster]"].facts["on"] and found["extra [cluster]"].state is State.OK


def test_an_extra_that_is_too_old_is_noted(installed):
    installed["rawpy"] = "0.1"
    found = {finding.subject: finding for finding in software.examine_extras()}
    assert (found["extra [raw]"].state, found["extra [raw]"].message) == (State.NOTE, "rawpy 0.1 is not >=0.20")


def test_a_package_run_from_its_source_has_no_requirements_to_look_at(installed, monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(software.metadata, "requires", requires)
    assert set(versions()) == {"restore", "torchvision"}


def test_a_format_whose_package_is_missing_is_off_and_not_among_those_written(monkeypatch):
    monkeypatch.setattr(extras, "missing_package", lambda name: "pip install x" if name == "JXL" else "")
    found = {finding.subject: finding for finding in software.examine_formats()}
    assert "PNG" in found["formats written"].facts["names"]
    assert "JXL" not in found["formats written"].facts["names"]
    assert found["format JXL"].message == "off; pip install x"
