"""The keys of an encoder_decoder, and the steps in which it becomes plain nodes."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, ClassVar

from pydantic import Field

from specbuild.catalog import Layer, Recurrent
from specbuild.catalog.autoregressive import Sampling
from specbuild.catalog.merging import Concatenate
from specbuild.catalog.values import Flag, PositiveInt
from specbuild.document import Mapping, Node, Scalar, id_of
from specbuild.language.forms.base import COMMON, Composite, Expansion
from specbuild.language.forms.encoder_decoder.coder import (
    Coder,
    cell_of,
    channel_axis,
    level_name,
    level_names,
    levels_of,
    output_of,
    with_cell,
)
from specbuild.language.forms.encoder_decoder.feed import WORDS, Feed, Steps, fed, read_feed, steps_of
from specbuild.language.forms.encoder_decoder.feedback import fed_back
from specbuild.language.forms.encoder_decoder.mirror import mirrored
from specbuild.language.forms.encoder_decoder.states import joined_states, with_states
from specbuild.language.forms.feedback import BESIDE, Covariates, Static
from specbuild.language.forms.keys import Keys
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import DEFINITION, Located, Nodes, OptionalNodes, Word
from specbuild.language.forms.walk import Walk
from specbuild.language.references import Reference, References
from specbuild.language.spec import NodeSpec, NodeSpecs, is_written
from specbuild.language.variables import substitute


class _States(Word):
    """A rule for all levels, or the levels by id."""

    def read(self, value: Any, expected: str = "") -> Any:
        return value if isinstance(value, dict) else super().read(value, expected)

    def schema(self) -> dict[str, Any]:
        level = {"anyOf": [{DEFINITION: "reference"}, {"type": "null"}]}
        return {"anyOf": [super().schema(), {"type": "object", "additionalProperties": level}]}


_RULES = _States(
    *("mirrored", "in_order", "none"),
    words="mirrored, in_order, none, or levels by id",
    help="to say which state goes where, write states: {dec1: enc1, dec2: enc2}",
)
_REPEATED = {
    "type": "object",
    "properties": {"repeat": {DEFINITION: "reference"}},
    "required": ["repeat"],
    "additionalProperties": False,
}


class EncoderDecoder(Keys):
    """The keys inside `encoder_decoder:`."""

    NOUN: ClassVar[str] = "an encoder_decoder"
    NEEDED: ClassVar[dict[str, str]] = {"encoder": "an encoder_decoder needs an encoder"}
    EXAMPLE: ClassVar[str] = "write encoder: and a list of nodes with a recurrent layer among them"
    FORGIVEN: ClassVar[frozenset[str]] = frozenset({"horizon", "states", "head_input", "remat", "sampling"})

    encoder: Nodes = Field(description="Nodes of the encoder; every recurrent one is a level.")
    decoder: Annotated[
        Node | None,
        Located(
            {"anyOf": [{DEFINITION: "nodes"}, {"const": "mirrored"}]}, "a list of nodes, or `mirrored`", unbound=True
        ),
    ] = Field(
        None,
        description="Nodes of the decoder; every recurrent one is a level and takes a state. Default: mirrored, the "
        "mirror image of the encoder.",
    )
    feed: Annotated[
        Node | None,
        Located(
            {"anyOf": [{DEFINITION: "reference"}, _REPEATED]},
            f"{', '.join(f'`{word}`' for word in WORDS)}, `{{repeat: id}}` or an id",
        ),
    ] = Field(
        None,
        description="Input of each decoder step: nothing (none), the encoder's last output (last), the last frame that "
        "the encoder read (last_frame), that frame and then the model's own forecasts (feedback), a frame from another "
        "node ({repeat: id}), or the next frame of a sequence (id). Default: none.",
    )
    horizon: PositiveInt | None = Field(None, description="Number of frames to forecast; not with a sequence.")
    states: Annotated[str | dict[str, Any], _RULES] = Field(
        "mirrored",
        description="Which encoder level each decoder level starts from: in reverse order (mirrored), in the same "
        "order (in_order), by id, or none: each level has its own initial_state.",
    )
    head: OptionalNodes = Field(None, description="Nodes after the decoder.")
    head_input: Annotated[str, Word("end", "all", help="end: what the decoder ends in; all: all its levels")] = Field(
        "end",
        description="Input of the head: the end of the decoder (end), or all its levels joined along channels (all).",
    )
    remat: Flag = Field(
        False,
        description="Whether the backward pass recomputes the steps of every level: less memory, more time.",
    )
    sampling: Sampling | None = Field(
        None, description="Scheduled sampling in training, for feed: feedback. Default: none."
    )
    covariates: Covariates = None
    static: Static = None

    @classmethod
    def hint(cls, key: str, item: Mapping) -> str:  # noqa: ARG003 - wherever it stands
        return "it stands beside encoder_decoder: {…}, not inside" if key in (*COMMON, "trainable") else ""


class EncoderDecoderForm(Composite):
    """An encoder, and a decoder that starts from its states: {encoder_decoder: {encoder: […], horizon: 10}}.

    Its id is its end; the ids inside are ids of the spec, and `id.<inner id>` besides.
    """

    KEY: ClassVar[str] = "encoder_decoder"
    INSIDE: ClassVar[type[Keys]] = EncoderDecoder
    MAY_START = True

    encoder_decoder: Annotated[Node, Located("encoder decoder", "a mapping", unbound=True)] = Field(
        description="The encoder, the decoder, and what is passed between them."
    )

    def called(self, item: Mapping) -> str:
        return id_of(item) or "the encoder_decoder"

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        if walk.frames:
            message = "time_distributed cannot run an encoder_decoder on every frame"
            reason = "its recurrent layers read sequences of frames"
            help = "move it out of the time_distributed"
            walk.report.error(message, item[self.KEY].key.span, reason=reason, help=help, code="bad-node")
            return walk.failed(item, scope)
        return super().expand(walk, item, scope)

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: References) -> Expansion:
        coder = self._coder(walk, item, scope)
        if coder is None:
            return walk.nothing(item.span, scope)
        outside = set(scope.names)
        encoder = walk.items(coder.keys.encoder, scope)
        feed = read_feed(coder)
        if feed is not None and feed.what != "feedback":
            _refuse_feedback_keys(coder)
        faulty = [key for key in ("decoder", "states") if walk.report.is_known(coder.value(key))]
        sound = encoder.complete and feed is not None and not faulty
        if encoder.complete and not levels_of(encoder.nodes):
            _no_levels(coder)
            sound = False
        if feed is not None and feed.what == "feedback":
            if not sound:
                return replace(walk.nothing(item.span, scope), nodes=encoder.nodes)
            return self._fed_back(coder, feed, encoder, inputs, item, outside)
        steps = steps_of(coder, feed, encoder, inputs) if feed is not None and sound else None
        decoder = _decoder(coder, encoder, steps)
        coded = _coded(coder, feed, steps, encoder, decoder)
        walk.keep(coded.nodes)
        whole = _with_head(coder, coded, levels_of(decoder.nodes))
        members = {name: target for name, target in scope.names.items() if name not in outside}
        return replace(whole, members={"encoder": Group(encoder.end), "decoder": Group(coded.end), **members})

    def _fed_back(
        self, coder: Coder, feed: Feed, encoder: Expansion, inputs: References, item: Mapping, outside: set[str]
    ) -> Expansion:
        """The encoder, and an autoregressive node that decodes."""
        members = {name: target for name, target in coder.scope.names.items() if name not in outside}
        rest = fed_back(coder, feed, encoder.nodes, inputs, item, partial(_decoded, encoder))
        nodes = _recomputed(coder, encoder.nodes, (encoder,))
        complete = rest.complete and nodes is not None
        whole = replace(rest, nodes=(*(nodes or encoder.nodes), *rest.nodes), complete=complete)
        return replace(whole, members={"encoder": Group(encoder.end), **members})

    def _coder(self, walk: Walk, item: Mapping, scope: Scope) -> Coder | None:
        """The form's own keys, variables filled in; None where there is nothing to expand."""
        body = self.encoder_decoder
        if not isinstance(body, Mapping):
            help = "write encoder_decoder: {encoder: […], horizon: …}"
            walk.report.wrong_type("encoder_decoder must be a mapping", body, help)
            return None
        word = isinstance(body.get("decoder"), Scalar)
        leave = [key for key in EncoderDecoder.unbound() if key != "decoder" or not word]
        body = substitute(body, scope.values, walk.report, leave=leave)
        keys = EncoderDecoder.read(body, walk.report)
        if keys is None:
            return None
        prefix = f"{scope.prefix}{id_of(item) or 'encoder_decoder'}"
        return Coder(walk, scope, keys, body, self.called(item), prefix, item[self.KEY].key.span)


