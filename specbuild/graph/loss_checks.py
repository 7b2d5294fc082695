"""Check losses against the model's output frames: their number and their spatial axes."""

from __future__ import annotations

from collections.abc import Iterator

from specbuild.catalog import KerasObject
from specbuild.catalog.losses import own_loss
from specbuild.catalog.objects import LossSum
from specbuild.catalog.shapes import Shape, show
from specbuild.document import PathPart, Report
from specbuild.graph.data_checks import without_time
from specbuild.graph.model import Graph


def check_losses(graph: Graph, report: Report) -> None:
    """Report weights of lead times that are not as many as frames, and losses of space that the output lacks."""
    for output in graph.outputs:
        _lead_weights(graph, output.name, output.shape, report)
        for loss, path in losses_of(graph, output.name):
            _space(graph, loss, path, output.shape, report)


def _lead_weights(graph: Graph, name: str, shape: Shape, report: Report) -> None:
    train, data = graph.spec.train, graph.spec.data
    weights = train.lead_weights_of(name)
    if weights is None or not shape or train.loss_of(name) is None:
        return
    path = ("train", "lead_weights", name) if "lead_weights" in train.by_output else ("train", "lead_weights")
    if data is not None and without_time(shape, data.windows.targets, (None,) * len(data.source.space)):
        message = f"{name} gives one frame, without a time axis to weigh"
        report.error(message, graph.spec.span(path), help="leave lead_weights out", code="lead-weights")
    elif shape[0] not in (None, len(weights)):
        message = f"lead_weights has {len(weights)} numbers, {name} gives {shape[0]} frames"
        report.error(message, graph.spec.span(path), reason=f"{name} is {show(shape)}", code="lead-weights")


def losses_of(graph: Graph, name: str) -> Iterator[tuple[KerasObject, tuple[PathPart, ...]]]:
    """Yield the losses of an output, each with its place."""
    train = graph.spec.train
    loss = train.loss_of(name)
    path: tuple[PathPart, ...] = ("train", "loss", name) if "loss" in train.by_output else ("train", "loss")
    if isinstance(loss, LossSum):
        yield from ((term, (*path, "sum", number)) for number, (term, _) in enumerate(loss.terms))
    elif loss is not None:
        yield loss, path


def _space(graph: Graph, loss: KerasObject, path: tuple[PathPart, ...], shape: Shape, report: Report) -> None:
    """Report a loss that needs more spatial axes than there are, or larger frames."""
    own, data = own_loss(loss.name), graph.spec.data
    if own is None:
        return
    axes = None if data is None or not data.source.axes else len(data.source.space)
    if own.space == 2 and (len(shape) < 3 or (axes is not None and axes < 2)):
        fault = f"{loss.name} is of frames with height and width, and the output is {show(shape)}"
    elif any(length is not None and length < own.side for length in shape[-3:-1]):
        fault = f"{loss.name} needs frames of at least {own.side} × {own.side}, the output has {show(shape[-3:-1])}"
    elif own.space == 1 and axes == 0:
        fault = f"{loss.name} is of steps from pixel to pixel, and the data has no space"
    else:
        return
    report.error(fault, graph.spec.span(path), code="loss-and-output")
