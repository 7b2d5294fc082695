"""Large numbers in words, with three digits."""

from __future__ import annotations


def in_bytes(count: int) -> str:
    """Return a size in memory: `1.23 GiB`."""
    return scaled(count, 1024, (" B", " KiB", " MiB", " GiB", " TiB", " PiB"))


def scaled(count: int, base: int, units: tuple[str, ...]) -> str:
    """Return a count in the largest unit that leaves a number before the point; each is `base` times the one before."""
    value, index = float(count), 0
    while value >= base and index < len(units) - 1:
        value, index = value / base, index + 1
    return f"{value:.3g}{units[index]}" if index and value < 1000 else f"{value:.0f}{units[index]}"