def _coded(coder: Coder, feed: Feed | None, steps: Steps | None, encoder: Expansion, decoder: Expansion) -> Expansion:
    """The encoder, what the decoder reads, and the decoder with its states."""
    joined = joined_states(coder, encoder.nodes) if steps is not None else {}
    between = tuple(node for states in joined.values() for node in states.values())
    if feed is not None and steps is not None and decoder.complete:
        every = _every_step(coder, decoder)
        started = with_states(coder, encoder.nodes, every.nodes, joined) if every is not None else None
        read = fed(coder, feed, steps, encoder, started) if started is not None else None
        if every is not None and read is not None:
            nodes = _recomputed(coder, (*encoder.nodes, *read[0].nodes, *between, *read[1]), (encoder, decoder))
            if nodes is not None:
                return replace(every, nodes=nodes)
    nodes = (*encoder.nodes, *(steps.nodes if steps is not None else ()), *between, *decoder.nodes)
    return replace(coder.walk.nothing(coder.at, coder.scope), nodes=nodes)


def _decoded(encoder: Expansion, coder: Coder, start: Reference) -> tuple[Expansion, NodeSpecs] | None:
    """The decoder and the head, which read their own frames from `start` on, and the nodes that join states for them.

    Each level has the state of the encoder as its initial one.
    """
    joined = joined_states(replace(coder, scope=coder.encoder_scope), encoder.nodes)
    decoder = _decoder(coder, encoder, Steps(start))
    every = _every_step(coder, decoder) if decoder.complete else None
    started = with_states(coder, encoder.nodes, every.nodes, joined) if every is not None else None
    if every is None or started is None:
        return None
    coder.walk.keep(started)
    whole = _with_head(coder, replace(every, nodes=started), levels_of(started))
    return whole, tuple(node for states in joined.values() for node in states.values())


