"""How cards look in a terminal: the list, as wide as the window, and one card in full."""

from __future__ import annotations

import itertools
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence

from restore_cli.errors import UsageError
from restore_cli.models.card import Card, Evidence, Rival, Score
from restore_cli.tasks import TASKS

__all__ = ["card_page", "catalogue_page", "in_bytes", "parse_size", "size_of"]

EMBEDDED, INSTALLED, REMOTE, UNPINNED_MARK, RESTRICTED = "=", "+", " ", "?", "*"
LEGEND = (
    "= comes with the package   + installed   * commercial use is not clearly allowed",
    "? no page prints its sha256: that of the first download is kept and checked",
)
# Columns from which on there is room for more than name, size and what it is.
WITH_LICENCE, WITH_FIGURE, WITH_SHA256 = 100, 120, 150
LABEL = 11
EVIDENCE = {
    Evidence.SEEN: "address and content were read on a page about this very copy",
    Evidence.LISTED: "the address was read; no page prints a sha256",
    Evidence.COPY: "the address was read; sha256 and size are those of the authors' own copy",
}
UNITS = {"": 1e6, "K": 1e3, "M": 1e6, "G": 1e9}


def in_bytes(size: float) -> str:
    """A size in the unit one would say it in."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"


def size_of(card: Card, arrived_bytes: int = 0) -> str:
    """The size of a card's file; '~' where it was rounded, '?' where nobody says and it has not arrived yet."""
    if exact := card.file.bytes or arrived_bytes:
        return in_bytes(exact)
    return f"~{card.file.about_bytes / 1e6:.0f} MB" if card.file.about_bytes else "?"


def _short_size(card: Card, arrived_bytes: int) -> str:
    exact = card.file.bytes or arrived_bytes
    return f"{exact / 1e6:.0f} MB" if 1e7 <= exact < 1e9 else size_of(card, arrived_bytes)


