"""The levels of an encoder_decoder, and which state of the encoder each level of the decoder starts from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent
from specbuild.catalog.merging import Concatenate
from specbuild.document import Entry, Mapping, Node, Scalar, Span, did_you_mean, kind_of
from specbuild.language.forms.expansion import Expansion, Path_
from specbuild.language.forms.scope import Scope
from specbuild.language.references import Reference
from specbuild.language.spec import Levels, NodeSpec, is_written

ORDERS = ("mirrored", "in_order", "none")
MERGES = {"concat": "Concatenate", "sum": "Add", "ave": "Average", "mul": "Multiply"}
"""The layers that join the states of both directions, as a Bidirectional joins its outputs."""


@dataclass
class Coder:
    """One encoder_decoder in the making."""

    walk: Expansion
    name: str
    """How messages call it."""
    prefix: str
    """What the ids of the nodes that it makes up begin with."""
    body: Mapping
    at: Span
    """The key of the form."""
    path: Path_
    encoder: slice = field(default_factory=lambda: slice(0, 0))
    decoder: slice = field(default_factory=lambda: slice(0, 0))
    """Where the nodes of each stand among all."""

    def __post_init__(self) -> None:
        self._before = self._faults()

    def _faults(self) -> tuple[int, int]:
        return len(self.walk.report.errors), len(self.walk.broken)

    @property
    def faulty(self) -> bool:
        """Whether something inside was reported: what follows from it is not judged."""
        return self._faults() != self._before

    @property
    def encoder_levels(self) -> list[NodeSpec]:
        return [node for node in self.walk.nodes[self.encoder] if isinstance(node.layer, Recurrent)]

    @property
    def decoder_levels(self) -> list[NodeSpec]:
        return [node for node in self.walk.nodes[self.decoder] if isinstance(node.layer, Recurrent)]

    @property
    def order(self) -> str:
        """`states`, where that is a word; the default where it is left out; empty for a mapping, or a fault."""
        written = self.body.get("states")
        if not is_written(written):
            return "mirrored"
        return str(written.value) if isinstance(written, Scalar) and written.value in ORDERS else ""

    def key(self, name: str) -> Span:
        """Where a key stands; the form's own where it is left out."""
        entry = self.body.entry(name)
        return entry.key.span if entry is not None else self.at

    def value(self, name: str) -> Span:
        """Where the value of a key stands; the form's own key where it is left out."""
        entry = self.body.entry(name)
        return entry.value.span if entry is not None else self.at


def made(
    coder: Coder,
    name: str,
    layer: Layer,
    sources: tuple[Reference, ...],
    at: Node,
    scope: Scope,
    *,
    key: str,
    advice: str = "",
) -> NodeSpec:
    """Adds a node that nobody wrote, and that stands for `key` of the form."""
    coder.walk.spend(at.span, coder.path)
    kind = Scalar(layer.kind, at.span, layer.kind)
    arguments = Mapping((Entry(Scalar("layer", at.span, "layer"), kind),), at.span)
    node = NodeSpec(
        id=coder.walk.ids.make(f"{coder.prefix}_{name}", at.span.line),
        named=False,
        layer=layer,
        sources=sources,
        initial_state=None,
        expect=None,
        path=(*coder.path, key),
        at=arguments,
        arguments=arguments,
        inside=scope.closed or coder.name,
        advice=advice,
    )
    coder.walk.put(node)
    return node


def channel_axis(layer: Layer) -> int:
    """Where the channels of a level's frames stand: the first axis of a frame, or the last."""
    inner = layer.layer if isinstance(layer, Bidirectional) else layer
    return 1 if getattr(inner, "data_format", None) == "channels_first" else -1


def level_names(levels: Iterable[NodeSpec]) -> str:
    """Levels in words: `enc1, enc2`; one without an id by its layer."""
    return ", ".join(level_name(node) for node in levels) or "none"


def level_name(node: NodeSpec) -> str:
    return node.id if node.named else f"{node.layer.label} in line {node.span().line}"


