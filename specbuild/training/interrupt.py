"""Signals that end a run: Ctrl-C, and those that schedulers and containers send before they kill it."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU") if hasattr(signal, name)
)
"""The signals that end a run, as far as the system has them."""


class Interrupted(KeyboardInterrupt):
    """A run was ended by a signal. Finished epochs are saved; the message tells how to continue."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        """The signal's number."""


class Signals:
    """Turns the signals into a KeyboardInterrupt within its block.

    While `stepping` is set, the first is only noted as `asked`, and obeyed after the running step: an exception raised
    wherever it arrives can land in a framework's callback, which drops it. A second one is obeyed at once. Outside of
    the main thread there are no signals to obey.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self.stepping = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @property
    def number(self) -> int:
        """The number of the signal that came; that of Ctrl-C where an interrupt came without one."""
        return int(self.asked or signal.SIGINT)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        again, self.asked = self.asked is not None, signal.Signals(number)
        if again or not self.stepping:
            raise KeyboardInterrupt
