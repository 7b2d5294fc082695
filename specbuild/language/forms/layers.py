"""`layer`, `time_distributed` and `bidirectional`: the forms that are one Keras layer, or a chain of them."""

from __future__ import annotations

from dataclasses import replace

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent, TimeDistributed
from specbuild.catalog.registry import kind_named, kind_names
from specbuild.document import Mapping, Node, Scalar, Sequence, did_you_mean, kind_of
from specbuild.language.forms.applications import read_application
from specbuild.language.forms.expansion import COMMON, Expansion, Path_, as_node
from specbuild.language.forms.scope import Part, Scope
from specbuild.language.validation import validate

_LAYER_OF_OTHER_NAME = {
    "TimeDistributed": "write time_distributed: {layer: …}",
    "Bidirectional": "write bidirectional: {layer: …}",
    "Input": "inputs are declared under inputs:",
    "InputLayer": "inputs are declared under inputs:",
}
_KEY_OF_OTHER_NAME = {
    "name": "a spec says id",
    "inputs": "a spec says from",
    "input": "a spec says from",
    "input_shape": "a spec says inputs",
    "merge_mode": "write it beside bidirectional: {…}, not inside",
}
"""Keys that Keras has for what a spec says about the node, and where they belong."""


def layer_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{layer: Conv3D, …}`"""
    item = walk.resolve(item, scope, path)
    walk.add([layer_part(walk, item, item, path)], item, scope, path)


def layer_part(walk: Expansion, mapping: Mapping, at: Mapping, path: Path_) -> Part:
    """The node of a `{layer: …}` mapping, without its place among the others."""
    arguments = _without(mapping, COMMON)
    return Part(read_layer(walk, arguments, path), arguments, at)


def time_distributed_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{time_distributed: NODE}` or `[NODE, …]`: the same layers on every frame."""
    item = walk.resolve(item, scope, path)
    inner = item.get("time_distributed")
    assert inner is not None
    _only(walk, item, ("time_distributed",), inner, path)
    if isinstance(inner, Sequence) and not inner.items:
        walk.report.error("time_distributed holds no layer", inner.span, path=path, code="bad-node")
        walk.fail(item, scope, path)
        return
    parts = inner.items if isinstance(inner, Sequence) else (inner,)
    chain = []
    for index, part in enumerate(parts):
        where = (*path, "time_distributed", *((index,) if isinstance(inner, Sequence) else ()))
        layer, arguments = _inside(walk, part, where)
        wrapped = _on_every_frame(walk, layer, part, where)
        chain.append(Part(wrapped, arguments, part if isinstance(part, Mapping) else item))
    walk.add(chain, item, scope, path)


def bidirectional_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{bidirectional: {layer: ConvLSTM2D, …}, merge_mode: concat}`"""
    item = walk.resolve(item, scope, path)
    layer, arguments = _bidirectional(walk, item, path)
    walk.add([Part(layer, arguments, item)], item, scope, path)


def read_layer(walk: Expansion, arguments: Mapping, path: Path_) -> Layer | None:
    """The catalogue's instance of `{layer: Kind, …arguments}`, defaults laid under the arguments; None if faulty."""
    report = walk.report
    named = arguments.get("layer")
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        if named is None:
            help = "write {layer: Conv2D, …}"
            report.error("a layer needs a kind", arguments.span, path=path, help=help, code="bad-node")
        elif not report.is_known(named.span):
            message = f"layer: expected the name of a layer, got {kind_of(named)}"
            report.error(message, named.span, path=(*path, "layer"), code="wrong-type")
        return None
    kind = named.value
    cls = kind_named(kind)
    if cls is None:
        from specbuild.catalog.generic import UNWRITABLE

        why, instead = UNWRITABLE.get(kind, ("", ""))
        report.error(
            f"a spec cannot name {kind}" if why else f'no layer is called "{kind}"',
            named.span,
            path=(*path, "layer"),
            reason=why,
            help=instead or _LAYER_OF_OTHER_NAME.get(kind, "") or did_you_mean(kind, kind_names()),
            code="unknown-layer",
        )
        return None
    renamed = _renamed_keys(walk, arguments, cls, path)
    written = tuple(e for e in arguments.entries if e.name != "layer" and e.name not in renamed)
    below = walk.definitions.defaults.get(cls.__name__)
    extra = tuple(e for e in below.entries if arguments.entry(e.name) is None) if below is not None else ()
    arguments = replace(arguments, entries=(*written, *extra))
    from_defaults = {e.name: ("defaults", kind) for e in extra}
    layer = validate(cls, arguments, path, report, owner=kind, at=named, beside=COMMON, elsewhere=from_defaults)
    return None if renamed else layer


