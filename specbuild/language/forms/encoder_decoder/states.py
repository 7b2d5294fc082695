"""`states`: which state of the encoder each level of the decoder starts from."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from specbuild.catalog import KINDS, Bidirectional, Recurrent
from specbuild.catalog.merging import Concatenate
from specbuild.catalog.wrappers import DIRECTIONS, MERGES
from specbuild.document import Mapping, Node, Scalar, did_you_mean
from specbuild.language.forms.encoder_decoder.coder import Coder, channel_axis, level_names, levels_of, output_of
from specbuild.language.references import Reference, References
from specbuild.language.spec import Levels, NodeSpec, NodeSpecs
from specbuild.language.variables import substitute

Side: TypeAlias = Literal["encoder", "decoder"]


def joined_states(coder: Coder, encoder: NodeSpecs) -> dict[str, dict[str, NodeSpec]]:
    """Return, for each level of the encoder in both directions, the nodes that join its states, by state.

    Those that no level of the decoder starts from are left out of the model.
    """
    joined = {}
    for level in levels_of(encoder):
        if not isinstance(level.layer, Bidirectional):
            continue
        kind, axis = MERGES[level.layer.merge_mode], channel_axis(level.layer)
        layer = Concatenate(axis=axis) if kind == "Concatenate" and axis > 0 else KINDS[kind]()
        joined[level.id] = {
            name: coder.added(f"{level.id}_{name}", layer, _both_ways(level, name), level.at)
            for name in getattr(level.layer.layer, "state_names", ())
        }
    return joined


def with_states(
    coder: Coder, encoder: NodeSpecs, decoder: NodeSpecs, joined: dict[str, dict[str, NodeSpec]]
) -> NodeSpecs | None:
    """Return the decoder with the initial state of every level; None after a fault."""
    pairs = _pairs(coder, encoder, decoder)
    if pairs is None:
        return None
    ids = tuple(tuple(level.id for level in levels_of(nodes)) for nodes in (encoder, decoder))
    nodes = []
    for node in decoder:
        if (source := pairs.get(node.id)) is not None:
            state: Reference | dict[str, Reference] = source
            if source.id in joined and not isinstance(node.layer, Bidirectional):
                state = {name: output_of(joint, source.span) for name, joint in joined[source.id].items()}
            levels = Levels(ids[0], ids[1], _order(coder), source.id)
            node = replace(node, initial_state=state, levels=levels)
        nodes.append(node)
    return tuple(nodes)


def _order(coder: Coder) -> Literal["mirrored", "in_order", "mapped"]:
    """Return the rule by which levels start from levels."""
    match coder.keys.states:
        case "mirrored" | "in_order" as rule:
            return rule
    return "mapped"


def _both_ways(level: NodeSpec, name: str) -> References:
    return tuple(output_of(level, level.span(), f"state.{way}_{name}") for way in DIRECTIONS)


def _pairs(coder: Coder, encoder: NodeSpecs, decoder: NodeSpecs) -> dict[str, Reference] | None:
    """For each level of the decoder that starts from a state the level of the encoder; None after a fault."""
    if coder.keys.states == "none":
        return {}
    own = [node for node in decoder if node.initial_state is not None]
    for node in own:
        entry = node.at.entry("initial_state")
        place = entry.key.span if entry is not None else node.span()
        reason = f"states of {coder.name} says what its decoder starts from; left out, it is mirrored"
        help = "leave initial_state out, or write states: none and the initial_state of every level"
        coder.error(f"{node.id} has an initial_state of its own", place, reason=reason, help=help)
    if own:
        return None
    written = coder.body.get("states")
    if isinstance(written, Mapping):
        return _mapped(coder, written, encoder, decoder)
    givers, takers = levels_of(encoder), levels_of(decoder)
    if len(givers) != len(takers):
        _uneven(coder, givers, takers)
        return None
    if coder.keys.states == "mirrored":
        givers = givers[::-1]
    span = coder.value("states") if "states" in coder.keys.model_fields_set else None
    return {to.id: output_of(of, span or to.span()) for of, to in zip(givers, takers, strict=True)}


def _uneven(coder: Coder, encoder: list[NodeSpec], decoder: list[NodeSpec]) -> None:
    """Report a decoder with fewer or more levels than the encoder."""
    help = "give the decoder one for each level of the encoder, or leave decoder out"
    if decoder:
        to = _written(coder, decoder[-1], "decoder") if decoder[-1].named else "dec1"
        of = _written(coder, encoder[0], "encoder") if encoder and encoder[0].named else "enc1"
        help = f"give the decoder one for each level, or say which state goes where: states: {{{to}: {of}, …}}"
    plural = "" if len(decoder) == 1 else "s"
    message = (
        f"the decoder of {coder.name} has {len(decoder) or 'no'} recurrent layer{plural}, the encoder {len(encoder)}"
    )
    reason = f"encoder: {level_names(encoder)}; decoder: {level_names(decoder)}"
    coder.error(message, coder.key("decoder"), reason=reason, help=help)


def _mapped(coder: Coder, written: Mapping, encoder: NodeSpecs, decoder: NodeSpecs) -> dict[str, Reference] | None:
    """`states: {dec1: enc1, dec2: none}`."""
    pairs: dict[str, Reference] = {}
    takers: set[str] = set()
    givers: dict[str, str] = {}
    sound = True
    for entry in written.entries:
        to = _level(coder, substitute(entry.key, coder.scope.values, coder.walk.report), "decoder", decoder)
        nothing = isinstance(entry.value, Scalar) and entry.value.value in (None, "none")
        of = None if nothing else _level(coder, entry.value, "encoder", encoder)
        if to is None or (of is None and not nothing):
            sound = False
            continue
        takers.add(to.id)
        if of is None:
            continue
        if of.id in givers:
            message = f"{of.id} gives its state to {givers[of.id]} and {entry.name}"
            reason = "each level of the encoder starts one level of the decoder"
            help = "if both should start from it, write states: none, and initial_state on each level"
            coder.error(message, entry.value.span, reason=reason, help=help)
            sound = False
        givers.setdefault(of.id, entry.name)
        pairs[to.id] = output_of(of, entry.value.span)
    missing = [node for node in levels_of(decoder) if node.id not in takers]
    if missing and sound:
        message = f"states does not say what {level_names(missing)} start{'s' if len(missing) == 1 else ''} from"
        help = f"add {_written(coder, missing[0], 'decoder')}: and a level of the encoder, or none to start from zeros"
        if any(not node.named for node in missing):
            help = "give that layer an id, and name it in states"
        coder.error(message, coder.key("states"), help=help)
        sound = False
    return pairs if sound else None


def _written(coder: Coder, level: NodeSpec, side: Side) -> str:
    """The name by which `states` means a level."""
    scope = coder.scope if side == "decoder" else coder.encoder_scope
    return level.id.removeprefix(scope.prefix)


def _level(coder: Coder, named: Node, side: Side, nodes: NodeSpecs) -> NodeSpec | None:
    """The level of the encoder or decoder that a name means; None after reporting that there is none."""
    scope = coder.scope if side == "decoder" else coder.encoder_scope
    source = scope.reference(named, coder.walk.report)
    if source is None:
        return None
    node = next((node for node in nodes if node.id == source.id), None)
    recurrent = node is not None and isinstance(node.layer, Recurrent)
    if node is not None and recurrent and source.port in (None, "state"):
        return node
    word = str(named.value) if isinstance(named, Scalar) else str(source)
    names = [_written(coder, level, side) for level in levels_of(nodes) if level.named]
    choices = f"its recurrent layers are {', '.join(names)}" if names else "give its recurrent layers ids"
    if node is None:
        message, help = f"the {side} of {coder.name} has no level {word}", did_you_mean(word, names) or choices
    elif recurrent:
        message, help = f"{word} is not a whole state", f"write {_written(coder, node, side)}"
    else:
        message, help = f"{word} is {node.layer.label}, which has no state", choices
    coder.error(message, named.span, help=help)
    return None
