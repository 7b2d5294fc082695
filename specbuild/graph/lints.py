"""Lints: warnings about specs that are valid but probably not what their author intended, each with a fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from specbuild.catalog import Bidirectional, KerasObject, Layer, Recurrent, Shape, TimeDistributed
from specbuild.catalog.shapes import written_shape
from specbuild.catalog.wrappers import innermost
from specbuild.document import Report, Span
from specbuild.graph.growth import UNBOUNDED, growing
from specbuild.graph.loss_lints import Warn, heavy_tail, learns_nothing, loss_and_output, output_range
from specbuild.graph.model import OUTPUT, Graph, Node, Port, closed
from specbuild.graph.receptive_field import FrameSpans, frame_spans


@dataclass(frozen=True, slots=True)
class Lint:
    """A check for one likely mistake."""

    code: str
    about: str
    """What it warns about; the text of docs/language.md."""
    check: Callable[[Graph, Warn], None]
    """Warns about a finished graph, only if certain."""


def lint(graph: Graph, report: Report) -> None:
    """Add a warning for each likely mistake in a finished graph."""
    for entry in LINTS:
        entry.check(graph, partial(report.warning, code=entry.code))


def sees_the_future(graph: Graph, warn: Warn) -> None:
    """Warn if a step of a next-frame model reads later frames: the one that it must forecast, or those after it.

    The dependence is traced through the whole model, so padding at the start or a crop can make a window causal.
    A model without windows of past and future frames, or with a class as its target, is not a forecast.
    """
    data = graph.spec.data
    if data is None or data.target is not None or data.windows.target != "next":
        return
    spans = frame_spans(graph)
    if not any(_reads_ahead(spans.get(output.port, {})) for output in graph.outputs):
        return
    shapes, along = graph.shapes, _stepwise(graph)
    for node in _path_to_outputs(graph):
        if not _reads_ahead(spans.get(Port(node.id, node.port), {})):
            continue
        if node.initial_state and Port(node.id, node.port) not in along:
            _report_state(node, warn)
            return
        stepped = [bool(spans.get(port)) for port in node.inputs]
        reach = _reach(node.layer, [shapes[port] for port in node.inputs], stepped)
        if reach:
            _report_future(node, reach, warn)
        elif any(_reads_ahead(spans.get(port, {})) for port in node.inputs):
            continue
        elif any(_past_the_first(spans.get(Port(port.node, "sequence"), {})) for port in node.initial_state):
            _report_state(node, warn)


def unbounded_recurrence(graph: Graph, warn: Warn) -> None:
    """Warn of a recurrence whose activation has no bound: the state can grow in every step, until the loss is NaN.

    Of nodes written at one place, such as the rounds of a loop, only the first is reported.
    """
    places: set[Span] = set()
    for node in graph.nodes:
        for argument, name, bounded in unbounded_activations(node.layer):
            place = node.spec.span(argument)
            if place not in places:
                _report_unbounded(node, argument, name, bounded, warn)
            places.add(place)
        growth = growing(node.step) if node.step is not None else None
        if growth is None:
            continue
        spec = next(inner.spec for inner in node.inside if inner.id == growth.node)
        place = spec.span("activation" if spec.arguments.get("activation") is not None else "equation", "layer")
        if place not in places:
            message = f"{growth.activation} inside the recurrence of {node.id} can grow without bound"
            way = f"{growth.node} is on the path from a state to its new value"
            reason = f"{way}; what grows a little in every step ends as NaN"
            warn(message, place, reason=reason, help="use tanh instead, or normalize the state")
        places.add(place)


def unbounded_activations(layer: Layer) -> Iterator[tuple[str, str, str]]:
    """Yield the argument and the name of each unbounded activation inside a recurrence, and the bounded default."""
    cell = innermost(layer)
    for argument, bounded in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        given = getattr(cell, argument, KerasObject(bounded))
        name = "linear" if given is None else given.name
        if isinstance(cell, Recurrent) and name in UNBOUNDED and (name, cell.kind) not in _PUBLISHED:
            yield argument, name, bounded


def _report_unbounded(node: Node, argument: str, name: str, bounded: str, warn: Warn) -> None:
    written = node.spec.arguments.get(argument) is not None
    where = "" if written else f" of defaults: {{{innermost(node.layer).kind}: …}}"
    after = f", and put {{layer: Activation, activation: {name}}} after {node.id}"
    message = f"{name} inside the recurrence of {node.id} can grow without bound"
    reason = f"what grows a little in every step ends as NaN; {bounded} has bounds"
    help = f"leave {argument} out{where}{after if argument == 'activation' and name != 'linear' else ''}"
    warn(message, node.spec.span(argument), reason=reason, help=help)


def feeds_the_target(graph: Graph, warn: Warn) -> None:
    """Warn if each step of a decoder reads that frame of an input which its output must forecast.

    That is an input as large as the output, which the encoder does not read: the true future frames, which must be fed
    one step later. Frames that are known in advance and happen to be as large are warned of as well.
    """
    decoders = [node for node in graph.nodes if node.spec.levels is not None and node.spec.levels.fed is not None]
    if not decoders:
        return
    spans, above = frame_spans(graph), _above(graph)
    for node in decoders:
        ends = [output.shape for output in graph.outputs if node.id in above[output.port.node]]
        encoded = {name for port in node.initial_state for name in above[port.node]}
        future = {x.id for x in graph.inputs if x.id not in encoded and x.shape in ends}
        read = {name: frames for port in node.inputs for name, frames in spans.get(port, {}).items()}
        for name in (name for name, frames in read.items() if name in future and _at_or_after(frames)):
            message = f"{node.id} reads the frame of {name} that it must forecast, if {name} holds the true frames"
            reason = f"{name} is as large as the output, and each step reads the frame of its own time"
            help = (
                "feed the frame before each: the last past frame and all but the last of the true ones, joined with "
                "Slice and Concatenate; or write feed: feedback, which needs no such input"
            )
            assert node.spec.levels is not None
            warn(message, node.spec.levels.fed, reason=reason, help=help)


def _above(graph: Graph) -> dict[str, set[str]]:
    """For each node, its id and those of the nodes and inputs that it depends on."""
    above = {x.id: {x.id} for x in graph.inputs}
    for node in graph.nodes:
        read = (above.get(port.node, set()) for port in (*node.inputs, *node.initial_state))
        above[node.id] = {node.id}.union(*read)
    return above


def _at_or_after(frames: FrameSpans) -> bool:
    """Whether some step depends on a frame of its own time or a later one."""
    return any(last >= step for step, (_, last) in enumerate(frames))


def concatenated_space(graph: Graph, warn: Warn) -> None:
    """Warn of a bidirectional layer that joins its directions along a spatial axis: the last, not the channels."""
    for node in graph.nodes:
        layer = node.layer
        if not isinstance(layer, Bidirectional) or layer.merge_mode != "concat":
            continue
        if getattr(innermost(layer), "channels_first", False):
            message = f"{node.id} joins its two directions along the last axis, a spatial axis, which doubles"
            reason = "merge_mode is concat, and with channels_first the channels do not come last"
            help = "write data_format: channels_last, or merge_mode: sum, ave or mul"
            warn(message, node.spec.span("merge_mode", "data_format", "layer"), reason=reason, help=help)


LINTS = (
    Lint(
        "sees-the-future",
        "a forecast of the next frame (`target: next`) with a step that depends on the frame it must forecast: a "
        "bidirectional layer, or a kernel over time with `padding: same`",
        sees_the_future,
    ),
    Lint(
        "unbounded-recurrence",
        "`relu`, or another unbounded activation, inside a recurrence: in a recurrent layer, or on the path from a "
        "state of a `recurrent` node to its new value",
        unbounded_recurrence,
    ),
    Lint(
        "loss-and-output",
        "a loss that does not fit its output, such as a cross-entropy of unbounded values",
        loss_and_output,
    ),
    Lint("heavy-tail", "a loss of a gamma distribution behind a logarithm", heavy_tail),
    Lint("learns-nothing", "a learning rate of 0", learns_nothing),
    Lint(
        "feeds-the-target",
        "a decoder whose steps read the frame of the same time of an input as large as the output, which gives the "
        "forecast away if the input holds the true frames",
        feeds_the_target,
    ),
    Lint(
        "concatenated-space",
        "a bidirectional layer with `channels_first` whose directions are joined along the last axis, a spatial axis",
        concatenated_space,
    ),
    Lint("output-range", "an activation whose range excludes values of the standardized frames", output_range),
)
"""Every lint, in the order that warnings are shown."""

_PUBLISHED = frozenset({("leaky_relu", kind) for kind in ("ConvGRU1D", "ConvGRU2D", "ConvGRU3D", "TrajGRU2D")})
"""Published so (Shi et al. 2017), and trained with clipped gradients: the update gate mixes, it does not add."""


def _reads_ahead(spans: dict[str, FrameSpans]) -> bool:
    """Whether some step depends on a frame of an input after its own."""
    return any(last > step for frames in spans.values() for step, (_, last) in enumerate(frames))


def _past_the_first(spans: dict[str, FrameSpans]) -> bool:
    """Whether a recurrence reads frames after the first, so that a step which starts from its state does as well."""
    return any(last > 0 for frames in spans.values() for _, last in frames)


def _stepwise(graph: Graph) -> set[Port]:
    """The ports whose steps come out of the steps of an input; those of a decoder come out of a state, or one frame."""
    along = {Port(x.id) for x in graph.inputs}
    shapes = graph.shapes
    for node in graph.nodes:
        ranks = [len(shapes[port]) for port in node.inputs if port in along]
        along.update(
            Port(node.id, name)
            for name, shape in node.shapes.items()
            if name in (OUTPUT, "sequence") and len(shape) in ranks and getattr(node.layer, "use_input", True)
        )
    return along


def _is_convolution(layer: Layer) -> bool:
    return not isinstance(layer, Recurrent | TimeDistributed) and layer.kind.startswith("Conv")


def _path_to_outputs(graph: Graph) -> Iterator[Node]:
    """The nodes whose values reach an output, in order."""
    needed = {output.port.node for output in graph.outputs}
    for node in reversed(graph.nodes):
        if node.id in needed:
            needed.update(port.node for port in (*node.inputs, *node.initial_state))
    yield from (node for node in graph.nodes if node.id in needed)


_ALL = 1 << 30
"""All frames, however many there are."""


def _reach(layer: Layer, inputs: list[Shape], stepped: list[bool]) -> int:
    """How many frames after its own a step of the output reads of those inputs that have steps; 0: none, or unknown."""
    if not layer.pointwise and type(layer).receptive_field is Layer.receptive_field:
        return 0
    reach = 0
    known = [closed(shape) for shape in inputs]
    for shape, field, counts in zip(known, layer.receptive_field(*known), stepped, strict=True):
        time = field[0]
        if counts and time is None:
            reach = _ALL
        elif counts and time is not None and time.axis == 0:
            reach = max(reach, *(min(last, shape[0] - 1) - step for step, (_, last) in enumerate(time.spans)))
    return reach


def _report_future(node: Node, reach: int, warn: Warn) -> None:
    how, key, help = _blame(node, reach)
    reason = f"{how}; target: next asks for the frame that follows each"
    message = f"{node.id} sees the frame that it must forecast"
    warn(message, node.spec.span(key), reason=reason, help=help)


def _report_state(node: Node, warn: Warn) -> None:
    levels = node.spec.levels
    message = f"{node.id} sees the frame that it must forecast"
    state = f"the state of {levels.source if levels else node.initial_state[0].node}, which has seen every frame"
    reason = f"it starts from {state}; target: next asks for the frame that follows each"
    warn(message, node.spec.span("initial_state"), reason=reason, help="write target: future")


def _blame(node: Node, reach: int) -> tuple[str, str, str]:
    """How a node comes to read later frames, the key that says so, and what to write instead."""
    layer = node.layer
    if isinstance(layer, Bidirectional):
        inner = "recurrent: {…}" if node.step is not None else f"{{layer: {layer.layer.kind}, …}}"
        return "its backward half starts from the last frame", "layer", f"write {inner} without bidirectional"
    if isinstance(layer, Recurrent) and getattr(layer, "go_backwards", False):
        return "go_backwards starts it from the last frame", "go_backwards", "leave go_backwards out"
    frames = "frame" if reach == 1 else "frames"
    if _is_convolution(layer) and reach < _ALL:
        how = f"at each step its kernel covers {reach} later {frames}"
        if layer.kind == "Conv1D":
            return how, "padding", "write padding: causal"
        flat = written_shape((1, *getattr(layer, "kernel_size", (1,))[1:]))
        return how, "kernel_size", f"write kernel_size: {flat}, or time_distributed: {{layer: Conv2D, …}}"
    count = "all frames" if reach >= _ALL else f"{reach} later {frames}"
    return f"each of its steps sees {count}", "layer", "let each step read only the frames up to its own"