def _renamed_keys(walk: Expansion, arguments: Mapping, cls: type[Layer], path: Path_) -> set[str]:
    """Reports Keras's names for what a spec says about the node instead."""
    found = set()
    for entry in arguments.entries:
        other = _KEY_OF_OTHER_NAME.get(entry.name)
        if other and entry.name not in cls.model_fields:
            walk.report.error(
                f'{cls.__name__} has no argument "{entry.name}"',
                entry.key.span,
                path=(*path, entry.name),
                help=other,
                code="unknown-key",
            )
            found.add(entry.name)
    return found


def _inside(walk: Expansion, part: Node, path: Path_) -> tuple[Layer | None, Mapping]:
    """The layer inside a time_distributed: a plain one, or itself a wrapper."""
    if not isinstance(part, Mapping):
        message = f"a layer must be a mapping, got {kind_of(part)}"
        walk.report.error(message, part.span, path=path, help=as_node(part), code="wrong-type")
        return None, Mapping((), part.span)
    for key in ("from", "initial_state", "expect"):
        if (entry := part.entry(key)) is not None:
            message = f"{key} stands on the time_distributed node, not on a layer inside it"
            walk.report.error(message, entry.key.span, path=(*path, key), code="misplaced-key")
    if part.entry("bidirectional") is not None:
        return _bidirectional(walk, part, path)
    if (nested := part.get("time_distributed")) is not None:
        _only(walk, part, ("time_distributed",), nested, path)
        layer, arguments = _inside(walk, nested, (*path, "time_distributed"))
        return _on_every_frame(walk, layer, part, path), arguments
    arguments = _without(part, COMMON)
    if part.entry("application") is not None:
        return read_application(walk, arguments, path), arguments
    return read_layer(walk, arguments, path), arguments


def _on_every_frame(walk: Expansion, layer: Layer | None, at: Node, path: Path_) -> Layer | None:
    if layer is None:
        return None
    return validate(
        TimeDistributed, Mapping((), at.span), path, walk.report, owner="TimeDistributed", given={"layer": layer}
    )


def _bidirectional(walk: Expansion, item: Mapping, path: Path_) -> tuple[Layer | None, Mapping]:
    inner = item.get("bidirectional")
    assert inner is not None
    own = tuple(name for name in Bidirectional.model_fields if name != "layer")
    _only(walk, item, ("bidirectional", *own), inner, path)
    where = (*path, "bidirectional")
    if not isinstance(inner, Mapping):
        message = f"a layer must be a mapping, got {kind_of(inner)}"
        walk.report.error(message, inner.span, path=where, help=as_node(inner), code="wrong-type")
        return None, Mapping((), inner.span)
    arguments = _without(inner, ("id",))
    layer = read_layer(walk, arguments, where)
    if layer is None:
        return None, arguments
    if not isinstance(layer, Recurrent):
        walk.report.error(
            f"bidirectional needs a recurrent layer, {layer.kind} is none",
            inner.span,
            path=where,
            reason="both directions in time exist only where there is a state",
            code="bad-node",
        )
        return None, arguments
    settings = Mapping(tuple(e for e in item.entries if e.name in own), item.span)
    given = {"layer": layer}
    return validate(Bidirectional, settings, path, walk.report, owner="Bidirectional", given=given), arguments


def _only(walk: Expansion, item: Mapping, keys: tuple[str, ...], inner: Node, path: Path_) -> None:
    """Refuses keys of a wrapper's node that belong to the layer inside it, or to nothing."""
    kind = inner.get("layer") if isinstance(inner, Mapping) else None
    cls = KINDS.get(str(kind.value)) if isinstance(kind, Scalar) else None

    def belongs(name: str) -> str:
        if cls is None or name not in cls.model_fields:
            return ""
        return f"it is an argument of {cls.__name__}: write it inside {keys[0]}: {{…}}"

    walk.only(item, keys, path, help=belongs)


def _without(item: Mapping, keys: tuple[str, ...]) -> Mapping:
    return replace(item, entries=tuple(e for e in item.entries if e.name not in keys))
