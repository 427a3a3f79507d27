"""TOML tables into frozen dataclasses. An unknown key, a missing one or a wrong type is an error.

A silently ignored key is the worst kind of option: the run looks configured and is not.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from restore_cli.errors import RecipeError

if typing.TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)
else:
    T = TypeVar("T")

__all__ = ["from_table", "read_toml"]


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises RecipeError if it is missing or not TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return tables
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror or error}.", "Check the path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not a TOML file ({error}).") from error


def from_table(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `kind` from `table`.

    Args:
        kind: a dataclass; fields may be dataclasses, `tuple[...]`, `X | None` and plain types.
        table: keys as in the dataclass.
        where: file and table, for the error message.
    """
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    for key in table:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known keys: {', '.join(fields)}."
            raise RecipeError(f"{where}: unknown key '{key}'.", hint)
    missing = [
        name
        for name, field in fields.items()
        if name not in table and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise RecipeError(f"{where}: missing {', '.join(missing)}.")
    return kind(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in table.items()})


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401 - values of any type come from TOML
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _convert(option, value, where)
            except RecipeError as error:
                failure = error
        raise failure
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_table(typing.cast(type, hint), value, where)
    if origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(kinds) == len(value):
            return tuple(_convert(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    elif origin is dict and isinstance(value, Mapping):
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif hint is Any or type(value) is hint or dataclasses.is_dataclass(value):
        return value
    raise RecipeError(f"{where}: expected {getattr(hint, '__name__', hint)}, found {value!r}.")
