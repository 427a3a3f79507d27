"""What an ordeal counts, and when it has been passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Counts", "table"]

MOST_SHOWN = 20


@dataclass
class Counts:
    """Of one ordeal.

    Attributes:
        given: files handed to the program (or times that one was).
        restored: there is a result, and it is what it should be.
        refused: there is no result, and one line that names the file and says why.
        tracebacks: bugs of ours: traces, internal errors, crashes, endless work.
        wrong: results that are there and should not be, or that are not what they should be.
        lost: inputs that are gone or changed, or of which nothing was said; finished results that are gone.
        faults: what happened, a line for each of the last three and for anything else that must not be.
        remark: what was measured besides.
    """

    given: int = 0
    restored: int = 0
    refused: int = 0
    tracebacks: int = 0
    wrong: int = 0
    lost: int = 0
    faults: list[str] = field(default_factory=list)
    remark: str = ""

    @property
    def passed(self) -> bool:
        """Whether every file was accounted for, and nothing happened that must not."""
        return self.given == self.restored + self.refused > 0 and not self.faults and not self.bad

    @property
    def bad(self) -> int:
        """What there must be none of."""
        return self.tracebacks + self.wrong + self.lost

    def add(self, other: Counts) -> None:
        """Count what `other` has counted, too."""
        for name in ("given", "restored", "refused", "tracebacks", "wrong", "lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults

    def fault(self, kind: str, said: str) -> None:
        """One more of `kind` ('tracebacks', 'wrong', 'lost', or '' for none of these)."""
        if kind:
            setattr(self, kind, getattr(self, kind) + 1)
        self.faults.append(said)


def table(rows: Sequence[tuple[str, Counts, float]]) -> str:
    """Of name, counts and seconds: a line each, their sums, and what was wrong."""
    total = Counts()
    for _, counts, _ in rows:
        total.add(counts)
    cells = [("", "given", "restored", "refused", "tracebacks", "wrong", "lost", "seconds", "")]
    for name, each, seconds in (*rows, ("all", total, sum(seconds for _, _, seconds in rows))):
        numbers = (each.given, each.restored, each.refused, each.tracebacks, each.wrong, each.lost)
        cells.append((name, *(f"{number:,}" for number in numbers), f"{seconds:.0f}", each.remark))
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        "  ".join(
            f"{cell:<{width}}" if column in (0, len(row) - 1) else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    for name, each, _ in rows:
        lines += [f"FAULT in {name}: {fault}" for fault in each.faults[:MOST_SHOWN]]
        if len(each.faults) > MOST_SHOWN:
            lines.append(f"FAULT in {name}: and {len(each.faults) - MOST_SHOWN} more")
        if not each.passed and not each.faults:
            lines.append(f"FAULT in {name}: {each.given - each.restored - each.refused} files are not accounted for")
    return "\n".join(lines)
