"""Versions, what is missing or too old, and which picture formats and extras are there."""

from __future__ import annotations

import importlib
import platform
from collections import defaultdict
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from restore_cli import __version__
from restore_cli.doctor.finding import Finding, State

__all__ = ["examine_extras", "examine_formats", "examine_versions"]

PACKAGE = "restore-cli"
FOR_DEVELOPERS = ("test",)
# Import names, where they are not the package's: those that bring libraries of their own, which may not load.
MODULES = {
    "torch": "torch",
    "torchvision": "torchvision",
    "spandrel": "spandrel",
    "numpy": "numpy",
    "pillow": "PIL.Image",
    "opencv-python-headless": "cv2",
    "safetensors": "safetensors",
    "huggingface-hub": "huggingface_hub",
    "tifffile": "tifffile",
}
ADVICE = {
    "opencv-python-headless": "pip uninstall opencv-python; pip install --force-reinstall opencv-python-headless",
    "torchvision": "Install torch and torchvision together, from one index: https://pytorch.org/get-started/locally",
    "spandrel": "Install torch and torchvision together, from one index: https://pytorch.org/get-started/locally",
}


def examine_versions() -> Iterator[Finding]:
    """The program, Python and the packages it needs: there, new enough, and loadable."""
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield Finding(
        "restore",
        f"{__version__} on Python {platform.python_version()}, {system}",
        facts={"version": __version__, "python": platform.python_version(), "system": system},
    )
    wanted = {each.name: each for each in _requirements() if not _extra_of(each)}
    # Needed by spandrel rather than by us, and the likeliest not to fit.
    wanted.setdefault("torchvision", Requirement("torchvision"))
    for name, requirement in sorted(wanted.items()):
        yield _examine_package(name, requirement)


def _examine_package(name: str, requirement: Requirement) -> Finding:
    version = _version(name)
    again = ADVICE.get(name, f"pip install '{requirement.name}{requirement.specifier}'")
    if version is None:
        return Finding(name, "is not installed", State.BROKEN, again, {"version": None})
    facts = {"version": version}
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(name, f"{version} is not {requirement.specifier}", State.BROKEN, again, facts)
    try:
        if name in MODULES:
            importlib.import_module(MODULES[name])
    except Exception as error:  # a library of its own that is missing, one of another version: anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Finding(name, f"{version} cannot be loaded ({reason})", State.BROKEN, again, facts)
    return Finding(name, version, facts=facts)


def examine_extras() -> Iterator[Finding]:
    """The optional parts of the package: which can be used."""
    needed = defaultdict(list)
    for requirement in _requirements():
        # One that names the package itself is the sum of others.
        if (extra := _extra_of(requirement)) and extra not in FOR_DEVELOPERS and requirement.name != PACKAGE:
            needed[extra].append(requirement)
    for extra, requirements in sorted(needed.items()):
        missing = [each.name for each in requirements if _version(each.name) is None]
        old = [
            f"{each.name} {version} is not {each.specifier}"
            for each in requirements
            if (version := _version(each.name)) and not each.specifier.contains(version, prereleases=True)
        ]
        subject, install = f"extra [{extra}]", f"pip install '{PACKAGE}[{extra}]'"
        if old:
            yield Finding(subject, ", ".join(old), State.NOTE, install, {"on": False})
        elif missing:
            yield Finding(subject, f"off: {', '.join(missing)} not installed; {install}", facts={"on": False})
        else:
            versions = {each.name: _version(each.name) for each in requirements}
            message = "on: " + ", ".join(f"{name} {version}" for name, version in versions.items())
            yield Finding(subject, message, facts={"on": True, "versions": versions})


def examine_formats() -> Iterator[Finding]:
    """Which picture formats are read and written here."""
    # Not at the top: where numpy is broken, that is to be told, not to be run into.
    from restore_cli.io.extras import OPTIONAL_FORMATS, missing_package
    from restore_cli.io.formats import READABLE_SUFFIXES, WRITABLE_FORMATS

    off = {name: command for name in OPTIONAL_FORMATS if (command := missing_package(name))}
    writable = sorted(name for name in WRITABLE_FORMATS if name not in off)
    yield Finding("formats written", ", ".join(writable), facts={"names": writable})
    readable = sorted(suffix.removeprefix(".") for suffix in READABLE_SUFFIXES)
    yield Finding("suffixes read", ", ".join(readable), facts={"suffixes": readable})
    for name, command in off.items():
        yield Finding(f"format {name}", f"off; {command}", facts={"on": False})


def _requirements() -> list[Requirement]:
    """Those of the package for this machine; with an extra in their marker if they are optional."""
    try:
        stated = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from its source, without having been installed
        stated = []
    requirements = [Requirement(text) for text in stated]
    return [
        each for each in requirements if each.marker is None or each.marker.evaluate({"extra": _extra_of(each) or ""})
    ]


def _extra_of(requirement: Requirement) -> str | None:
    """'raw' of `rawpy; extra == "raw"`."""
    _, _, text = str(requirement.marker or "").partition("extra == ")
    return text.split('"')[1] if text else None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
