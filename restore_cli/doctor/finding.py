"""One thing the doctor found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

__all__ = ["Finding", "State", "in_bytes"]


class State(str, Enum):
    """How good it is."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True)
class Finding:
    """A fact about the installation or the machine.

    Attributes:
        subject: what it is about, in a word or two.
        message: what was found, in half a sentence.
        state: 'ok'; 'note' for what works but could be better or may surprise; 'broken' for what must be repaired.
        advice: what to do; empty where nothing is.
        facts: the same for programs.
    """

    subject: str
    message: str
    state: State = State.OK
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "state": self.state.value}


def in_bytes(size: int) -> str:
    """`size` bytes for people, as disks and memory are sold: '1.2 GB'."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
