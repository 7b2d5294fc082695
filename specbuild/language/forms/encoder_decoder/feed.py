"""What the decoder of an encoder_decoder reads in each step: nothing, one frame again and again, or a sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from specbuild.catalog import Bidirectional, Layer, Recurrent
from specbuild.catalog.frames import RepeatFrame
from specbuild.catalog.plumbing import LastFrame, Slice
from specbuild.document import Mapping, Node, Scalar, did_you_mean, kind_of
from specbuild.language.forms.encoder_decoder.states import Coder, channel_axis, made
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.references import Reference
from specbuild.language.spec import NodeSpec, is_written

WORDS = ("none", "last", "last_frame")
"""What `feed` may say besides a node."""


@dataclass(frozen=True)
class Feed:
    """`what` the decoder reads: a word, or `repeat` and `sequence` with the node that is read."""

    what: Literal["none", "last", "last_frame", "repeat", "sequence"]
    source: Reference | None
    at: Node
    steps: int
    """The horizon; 0 for a sequence, which has its own length."""


def read_feed(coder: Coder, scope: Scope) -> Feed | None:
    """`feed` and `horizon`; None after a fault of either."""
    written = coder.body.get("feed")
    at: Node = written if is_written(written) and written is not None else Scalar("none", coder.at, "none")
    path = (*coder.path, "feed")
    if isinstance(at, Scalar) and at.value in WORDS:
        steps = _horizon(coder)
        return Feed(at.value, None, at, steps) if steps else None  # type: ignore[arg-type]  # one of the words
    repeated = at.get("repeat") if isinstance(at, Mapping) and len(at.entries) == 1 else None
    named = repeated if repeated is not None else at
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        if not coder.walk.report.is_known(named.span):
            coder.walk.report.error(
                f"feed: expected none, last, last_frame, a node or {{repeat: node}}, got {kind_of(named)}",
                named.span,
                path=path,
                help="name a sequence that the decoder reads, or write feed: {repeat: id} for one frame",
                code="wrong-type",
            )
        return None
    source = _source(coder, named, scope)
    if source is None:
        return None
    if repeated is not None:
        steps = _horizon(coder)
        return Feed("repeat", source, at, steps) if steps else None
    if is_written(coder.body.get("horizon")):
        coder.walk.report.error(
            f"the decoder of {coder.name} reads {named.value}, so horizon has no place",
            coder.key("horizon"),
            path=(*coder.path, "horizon"),
            reason="a sequence has its own length",
            help=f"leave horizon out; to repeat one frame, write feed: {{repeat: {named.value}}}",
            code="levels",
        )
        return None
    return Feed("sequence", source, at, 0)


def feed_decoder(coder: Coder, feed: Feed, group: Group, scope: Scope) -> Reference | None:
    """Adds the nodes that the decoder reads, and gives what its first node reads; None after a fault."""
    if feed.what == "sequence":
        return feed.source
    frame = _frame(coder, feed, group, scope)
    if frame is None:
        return None
    source, advice = frame
    repeat = RepeatFrame(times=feed.steps)
    node = made(coder, "steps", repeat, (source,), feed.at, scope, key="feed", advice=advice)
    return Reference(node.id, None, feed.at.span, implied=True)


def without_input(coder: Coder, feed: Feed, steps: Reference) -> None:
    """Carries out `feed: none`: the levels that come first run on their state alone.

    What is put in front of them only says how many steps there are, and how large a frame is; one channel will do.
    """
    if coder.faulty:
        return
    for index in range(coder.decoder.start, coder.decoder.stop):
        node = coder.walk.nodes[index]
        if all(source.id != steps.id for source in node.sources):
            continue
        if feed.what != "none":
            coder.walk.nodes[index] = replace(node, advice=_advice(coder, feed))
            continue
        layer = _inputless(node.layer)
        if layer is None:
            _needs_input(coder, node)
        elif _says_input(node.layer):
            _contradicts(coder, node)
        elif node.initial_state is None:
            _starts_from_nothing(coder, node)
        else:
            coder.walk.nodes[index] = replace(node, layer=layer)
            _size_from(coder, node, steps)


def _horizon(coder: Coder) -> int:
    """How many frames the decoder gives; 0 after a fault."""
    written = coder.body.get("horizon")
    if not is_written(written) or written is None:
        if written is None or not coder.walk.report.is_known(written.span):
            coder.walk.report.error(
                f"{coder.name} needs a horizon",
                coder.key("horizon"),
                path=(*coder.path, "horizon"),
                reason="nothing else says how many frames its decoder gives",
                help="write horizon: 10, or feed: and a sequence that the decoder reads",
                code="missing-key",
            )
        return 0
    value = written.value if isinstance(written, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    got = written.raw if isinstance(written, Scalar) else kind_of(written)
    coder.walk.report.error(
        f"horizon: expected a positive whole number, got {got}",
        written.span,
        path=(*coder.path, "horizon"),
        code="bad-value",
    )
    return 0


def _source(coder: Coder, named: Scalar, scope: Scope) -> Reference | None:
    path = (*coder.path, "feed")
    first = str(named.value).partition(".")[0]
    if not scope.closed and first not in scope.names and coder.walk.ids.line_of(first) is None and first.isidentifier():
        coder.walk.report.error(
            f"no node is called {first}",
            named.span,
            path=path,
            help=did_you_mean(first, (*WORDS, *scope.names)) or "feed is none, last, last_frame, or a node above",
            code="unknown-id",
        )
        return None
    found = coder.walk.reference(named, scope, path)
    return found[0] if found else None


def _frame(coder: Coder, feed: Feed, group: Group, scope: Scope) -> tuple[Reference, str] | None:
    """The one frame that every step reads, and what to do where it is none."""
    advice = _advice(coder, feed)
    if feed.what == "repeat":
        assert feed.source is not None
        return _last_of(coder, feed.source), advice
    if feed.what == "none":
        level = coder.encoder_levels[-1]
        last = Reference(level.id, _sized_port(level), feed.at.span, implied=True)
        thin = Slice(axis=channel_axis(level.layer), start=0, stop=1)
        node = made(coder, "frame", thin, (last,), feed.at, scope, key="feed")
        return Reference(node.id, None, feed.at.span, implied=True), ""
    end = coder.walk.previous
    if feed.what == "last_frame":
        if len(group.inputs) != 1:
            coder.walk.report.error(
                f"{coder.name} reads several sequences, so last_frame could be of any",
                feed.at.span,
                path=(*coder.path, "feed"),
                help="write from: and the one input of the encoder, or feed: {repeat: id}",
                code="bad-reference",
            )
            return None
        end = group.inputs[0]
    if end is None:
        return None
    node_before = coder.walk.node(end.id)
    if node_before is not None and isinstance(node_before.layer, Recurrent) and end.port in (None, "sequence", "last"):
        return replace(end, port="last", span=feed.at.span), advice
    node = made(coder, "frame", LastFrame(), (end,), feed.at, scope, key="feed", advice=advice)
    return Reference(node.id, None, feed.at.span, implied=True), advice


def _last_of(coder: Coder, source: Reference) -> Reference:
    node = coder.walk.node(source.id)
    bare = node is not None and isinstance(node.layer, Recurrent) and source.port is None
    return replace(source, port="last") if bare else source


def _advice(coder: Coder, feed: Feed) -> str:
    """What to write where the decoder cannot read what it is fed, for its number of axes."""
    source = str(feed.source)
    return {
        "none": "",
        "last": f"feed: last takes the last frame of a sequence: let the encoder of {coder.name} end in one",
        "last_frame": f"feed: last_frame takes the last frame of what {coder.name} reads: write feed: {{repeat: id}}",
        "repeat": f"feed: {{repeat: {source}}} repeats one frame; to read a sequence write feed: {source}, "
        "without horizon",
        "sequence": f"feed: {source} gives a sequence; to repeat one frame write feed: {{repeat: {source}}} "
        "and horizon",
    }[feed.what]


def _cell(layer: Layer) -> Layer:
    return layer.layer if isinstance(layer, Bidirectional) else layer


def _inputless(layer: Layer) -> Layer | None:
    """The layer running on its state alone; None if it cannot."""
    cell = _cell(layer)
    if not isinstance(cell, Recurrent) or "use_input" not in type(cell).model_fields:
        return None
    cell = cell.model_copy(update={"use_input": False})
    return layer.model_copy(update={"layer": cell}) if isinstance(layer, Bidirectional) else cell


def _says_input(layer: Layer) -> bool:
    """Whether `use_input: true` is written."""
    cell: Any = _cell(layer)
    return "use_input" in cell.model_fields_set and cell.use_input


def _needs_input(coder: Coder, node: NodeSpec) -> None:
    coder.walk.broken.add(node.id)
    recurs = isinstance(node.layer, Recurrent)
    coder.walk.report.error(
        f"{node.layer.label} needs an input, and feed: none gives the decoder none",
        node.span(),
        path=node.path,
        reason="only ConvLSTM and ConvGRU can run on their state alone"
        if recurs
        else "without an input the decoder starts with a recurrent layer",
        help="write feed: last, which shows it the encoder's last output in every step"
        if recurs
        else "put it after that layer, or write feed: last",
        code="levels",
    )


def _contradicts(coder: Coder, node: NodeSpec) -> None:
    coder.walk.report.error(
        f"{node.id} says use_input: true, and feed: none gives the decoder no input",
        node.span("use_input"),
        path=(*node.path, "use_input"),
        help="leave use_input out, or write feed: last",
        code="levels",
    )


def _starts_from_nothing(coder: Coder, node: NodeSpec) -> None:
    coder.walk.report.error(
        f"{node.id} has neither an input nor a state",
        coder.key("states"),
        path=(*coder.path, "states"),
        reason="feed is none, so all that it knows of the frames is the state that it starts from",
        help="write feed: last, or pass it a state",
        code="levels",
    )


def _size_from(coder: Coder, node: NodeSpec, steps: Reference) -> None:
    """Lets frames without content be as large as the state that the first level starts from."""
    repeat = coder.walk.node(steps.id)
    thin = coder.walk.node(repeat.sources[0].id) if repeat is not None else None
    level = next((one for one in coder.encoder_levels if node.levels and one.id == node.levels.source), None)
    if level is not None and thin is not None:
        at = coder.walk.nodes.index(thin)
        source = replace(thin.sources[0], id=level.id, port=_sized_port(level))
        coder.walk.nodes[at] = replace(thin, sources=(source,))


def _sized_port(level: NodeSpec) -> str:
    """A port with frames of the state's size; a Bidirectional joins outputs along the last axis, whatever that is."""
    if isinstance(level.layer, Bidirectional):
        return f"state.forward_{getattr(level.layer.layer, 'state_names', ('h',))[0]}"
    return "last"
