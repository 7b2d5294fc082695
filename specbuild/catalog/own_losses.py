"""Losses of specbuild's own: their names, arguments and defaults, and what their arguments must be to each other.

The classes are in `specbuild.model.losses`. Thresholds and ranges are in physical units; when a model is compiled they
are carried through the transform that its data was fitted with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, TypeAlias

RAIN = (2.0, 5.0, 10.0, 30.0)
RAIN_WEIGHTS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Thresholds in mm/h and weights of Shi et al. (2017)."""

_BALANCED = {"thresholds": list(RAIN), "weights": list(RAIN_WEIGHTS)}

LOSSES: Mapping[str, Any] = MappingProxyType(
    {
        "BalancedMSE": {"required": [], "optional": _BALANCED},
        "BalancedMAE": {"required": [], "optional": _BALANCED},
        "SSIM": {"required": [], "optional": {"data_range": None}},
        "GradientDifference": {"required": [], "optional": {"alpha": 1.0}},
        "SoftCSI": {"required": ["thresholds"], "optional": {"sharpness": 10.0}},
        "balanced_mse": "BalancedMSE",
        "balanced_mae": "BalancedMAE",
        "ssim": "SSIM",
        "gradient_difference": "GradientDifference",
        "gdl": "GradientDifference",
        "soft_csi": "SoftCSI",
    }
)
"""As the table of Keras's signatures: arguments of a class, or the class that an alias stands for."""

Fault: TypeAlias = tuple[str, str]
"""The argument at fault, and what a user reads."""


def class_of(name: str) -> str | None:
    """The class that a name stands for; None for a loss that is not ours."""
    entry = LOSSES.get(name)
    return entry if isinstance(entry, str) else name if entry is not None else None


def fault(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    """What is wrong between the arguments of a loss, each of which is right by itself."""
    check = _CHECKS.get(class_of(name) or "")
    return check(name, arguments) if check else None


def _balanced(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    thresholds = arguments.get("thresholds", RAIN)
    if rising := _rising(name, thresholds):
        return rising
    weights = arguments.get("weights", RAIN_WEIGHTS)
    if len(weights) != len(thresholds) + 1:
        key = "weights" if "weights" in arguments else "thresholds"
        needed = f"{len(thresholds) + 1} weights, one below the first threshold and one from each on"
        return key, f"{name} with {len(thresholds)} thresholds needs {needed}, got {len(weights)}"
    if min(weights) < 0:
        return "weights", f"{name} expects weights of at least 0, got {min(weights):g}"
    return None


def _soft_csi(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    return _rising(name, arguments.get("thresholds", ())) or _positive(name, arguments, "sharpness")


def _ssim(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    given = arguments.get("data_range")
    numbers = isinstance(given, list | tuple) and all(isinstance(one, int | float) for one in given)
    if given is None or (numbers and len(given) == 2 and given[0] < given[1]):
        return None
    return "data_range", f"{name} expects the least and the greatest physical value, such as [0, 60], for data_range"


def _gradient(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    return _positive(name, arguments, "alpha")


def _rising(name: str, thresholds: Any) -> Fault | None:
    if thresholds and all(low < high for low, high in pairwise(thresholds)):
        return None
    return "thresholds", f"{name} expects thresholds that rise, such as [0.5, 2, 5]"


def _positive(name: str, arguments: Mapping[str, Any], key: str) -> Fault | None:
    if arguments.get(key, 1) > 0:
        return None
    return key, f"{name} expects a number above 0 for {key}, got {arguments[key]:g}"


_CHECKS: dict[str, Callable[[str, Mapping[str, Any]], Fault | None]] = {
    "BalancedMSE": _balanced,
    "BalancedMAE": _balanced,
    "SSIM": _ssim,
    "GradientDifference": _gradient,
    "SoftCSI": _soft_csi,
}
