"""One thing that is wrong with a picture."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from math import exp
from typing import Any

__all__ = ["Finding", "confidence_of"]

MOST_SURE = 0.99


@dataclass(frozen=True)
class Finding:
    """A degradation.

    Attributes:
        kind: 'noise', 'jpeg', 'blocks', 'blur', 'motion-blur', 'low-resolution' or 'mosaic'.
        message: what was found, in half a sentence.
        confidence: how sure, 0 to 1: a logistic curve of the measurement, set by how degraded and clean training
            pictures measure (`restore_cli.evaluation.diagnosed`), not a fitted probability; 1 for a plain fact.
        options: of the command that mends it: task and whatever it needs.
    """

    kind: str
    message: str
    confidence: float
    options: tuple[str, ...]

    def command(self, name: str) -> str:
        """What to type to mend the picture called `name`."""
        task, *others = self.options
        return shlex.join(["restore", task, name if not name.startswith("-") else f"./{name}", *others])

    def as_record(self, name: str) -> dict[str, Any]:
        """For JSON."""
        record = asdict(self) | {"confidence": round(self.confidence, 2), "command": self.command(name)}
        del record["options"]
        return record


def confidence_of(value: float, even: float, width: float) -> float:
    """A logistic curve: 0.5 where `value` is `even`, 0.73 a `width` above; never quite certain."""
    return min(MOST_SURE, 1 / (1 + exp(min(50.0, (even - value) / width))))
