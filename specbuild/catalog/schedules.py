"""The learning-rate schedule of an optimizer, and its lengths in epochs as steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from specbuild.catalog.epochs import COUNTED, epochs
from specbuild.catalog.objects import KerasObject

_INNER = "inner_optimizer"
_RATE = "learning_rate"


def schedule_of(optimizer: KerasObject) -> KerasObject | None:
    """Return the schedule that the learning rate of an optimizer, or of the one inside it, follows; None: a number."""
    inner = optimizer.arguments.get(_INNER)
    if isinstance(inner, KerasObject):
        return schedule_of(inner)
    rate = optimizer.arguments.get(_RATE)
    return rate if isinstance(rate, KerasObject) else None


def counts_epochs(optimizer: KerasObject) -> bool:
    """Whether the schedule of an optimizer has a length in epochs."""
    schedule = schedule_of(optimizer)
    return schedule is not None and in_steps(schedule, 1) != schedule


def in_words(optimizer: KerasObject, steps: int) -> str:
    """Return the lengths in epochs of the schedule of an optimizer as so many steps each: `decay_steps: 40`."""
    schedule = schedule_of(optimizer)
    if schedule is None:
        return ""
    counted = in_steps(schedule, steps).arguments
    return ", ".join(f"{name}: {counted[name]}" for name, value in schedule.arguments.items() if counted[name] != value)


def in_steps(item: KerasObject, steps: int) -> KerasObject:
    """Return an optimizer or a schedule with its lengths in steps.

    Args:
        item: as a spec writes it.
        steps: the steps of an epoch.
    """

    def converted(name: str, value: Any) -> Any:
        if name in (_INNER, _RATE) and isinstance(value, KerasObject):
            return in_steps(value, steps)
        if name in COUNTED and isinstance(value, list | tuple):
            return [converted(name, each) for each in value]
        if name not in COUNTED or (length := epochs(value)) is None:
            return value
        return max(round(length * steps), 1 if length else 0)

    return replace(item, arguments={name: converted(name, value) for name, value in item.arguments.items()})
