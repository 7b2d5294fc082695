"""specbuild's own losses, declared once: their arguments, checks, formulas and sources.

The classes are in `specbuild.model.losses`, under the same names. The table in `docs/losses.md` is written from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from specbuild.catalog.heads import (
    LEAST_SCALE,
    LEAST_SHAPE,
    LOG_STD,
    MOST_SHIFT,
    SHIFT_OFFSET,
    Head,
    MakeHead,
    censored_gamma_head,
    gaussian_head,
    quantile_head,
)
from specbuild.catalog.scores import SSIM_SIDE

Fault: TypeAlias = tuple[str, str]
"""The argument at fault, and what a user reads."""
Check: TypeAlias = Callable[[str, Mapping[str, Any]], Fault | None]
"""Finds what is wrong between all arguments of a loss, given the name that the spec has for it."""


@dataclass(frozen=True, slots=True)
class OwnLoss:
    """One of specbuild's own losses.

    Attributes:
        names: what a spec may call it besides its class.
        formula: what it is, for the documentation, in Markdown.
        source: the paper that defines it.
        check: finds what is wrong between arguments that are each right by themselves.
        required: the arguments that a spec must write.
        optional: the others, with their defaults.
        physical: the argument that is in physical units and carried through the fitted transform: `thresholds`, the
            `floor` of the values, or `data_range`, which may be left out where the transform ends in minmax.
        space: how many spatial axes it needs.
        side: how many pixels it needs in height and in width.
        compares: what it takes the output for; `quantities` are not what a softmax gives.
        head: how the output is read as a distribution, given all arguments; None: it is the forecast itself.
    """

    names: tuple[str, ...]
    formula: str
    source: str
    check: Check
    required: tuple[str, ...] = ()
    optional: Mapping[str, Any] = field(default_factory=dict)
    physical: Literal["thresholds", "data_range", "floor"] | None = None
    space: int = 0
    side: int = 0
    compares: Literal["quantities", "frames"] = "frames"
    head: MakeHead | None = None

    @property
    def text(self) -> str:
        """What it is, without the marks of Markdown."""
        formula = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*\\]", r"\1", self.formula)
        source = self.source.replace("*", "")
        return f"{formula[:1].upper()}{formula[1:]}" + (f". {source}" if source else "")

    @property
    def arguments(self) -> tuple[str, ...]:
        """Every argument, in order."""
        return (*self.required, *self.optional)


def _balanced(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    thresholds, weights = arguments["thresholds"], arguments["weights"]
    if fault := _rising(name, arguments):
        return fault
    if len(weights) != len(thresholds) + 1:
        key = "thresholds" if weights is _RAIN["weights"] else "weights"
        needed = f"{len(thresholds) + 1} weights, one below the first threshold and one from each on"
        return key, f"{name} with {len(thresholds)} thresholds needs {needed}, got {len(weights)}"
    if min(weights) < 0:
        return "weights", f"{name} expects weights of at least 0, got {min(weights):g}"
    return None


def _ssim(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    ends = arguments["data_range"]
    numbers = isinstance(ends, list | tuple) and all(isinstance(end, int | float) for end in ends)
    if ends is None or (numbers and len(ends) == 2 and ends[0] < ends[1]):
        return None
    return "data_range", f"{name} expects the least and the greatest physical value, such as [0, 60], for data_range"


def _rising(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    thresholds = arguments["thresholds"]
    if thresholds and all(low < high for low, high in pairwise(thresholds)):
        return None
    return "thresholds", f"{name} expects thresholds that rise, such as [0.5, 2, 5]"


def _positive(name: str, arguments: Mapping[str, Any], key: str) -> Fault | None:
    if arguments[key] > 0:
        return None
    return key, f"{name} expects a number above 0 for {key}, got {arguments[key]:g}"


def _quantiles(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    levels = arguments["quantiles"]
    if levels and levels[0] > 0 and levels[-1] < 1 and all(low < high for low, high in pairwise(levels)):
        return None
    return "quantiles", f"{name} expects increasing quantiles between 0 and 1, such as [0.1, 0.5, 0.9]"


def _nothing_wrong(_name: str, _arguments: Mapping[str, Any]) -> Fault | None:
    return None


_RAIN: Mapping[str, Any] = {"thresholds": [2.0, 5.0, 10.0, 30.0], "weights": [1.0, 2.0, 5.0, 10.0, 30.0]}
"""Thresholds in mm/h and weights of Shi et al. (2017)."""


def _balanced_loss(name: str, error: str) -> OwnLoss:
    return OwnLoss(
        names=(name,),
        formula=f"mean of w {error}, the weight w by the observed value: `weights` has one number below the first of "
        "`thresholds` and one from each on; default 1, 2, 5, 10, 30 at 2, 5, 10, 30 mm/h",
        source="Shi et al. (2017), NeurIPS 30",
        check=_balanced,
        optional=_RAIN,
        physical="thresholds",
        compares="quantities",
    )


LOSSES: dict[str, OwnLoss] = {
    "BalancedMSE": _balanced_loss("balanced_mse", "e²"),
    "BalancedMAE": _balanced_loss("balanced_mae", "\\|e\\|"),
    "SSIM": OwnLoss(
        names=("ssim",),
        formula="1 − SSIM, with the window of [the score](scores.md) and `data_range`, which may be left out where the "
        "transform ends in `minmax`",
        source="Wang et al. (2004)",
        check=_ssim,
        optional={"data_range": None},
        physical="data_range",
        space=2,
        side=SSIM_SIDE,
    ),
    "GradientDifference": OwnLoss(
        names=("gradient_difference", "gdl"),
        formula="\\| \\|y_i − y_{i−1}\\| − \\|ŷ_i − ŷ_{i−1}\\| \\|^`alpha` along each spatial axis, means summed over "
        "the axes; blind to a constant, so a term of a sum",
        source="Mathieu et al. (2016), ICLR, eq. 6",
        check=lambda name, arguments: _positive(name, arguments, "alpha"),
        optional={"alpha": 1.0},
        space=1,
    ),
    "SoftCSI": OwnLoss(
        names=("soft_csi",),
        formula="1 − CSI at `thresholds`, their mean; a forecast value is an event to the degree "
        "sigmoid(`sharpness` · (ŷ − threshold)), per lead time over the batch",
        source="",
        check=lambda name, arguments: _rising(name, arguments) or _positive(name, arguments, "sharpness"),
        required=("thresholds",),
        optional={"sharpness": 10.0},
        physical="thresholds",
    ),
    "Pinball": OwnLoss(
        names=("pinball", "quantile"),
        formula="mean of max(τe, (τ − 1)e), e = y − q_τ, over the `quantiles` τ (default 0.1, 0.5, 0.9); the output "
        "has a channel for each quantile of each variable",
        source="Koenker and Bassett (1978), *Econometrica* 46, 33",
        check=_quantiles,
        optional={"quantiles": [0.1, 0.5, 0.9]},
        compares="quantities",
        head=quantile_head,
    ),
    "GaussianNLL": OwnLoss(
        names=("gaussian_nll",),
        formula="mean of ½ log 2π + log σ + ½ (e / σ)²; the output has two channels for each variable, the mean and "
        f"log σ (held to {LOG_STD[0]:g} … {LOG_STD[1]:g})",
        source="Nix and Weigend (1994), ICNN",
        check=_nothing_wrong,
        compares="quantities",
        head=gaussian_head,
    ),
    "CensoredGammaNLL": OwnLoss(
        names=("censored_gamma", "csgd"),
        formula="mean of −log of the likelihood of y = `floor` + max(0, θ(X − q)), X gamma-distributed with shape k: "
        "the probability of no more than `floor` (default 0, as of rain) or the density above; the output has three "
        "channels for each variable, a, b and c: "
        f"k = softplus(a) + {LEAST_SHAPE:g}, θ = softplus(b) + {LEAST_SCALE:g}, "
        f"q = {MOST_SHIFT:g} sigmoid(c − {SHIFT_OFFSET:g})",
        source="Scheuerer and Hamill (2015), *Mon. Weather Rev.* 143, 4578",
        check=_nothing_wrong,
        optional={"floor": 0.0},
        physical="floor",
        compares="quantities",
        head=censored_gamma_head,
    ),
}
"""The losses by the names of their classes: the one list of them."""

SIGNATURES: Mapping[str, Any] = {
    **{
        cls: {"required": [*loss.required], "optional": loss.optional, "text": loss.text}
        for cls, loss in LOSSES.items()
    },
    **{name: cls for cls, loss in LOSSES.items() for name in loss.names},
}
"""As the table of Keras's signatures: arguments of a class, or the class that another name stands for."""


def class_of(name: str) -> str | None:
    """Return the class that a name stands for; None for a loss that is not ours."""
    entry = SIGNATURES.get(name)
    return entry if isinstance(entry, str) else name if entry is not None else None


def own_loss(name: str) -> OwnLoss | None:
    """Return the loss that a name stands for; None for one that is not ours."""
    return LOSSES.get(class_of(name) or "")


def head_of(name: str, arguments: Mapping[str, Any]) -> Head | None:
    """Return how the output of a loss is read; None where it is the forecast itself."""
    loss = own_loss(name)
    return loss.head({**loss.optional, **arguments}) if loss and loss.head else None


def fault(name: str, arguments: Mapping[str, Any]) -> Fault | None:
    """Return what is wrong between the arguments of a loss, each of which is right by itself."""
    loss = own_loss(name)
    return loss.check(name, {**loss.optional, **arguments}) if loss else None
