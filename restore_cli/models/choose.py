"""Which model a task uses where the user names none, and why.

The rules, first to last: `-n` is obeyed and never comes here; then --embedded or --best; then RESTORE_MODELS;
then `models` in the settings (`restore_cli.models.home`); else 'installed': the task's model of the hub where it
has been pulled, the embedded one otherwise. Nothing is downloaded that was not asked for.

The order of the models below is that of the published figures on the cards, less what the input or the device
rules out. Models made for the eye, which invent detail, are never chosen unnamed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from restore_cli.errors import ModelNotFoundError, RecipeError
from restore_cli.models.card import Card
from restore_cli.models.catalog import read_catalog
from restore_cli.models.download import Download, is_cached
from restore_cli.models.home import home_dir, read_settings
from restore_cli.models.levels import settle_level
from restore_cli.options import Hints
from restore_cli.tasks import Task

__all__ = ["EXTRA_MODULES", "POLICY_VARIABLE", "Choice", "Policy", "choose", "missing_extra", "settled_policy"]

POLICY_VARIABLE = "RESTORE_MODELS"
# The module by which an extra of this package can be seen to be installed.
EXTRA_MODULES = {"extra-archs": "spandrel_extra_arches"}


class Policy(str, Enum):
    """Which models may be used unasked."""

    INSTALLED = "installed"
    EMBEDDED = "embedded"
    BEST = "best"


@dataclass(frozen=True)
class Choice:
    """A model and how it came to be chosen.

    Attributes:
        card: the model.
        reason: one sentence to print: what is used, why, and what one could type for another.
        plain: it is the task's embedded model and nobody asked for anything: the sentence is advice, not news.
    """

    card: Card
    reason: str
    plain: bool = False


@dataclass(frozen=True)
class _Need:
    """What the model must suit."""

    task: Task
    scale: int
    grey: bool
    hints: Hints
    on_cpu: bool

    def __str__(self) -> str:
        """As said to the user."""
        kind = f" x{self.scale}" if self.task.enlarges else " of grey pictures" if self.grey else ""
        return f"{self.task.name}{kind} on {'a CPU' if self.on_cpu else 'this device'}"


def settled_policy() -> tuple[Policy, str]:
    """The policy in force without an option, and what settled it, in words; the words are empty for the default.

    Raises:
        RecipeError: the environment or the settings name another word.
    """
    for word, origin in (
        (os.environ.get(POLICY_VARIABLE, ""), POLICY_VARIABLE),
        (read_settings().models, str(home_dir() / "config.toml")),
    ):
        if word:
            try:
                return Policy(word), origin
            except ValueError:
                known = ", ".join(each.value for each in Policy)
                raise RecipeError(f"{origin}: unknown policy '{word}' for models.", f"One of {known}.") from None
    return Policy.INSTALLED, ""


def choose(
    task: Task,
    *,
    scale: int | None = None,
    grey: bool = False,
    hints: Hints | None = None,
    device: str = "cpu",
    policy: Policy = Policy.INSTALLED,
    asked_by: str = "",
    offline: bool = False,
    commercial_ok: bool = False,
) -> Choice:
    """The model to use for a task when the user names none. Downloads nothing.

    Args:
        task: a row of `restore_cli.tasks`.
        scale: enlargement; None takes the task's first.
        grey: for grey pictures, where the task has a model of their own.
        hints: what is known of all pictures; where a network must be told more, that is estimated of each.
        device: 'cpu', or anything else for an accelerator.
        policy: see the module.
        asked_by: who asked for the policy, an option or what `settled_policy` says; for the reason.
        offline: do not choose what would have to be downloaded.
        commercial_ok: do not choose what forbids commercial use, or whose terms are unclear.

    Raises:
        UsageError: a scale the task does not offer.
        ModelNotFoundError: a card that the rules name is not in the catalogue.
    """
    catalog = read_catalog()
    default = (task.grey_model if grey else None) or task.default_model(scale)
    embedded = _card(catalog, default)
    need = _Need(task, embedded.scale, grey, hints or Hints(), device == "cpu")
    because = f", as {asked_by} asks" if asked_by else ""
    if policy is Policy.EMBEDDED:
        return Choice(embedded, f"Using {embedded.id}, which comes with the package{because}.")
    suited = [
        card
        for card in (_card(catalog, name) for name in _ranked(need))
        if not missing_extra(card) and (card.licence.commercial or not commercial_ok)
    ]
    here = [card for card in suited if card.embedded or is_cached(Download.of(card))]
    if policy is Policy.BEST:
        if suited and (not offline or suited[0] in here):
            best, present = suited[0], suited[0] in here
            arrives = "" if present else f", to be downloaded once ({_size(best)})"
            return Choice(best, f"Using {best.id}, the best for {need}{because}{arrives}.")
        if here:
            return Choice(here[0], f"Using {here[0].id}, the best for {need} that is installed{because}.")
        why = f"{suited[0].id} is not installed and downloads are off" if suited else "no other suits"
        return Choice(embedded, f"Using {embedded.id}, which comes with the package: {why}.")
    if here:
        return Choice(here[0], f"Using {here[0].id}, which is installed; --embedded takes {embedded.id}.")
    if not suited:
        return Choice(embedded, f"Using {embedded.id}, which comes with the package.", plain=True)
    first = suited[0]
    return Choice(
        embedded,
        f"Using {embedded.id}, which comes with the package; `restore models pull {first.id}` ({_size(first)}) "
        f"gets {first.summary}.",
        plain=True,
    )


def missing_extra(card: Card) -> str:
    """The extra of this package that `card` needs and that is not installed; empty if nothing is missing."""
    module = EXTRA_MODULES.get(card.requires)
    return card.requires if module and importlib.util.find_spec(module) is None else ""


def _ranked(need: _Need) -> Iterator[str]:
    """Card ids for `need`, the best first."""
    hints, grey, slow = need.hints, need.grey, need.on_cpu
    name = need.task.name
    if name == "sr":
        # DAT's published figures are the highest here of models without doubts, but a CPU takes minutes over it.
        yield from (f"swinir-m-sr-x{need.scale}", f"dat-sr-x{need.scale}")[:: 1 if slow else -1]
    elif name == "denoise" and grey:
        yield "drunet-grey"
    elif name == "denoise":
        if hints.sigma_255 is None:
            # Nothing is known of the noise: that of a camera is the likeliest.
            yield from ("nafnet-sidd-width32", "nafnet-sidd-width64")[:: 1 if slow else -1]
        elif not slow:
            yield from _of_the_level("swinir-denoise-color", hints)
        yield "drunet-color"
    elif name == "deblur":
        yield from ("nafnet-gopro-width32", "nafnet-gopro-width64")[:: 1 if slow else -1]
    elif name == "derain":
        yield from ("restormer-derain", "kbnet-derain")
    elif name == "jpeg":
        if not slow and not grey and hints.quality_factor is not None:
            yield from _of_the_level("swinir-jpeg-color", hints)
        yield "fbcnn-grey" if grey else "fbcnn-color"
    elif name == "demosaic":
        yield "drunet-color"
    elif name == "weather":
        yield "histoformer-weather"


def _of_the_level(family: str, hints: Hints) -> Iterator[str]:
    """The checkpoint of `family` for the level that is known, unless it was made for a notably different one."""
    name, reservation = settle_level(family, hints)
    if not reservation:
        yield name


def _card(catalog: Mapping[str, Card], name: str) -> Card:
    if name not in catalog:
        raise ModelNotFoundError(f"{name}: the catalogue has no such card.", "Install the package again.")
    return catalog[name]


def _size(card: Card) -> str:
    size = card.file.bytes or card.file.about_bytes
    return f"{size / 1e6:.0f} MB" if size else "size unknown"
