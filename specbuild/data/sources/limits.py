"""What is not read: pipes and devices, which may never end, and headers that declare more than memory holds."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from math import prod
from pathlib import Path

import numpy as np

from specbuild.data.sources.errors import FileError

_MEMORY = Path("/proc/meminfo")
_CONTROL_GROUP = Path("/sys/fs/cgroup")


def check_regular(path: Path, written: str) -> None:
    """Check that a path is a file, or a folder: opening a pipe waits for its writer, and a device never ends.

    Raises:
        FileError: it is neither.
        OSError: it is not there.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"
        raise FileError(f"{written} is {kind}, not a file", help="save its frames as a file")


def check_memory(size: int, what: str, help: str = "copy the file again if this is wrong") -> None:
    """Check that so many bytes fit into memory before they are asked for.

    Raises:
        FileError: they do not.
    """
    free = available_memory()
    if free is not None and size > free:
        raise FileError(f"{what} takes {in_units(size)}, and {in_units(free)} of memory are free", help=help)


def check_chunk(chunk: tuple[int, ...] | None, dtype: np.dtype[np.generic], name: str) -> None:
    """Check that a chunk, which is unpacked as a whole for a single number of it, fits into memory."""
    if chunk is not None:
        help = "write the file again with smaller chunks, such as one frame each"
        check_memory(prod(map(int, chunk)) * dtype.itemsize, f"a chunk of {name}", help)


def available_memory() -> int | None:
    """Return the bytes of memory that this process can still take; None where the system does not say."""
    limits = []
    with suppress(OSError, ValueError, IndexError):
        lines = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        limits.append(int(lines["MemAvailable"].split()[0]) * 1024)
    with suppress(OSError, ValueError):
        most, used = (int((_CONTROL_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        limits.append(max(0, most - used))
    if not limits:
        with suppress(AttributeError, OSError, ValueError):
            limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def in_units(size: int) -> str:
    """Return a number of bytes as messages write it: `12.5 GB`."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.3g} {unit}" if number < 1000 else f"{number:.0f} {unit}"
