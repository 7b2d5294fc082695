"""Compile a model: optimizer, losses and metrics. Imports Keras when a model is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from specbuild.catalog import KerasObject
from specbuild.catalog.metrics import reported_names
from specbuild.catalog.schedules import in_steps
from specbuild.catalog.signatures import Family
from specbuild.data import Transform
from specbuild.language import Spec
from specbuild.training.losses import MakeObject, output_loss


def compile_model(
    model: Any,
    spec: Spec,
    *,
    weighted: bool,
    outputs: Sequence[str],
    transform: Transform | None = None,
    transforms: Mapping[str, Transform] | None = None,
    steps: int = 1,
) -> None:
    """Compile the model as `train:` says.

    Args:
        model: a `keras.Model`.
        spec: its `train` section has the optimizer, the losses and the metrics.
        weighted: whether batches carry weights, zero where a value is missing. Losses are then means over what is
            present, and metrics leave out what is missing.
        outputs: names of the model's outputs, in their order.
        transform: what the targets went through, for losses with thresholds in physical units; None: nothing.
        transforms: by output, where that of its target is another.
        steps: the steps of an epoch, in which a learning-rate schedule may count.

    Raises:
        SpecError: one that no plugin registered, or whose arguments Keras refuses; a threshold that the transform does
            not keep.
    """
    from specbuild.model.backend import jit_compile

    train, make = spec.train, _maker(spec)

    def arranged(values: list[Any]) -> Any:
        """One value for each output, as the model gives its outputs: alone, in a list or in a dict."""
        if isinstance(model.output, dict):
            return dict(zip(outputs, values, strict=True))
        return values if len(values) > 1 else values[0]

    of_output = {output: (transforms or {}).get(output, transform) for output in outputs}
    losses = [output_loss(spec, output, make, weighted=weighted, transform=of_output[output]) for output in outputs]
    metrics = arranged([_metrics(spec, output, make) for output in outputs])
    weights = arranged([(train.loss_weights or {}).get(output, 1.0) for output in outputs])
    model.compile(
        optimizer=make(in_steps(train.optimizer, steps), "optimizers", "optimizer"),
        loss=arranged(losses),
        loss_weights=weights if train.loss_weights else None,
        metrics=None if weighted else metrics,
        weighted_metrics=metrics if weighted else None,
        jit_compile=jit_compile(),
    )


def _maker(spec: Spec) -> MakeObject:
    """Return a function that makes the Keras object of an entry of `train`, given the entry, its family and place."""
    from specbuild.model.objects import ObjectError, to_keras

    def make(item: KerasObject, family: Family, *place: str | int) -> Any:
        try:
            return to_keras(item, family)
        except ObjectError as error:
            raise spec.error(
                ("train", *place), error.message, reason=error.reason, help=error.help, code="argument"
            ) from error

    return make


def _metrics(spec: Spec, output: str, make: MakeObject) -> list[Any]:
    """Return the metrics of an output, as `compile` takes them."""
    place = ("metrics", output) if "metrics" in spec.train.by_output else ("metrics",)
    metrics = spec.train.metrics_of(output)
    return [
        metric.name if _by_shape(metric) else make(_named(metric, name), "metrics", *place, number)
        for number, (metric, name) in enumerate(zip(metrics, reported_names(metrics), strict=True))
    ]


def _by_shape(metric: KerasObject) -> bool:
    """Whether Keras is to choose the metric by output and target. Its class `Accuracy` compares them for equality."""
    return metric.name in ("accuracy", "acc") and not metric.arguments


def _named(metric: KerasObject, name: str | None) -> KerasObject:
    """Return a metric that reports under a name; None: that of its class, which a plugin has registered."""
    return metric if name is None else KerasObject(metric.name, metric.arguments | {"name": name})
