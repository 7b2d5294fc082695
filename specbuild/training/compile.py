"""Compile a model: precision, optimizer, losses and metrics. Imports Keras when a model is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from specbuild.catalog import KerasObject
from specbuild.catalog.signatures import Family, signature
from specbuild.data import Transform
from specbuild.language import Spec
from specbuild.runs.records import TrainingPolicy
from specbuild.training.losses import output_loss

_CPUINFO = Path("/proc/cpuinfo")


def compile_model(
    model: Any,
    spec: Spec,
    *,
    weighted: bool,
    outputs: Sequence[str],
    transform: Transform | None = None,
    transforms: Mapping[str, Transform] | None = None,
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

    Raises:
        SpecError: one that no plugin registered, or whose arguments Keras refuses; a threshold that the transform does
            not keep.
    """
    from specbuild.model.backend import jit_compile
    from specbuild.model.objects import ObjectError, to_keras

    train = spec.train

    def make(item: KerasObject, family: Family, *place: str | int) -> Any:
        try:
            return to_keras(item, family)
        except ObjectError as error:
            raise spec.error(
                ("train", *place), error.message, reason=error.reason, help=error.help, code="argument"
            ) from error

    def metrics_of(output: str) -> list[Any]:
        place = ("metrics", output) if "metrics" in train.by_output else ("metrics",)
        return [
            metric.name if _by_shape(metric) else make(_under_written_name(metric), "metrics", *place, number)
            for number, metric in enumerate(train.metrics_of(output))
        ]

    def arranged(values: list[Any]) -> Any:
        """One value for each output, as the model gives its outputs: alone, in a list or in a dict."""
        if isinstance(model.output, dict):
            return dict(zip(outputs, values, strict=True))
        return values if len(values) > 1 else values[0]

    of_output = {output: (transforms or {}).get(output, transform) for output in outputs}
    losses = [output_loss(spec, output, make, weighted=weighted, transform=of_output[output]) for output in outputs]
    metrics = arranged([metrics_of(output) for output in outputs])
    weights = arranged([(train.loss_weights or {}).get(output, 1.0) for output in outputs])
    model.compile(
        optimizer=make(train.optimizer, "optimizers", "optimizer"),
        loss=arranged(losses),
        loss_weights=weights if train.loss_weights else None,
        metrics=None if weighted else metrics,
        weighted_metrics=metrics if weighted else None,
        jit_compile=jit_compile(),
    )


def policy_for(precision: Literal["float32", "bfloat16", "auto"]) -> TrainingPolicy:
    """Return Keras's dtype policy for `train.precision`.

    `auto` is `mixed_bfloat16` (weights in float32, arithmetic in bfloat16) on an accelerator and on a CPU with AMX
    tiles for bfloat16, where it is faster; elsewhere bfloat16 is emulated and slower, so `auto` is `float32`.
    """
    if precision == "auto":
        return "mixed_bfloat16" if _has_accelerator() or cpu_computes_bfloat16() else "float32"
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def cpu_computes_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Return whether Linux lists AMX bfloat16 among the CPU's instructions; False on other systems."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return any("amx_bf16" in line.split() for line in text.splitlines() if line.startswith("flags"))


def _has_accelerator() -> bool:
    from specbuild.model.backend import has_accelerator

    return has_accelerator()


def _by_shape(metric: KerasObject) -> bool:
    """Whether Keras is to choose the metric by output and target. Its class `Accuracy` compares them for equality."""
    return metric.name in ("accuracy", "acc") and not metric.arguments


def _under_written_name(metric: KerasObject) -> KerasObject:
    """Return a metric that reports under its name in the spec: `mae` as `mae`, not as `mean_absolute_error`."""
    if signature("metrics", metric.name) is None or not metric.name.islower():
        return metric
    return KerasObject(metric.name, metric.arguments | {"name": metric.name})