def _refuse_feedback_keys(coder: Coder) -> None:
    """Report keys of a decoder that reads its own frames on one that does not."""
    for key in ("sampling", *BESIDE):
        if is_written(coder.body.get(key)):
            message, help = (
                f"{key} is for a decoder that reads its own forecasts",
                f"write feed: feedback, or leave {key} out",
            )
            coder.error(message, coder.key(key), help=help, code="misplaced-key")


def _no_levels(coder: Coder) -> None:
    reason = "a decoder starts from the states of recurrent layers"
    help = "add one, such as {layer: ConvLSTM2D, filters: 16, kernel_size: 3, padding: same}"
    coder.error(f"the encoder of {coder.name} has no recurrent layer", coder.key("encoder"), reason=reason, help=help)


def _decoder(coder: Coder, encoder: Expansion, steps: Steps | None) -> Expansion:
    """The decoder as written, or the mirror image of the encoder."""
    written = coder.keys.decoder
    start = steps.end if steps is not None else coder.walk.lost(coder.at, coder.scope)
    if written is None or not is_written(written) or (isinstance(written, Scalar) and written.value == "mirrored"):
        return mirrored(coder, encoder.nodes, start) if steps is not None else Expansion((), start, complete=False)
    if not isinstance(written, Scalar):
        return coder.walk.items(written, replace(coder.scope, previous=start))
    if not coder.walk.report.is_known(written.span):
        message = f'decoder: expected a list of nodes or mirrored, got "{written.value}"'
        coder.error(message, written.span, help="leave it out for the mirror image of the encoder", code="wrong-type")
    return Expansion((), start, complete=False)


