"""Check outputs that are read as distributions, and whether a model can make the members that are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from specbuild.catalog.heads import Head
from specbuild.catalog.losses import LOSSES, head_of
from specbuild.document import Report
from specbuild.graph.body_checks import draws
from specbuild.graph.heads import output_head
from specbuild.graph.loss_checks import losses_of

if TYPE_CHECKING:
    from specbuild.graph.model import Graph


def draws_members(graph: Graph) -> bool:
    """Whether a node of the model draws random numbers in training, inside bodies and models too."""
    return any(draws(node.layer) for node in graph.every_node)


def no_members(graph: Graph) -> str:
    """Return why a model can make no members, in words; empty where it can."""
    if any(output_head(graph.spec, output.name) for output in graph.outputs) or draws_members(graph):
        return ""
    return "it has no dropout and no noise, and its loss gives one value, not a distribution"


*_FIRST, _LAST = (loss.names[0] for loss in LOSSES.values() if loss.head)
MEMBERS_HELP = f"add a Dropout layer, or train with loss: {', '.join(_FIRST)} or {_LAST}"
"""What makes members."""


def check_heads(graph: Graph, report: Report) -> None:
    """Report what does not go with an output that is a distribution, and members that no model can make."""
    spec = graph.spec
    for output in graph.outputs:
        for loss, path in losses_of(graph, output.name):
            if (head := head_of(loss.name, loss.arguments)) is None:
                continue
            if path[-2:-1] == ("sum",):
                message = f"{loss.name} cannot be a term of a sum"
                reason = f"it reads {head.words} of each variable; other losses read the forecast"
                report.error(message, spec.span(path), reason=reason, help="write it alone", code="head")
            _metrics(graph, output.name, loss.name, head, report)
            _transform(graph, loss.name, report)
            if spec.data is not None and spec.data.target is not None:
                message = f"{loss.name} is a loss for quantities, and the target is a class"
                help = "write sparse_categorical_crossentropy"
                report.error(message, spec.span(path), help=help, code="head")
    if spec.evaluate.members and (why := no_members(graph)):
        place = spec.span(("evaluate", "members"))
        report.error("the model cannot draw an ensemble", place, reason=why, help=MEMBERS_HELP, code="members")


def _metrics(graph: Graph, output: str, loss: str, head: Head, report: Report) -> None:
    """Report metrics, which compare an output with its target value by value."""
    train = graph.spec.train
    if metrics := train.metrics_of(output):
        place = ("train", "metrics", output) if "metrics" in train.by_output else ("train", "metrics")
        message = f"{metrics[0].name} compares one number with each value, and the output has {len(head.parts)}"
        reason = f"with {loss} they are {head.words}"
        help = "leave metrics out; evaluate scores the forecast"
        report.error(message, graph.spec.span(place), reason=reason, help=help, code="head")


def _transform(graph: Graph, loss: str, report: Report) -> None:
    """Report a step that turns values upside down, so that quantiles would change places."""
    data = graph.spec.data
    for number, section in enumerate(() if data is None else data.transform):
        if not section.rises:
            message = f"{section.name} reverses the order of values, which {loss} does not allow"
            reason = "low quantiles of the transformed values would be high quantiles of the values"
            place = graph.spec.span(("data", "transform", number))
            report.error(message, place, reason=reason, help="scale by a factor above 0", code="head")
