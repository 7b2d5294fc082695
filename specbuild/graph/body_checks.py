"""Checks of the body of an autoregressive node.

A step on one frame must give what the sequence gives at that frame. That holds where every layer reads, of each frame,
that frame alone, or carries a state from the frame before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from specbuild.catalog import Bidirectional, Dim, Layer, Recurrent, Shape, ShapeError, TimeDistributed, show
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.receptive_field import is_empty
from specbuild.catalog.shapes import fits, written_shape
from specbuild.catalog.wrappers import innermost
from specbuild.document import Report
from specbuild.graph.model import OUTPUT, Graph, Node, Port, closed
from specbuild.language import BodySpec, NodeSpec
from specbuild.language.sections.data import WindowsSection


def check_penalties(body: BodySpec, name: str, report: Report) -> bool:
    """Report nodes that add a penalty on what they give to the loss, which a loop over steps cannot hand out."""
    before = len(report.errors)
    for node in body.nodes:
        layer = innermost(node.layer)
        if layer.kind == "ActivityRegularization" or getattr(layer, "activity_regularizer", None) is not None:
            message = f"{node.id} cannot penalize its output inside {name}"
            reason = f"{name} runs it in a loop, from which no penalties reach the loss"
            help = f"penalize the output of {name}: {{layer: ActivityRegularization, l2: …}} after it"
            report.error(message, node.span("activity_regularizer"), reason=reason, help=help, code="body")
    return len(report.errors) == before


def check_covariates(node: NodeSpec, body: BodySpec, inputs: Sequence[Shape], report: Report) -> bool:
    """Report covariates without a time axis, and those with too few or too many frames."""
    before = len(report.errors)
    given, horizon = inputs[0][0], getattr(node.layer, "horizon", 1)
    for name, source, x in list(zip(body.inputs, node.sources, inputs, strict=True))[1 : body.sequences]:
        inner = body.name_inside(name)
        steps = None if given is None else given + horizon - 1
        if len(x) < 2:
            message, reason = f"the covariate {inner} of {node.id} has no time axis", f"{source} is {show(x)}"
            help = f"a map that every step reads goes under static: {{{inner}: {source}}}"
        elif fits(x[:1], (steps,)):
            continue
        else:
            message = f"{source} has {_frames(x[0])}, but {node.id} needs {steps} of {inner}"
            reason = f"it reads {_frames(given)} given and {horizon - 1} of its own forecasts (horizon {horizon})"
            help = "give past + horizon − 1 frames"
            if len(x) == len(inputs[0]) - 1:
                help += f"; a map without a time axis goes under static: {{{inner}: {source}}}"
        report.error(message, source.span, reason=reason, help=help, code="body")
    return len(report.errors) == before


def check_kinds(body: BodySpec, name: str, report: Report) -> bool:
    """Report nodes that read future frames, or whose state `name` does not carry from step to step."""
    before = len(report.errors)
    for node in body.nodes:
        for key, message, reason, help in _misfits(node, body, name):
            report.error(message, node.span(key), reason=reason, help=help, code="body")
            break
    return len(report.errors) == before


def check_steps(graph: Graph, name: str, report: Report) -> bool:
    """Report nodes by which an output frame depends on frames other than its own, except through a state."""
    before = len(report.errors)
    for node in graph.nodes:
        _check_step(node, graph, name, report)
    return len(report.errors) == before


def check_whole(node: NodeSpec, graph: Graph, x: Shape, report: Report) -> bool:
    """Report a body that forgets past frames, whose frames cannot be fed back, or that cannot be recomputed."""
    output = graph.outputs[0].shape
    noisy = [inner for inner in graph.nodes if changes_in_training(inner.layer)]
    if x[0] != 1 and not any(inner.state for inner in graph.nodes):
        message = f"nothing inside {node.id} has a state"
        reason = "each forecast would follow from one frame alone, the one before it; the others given are not used"
        help = "put a ConvLSTM2D, an LSTM or the like into do:, or give one frame"
    elif output != x:
        message = f"{node.id} reads frames of {show(x[1:])} and gives frames of {show(output[1:])}"
        reason = "its output is its input in the next step"
        end = "head" if node.at.get("encoder_decoder") is not None else "do"
        help = f"end {end}: in frames of {show(x[1:])}, for example with {_head(x)}"
    elif noisy and getattr(node.layer, "remat", False):
        refuse_remat(node, noisy[0], report)
        return False
    else:
        return True
    report.error(message, node.span(), reason=reason, help=help, code="body")
    return False


def refuse_remat(node: NodeSpec, noisy: Node, report: Report) -> None:
    """Report `remat` on a node that runs one which training does not run twice with the same result."""
    message = f"remat cannot recompute {noisy.id}"
    reason = "in training it draws random numbers or updates statistics, which would differ when recomputed"
    help = f"remove remat or {noisy.id}"
    report.error(message, node.span("remat"), reason=reason, help=help, code="body")


def check_feedback(graph: Graph, windows: WindowsSection, report: Report) -> None:
    """Report windows whose frames do not follow each other, and scheduled sampling that the data has no frames for.

    The true frames are the targets, which have the transform of the past frames: they must be what the node reads.
    """
    given = graph.outputs[0].port
    for node in graph.nodes:
        if node.body is None:
            continue
        read = _frames_of(node.inputs[0], graph)
        if windows.lead:
            message = f"{node.id} feeds back the frame after the last, the windows leave out {windows.lead}"
            help = "set data.windows.lead: 0; the frames between are forecast on the way"
            report.error(message, graph.spec.span(("data", "windows", "lead")), help=help, code="body")
        if node.teacher and (read.node != graph.inputs[0].id or given.node != node.id):
            message = f"the data has no true frames for {node.id}"
            frames = f"the data has frames for what reads {graph.inputs[0].id} and gives the output"
            reason = f"it reads {read} and the model gives {given}; {frames}"
            help = "move the layers around it into do:, or leave sampling out"
            report.error(message, node.spec.span("sampling"), reason=reason, help=help, code="body")


def warn_unread(node: NodeSpec, body: BodySpec, graph: Graph, report: Report, *, first: int = 1) -> None:
    """Warn of covariates and static maps, what the node reads from number `first` on, that no node inside reads."""
    read = {port.node for inner in graph.nodes for port in inner.inputs} | {x.port.node for x in graph.outputs}
    for name, source in list(zip(body.inputs, node.sources, strict=True))[first:]:
        if name not in read:
            inner = body.name_inside(name)
            help = f"read it, such as from: [input, {inner}], or remove it"
            report.warning(f"nothing inside {node.id} reads {inner}", source.span, help=help, code="unused-node")


def _frames(count: Dim) -> str:
    return "1 frame" if count == 1 else f"{count} frames"


def _frames_of(port: Port, graph: Graph) -> Port:
    """Return where the frames come from that a port gives, which may be the last of several, with a time axis again."""
    nodes = {node.id: node for node in graph.nodes}
    while port.node in nodes and nodes[port.node].layer.kind in ("LastFrame", "RepeatFrame"):
        port = nodes[port.node].inputs[0]
    return port


def _misfits(node: NodeSpec, body: BodySpec, name: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield for each fault of a node inside the key it stands at, what is wrong, why, and what to write."""
    layer, inner = node.layer, body.name_inside(node.id)
    later = f"{name} runs it on one frame at a time, and the frames to come are not there yet"
    if isinstance(layer, Autoregressive):
        yield "", f"{node.id} is autoregressive inside {name}", "one node forecasts, step by step", "write one of them"
    if node.initial_state is not None:
        reason = f"{name} carries the state of each layer from step to step"
        example = f"initial_state: {{{inner}: …}}" if node.named else "give it an id, and write initial_state: {id: …}"
        help = f"its initial state belongs next to autoregressive: {example}"
        yield "initial_state", f"{node.id} cannot take a state inside {name}", reason, help
    if isinstance(layer, Bidirectional):
        help = f"write {{layer: {layer.layer.kind}, …}} without bidirectional"
        yield "layer", f"{node.id} reads the frames from their end as well", later, help
    if isinstance(layer, Recurrent) and getattr(layer, "go_backwards", False):
        yield "go_backwards", f"{node.id} reads the frames from their end", later, "leave go_backwards out"
    if isinstance(layer, Recurrent) and getattr(layer, "stateful", False):
        reason = f"{name} carries its state from step to step, and starts each sample from zero"
        yield "stateful", f"{node.id} would keep its state from batch to batch", reason, "leave stateful out"
    if isinstance(layer, Recurrent) and layer.return_sequences is False:
        reason = f"{name} needs what every step gives"
        yield "return_sequences", f"{node.id} gives its last step alone", reason, "leave return_sequences out"