def merged_states(coder: Coder, scope: Scope) -> dict[str, dict[str, Reference]]:
    """For each level of the encoder in both directions its states joined, the way its outputs are.

    A decoder of one direction starts from them; nodes that none reads are left out of the model.
    """
    found = {}
    for node in coder.encoder_levels:
        if not isinstance(node.layer, Bidirectional):
            continue
        kind = MERGES[node.layer.merge_mode]
        axis = channel_axis(node.layer)
        layer = Concatenate(axis=axis) if kind == "Concatenate" and axis > 0 else KINDS[kind]()
        states = {}
        for name in getattr(node.layer.layer, "state_names", ()):
            halves = tuple(
                Reference(node.id, f"state.{way}_{name}", node.span(), implied=True) for way in ("forward", "backward")
            )
            joined = made(coder, f"{node.id}_{name}", layer, halves, node.at, scope, key="states")
            states[name] = Reference(joined.id, None, node.span(), implied=True)
        found[node.id] = states
    return found


def pass_states(coder: Coder, merged: dict[str, dict[str, Reference]], scope: Scope) -> None:
    """Gives every level of the decoder its initial state."""
    pairs = None if coder.faulty else _pairs(coder, scope)
    if pairs is None:
        return
    encoder, decoder = coder.encoder_levels, coder.decoder_levels
    order: Literal["mirrored", "in_order", "mapped"] = "mapped"
    if coder.order in ("mirrored", "in_order"):
        order = coder.order  # type: ignore[assignment]  # one of the two words
    ids = (tuple(one.id for one in encoder), tuple(one.id for one in decoder))
    for index in range(coder.decoder.start, coder.decoder.stop):
        node = coder.walk.nodes[index]
        if node.id in pairs:
            source = pairs[node.id]
            joined = merged.get(source.id) if not isinstance(node.layer, Bidirectional) else None
            state = {name: replace(one, span=source.span) for name, one in joined.items()} if joined else source
            levels = Levels(*ids, order, source.id, (*coder.path, "states"))
            coder.walk.nodes[index] = replace(node, initial_state=state, levels=levels)


def _pairs(coder: Coder, scope: Scope) -> dict[str, Reference] | None:
    """For each level of the decoder that starts from a state the level of the encoder; None after a fault."""
    written = coder.body.get("states")
    if isinstance(written, Mapping):
        return _mapped(coder, written, scope) if _no_own_states(coder) else None
    if not coder.order:
        if written is not None and not coder.walk.report.is_known(written.span):
            got = f'"{written.value}"' if isinstance(written, Scalar) else kind_of(written)
            coder.walk.report.error(
                f"states: expected mirrored, in_order, none, or levels by id, got {got}",
                written.span,
                path=(*coder.path, "states"),
                help=(did_you_mean(str(written.value), ORDERS) if isinstance(written, Scalar) else "")
                or "to say which state goes where, write states: {dec1: enc1, dec2: enc2}",
                code="bad-value",
            )
        return None
    if coder.order == "none":
        return {}
    if not _no_own_states(coder):
        return None
    encoder, decoder = coder.encoder_levels, coder.decoder_levels
    if len(encoder) != len(decoder):
        _uneven(coder, encoder, decoder)
        return None
    if coder.order == "mirrored":
        encoder = encoder[::-1]
    return {
        to.id: Reference(of.id, None, coder.value("states") if is_written(written) else to.span(), implied=True)
        for of, to in zip(encoder, decoder, strict=True)
    }


def _uneven(coder: Coder, encoder: list[NodeSpec], decoder: list[NodeSpec]) -> None:
    """Reports a decoder with fewer or more levels than the encoder."""
    pair = (
        f"{decoder[-1].id if decoder[-1].named else 'dec1'}: {encoder[0].id if encoder[0].named else 'enc1'}"
        if decoder
        else ""
    )
    coder.walk.report.error(
        f"the decoder of {coder.name} has {len(decoder) or 'no'} recurrent layer{'' if len(decoder) == 1 else 's'}, "
        f"the encoder {len(encoder)}",
        coder.key("decoder"),
        path=(*coder.path, "decoder"),
        reason=f"encoder: {level_names(encoder)}; decoder: {level_names(decoder)}",
        help=f"give the decoder one for each level, or say which state goes where: states: {{{pair}, …}}"
        if pair
        else "give the decoder one for each level of the encoder, or leave decoder out",
        code="levels",
    )


