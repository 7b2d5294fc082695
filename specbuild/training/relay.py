"""A relay between JAX in this process and the coordination service in process 0.

JAX aborts a process, with a stack dump, as soon as its connection to process 0 breaks. Behind a relay it does not
notice: the relay does, and leaves the connection to JAX open, so that this process can end with an error message of its
own.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from specbuild.document import RunError

_IDLE, _APART, _TIMES = 10, 5, 3
"""Seconds of silence after which the network is asked whether the other end is there, how often and how many times."""


class Relay:
    """Passes what JAX sends to an address on to another one, and back.

    Args:
        host: where process 0 runs.
        port: at which its service listens.
        patience: seconds to wait for it.

    Raises:
        RunError: it does not answer.
    """

    def __init__(self, host: str, port: int, patience: float) -> None:
        self._target = host, port
        self._reached(patience).close()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.lost: Callable[[], None] | None = None
        """Called when the connection to process 0 breaks; until it is set, JAX's connection is closed."""
        self._start(self._accept)

    def _start(self, run: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=run, args=arguments, name="relay", daemon=True).start()

    def _reached(self, patience: float) -> socket.socket:
        until = time.monotonic() + patience
        while True:
            try:
                return socket.create_connection(self._target, timeout=10)
            except OSError as error:
                if time.monotonic() > until:
                    raise RunError(
                        f"process 0 does not answer at {self._target[0]}:{self._target[1]}: {error.strerror or error}",
                        help="check that it is running and that this host can reach the port; --coordinator sets "
                        "another address",
                    ) from error
            time.sleep(0.2)

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            try:
                far = self._reached(0)
            except RunError:
                near.close()
                continue
            far.settimeout(None)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_asking(far)
            self._start(self._send, near, far)
            self._start(self._receive, far, near)

    def _send(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _receive(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)
        if self.lost is not None:
            self.lost()
        else:
            near.close()


def _keep_asking(end: socket.socket) -> None:
    """Let the network notice within half a minute that the host at the other end is gone."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _IDLE), ("TCP_KEEPINTVL", _APART), ("TCP_KEEPCNT", _TIMES)):
        if hasattr(socket, name):
            end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
