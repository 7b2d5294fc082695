"""The loss of each output from `train:`: means over known pixels, thresholds in transformed units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from specbuild.catalog import KerasObject
from specbuild.catalog.losses import own_loss
from specbuild.catalog.objects import LossSum
from specbuild.catalog.signatures import signature
from specbuild.data import Transform
from specbuild.data.arrays import Array
from specbuild.data.transforms.step import StepError
from specbuild.language import Spec

if TYPE_CHECKING:
    from specbuild.document import PathPart, SpecError

KeyPath: TypeAlias = "tuple[PathPart, ...]"
"""Where a value of `train` stands."""
MakeObject: TypeAlias = Callable[..., Any]
"""Makes a Keras object of a family, or raises the located error: `make(item, "losses", "loss", "sum", 0)`."""


def output_loss(spec: Spec, output: str, make: MakeObject, *, weighted: bool, transform: Transform | None) -> Any:
    """The loss of one output as Keras takes it; None where the spec gives it none.

    Args:
        make: makes an object of Keras, or raises the error located below `train`.
        weighted: whether batches carry weights, 0 where a value is missing.
        transform: carries thresholds and ranges from physical units to those of training; None: training is in physical
            units.

    Raises:
        SpecError: an argument that Keras refuses, a threshold that the transform does not keep, a loss that needs to be
            told a range.
    """
    item = spec.train.loss_of(output)
    if item is None:
        return None
    place: KeyPath = ("loss", output) if "loss" in spec.train.by_output else ("loss",)
    ready = _Ready(spec, weighted, transform)
    loss = make(ready.of(item, place), "losses", *place)
    weights = spec.train.lead_weights_of(output)
    if weights is None:
        return loss
    from specbuild.model.losses_combined import LeadWeighted, WeightedSum

    if isinstance(loss, WeightedSum):
        return WeightedSum([LeadWeighted(term, weights) for term in loss.losses], loss.weights)
    return LeadWeighted(loss, weights)


class _Ready:
    """Completes the arguments of a loss by what only the data tells."""

    def __init__(self, spec: Spec, weighted: bool, transform: Transform | None) -> None:
        self.spec, self.weighted, self.transform = spec, weighted, transform

    def of(self, item: KerasObject, place: KeyPath) -> KerasObject:
        if isinstance(item, LossSum):
            losses = [self.of(loss, (*place, "sum", number)) for number, (loss, _) in enumerate(item.terms)]
            return LossSum(item.name, {**item.arguments, "losses": losses})
        own = own_loss(item.name)
        if own is None:
            return over_present(item) if self.weighted else item
        more: dict[str, Any] = {}
        if self.spec.data is not None:
            more["space"] = len(self.spec.data.source.space)
        if self.transform is not None and own.physical == "thresholds":
            thresholds = {**own.optional, **item.arguments}["thresholds"]
            more["edges"] = self.edges(thresholds, item.name, (*place, "thresholds"))
        if self.transform is not None and own.physical == "floor":
            floor = {**own.optional, **item.arguments}["floor"]
            more["edges"] = self.carried([floor], item.name, (*place, "floor")).tolist()
        if self.transform is not None and own.physical == "data_range":
            more["edges"] = self.ends(item, place)
        return KerasObject(item.name, item.arguments | more)

    def ends(self, item: KerasObject, place: KeyPath) -> list[list[float]]:
        """Both ends of the data range in units of training; without one, those of the last step if it has them."""
        assert self.transform is not None
        written = item.arguments.get("data_range")
        bounds = self.transform.steps[-1].bounds if self.transform.steps else None
        if written is None and bounds is not None:
            return [[bounds[0]], [bounds[1]]]
        if written is None:
            raise self.error(
                place,
                f"{item.name} needs the range of the data",
                reason="its constants are shares of the range, and only a transform that ends in minmax has one",
                help=f"write {{name: {item.name}, data_range: [0, 60]}}, in physical units",
            )
        low, high = self.carried(written, item.name, (*place, "data_range"))
        if not (low < high).all():
            raise self.error(
                (*place, "data_range"),
                f"{item.name} cannot tell {_listed(written)} apart",
                reason="the transform makes one value of both, or turns them upside down",
            )
        return [low.tolist(), high.tolist()]

    def edges(self, thresholds: Sequence[float], name: str, place: KeyPath) -> list[list[float]]:
        """Thresholds in units of training, [threshold][channel].

        What is at or above a threshold must be so there too, and what is just below it must not.
        """
        edges = self.carried(thresholds, name, place)
        exact = np.asarray(thresholds, np.float64)
        below = self.carried(exact - 1e-6 * np.maximum(np.abs(exact), 1), name, place, np.float64)
        at = self.carried(thresholds, name, place, np.float64)
        pairs = zip(thresholds, below, at, strict=True)
        lost = [threshold for threshold, before, after in pairs if not (before < after).all()]
        if lost:
            raise self.error(
                place,
                f"{name} cannot tell what lies below {_listed(lost)}",
                reason="the transform makes one value of what lies on both sides, or turns values upside down",
                help="choose thresholds within what the transform keeps",
            )
        return [[float(value) for value in row] for row in edges]

    def carried(
        self, physical: Sequence[float] | Array, name: str, place: KeyPath, dtype: type[np.floating[Any]] = np.float32
    ) -> Array:
        """Physical values in units of training, (value, channel)."""
        transform = self.transform
        assert transform is not None
        values = np.repeat(np.asarray(physical, dtype)[:, np.newaxis], len(transform.fill), axis=1)
        try:
            return transform.apply(values)
        except (StepError, ValueError) as error:
            why = error.message if isinstance(error, StepError) else str(error)
            message = f"{name} cannot carry {_listed(physical)} through the transform: {why}"
            raise self.error(place, message) from error

    def error(self, place: KeyPath, message: str, *, reason: str = "", help: str = "") -> SpecError:
        return self.spec.error(("train", *place), message, reason=reason, help=help, code="argument")


def over_present(loss: KerasObject) -> KerasObject:
    """The loss as a mean over what is present, unless its reduction is written."""
    known = signature("losses", loss.name)
    if known is None or "reduction" not in known.optional or "reduction" in loss.arguments:
        return loss
    return KerasObject(loss.name, loss.arguments | {"reduction": "mean_with_sample_weight"})


def _listed(values: Sequence[float] | Array) -> str:
    return ", ".join(f"{value:g}" for value in values)