def parse_size(text: str) -> float:
    """Bytes in '100', '100M', '100MB', '1.5G'; plain numbers are megabytes. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", text.strip(), re.IGNORECASE)
    if found is None:
        raise UsageError(f"--max-size {text}: not a size.", "Such as 100MB or 1.5GB; a plain number is megabytes.")
    return float(found[1]) * UNITS[found[2].upper()]


def catalogue_page(
    cards: Sequence[Card], installed: Collection[str], arrived: Mapping[str, int], width: int | None, task: str = ""
) -> Iterator[str]:
    """The lines of the list: a block a task, the embedded first, then by name.

    Args:
        cards: to show.
        installed: ids of those that are on this machine.
        arrived: of those whose content the first download settled, the size in bytes.
        width: of the terminal, in columns; None lets lines be as long as they are.
        task: show this block alone.
    """
    for name, row in TASKS.items():
        block = [card for card in cards if name in card.tasks]
        if not block or (task and name != task):
            continue
        yield f"{name}: {row.help}"
        yield from _block(sorted(block, key=lambda each: (not each.embedded, each.id)), name, installed, arrived, width)
        yield ""
    yield from LEGEND


def _block(
    block: Sequence[Card], task: str, installed: Collection[str], arrived: Mapping[str, int], width: int | None
) -> Iterator[str]:
    """A line a card, and one about those of a family."""
    columns: list[list[str]] = [[], [f"{_short_size(card, arrived.get(card.id, 0)):>7}" for card in block]]
    for card in block:
        mark = EMBEDDED if card.embedded else INSTALLED if card.id in installed else REMOTE
        known = card.file.pinned or card.id in arrived
        columns[0].append(f"{mark}{' ' if known else UNPINNED_MARK}{card.id}")

    def has_room(least: int) -> bool:
        return width is None or width >= least

    if has_room(WITH_LICENCE):
        columns.append([_licence(card) for card in block])
    elif not all(card.licence.commercial for card in block):
        columns.insert(1, [" " if card.licence.commercial else RESTRICTED for card in block])
    if has_room(WITH_SHA256):
        columns.append([_sha256(card, card.id in arrived) for card in block])
    if has_room(WITH_FIGURE):
        columns.append([_headline(card, task) for card in block])
    rows = [_padded(column) for column in columns if any(cell.strip() for cell in column)]
    for card, *cells in zip(block, *rows, strict=True):
        start = "  ".join(cells)
        room = None if width is None else width - len(start) - 2
        yield f"{start}  {_described(card, task, room)}".rstrip()
    families = sorted({card.family for card in block} - {""})
    if families:
        text = f"-n {' or '.join(families)} takes the checkpoint nearest to the level, told or estimated."
        yield from textwrap.wrap(
            text, width or len(text) + 4, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        )


def _padded(column: Sequence[str]) -> list[str]:
    width = max(map(len, column))
    return [f"{cell:<{width}}" for cell in column]


def card_page(card: Card, path: str, address: str, places: Sequence[str], sha256: str, width: int) -> Iterator[str]:
    """The lines of one card: everything it says, and who says so.

    Args:
        card: to show.
        path: of its file on this machine, or empty.
        address: of the card itself.
        places: where it can be downloaded.
        sha256: what the content must be, from the card or the first download; empty if nothing says.
        width: of the terminal, in columns.
    """

    def item(label: str, text: str) -> Iterator[str]:
        if text:
            wrapped = textwrap.wrap(text, max(40, width - LABEL - 2), break_long_words=False, break_on_hyphens=False)
            for number, line in enumerate(wrapped):
                yield f"  {label if not number else '':<{LABEL}}{line}"

    enlarges = f" x{card.scale}" if card.scale > 1 else ""
    yield from textwrap.wrap(f"{card.id}: {card.summary}", max(40, width), break_on_hyphens=False)
    yield ""
    yield from item("does", ", ".join(card.tasks) + enlarges + _needs(card))
    if card.level is not None:
        yield from item(
            "level",
            f"made for {_told(card)} {card.level:g}; `-n {card.family}` takes the nearest there is to the level told, "
            "or estimated from the picture",
        )
    yield from item(
        "network",
        ", ".join(filter(None, (card.network or card.arch, _channels(card), "in the WNE wrapper" * card.wne))),
    )
    command = "comes with the package" if card.embedded else f"no; `restore models pull {card.id}`"
    yield from item("installed", path or command)
    yield from item("file", f"{card.file.name}, {size_of(card)}")
    own_pin = " (of the first download; no page prints one)" if sha256 and not card.file.pinned else ""
    yield from item("sha256", f"{sha256}{own_pin}" if sha256 else "unpinned: that of the first download is remembered")
    for number, place in enumerate(places):
        yield from item("from" if not number else "", place)
    if card.evidence:
        yield from item("evidence", EVIDENCE[card.evidence])
    allowed = "commercial use allowed" if card.licence.commercial else "commercial use not clearly allowed"
    yield from item("licence", f"{card.licence.name}: {allowed}")
    yield from item("trained on", card.licence.training_data)
    safe = f"{', '.join(card.precisions)} measured safe" if len(card.precisions) > 1 else ""
    yield from item("precision", "; ".join(filter(None, (safe, card.precision_advice))))
    if card.tiling:
        yield from item("tiles", f"share {card.tiling.overlap_px} pixels. {card.tiling.advice}".strip())
    yield from item("contest", _contests(card.rivals))
    yield from item("paper", card.paper)
    for number, note in enumerate(card.notes):
        yield from item("notes" if not number else "", note)
    if card.scores:
        yield ""
        yield from _figures(card.scores)
    sources = (
        ("model", card.source),
        ("file", card.file.source),
        ("address", card.hub.source if card.hub else ""),
        *(("mirror", mirror.source) for mirror in card.mirrors),
        ("licence", card.licence.source),
        ("tiles", card.tiling.source if card.tiling else ""),
        *(("figures", text) for text in dict.fromkeys(score.source for score in card.scores)),
        ("card", address),
    )
    yield ""
    yield "  who says so"
    for label, text in sources:
        yield from item(label, text)


def _contests(rivals: Sequence[Rival]) -> str:
    """What networks of several kinds came to in equal time."""
    return "; ".join(
        ", ".join(f"{each.name} {each.validation_psnr:.2f} dB" for each in held)
        + f" on held-out pictures after {minutes:g} minutes of training each"
        for minutes, held in itertools.groupby(rivals, lambda each: each.minutes)
    )


def _figures(scores: Sequence[Score]) -> Iterator[str]:
    rows = [
        (
            each.protocol,
            each.dataset,
            each.condition,
            f"{each.psnr:.2f}",
            f"{each.ssim:.4f}" if each.ssim else "",
            each.origin,
        )
        for each in scores
    ]
    rows.insert(0, ("protocol", "test set", "condition", "PSNR", "SSIM", "by"))
    widths = [min(40, max(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{_shortened(cell, width):<{width}}" for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()


def _headline(card: Card, task: str) -> str:
    """The figure by which one would compare: the first measured or published of the task."""
    for score in card.scores:
        if score.origin in ("measured", "published") and score.protocol == task:
            condition = score.condition.split(",")[0]
            short = f" {condition}" if re.fullmatch(r"(sigma|quality) [\d.]+", condition) else ""
            return f"{score.dataset}{short} {score.psnr:.2f} dB"
    return ""


def _described(card: Card, task: str, room: int | None) -> str:
    """The summary, with what it needs where there is room for that; as many of its clauses as fit."""
    full = card.summary + _needs(card, told=TASKS[task].input == "picture")
    if room is None or len(full) <= room:
        return full
    clauses = [card.summary[: found.start()] for found in re.finditer(r" \(|, |\.?$", card.summary)]
    fitting = [clause for clause in clauses if len(clause) <= room and clause.count("(") == clause.count(")")]
    return fitting[-1] if fitting else _shortened(card.summary, room)


def _licence(card: Card) -> str:
    # The version of a Creative Commons licence, and since when there is one, are on the card.
    name = re.sub(r"^(CC-.*)-\d\.\d$", r"\1", card.licence.name.split(",")[0].split(" since ")[0])
    return name if card.licence.commercial else f"{name} {RESTRICTED}"


def _sha256(card: Card, first_download: bool) -> str:
    return card.file.sha256[:8] if card.file.pinned else "pinned" if first_download else "unpinned"


def _needs(card: Card, *, told: bool = True) -> str:
    """In brackets; `told` is false where the task tells it the level."""
    options = {"sigma_255": "--sigma", "quality_factor": "--quality-factor"}
    needs = f"needs {options[card.conditioning]}, or estimates it" if told and card.conditioning in options else ""
    extra = f"needs restore-cli[{card.requires}]" if card.requires else ""
    listed = ", ".join(filter(None, (needs, extra)))
    return f" ({listed})" if listed else ""


def _told(card: Card) -> str:
    conditioning = TASKS[card.task].conditioning
    return conditioning.option if conditioning else "level"


def _channels(card: Card) -> str:
    return {1: "grey", 3: "colour", 6: "colour, from two views"}.get(card.channels, f"{card.channels} channels")


def _shortened(text: str, room: int | None) -> str:
    return text if room is None or len(text) <= room else text[: max(0, room - 3)].rstrip() + "..."
