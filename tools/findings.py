"""What the tools that search for faults at random share: what is wrong, and where it comes from."""

from __future__ import annotations

import re
import traceback
from pathlib import Path


class Wrong(Exception):
    """A result that breaks a promise. The words before the colon are the same for all findings of one kind."""


def place_of(fault: BaseException, entries: int = 6) -> tuple[str, str]:
    """Return where a fault comes from, which is one finding, and the last entries of its traceback."""
    frames = traceback.extract_tb(fault.__traceback__)
    ours = [
        frame for frame in frames if "/specbuild/" in frame.filename or Path(frame.filename).name.startswith("naive")
    ]
    inner = (ours or frames)[-1]
    where = f"{type(fault).__name__} in {Path(inner.filename).name}:{inner.name}"
    if isinstance(fault, Wrong):
        where = f"wrong: {re.sub(r'[^A-Za-z ]+', '', str(fault).partition(':')[0])}"
    return where, "".join(traceback.format_exception(fault)[-entries:])
