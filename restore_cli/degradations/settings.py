"""Checks of a degradation's settings, made once, when it is built."""

from __future__ import annotations

from typing import Any

from restore_cli.errors import RecipeError

__all__ = ["check_settings"]


def check_settings(settings: object, **allowed: tuple[float, float]) -> None:
    """Hold numbers, and (lowest, highest) ranges of them, to what they may be.

    Args:
        settings: the degradation.
        allowed: least and greatest value of each field, both inclusive.

    Raises:
        RecipeError: a field outside, or a range that starts above its end.
    """
    for name, (least, greatest) in allowed.items():
        value: Any = getattr(settings, name)
        low, high = value if isinstance(value, tuple) else (value, value)
        if not least <= low <= high <= greatest:
            shown = list(value) if isinstance(value, tuple) else value
            order = ", lowest first" if isinstance(value, tuple) else ""
            raise RecipeError(
                f"{type(settings).__name__}: {name} = {shown} is out of range.", f"{least:g} to {greatest:g}{order}."
            )
