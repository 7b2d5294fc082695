"""`feed` and `horizon`: what the decoder reads in each step, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from specbuild.catalog import Bidirectional, Layer, Recurrent
from specbuild.catalog.plumbing import LastFrame, RepeatFrame, Slice
from specbuild.catalog.wrappers import DIRECTIONS
from specbuild.document import Mapping, Node, Scalar, did_you_mean
from specbuild.language.forms.base import Expansion
from specbuild.language.forms.encoder_decoder.coder import Coder, cell_of, channel_axis, levels_of, output_of, with_cell
from specbuild.language.references import Reference, References
from specbuild.language.spec import NodeSpec, NodeSpecs, is_written

FeedWord: TypeAlias = Literal["none", "last", "last_frame", "feedback"]
WORDS: tuple[FeedWord, ...] = get_args(FeedWord)
"""What `feed` may say besides a node."""


@dataclass(frozen=True)
class Feed:
    """`what` the decoder reads: a word, or `repeat` and `sequence` with the node that is read."""

    what: FeedWord | Literal["repeat", "sequence"]
    source: Reference | None
    at: Node
    steps: int
    """The horizon; 0 for a sequence, which has its own length."""


@dataclass(frozen=True)
class Steps:
    """What the decoder reads step by step, and the nodes that give it."""

    end: Reference
    nodes: NodeSpecs = ()


def read_feed(coder: Coder) -> Feed | None:
    """Return `feed` and `horizon`; None after a fault of either."""
    written = coder.keys.feed
    at: Node = written if is_written(written) else Scalar("none", coder.at, "none")
    word = next((word for word in WORDS if isinstance(at, Scalar) and at.value == word), None)
    if word is not None:
        steps = _horizon(coder)
        return Feed(word, None, at, steps) if steps else None
    repeated = at.get("repeat") if isinstance(at, Mapping) and len(at.entries) == 1 else None
    named = repeated if repeated is not None else at
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        help = "name a sequence that the decoder reads, or write feed: {repeat: id} for one frame"
        expected = f"feed: expected {', '.join(WORDS)}, a node or {{repeat: node}}"
        coder.walk.report.wrong_type(expected, named, help)
        return None
    source = _source(coder, named)
    if source is None:
        return None
    if repeated is not None:
        steps = _horizon(coder)
        return Feed("repeat", source, at, steps) if steps else None
    if is_written(coder.body.get("horizon")):
        message = f"the decoder of {coder.name} reads {named.value}, so horizon has no place"
        help = f"leave horizon out; to repeat one frame, write feed: {{repeat: {named.value}}}"
        coder.error(message, coder.key("horizon"), reason="a sequence has its own length", help=help)
        return None
    return Feed("sequence", source, at, 0)


def steps_of(coder: Coder, feed: Feed, encoder: Expansion, inputs: References) -> Steps | None:
    """Return what the decoder reads; None after a fault."""
    if feed.what == "sequence":
        assert feed.source is not None
        return Steps(feed.source)
    frame = _frame(coder, feed, encoder, inputs)
    if frame is None:
        return None
    advice = _advice(coder, feed)
    repeat = coder.added("steps", RepeatFrame(times=feed.steps), (frame.end,), feed.at, advice)
    return Steps(output_of(repeat, feed.at.span), (*frame.nodes, repeat))


def fed(
    coder: Coder, feed: Feed, steps: Steps, encoder: Expansion, decoder: NodeSpecs
) -> tuple[Steps, NodeSpecs] | None:
    """Return the steps and the decoder as `feed` wants them; None after a fault.

    With `none` the levels that come first run on their state alone: what is put in front of them only says how many
    steps there are and how large a frame is, which is as large as the state that the level starts from.
    """
    nodes: list[NodeSpec] = []
    sound = True
    for node in decoder:
        if feed.what == "sequence" and node.levels is not None:
            node = replace(node, levels=replace(node.levels, fed=feed.at.span))
        if all(source.id != steps.end.id for source in node.sources):
            nodes.append(node)
        elif feed.what != "none":
            nodes.append(replace(node, advice=_advice(coder, feed)))
        elif (layer := _without_input(coder, node)) is None:
            sound = False
        else:
            nodes.append(replace(node, layer=layer))
            level = next((x for x in levels_of(encoder.nodes) if node.levels and x.id == node.levels.source), None)
            if level is not None:
                thin, repeat = steps.nodes
                source = replace(thin.sources[0], id=level.id, port=_sized_port(level))
                steps = replace(steps, nodes=(replace(thin, sources=(source,)), repeat))
    return (steps, tuple(nodes)) if sound else None


def _horizon(coder: Coder) -> int:
    """How many frames the decoder gives; 0 after a fault."""
    if coder.keys.horizon is None and not coder.walk.report.is_known(coder.value("horizon")):
        reason = "nothing else says how many frames its decoder gives"
        help = "write horizon: 10, or feed: and a sequence that the decoder reads"
        coder.error(f"{coder.name} needs a horizon", coder.key("horizon"), reason=reason, help=help, code="missing-key")
    return coder.keys.horizon or 0


def _source(coder: Coder, named: Scalar) -> Reference | None:
    """The node that `feed` names; None after reporting that there is none."""
    first, scope = str(named.value).partition(".")[0], coder.scope
    if not scope.closed and first not in scope.names and first not in coder.walk.ids and first.isidentifier():
        help = did_you_mean(first, (*WORDS, *scope.names)) or f"feed is {', '.join(WORDS)}, or a node above"
        coder.error(f"no node is called {first}", named.span, help=help, code="unknown-id")
        return None
    return scope.reference(named, coder.walk.report)


def _frame(coder: Coder, feed: Feed, encoder: Expansion, inputs: References) -> Steps | None:
    """The one frame that every step reads; None after a fault."""
    span = feed.at.span
    if feed.what == "none":
        level = levels_of(encoder.nodes)[-1]
        thin = Slice(axis=channel_axis(level.layer), start=0, stop=1)
        node = coder.added("frame", thin, (output_of(level, span, _sized_port(level)),), feed.at)
        return Steps(output_of(node, span), (node,))
    if feed.what == "repeat":
        assert feed.source is not None
        bare = feed.source.port is None and _is_level(coder, feed.source)
        return Steps(replace(feed.source, port="last") if bare else feed.source)
    end = encoder.end
    if feed.what in ("last_frame", "feedback"):
        if len(inputs) != 1:
            frame = "last_frame" if feed.what == "last_frame" else "the last frame, which is fed first,"
            message = f"{coder.name} reads several sequences, so {frame} could be of any"
            other = ", or feed: {repeat: id}" if feed.what == "last_frame" else ""
            help = f"write from: and the one input of the encoder{other}"
            coder.error(message, span, help=help, code="bad-reference")
            return None
        end = inputs[0]
    if end is None:
        return None
    if end.port in (None, "sequence", "last") and _is_level(coder, end):
        if feed.what == "last" or not isinstance(coder.walk.nodes[end.id].layer, Bidirectional):
            return Steps(replace(end, port="last", span=span))
        end = replace(end, port="sequence")  # The last outputs of both directions are those of different frames.
    node = coder.added("frame", LastFrame(), (end,), feed.at, _advice(coder, feed))
    return Steps(output_of(node, span), (node,))


def _is_level(coder: Coder, source: Reference) -> bool:
    node = coder.walk.nodes.get(source.id)
    return node is not None and isinstance(node.layer, Recurrent)


def _advice(coder: Coder, feed: Feed) -> str:
    """What to write where the decoder cannot read what it is fed, for its number of axes."""
    source = str(feed.source)
    return {
        "none": "",
        "last": f"feed: last takes the last frame of a sequence: let the encoder of {coder.name} end in one",
        "last_frame": f"feed: last_frame takes the last frame of what {coder.name} reads: write feed: {{repeat: id}}",
        "feedback": f"feed: feedback begins with the last frame of what {coder.name} reads, a sequence of frames",
        "repeat": f"feed: {{repeat: {source}}} repeats one frame; to read a sequence write feed: {source}, "
        "without horizon",
        "sequence": f"feed: {source} gives a sequence; to repeat one frame write feed: {{repeat: {source}}} "
        "and horizon",
    }[feed.what]


def _without_input(coder: Coder, node: NodeSpec) -> Layer | None:
    """The node's layer running on its state alone; None after reporting that it cannot."""
    cell: Any = cell_of(node.layer)
    recurs = isinstance(cell, Recurrent)
    if node.body is not None and node.initial_state is not None:
        given = node.body.inputs[0]
        if all(source.id != given for inner in node.body.nodes for source in inner.sources):
            return node.layer  # It reads its states alone.
    if not recurs or "use_input" not in type(cell).model_fields:
        coder.walk.broken.add(node.id)
        message = f"{node.layer.label} needs an input, and feed: none gives the decoder none"
        if recurs:
            reason = "only ConvLSTM and ConvGRU can run on their state alone"
            if node.body is not None:
                reason = "its nodes read input"
            help = "write feed: last, which shows it the encoder's last output in every step"
        else:
            reason = "without an input the decoder starts with a recurrent layer"
            help = "put it after that layer, or write feed: last"
        coder.error(message, node.span(), reason=reason, help=help)
    elif "use_input" in cell.model_fields_set and cell.use_input:
        message = f"{node.id} says use_input: true, and feed: none gives the decoder no input"
        coder.error(message, node.span("use_input"), help="leave use_input out, or write feed: last")
    elif node.initial_state is None:
        message = f"{node.id} has neither an input nor a state"
        reason = "feed is none, so all that it knows of the frames is the state that it starts from"
        coder.error(message, coder.key("states"), reason=reason, help="write feed: last, or pass it a state")
    else:
        return with_cell(node.layer, cell.model_copy(update={"use_input": False}))
    return None


def _sized_port(level: NodeSpec) -> str:
    """A port with frames of the state's size; a Bidirectional always joins outputs along the last axis."""
    if isinstance(level.layer, Bidirectional):
        return f"state.{DIRECTIONS[0]}_{getattr(level.layer.layer, 'state_names', ('h',))[0]}"
    return "last"
