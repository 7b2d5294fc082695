"""What optimizers keep of every weight that they train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from specbuild.catalog.objects import KerasObject
from specbuild.catalog.signatures import signature

_SLOTS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "Adadelta": lambda _: 2,
    "Adafactor": lambda _: 1,  # and two means over an axis, which are small
    "Adagrad": lambda _: 1,
    "Adam": lambda arguments: 3 if arguments.get("amsgrad") else 2,
    "AdamW": lambda arguments: 3 if arguments.get("amsgrad") else 2,
    "Adamax": lambda _: 2,
    "Ftrl": lambda _: 2,
    "Lamb": lambda _: 2,
    "Lion": lambda _: 1,
    "Muon": lambda _: 1,  # of the weights that it leaves to Adam 2
    "Nadam": lambda _: 2,
    "RMSprop": lambda arguments: 1 + bool(arguments.get("momentum")) + bool(arguments.get("centered")),
    "SGD": lambda arguments: 1 if arguments.get("momentum") else 0,
    "ScheduleFreeAdamW": lambda _: 2,
}
"""By class: how many numbers it keeps for each number that it trains, given its arguments."""


def slots(optimizer: KerasObject) -> int:
    """Return how many numbers an optimizer keeps for each number that it trains; of a plugin's optimizer, at least 0.

    Moving averages of the weights (`use_ema`) and gradients that are gathered over several steps
    (`gradient_accumulation_steps`) are numbers it keeps as well.
    """
    inner = optimizer.arguments.get("inner_optimizer")
    if isinstance(inner, KerasObject):
        return slots(inner)
    known = signature("optimizers", optimizer.name)
    if known is None:
        return 0
    arguments = optimizer.arguments
    shared = bool(arguments.get("use_ema")) + bool(arguments.get("gradient_accumulation_steps"))
    return _SLOTS[known.name](arguments) + shared


def averages_weights(optimizer: KerasObject) -> bool:
    """Return whether an optimizer, or the one inside it, keeps moving averages of the weights."""
    inner = optimizer.arguments.get("inner_optimizer")
    return bool(optimizer.arguments.get("use_ema")) or (isinstance(inner, KerasObject) and averages_weights(inner))
