"""Ctrl-C and SIGTERM, which end a batch where nothing is left half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """While the block runs, either signal is noted, and raised as KeyboardInterrupt only where that does no harm.

    A second one is raised at once, for whoever cannot wait. A signal that somebody else handles or ignores
    (`nohup`, a job in the background) is left alone, and so are all of them outside the main thread.
    """

    def __init__(self) -> None:
        self.requested = False
        self._raises = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, handler in usual.items():
                if signal.getsignal(number) is handler:
                    self._before[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def harmless(self) -> Iterator[None]:
        """Inside, either signal is raised at once, an earlier one too: what is being computed is simply dropped."""
        self._raises = True
        try:
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._raises = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.requested = self.requested, True
        if again or self._raises:
            raise KeyboardInterrupt
