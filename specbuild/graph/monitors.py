"""The values that training reports after each epoch, and whether those that a spec monitors are among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specbuild.catalog.metrics import reported_names
from specbuild.catalog.signatures import signature
from specbuild.document import PathPart, Report, did_you_mean, dotted
from specbuild.language import Spec


def reported_values(spec: Spec) -> tuple[str, ...] | None:
    """Return the results of an epoch by the names that Keras gives them; None where they are not known.

    They are `loss` and the metrics, with the loss of each output where several have one; the name of the output stands
    before the metric if there are several outputs. With `val_` before them, they are those of the validation split.
    Not known are the names of metrics that plugins register, what callbacks of plugins add, and the names of an output
    that reads a port such as `enc.last`.
    """
    train, outputs = spec.train, spec.outputs
    if any(signature("callbacks", callback.name) is None for callback in train.callbacks):
        return None
    several = len(outputs) > 1
    if several and not spec.named_outputs and any(output.source.port for output in outputs):
        return None
    values = ["loss"]
    trained = [output.name for output in outputs if train.loss_of(output.name) is not None]
    for output in outputs:
        prefix = f"{output.name}_" if several else ""
        if output.name in trained and len(trained) > 1:
            values.append(f"{prefix}loss")
        for name in reported_names(train.metrics_of(output.name)):
            if name is None:
                return None
            values.append(f"{prefix}{name}")
    return (*values, *(f"val_{value}" for value in values))


def monitors(spec: Spec) -> Iterator[tuple[tuple[PathPart, ...], str]]:
    """Yield what early stopping and the callbacks of a spec monitor, each with its place."""
    if spec.train.early_stopping is not None:
        yield ("train", "early_stopping", "monitor"), spec.train.early_stopping.monitor
    for number, callback in enumerate(spec.train.callbacks):
        known = signature("callbacks", callback.name)
        default = known.optional.get("monitor") if known is not None else None
        monitor = callback.arguments.get("monitor", default)
        if isinstance(monitor, str):
            yield ("train", "callbacks", number, "monitor"), monitor


def check_monitors(spec: Spec, report: Report) -> None:
    """Report monitors of `train` that no epoch reports, unless a callback given in Python adds them."""
    values = reported_values(spec)
    if values is None:
        return
    for path, monitor in monitors(spec):
        if monitor not in values:
            _unknown(spec, path, monitor, values, report)


def check_judged(spec: Spec, report: Report) -> None:
    """Report a `tune.monitor` that no epoch reports."""
    values, monitor = reported_values(spec), spec.tuning.options.monitor if spec.tuning is not None else None
    if values is not None and monitor is not None and monitor not in values:
        known = [value for value in values if value.startswith("val_")]
        _unknown(spec, ("tune", "monitor"), monitor, known, report)


def _unknown(spec: Spec, path: tuple[PathPart, ...], monitor: str, known: Sequence[str], report: Report) -> None:
    report.error(
        f'training reports no "{monitor}"',
        spec.span(path),
        where=dotted(path),
        help=did_you_mean(monitor, known) or f"it reports {', '.join(known)}; train.metrics adds others",
        code="unknown-name",
    )