def _no_own_states(coder: Coder) -> bool:
    """Refuses a decoder's node that says itself what it starts from."""
    own = [node for node in coder.walk.nodes[coder.decoder] if node.initial_state is not None]
    for node in own:
        entry = node.at.entry("initial_state")
        coder.walk.report.error(
            f"{node.id} has an initial_state of its own",
            entry.key.span if entry is not None else node.span(),
            path=(*node.path, "initial_state"),
            reason=f"states of {coder.name} says what its decoder starts from; left out, it is mirrored",
            help="leave initial_state out, or write states: none and the initial_state of every level",
            code="levels",
        )
    return not own


def _mapped(coder: Coder, written: Mapping, scope: Scope) -> dict[str, Reference] | None:
    """`states: {dec1: enc1, dec2: none}`."""
    where = (*coder.path, "states")
    pairs: dict[str, Reference] = {}
    said: set[str] = set()
    givers: dict[str, str] = {}
    sound = True
    for entry in written.entries:
        to = _level(coder, entry.key, "decoder", scope, (*where, entry.name))
        nothing = isinstance(entry.value, Scalar) and entry.value.value in (None, "none")
        of = None if nothing else _level(coder, entry.value, "encoder", scope, (*where, entry.name))
        if to is None or (of is None and not nothing):
            sound = False
            continue
        said.add(to.id)
        if of is None:
            continue
        if of.id in givers:
            coder.walk.report.error(
                f"{of.id} gives its state to {givers[of.id]} and {entry.name}",
                entry.value.span,
                path=(*where, entry.name),
                reason="each level of the encoder starts one level of the decoder",
                help="if both should start from it, write states: none, and initial_state on each level",
                code="levels",
            )
            sound = False
        givers.setdefault(of.id, entry.name)
        pairs[to.id] = Reference(of.id, None, entry.value.span, implied=True)
    missing = [node for node in coder.decoder_levels if node.id not in said]
    if missing and sound:
        nameless = next((node for node in missing if not node.named), None)
        coder.walk.report.error(
            f"states does not say what {level_names(missing)} start{'s' if len(missing) == 1 else ''} from",
            coder.key("states"),
            path=where,
            help="give that layer an id, and name it in states"
            if nameless is not None
            else f"add {missing[0].id}: and a level of the encoder, or none to start from zeros",
            code="levels",
        )
        sound = False
    return pairs if sound else None


def _level(
    coder: Coder,
    named: Node,
    part: Literal["encoder", "decoder"],
    scope: Scope,
    path: Path_,
) -> NodeSpec | None:
    """The level of the encoder or decoder that a name means; None after reporting that there is none."""
    found = coder.walk.reference(named, scope, path)
    if not found:
        return None
    nodes = {node.id: node for node in coder.walk.nodes[coder.encoder if part == "encoder" else coder.decoder]}
    levels = coder.encoder_levels if part == "encoder" else coder.decoder_levels
    node = nodes.get(found[0].id)
    if node is not None and isinstance(node.layer, Recurrent) and found[0].port in (None, "state"):
        return node
    word = str(named.value) if isinstance(named, Scalar) else str(found[0])
    names = [one.id.removeprefix(scope.prefix) for one in levels if one.named]
    choices = f"its recurrent layers are {', '.join(names)}" if names else "give its recurrent layers ids"
    if node is not None and isinstance(node.layer, Recurrent):
        message, help = f"{word} is no whole state", f"write {node.id.removeprefix(scope.prefix)}"
    elif node is not None:
        message, help = f"{word} is {node.layer.label}, which has no state", choices
    else:
        message, help = f"the {part} of {coder.name} has no level {word}", did_you_mean(word, names) or choices
    coder.walk.report.error(message, named.span, path=path, help=help, code="levels")
    return None
