"""Checks of one node: the number of its inputs, their axes, its size and shape; each with a fix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from specbuild.catalog import Layer, Recurrent, Shape, ShapeError, show, size
from specbuild.catalog.merging import Concatenate
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.shapes import written_shape
from specbuild.catalog.wrappers import innermost
from specbuild.document import Report
from specbuild.document.arithmetic import NAME
from specbuild.graph.model import Input, Port, Shapes
from specbuild.graph.ports import PortChoice
from specbuild.language import NodeSpec, Spec
from specbuild.language.spec import InputSpec

MAX_AXES = 32
MAX_ELEMENTS = 2**40
"""About a trillion numbers, which is four terabytes for one sample."""
_MOST_CHANNELS = 4
"""An input whose last axis is longer is taken to lack its axis of channels, not of time."""


def check_arity(node: NodeSpec, report: Report) -> bool:
    """Report several inputs of a layer that takes one, or one input of a merge; whether the number fits."""
    count, arity = len(node.sources), node.layer.arity
    if node.body is not None and count == len(node.body.inputs):
        return True
    if arity == "one" and count > 1:
        message, help = "reads one input", "join them first, for example with {layer: Concatenate, from: […]}"
    elif arity == "many" and count < 2 and not (node.collects or node.layer.joins_one):
        message, help = "joins several inputs", "write from: [a, b]"
    else:
        return True
    message = f"{node.layer.label} {message}, got {count}"
    report.error(message, node.span("from"), help=help, code="arity")
    return False


def check_frames(node: NodeSpec, shapes: Sequence[Shape]) -> None:
    """Refuse a merge on every frame that joins frames with something else, or along an axis that no frame has.

    Raises:
        ShapeError: what does not fit.
    """
    if not node.frames:
        return
    if len({len(shape) for shape in shapes}) > 1:
        message = f"{node.layer.label} runs on every frame, but its inputs have different numbers of axes"
        reason = f"they are {' and '.join(show(shape) for shape in shapes)}"
        help = "repeat the input without a time axis with RepeatFrame first"
        raise ShapeError(message, reason=reason, help=help)
    if isinstance(node.layer, Concatenate | SplitPart) and node.layer.axis < 0:
        node.layer.check(*(shape[node.frames :] for shape in shapes))


def excess(shape: Shape) -> str:
    """Say what is too large about a shape, unknown lengths counting one; empty where nothing is."""
    if len(shape) > MAX_AXES:
        return f"it has {len(shape):,} axes, and no more than {MAX_AXES} are possible"
    elements = size(length or 1 for length in shape) or 0
    if elements > MAX_ELEMENTS:
        return f"that is about {elements:.1e} numbers, and no more than {MAX_ELEMENTS:.1e} are possible"
    return ""


def refuse_excess(layer: Layer, outputs: Mapping[str, Shape]) -> None:
    """Refuse a layer whose output no machine can hold: a slip of the keyboard, or an attack.

    Raises:
        ShapeError: what the output would be.
    """
    for shape in outputs.values():
        if reason := excess(shape):
            text = show(shape) if len(shape) <= MAX_AXES else f"{show(shape[:MAX_AXES])} …"
            raise ShapeError(f"{layer.label} would give {text}", reason=reason)


def report_misfit(
    node: NodeSpec, ports: tuple[Port, ...], error: ShapeError, inputs: tuple[Input, ...], choice: PortChoice
) -> None:
    """Report what a layer says of its inputs or arguments, with help where the number of axes is wrong."""
    key = error.argument or "from"
    ranks = node.layer.ranks
    wrong_rank = ranks is None or any(len(choice.shapes[port.node][port.name]) not in ranks for port in ports)
    advice = node.advice if wrong_rank else ""
    names = _input_names(node, ports)
    message = node.layer.with_names(error.message, names)
    message = message if _names(node.layer, message) else f"{node.layer.label}: {message}"
    reason = "; ".join(filter(None, (node.layer.with_names(error.reason, names), node.use)))
    help = advice or error.help or _rank_help(node, ports, inputs, choice)
    choice.report.error(message, node.span(key), reason=reason, help=help, code="shape")


def check_batch_sizes(spec: Spec, report: Report) -> None:
    """Report fixed batch sizes of inputs that differ from each other, or from that of the training."""
    fixed = [x for x in spec.inputs if x.section.batch is not None]
    for x in fixed[1:]:
        if x.section.batch != fixed[0].section.batch:
            message = f"the inputs {fixed[0].id} and {x.id} have different batch sizes"
            sizes = f"{fixed[0].id} has {fixed[0].section.batch} samples, {x.id} has {x.section.batch}"
            reason = f"{sizes}; a model reads the same number of samples of each input"
            report.error(message, spec.span(("inputs", x.id, "batch")), reason=reason, code="batch")
    written = "batch_size" in spec.train.model_fields_set and isinstance(spec.train.batch_size, int)
    if fixed and written and spec.train.batch_size != fixed[0].section.batch:
        size, fixed_size = spec.train.batch_size, fixed[0].section.batch
        message = f"the batch size {size} does not fit the input {fixed[0].id}, whose batch size is {fixed_size}"
        help = f"leave batch_size out, or remove batch: {fixed_size} from the input"
        report.error(message, spec.span(("train", "batch_size")), help=help, code="batch")


def check_stateful(node: NodeSpec, inputs: Iterable[InputSpec], spec: Spec, report: Report) -> None:
    """Report a stateful layer without a fixed batch size, or trained on windows.

    A state that outlives a batch has that batch's size. `inputs` are those that the node depends on.
    """
    if not getattr(innermost(node.layer), "stateful", False):
        return
    open_input = next((x for x in inputs if x.section.batch is None), None)
    if open_input is not None:
        message = "a stateful layer needs a fixed batch size"
        reason = f"the input {open_input.id} takes any"
        written = {"shape": written_shape(open_input.section.shape)}
        if open_input.section.dtype != "float32":
            written["dtype"] = open_input.section.dtype
        known = next((x.section.batch for x in spec.inputs if x.section.batch is not None), 4)
        keys = ", ".join(f"{key}: {value}" for key, value in {**written, "batch": known}.items())
        help = f"write the input as {open_input.id}: {{{keys}}}"
        report.error(message, node.span("stateful"), reason=reason, help=help, code="stateful")
    elif spec.data is not None:
        message = f"{node.id} would keep its state from one batch of windows to the next"
        reason = "windows are shuffled in training and scored alone, so the state would come from unrelated windows"
        help = "leave stateful out, or remove the data section and train from Python on a stream of batches"
        report.error(message, node.span("stateful"), reason=reason, help=help, code="stateful")


def check_expected(node: NodeSpec, ports: Mapping[str, Shape], report: Report) -> bool:
    """Compare `expect:`, or what a file declares for its input, with the shapes of a node's ports.

    A recurrent node is taken at the rank that was written.
    """
    if node.expect is None:
        return True
    rank = len(node.expect)
    shape = next((shape for shape in ports.values() if len(shape) == rank), next(iter(ports.values())))
    if len(shape) == rank and all(want in (None, length) for want, length in zip(node.expect, shape, strict=True)):
        return True
    message = f"{node.id} gives {show(shape)}, not {show(node.expect)}"
    if node.layer.kind == "Identity" and node.at.get("expect") is None:
        message = f"{node.id} reads {show(node.expect)}, got {show(shape)}"
    report.error(message, node.span("expect", "from"), code="expect")
    return False


def _names(layer: Layer, message: str) -> bool:
    """Whether a message says which layer it is about; for a wrapper the layer inside will do."""
    return any(kind in message for kind in layer.label.rstrip(")").split("("))


def _input_names(node: NodeSpec, ports: tuple[Port, ...]) -> list[str]:
    """Return what messages call the inputs of a node: the ports that are read, in an equation as it names them."""
    spans = [source.span for source in node.sources if node.layer.kind == "Equation"]
    words = [span.source.line(span.line)[span.column - 1 : span.end_column - 1] for span in spans]
    return words if words and all(map(NAME.fullmatch, words)) else [str(port) for port in ports]


def _rank_help(node: NodeSpec, ports: tuple[Port, ...], inputs: tuple[Input, ...], choice: PortChoice) -> str:
    """What to write where a layer reads too few or too many axes; empty where their number is right."""
    ranks = {len(shape) for source in node.sources for shape in choice.shapes.get(source.id, {}).values()}
    if node.layer.ranks is None or ranks & set(node.layer.ranks):
        return ""
    if not isinstance(node.layer, Recurrent):
        one_more = any(rank - 1 in node.layer.ranks for rank in ranks)
        return f"to run it on every frame, write {_every_frame(node.layer)}" if one_more else ""
    help = _missed_steps(node, choice) or _input_help(node.layer.ranks, ports, inputs)
    if not help and any(rank + 1 in node.layer.ranks for rank in ranks):
        help = "it reads a sequence; {layer: RepeatFrame, times: …} shows one frame at every step"
    return help


def _missed_steps(node: NodeSpec, choice: PortChoice) -> str:
    """Help where a recurrent node reads one frame because a layer before it read only the last step of another."""
    reader = choice.nodes.get(node.sources[0].id)
    while reader is not None and not isinstance(reader.layer, Recurrent):
        before = choice.nodes.get(reader.sources[0].id)
        if before is not None and _read_last(reader, before, choice.shapes):
            return (
                f"{reader.id} read {before.id}.last, one frame; to run it on every step, write "
                f"{_every_frame(reader.layer)}"
            )
        reader = before
    return ""


def _read_last(reader: NodeSpec, before: NodeSpec, shapes: Shapes) -> bool:
    """Whether a bare reference to a recurrent node meant its last step."""
    ranks = reader.layer.ranks
    return (
        isinstance(before.layer, Recurrent)
        and before.layer.return_sequences is None
        and reader.sources[0].port is None
        and ranks is not None
        and before.id in shapes
        and len(shapes[before.id]["last"]) in ranks
    )


def _input_help(ranks: tuple[int, ...], ports: tuple[Port, ...], inputs: tuple[Input, ...]) -> str:
    """Help where a recurrent node reads an input without its axis of channels, or with the batch as an axis."""
    read = next((x for x in inputs if ports and x.id == ports[0].node), None)
    if read is None or not read.shape:
        return ""
    if len(read.shape) - 1 in ranks:
        return f"leave the batch axis out of inputs: {read.id}: {written_shape(read.shape[1:])}"
    last = read.shape[-1]
    if len(read.shape) + 1 in ranks and last is not None and last > _MOST_CHANNELS:
        return f"add a channel axis: {read.id}: {written_shape((*read.shape, 1))}"
    return ""


def _every_frame(layer: Layer) -> str:
    form = "application" if layer.package == "applications" else "layer"
    return f"time_distributed: {{{form}: {layer.kind}, …}}"
