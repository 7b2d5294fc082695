"""Whether a process of this machine lives, as far as that can be told by its number."""

from __future__ import annotations

import os
import socket

CAN_ASK = os.name != "nt"
"""Whether there is a way to ask: on Windows, the signal 0 ends a process."""


def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()[:255] or "localhost"


def lives(number: int) -> bool:
    """Return whether there is a process of this number; True where there is no way to ask."""
    if number == os.getpid() or not CAN_ASK:
        return True
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is another user's
        return True
    return True