def _check_step(node: Node, graph: Graph, name: str, report: Report) -> None:
    frames = graph.inputs[0].shape[:1]
    parts = {port.name for port in node.inputs if port.name not in (OUTPUT, "sequence")}
    layer = node.layer
    if parts:
        message = f"{node.id} reads {node.inputs[0]}, which is not one frame for each that {name} reads"
        help = f"read {node.inputs[0].node}, which is what every step gives"
    elif isinstance(layer, Recurrent) or _in_step(node, graph):
        return
    elif node.shape[:1] != frames:
        message, help = f"{node.id} changes the number of frames", "keep every frame"
    else:
        message, help = f"{node.id} sees other frames than each step's own", _on_every_frame(layer, node)
    reason = f"{name} runs it on the frames given and then on one at a time, and both must give the same"
    report.error(message, node.spec.span(), reason=reason, help=help, code="body")


def _in_step(node: Node, graph: Graph) -> bool:
    """Whether each frame of the output depends on that frame alone of every input."""
    shapes = graph.shapes
    with suppress(ShapeError):
        for field in node.layer.receptive_field(*(closed(shapes[port]) for port in node.inputs)):
            time = field[0]
            if is_empty(field):
                continue
            if time is None or time.axis != 0 or any(span != (p, p) for p, span in enumerate(time.spans)):
                return False
    return node.shape[:1] == graph.inputs[0].shape[:1]


def _on_every_frame(layer: Layer, node: Node) -> str:
    for key in ("kernel_size", "pool_size"):
        extent = getattr(layer, key, ())
        if len(extent) == 3 and not isinstance(layer, TimeDistributed):
            flat = written_shape((1, *extent[1:]))
            return f"write {key}: {flat}, or put it on every frame: time_distributed: {{layer: …}}"
    return f"put it on every frame: time_distributed: {{layer: {node.layer.kind}, …}}"


def _head(x: Shape) -> str:
    if len(x) == 4:
        return f"time_distributed: {{layer: Conv2D, filters: {x[-1]}, kernel_size: 1}}"
    return f"time_distributed: {{layer: Dense, units: {x[-1]}}}"


def changes_in_training(layer: Layer) -> bool:
    """Whether a step of training draws random numbers in a layer, or changes its weights other than by the gradient."""
    layer = innermost(layer)
    return draws(layer) or (layer.kind == "BatchNormalization" and layer.trainable)


def draws(layer: Layer) -> bool:
    """Whether a step of training draws random numbers in a layer, such as the masks of dropout."""
    layer = innermost(layer)
    if layer.asks_keras:
        return True  # Nobody knows.
    drawn = any(getattr(layer, name, None) for name in ("rate", "dropout", "recurrent_dropout", "stddev"))
    return bool(drawn) or layer.kind == "GaussianSampling"
