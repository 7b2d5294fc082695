"""Patterns of names, such as `radar_*.nc`: which files and folders they mean, and in which order."""

from __future__ import annotations

import re
from pathlib import Path

_WILD = re.compile(r"[*?\[]")


def is_pattern(path: Path) -> bool:
    """Whether a path stands for all that match it: it has `*`, `?` or `[`, and nothing is called so."""
    return bool(_WILD.search(str(path))) and not path.exists()


def matches(pattern: Path) -> list[Path]:
    """The files and folders that a pattern means, in natural order."""
    above = folder_above(pattern)
    found = above.glob(str(pattern.relative_to(above))) if above.is_dir() else ()
    return sorted((one for one in found if not one.name.startswith(".")), key=natural)


def folder_above(pattern: Path) -> Path:
    """The folder below which a pattern looks."""
    return next(one for one in pattern.parents if not _WILD.search(str(one)))


def natural(path: Path) -> list[tuple[int, int, str]]:
    """The key that sorts numbers in names by their value: `9.png` before `10.png`."""
    parts = re.split(r"([0-9]+)", path.as_posix())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