def _every_step(coder: Coder, decoder: Expansion) -> Expansion | None:
    """The decoder with every step of a level where its bare id stands; None if a level gives only its last one."""
    levels = {node.id for node in levels_of(decoder.nodes)}
    short = [x for x in decoder.nodes if isinstance(x.layer, Recurrent) and x.layer.return_sequences is False]
    for node in short:
        message = f"{node.id} gives only its last step, and a decoder gives every one"
        help = "leave return_sequences out: it follows from how the node is used"
        coder.error(message, node.span("return_sequences"), help=help)
        coder.walk.broken.add(node.id)
    if short:
        return None

    def stepwise(source: Reference) -> Reference:
        bare = source.id in levels and source.port is None
        return replace(source, port="sequence", by_default=True) if bare else source

    nodes = tuple(replace(node, sources=tuple(map(stepwise, node.sources))) for node in decoder.nodes)
    return replace(decoder, nodes=nodes, end=stepwise(decoder.end) if decoder.end is not None else None)


def _recomputed(coder: Coder, nodes: NodeSpecs, parts: tuple[Expansion, ...]) -> NodeSpecs | None:
    """The nodes with `remat: true` on every level that does not say itself; None after reporting one that cannot."""
    if not coder.keys.remat:
        return nodes
    levels = {level.id for part in parts for level in levels_of(part.nodes)}
    changed: dict[str, Layer] = {}
    result = []
    for node in nodes:
        if node.shares in changed:
            node = replace(node, layer=changed[node.shares])
        elif node.id in levels and node.shares is None:
            cell = cell_of(node.layer)
            if "remat" not in type(cell).model_fields:
                message = f"remat cannot recompute {level_name(node)}"
                reason = (
                    f"{node.layer.label} keeps all its steps; recurrences over frames, such as ConvLSTM2D, need not"
                )
                help = "leave remat out, or write remat: true on the levels over frames alone"
                coder.error(message, coder.value("remat"), reason=reason, help=help)
                return None
            if "remat" not in cell.model_fields_set:
                node = replace(node, layer=with_cell(node.layer, cell.model_copy(update={"remat": True})))
            changed[node.id] = node.layer
        result.append(node)
    return tuple(result)


def _with_head(coder: Coder, coded: Expansion, levels: list[NodeSpec]) -> Expansion:
    """The nodes with those of the head, which reads the end of the decoder or the sequences of all its levels."""
    head, written = coder.keys.head, coder.body.get("head_input")
    if is_written(written) and not is_written(head) and not coder.walk.report.is_known(coder.value("head_input")):
        message = "head_input says what the head reads, and there is no head"
        help = "write head: and a list of nodes, or leave head_input out"
        coder.error(message, coder.key("head_input"), help=help, code="missing-key")
        return replace(coded, complete=False)
    if not is_written(head):
        return coded
    nodes, start = coded.nodes, coded.end
    if coder.keys.head_input == "all" and coded.complete and written is not None:
        nodes, start = _all_levels(coder, coded, levels, written)
    inner = replace(coder.scope, previous=start, no_previous=coded.no_end)
    expansion = coder.walk.items(head, inner)
    return replace(expansion, nodes=(*nodes, *expansion.nodes), complete=coded.complete and expansion.complete)


def _all_levels(coder: Coder, coded: Expansion, levels: list[NodeSpec], at: Node) -> tuple[NodeSpecs, Reference]:
    """The outputs of every level of the decoder, joined along their channels, the first level first."""
    sequences = tuple(output_of(level, at.span, "sequence") for level in levels)
    if len(sequences) == 1:
        return coded.nodes, sequences[0]
    axis = channel_axis(levels[0].layer)
    layer = Concatenate(axis=axis + 1) if axis > 0 else Concatenate()
    advice = f"head_input: all joins {level_names(levels)}; give them frames of one size, or write head_input: end"
    node = coder.added("levels", layer, sequences, at, advice)
    return (*coded.nodes, node), output_of(node, at.span)
