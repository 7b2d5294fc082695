"""Signals that end a run: Ctrl-C, and those that schedulers and containers send before they kill it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from specbuild.document.printable import steers

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGXCPU") if hasattr(signal, name)
)
"""The signals that end a run, as far as the system has them."""

GRACE = 1.0
"""Seconds after a second signal that Python has to obey it."""


class Interrupted(KeyboardInterrupt):
    """A run was ended by a signal. The steps that are done are saved; the message says how to resume."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number
        """The signal's number."""


class Signals:
    """Turns the signals into a KeyboardInterrupt within its block.

    While `stepping` is set, the first is only noted as `asked`, and obeyed after the running step: an exception raised
    wherever it arrives can land in a framework's callback, which drops it. A second one is obeyed at once. Where Python
    cannot obey it within `GRACE` seconds, as while a framework compiles, another thread ends the process. Outside of
    the main thread there are no signals to obey, and one that the process was told to ignore, as `nohup` does with
    SIGHUP, stays ignored.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self.stepping = False
        self.begun = False
        """Whether the run folder has been written, so that whoever ends the run must say so there."""
        self.at_once: Callable[[], str] | None = None
        """Called in that other thread before the process ends; it returns what to print."""
        self._before: dict[int, Any] = {}
        self._over = threading.Event()
        self._wakeup: tuple[socket.socket, int] | None = None
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in heard}
            self._unraisable, sys.unraisablehook = sys.unraisablehook, self._dropped
            if not hasattr(sys, "ps1"):  # an interactive session outlives its runs
                reads, writes = socket.socketpair()
                writes.setblocking(False)
                self._wakeup = writes, signal.set_wakeup_fd(writes.fileno(), warn_on_full_buffer=False)
                threading.Thread(target=self._watch, args=(reads,), name="signals", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._wakeup is not None:
            writes, before = self._wakeup
            signal.set_wakeup_fd(before)
            writes.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._unraisable
        self._before = {}

    @property
    def number(self) -> int:
        """The number of the signal that came; that of Ctrl-C where an interrupt came without one."""
        return int(self.asked or signal.SIGINT)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        again, self.asked = self.asked is not None, signal.Signals(number)
        if again or not self.stepping:
            raise KeyboardInterrupt

    def _dropped(self, what: Any) -> None:
        """Say nothing of an interrupt that landed where Python drops it: it is noted, and obeyed after a step."""
        if self.asked is None or what.exc_type is not KeyboardInterrupt:
            self._unraisable(what)

    def _watch(self, reads: socket.socket) -> None:
        """Read the number of each signal, which the system writes even while Python waits for a framework."""
        count = 0
        with reads:
            while byte := reads.recv(1):
                count += byte[0] in SIGNALS
                if count > 1:
                    if not self._over.wait(GRACE):
                        self._end(byte[0])
                    return

    def _end(self, number: int) -> None:
        said: list[str] = []

        def tell() -> None:
            with suppress(Exception):
                said.append(self.at_once() if self.at_once is not None else "interrupted")

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        teller.join(GRACE)  # a disk that hangs does not keep the process
        if not self._over.is_set():
            with suppress(OSError):
                show_cursor = "\x1b[?25h" if steers(sys.stderr) else ""
                os.write(2, f"{show_cursor}\n{''.join(said)}\n".encode())
            os._exit(128 + number)
