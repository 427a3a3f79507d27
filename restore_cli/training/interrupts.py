"""Ctrl-C that waits for the end of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

__all__ = ["DeferredInterrupt"]


class DeferredInterrupt:
    """While the block runs, Ctrl-C is noted instead of raised, so that no step is left half done.

    The block asks `requested` where it can stop. Whoever cannot wait presses again, which raises as usual.
    Outside the main thread, or where Ctrl-C is ignored (`nohup`, a job in the background), nothing changes.

    Args:
        patient: never raise, however often it is pressed.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.requested = False
        self._patient = patient
        self._active = False

    def __enter__(self) -> DeferredInterrupt:
        before = signal.getsignal(signal.SIGINT)
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._active = in_main_thread and before is signal.default_int_handler
        if self._active:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._active:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested and not self._patient:
            raise KeyboardInterrupt
        self.requested = True
