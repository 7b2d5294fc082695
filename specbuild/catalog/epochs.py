"""Lengths of a learning-rate schedule in epochs: `decay_steps: 20 epochs`, `boundaries: [10 epochs, 15 epochs]`."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

COUNTED = frozenset({"boundaries", "decay_steps", "first_decay_steps", "warmup_steps"})
"""Arguments of schedules that Keras counts in steps of the optimizer."""
WORDS = "a number of steps, or of epochs such as 20 epochs,"
LIST_WORDS = "a list of numbers of steps, or of epochs such as [10 epochs, 15 epochs]"
_EPOCHS = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*epochs?\s*")


def epochs(value: Any) -> float | None:
    """Return the number in `20 epochs`; None for another value."""
    match = _EPOCHS.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) if match else None


def are_epochs(values: Any) -> bool:
    """Whether a value is a list, all of whose items are in epochs."""
    return isinstance(values, list | tuple) and bool(values) and all(epochs(value) is not None for value in values)


def counted(values: Collection[Any]) -> list[float]:
    """Return the numbers of a list that is all in steps, or all in epochs."""
    return [value if (number := epochs(value)) is None else number for value in values]
