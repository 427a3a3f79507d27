"""Formats that need a package beyond the usual ones, and what to install where it is missing."""

from __future__ import annotations

import importlib.util

__all__ = ["OPTIONAL_FORMATS", "missing_package", "require"]

# Format, or part of one: the extra of this package that brings it, and the modules it lives on.
OPTIONAL_FORMATS = {
    "AVIF": ("", ("PIL._avif",)),
    "AVIF of more than 8 bits": ("avif", ("imagecodecs",)),
    "HEIF": ("heif", ("pillow_heif",)),
    "JXL": ("jxl", ("imagecodecs", "pillow_jxl")),
    "EXR": ("exr", ("OpenEXR",)),
    "RAW": ("raw", ("rawpy",)),
}


def missing_package(name: str) -> str:
    """The command that installs what the format `name` needs; "" where all of it is there."""
    extra, modules = OPTIONAL_FORMATS.get(name, ("", ()))
    if all(importlib.util.find_spec(module) is not None for module in modules):
        return ""
    return f"pip install 'restore-cli[{extra}]'" if extra else "pip install --upgrade 'pillow>=11.3'"


def require(name: str) -> None:
    """Raises PictureError, with the command that helps, where a package for the format `name` is missing."""
    if command := missing_package(name):
        from restore_cli.io.opened import PictureError  # not before: `formats` is for listing commands too

        kind = "a camera raw" if name == "RAW" else name
        raise PictureError(f"is {kind}, which needs a package that is not installed", f"Install it: {command}")
