"""Which pictures `restore eval` takes, and in which conditions: read, or made of clean ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from restore_cli.cli._asked import Asked
from restore_cli.cli.degrade import find_degradation
from restore_cli.errors import UsageError
from restore_cli.options import Cfa, Hints
from restore_cli.tasks import QUALITY_FACTOR, Task

if TYPE_CHECKING:
    from restore_cli.evaluation.conditions import Condition
    from restore_cli.evaluation.pairs import Pairing

__all__ = ["Pictures", "choose_pictures", "choose_scale"]

# How papers make a task's input, by field of `Asked`; the others have data sets, or --degrade.
STANDARD = {"denoise": "sigma", "jpeg": "quality", "demosaic": "cfa"}
NAMED = 5  # of left-out pictures in a note


@dataclass(frozen=True)
class Pictures:
    """What is evaluated.

    Attributes:
        pairing: of sources and references.
        conditions: that every model meets.
        place: the folder that names the test set.
        made: the input is made of the references.
        notes: for reports.
    """

    pairing: Pairing
    conditions: tuple[Condition, ...]
    place: Path
    made: bool
    notes: tuple[str, ...]


def choose_scale(asked: Asked, task: Task) -> int:
    """Enlargement that pictures and protocol are for: as asked, else the first card's, else the task's.

    Raises:
        UsageError: none can be meant, or it cannot be known.
        ModelNotFoundError: no such model.
    """
    if not task.enlarges:
        if asked.scale is not None:
            raise UsageError(f"--scale has no meaning for {task.name}, which keeps the size.", "Leave it out.")
        return 1
    if asked.scale is not None:
        if asked.scale < 2:
            raise UsageError(f"--scale {asked.scale} does not enlarge.", "Use 2, 3 or 4.")
        return asked.scale
    if asked.pairs is not None:
        raise UsageError("Super-resolution is scored inside a border as wide as the scale.", "Add --scale.")
    from restore_cli.evaluation.baselines import BASELINES
    from restore_cli.models.build import locate
    from restore_cli.models.levels import any_member

    cards = (locate(any_member(name)).card for name in asked.model or () if name not in BASELINES)
    return next((card.scale for card in cards if card is not None), task.scales[0])


def choose_pictures(asked: Asked, task: Task, scale: int) -> Pictures:
    """Files and names alone are looked at, no pixels.

    Raises:
        InputError: no such folder, no pictures, or pictures without partner.
        UsageError: options that do not go together.
        RecipeError: no such degradation.
    """
    from restore_cli.evaluation.conditions import AS_THEY_ARE
    from restore_cli.evaluation.pairs import find_layout

    if asked.pairs is not None:
        restored, reference = map(Path, asked.pairs)
        note = f"{restored} scored against {reference}; nothing was run."
        return _paired(asked, restored, reference, AS_THEY_ARE, reference, note)
    if asked.dataset is not None:
        place = Path(asked.dataset)
        layout = find_layout(place, scale)
        if layout.degraded is None:
            return _made(asked, task, scale, place)
        note = f"{layout.degraded} against {layout.reference}, laid out as {layout.name} do."
        return _paired(asked, layout.degraded, layout.reference, _given(asked, task), place, note)
    if asked.clean is not None:
        return _made(asked, task, scale, Path(asked.clean))
    degraded, reference = Path(asked.input or ""), Path(asked.reference or "")
    return _paired(asked, degraded, reference, _given(asked, task), reference, f"{degraded} against {reference}.")


def _paired(asked: Asked, source: Path, reference: Path, condition: Condition, place: Path, note: str) -> Pictures:
    from restore_cli.evaluation.pairs import pair_up

    pairing = pair_up(source, reference, allow_missing=asked.allow_missing)
    notes = [note]
    if pairing.left_out:
        more = f" and {len(pairing.left_out) - NAMED} more" if len(pairing.left_out) > NAMED else ""
        names = ", ".join(str(path) for path in pairing.left_out[:NAMED])
        notes.append(f"Left out for want of a partner: {names}{more}.")
    return Pictures(pairing, (condition,), place, False, tuple(notes))


def _given(asked: Asked, task: Task) -> Condition:
    """Of degraded pictures: what models may have to be told of them."""
    from restore_cli.evaluation.conditions import AS_THEY_ARE

    own = STANDARD.get(task.name, "")
    asked.refuse(("degrade", "quality", "seed"), "pictures that are degraded already")
    asked.refuse([name for name in ("sigma", "cfa") if name != own], task.name)
    if len(asked.sigma or asked.cfa or ()) > 1:
        raise UsageError(f"--{own} is given twice for the same pictures.", "Several go with clean pictures.")
    if asked.sigma:
        level = Hints(sigma_255=asked.sigma[0]).sigma_255
        return replace(AS_THEY_ARE, name=f"sigma_255 = {level:g}", sigma_255=level)
    return replace(AS_THEY_ARE, cfa=asked.cfa[0].value) if asked.cfa else AS_THEY_ARE


def _made(asked: Asked, task: Task, scale: int, clean: Path) -> Pictures:
    from restore_cli.evaluation.pairs import clean_pictures

    asked.refuse(("allow_missing",), "clean pictures, which are their own partners")
    own = STANDARD.get(task.name, "")
    asked.refuse([name for name in STANDARD.values() if name != own], task.name)
    if asked.degrade:
        asked.refuse((own,), "--degrade, which makes the input already")
    conditions = tuple(_by_recipe(asked, task, scale) if asked.degrade else _by_papers(asked, task, scale))
    if not conditions:
        ways = [f"--{own} LEVEL"] if own else []
        raise UsageError(
            f"{clean}: of clean pictures the input must be made, but how is not said.",
            f"Add {' or '.join((*ways, *(f'--degrade {kind}' for kind in task.degradations)))}.",
        )
    if len({each.name for each in conditions}) < len(conditions):
        raise UsageError("One condition is named twice.", "Name each once.")
    notes = [f"Input{f' {each.name}' if each.name else ''}: {clean}, {each.how}." for each in conditions]
    return Pictures(clean_pictures(clean), conditions, clean, True, tuple(notes))


def _by_recipe(asked: Asked, task: Task, scale: int) -> Iterator[Condition]:
    from restore_cli.degradations.recipes import makes_mosaic, scale_of
    from restore_cli.evaluation.conditions import by_recipe

    for recipe in asked.degrade or ():
        degradation, name = find_degradation(recipe, [])
        if scale_of(degradation) != scale or makes_mosaic(degradation) != (task.input == "mosaic"):
            size = f" x{scale}" if task.enlarges else ""
            raise UsageError(
                f"--degrade {recipe}: does not make what {task.name}{size} restores.",
                f"Try {' or '.join(task.degradations)}.",
            )
        yield by_recipe(name, degradation, asked.seed or 0)


def _by_papers(asked: Asked, task: Task, scale: int) -> Iterator[Condition]:
    from restore_cli.evaluation.conditions import bayer, bicubic, gaussian_noise, jpeg

    if task.name == "denoise":
        for sigma_255 in asked.sigma or ():
            Hints(sigma_255)  # refuses what is out of range
            yield gaussian_noise(sigma_255, asked.seed or 0)
    elif task.name == "jpeg":
        for quality in asked.quality or ():
            low, high = QUALITY_FACTOR.low, QUALITY_FACTOR.high
            if not low <= quality <= high:
                raise UsageError(f"--quality {quality} is outside {low:g} to {high:g}.")
            yield jpeg(quality)
    elif task.name == "demosaic":
        yield from (bayer(pattern.value) for pattern in asked.cfa or (Cfa.RGGB,))
    elif task.enlarges:
        yield bicubic(scale)
