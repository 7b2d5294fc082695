"""`layer`, `time_distributed` and `bidirectional`: the forms that are one Keras layer, or a chain of them."""

from collections.abc import Sequence as AnySequence
from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent, ShapeError, TimeDistributed
from specbuild.catalog.merging import Broadcasting, Concatenate
from specbuild.catalog.objects import as_mapping_of_arguments
from specbuild.catalog.plumbing import SplitPart
from specbuild.catalog.registry import kind_named, kind_names
from specbuild.catalog.signatures import names
from specbuild.document import Mapping, Node, Scalar, Sequence, did_you_mean
from specbuild.language.files import file_of
from specbuild.language.forms.base import COMMON, Composite, Expansion, Part, PlainForm, with_trainable
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.values import DEFINITION, Located, Trainable
from specbuild.language.forms.walk import Walk, as_mapping, forms_of
from specbuild.language.spec import NodeSpec
from specbuild.language.validation import validate
from specbuild.language.variables import passed, substitute

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

_ONE_LAYER = ("layer", "application", "time_distributed", "bidirectional")
"""The forms that are one layer: a `time_distributed` of these alone is a chain of layers."""
_FRAME_LAYERS = {
    "anyOf": [{DEFINITION: "frame layer"}, {"type": "array", "minItems": 1, "items": {DEFINITION: "node"}}]
}


class LayerForm(PlainForm):
    """A layer: {layer: Conv3D, filters: 16, …}."""

    KEY: ClassVar[str] = "layer"
    TAKES_ARGUMENTS = True

    layer: Annotated[Node, Located({"type": "string"}, "the name of a layer")] = Field(
        description="Name of a Keras layer, of one of specbuild's own, or package>Class of a plugin."
    )

    def part(self, walk: Walk, item: Mapping, scope: Scope) -> Part:
        """Return the layer without its place among the nodes."""
        arguments = item.without(*COMMON)
        return Part(read_layer(walk, arguments, scope), arguments, item)

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        return self.chain(walk, [self.part(walk, item, scope)], item, scope)


class _Wrapper(PlainForm):
    """A form around a layer."""

    @classmethod
    def hint(cls, key: str, item: Mapping) -> str:
        """Tell a key that belongs to the layer inside."""
        inner = item.get(cls.KEY)
        name = inner.get("layer") if isinstance(inner, Mapping) else None
        kind = KINDS.get(str(name.value)) if isinstance(name, Scalar) else None
        if kind is None or key not in kind.model_fields:
            return ""
        return f"it is an argument of {kind.__name__}: write it inside {cls.KEY}: {{…}}"


class TimeDistributedForm(_Wrapper):
    """A layer, or a list of layers, on every frame: {time_distributed: {layer: Conv2D, …}}."""

    KEY: ClassVar[str] = "time_distributed"

    trainable: Trainable = None
    time_distributed: Annotated[Node, Located(_FRAME_LAYERS, "a layer, or a list of layers", unbound=True)] = Field(
        description="A layer, which may be a wrapper, or a list of nodes that run in sequence: layers, blocks, "
        "branches, residuals and loops."
    )

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        if _holds_nodes(self.time_distributed, scope):
            form = _OnEveryFrame.read(item, walk.report)
            return form.expand(walk, item, scope) if form is not None else walk.failed(item, scope)
        inner = substitute(self.time_distributed, scope.values, walk.report)
        if isinstance(inner, Sequence) and not inner.items:
            walk.report.error("time_distributed holds no layer", inner.span, code="bad-node")
            return walk.failed(item, scope)
        chain = []
        written = self.time_distributed if isinstance(self.time_distributed, Sequence) else inner
        for as_written, node in zip(_items(written), _items(inner), strict=True):
            with walk.report.naming(_id(as_written), _id(node)):
                layer, arguments = _inside(walk, node, scope)
            wrapped = _on_every_frame(walk, layer, node)
            if wrapped is not None and self.trainable is not None:
                wrapped = with_trainable(wrapped, self.trainable)
            chain.append(Part(wrapped, arguments, node if isinstance(node, Mapping) else item))
        return self.chain(walk, chain, item, scope)


class _OnEveryFrame(Composite):
    """Composite nodes on every frame: each layer inside is distributed over time, and merges join frames."""

    KEY: ClassVar[str] = "time_distributed"

    time_distributed: Annotated[Node, Located("nodes", "a list of nodes", unbound=True)]

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: object) -> Expansion:  # noqa: ARG002
        inner = self.time_distributed
        walk.frames += 1
        expansion = walk.items(Sequence((inner,), inner.span) if isinstance(inner, Mapping) else inner, scope)
        walk.frames -= 1
        ids = {node.id for node in expansion.nodes}
        outside = next((node for node in expansion.nodes if node.shares is not None and node.shares not in ids), None)
        if outside is not None:
            message = f"time_distributed cannot reuse {outside.shares}, which is outside"
            reason = "a layer runs on one frame or on every frame, not on both"
            help = "where it runs on every frame already, write reuse outside as well"
            walk.report.error(message, outside.span("reuse"), reason=reason, help=help, code="bad-reference")
            return walk.nothing(item.span, scope)
        nodes = [self._frames(walk, node) for node in expansion.nodes]
        sound = tuple(node for node in nodes if node is not None)
        return replace(expansion, nodes=sound, complete=expansion.complete and len(sound) == len(nodes))

    def _frames(self, walk: Walk, node: NodeSpec) -> NodeSpec | None:
        """Return a node that does on every frame what it did on one; None after reporting that it cannot."""
        layer: Layer | None = node.layer
        if isinstance(layer, Concatenate | SplitPart) and layer.axis > 0:
            layer = layer.model_copy(update={"axis": layer.axis + 1})
        elif not isinstance(layer, Broadcasting | Concatenate | SplitPart):
            if isinstance(layer, Recurrent) or node.body is not None or len(node.sources) > 1:
                message = f"time_distributed cannot run {node.layer.label} on every frame"
                reason = "only Concatenate, elementwise merges and layers of one input without a state can"
                help = "move it out of the time_distributed, where it reads the sequence of frames"
                walk.report.error(message, node.span(), reason=reason, help=help, code="bad-node")
                walk.broken.add(node.id)
                return None
            layer = _on_every_frame(walk, layer, node.at)
        if layer is None:
            walk.broken.add(node.id)
            return None
        expect = None if node.expect is None else (None, *node.expect)
        return replace(node, layer=layer, expect=expect, frames=node.frames + 1)


def _holds_nodes(inner: Node, scope: Scope, *, nested: bool = False) -> bool:
    """Whether a `time_distributed` holds nodes of any form, with keys of their own, not only a chain of layers."""
    if passed(inner, scope.values) is not None:
        return True
    items = [x for x in _items(inner) if isinstance(x, Mapping)]
    keys = {key for item in items for key in item.names()}
    if isinstance(inner, Sequence) and (nested or not keys.isdisjoint(COMMON[1:])):
        return True
    again = (item.get(TimeDistributedForm.KEY) for item in items)
    return any(key not in _ONE_LAYER for item in items for key in forms_of(item)) or any(
        _holds_nodes(each, scope, nested=True) for each in again if each is not None
    )


class BidirectionalForm(_Wrapper):
    """A recurrent layer run in both directions of time: {bidirectional: {layer: ConvLSTM2D, …}}."""

    KEY: ClassVar[str] = "bidirectional"

    bidirectional: Annotated[Node, Located("both ways", "a layer", unbound=True)] = Field(
        description="The recurrent layer, or a recurrent node: {recurrent: {…}}."
    )

    @classmethod
    def arguments(cls) -> type[Layer]:
        return Bidirectional

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        inner = self.bidirectional
        if isinstance(inner, Mapping) and (entry := inner.entry("recurrent")) is not None:
            from specbuild.language.forms.recurrent import expand_cell

            return expand_cell(self, walk, entry, item, scope, Bidirectional)
        inner = substitute(inner, scope.values, walk.report)
        layer, arguments = _both_ways(walk, inner, item, scope)
        return self.chain(walk, [Part(layer, arguments, item)], item, scope)


def read_layer(walk: Walk, arguments: Mapping, scope: Scope) -> Layer | None:
    """Return the catalog's instance of `{layer: Kind, …arguments}`, defaults laid under them; None if faulty."""
    report = walk.report
    named = arguments.get("layer")
    if not isinstance(named, Scalar) or not isinstance(named.value, str):
        if named is None:
            report.error("a layer needs a kind", arguments.span, help="write {layer: Conv2D, …}", code="bad-node")
        else:
            report.wrong_type("layer: expected the name of a layer", named)
        return None
    kind = named.value
    cls = kind_named(kind)
    if cls is None:
        from specbuild.catalog.generic import UNWRITABLE

        why, instead = UNWRITABLE.get(kind, ("", ""))
        message = f"a spec cannot name {kind}" if why else f'no layer is called "{kind}"'
        help = instead or _LAYER_OF_OTHER_NAME.get(kind, "") or _written_otherwise(kind)
        report.error(message, named.span, reason=why, help=help, code="unknown-layer")
        return None
    foreign = [e for e in arguments.entries if e.name in _KEY_OF_OTHER_NAME and e.name not in cls.model_fields]
    for entry in foreign:
        message, help = f'{cls.__name__} has no argument "{entry.name}"', _KEY_OF_OTHER_NAME[entry.name]
        report.error(message, entry.key.span, help=help, code="unknown-key")
    own = tuple(e for e in arguments.entries if e.name != "layer" and e not in foreign)
    defaults = scope.definitions.defaults.get(cls.__name__)
    extra = tuple(e for e in defaults.entries if arguments.entry(e.name) is None) if defaults is not None else ()
    arguments = replace(arguments, entries=(*own, *extra))
    layer = validate(cls, arguments, report, owner=kind, at=named, beside=COMMON)
    if layer is not None and layer.kind == "Constant":
        layer = _with_numbers(walk, layer, arguments, scope)
    return None if foreign else layer


def _with_numbers(walk: Walk, layer: Layer, arguments: Mapping, scope: Scope) -> Layer | None:
    """Return a Constant with the shape that its file has, if it names one; None after a fault."""
    from specbuild.catalog.constant import Constant

    report = walk.report
    assert isinstance(layer, Constant)
    if layer.path is None:
        return layer
    path = arguments["path"].value
    file = file_of(layer.path, scope.definitions.home, path.span, report)
    if file is None:
        return None
    walk.files.append(file)
    try:
        return layer.with_file(file)
    except ShapeError as error:
        span = (arguments.get(error.argument or "path") or path).span
        report.error(error.message, span, reason=error.reason, help=error.help, code="bad-file")
        return None


def refuse_keys(walk: Walk, inner: Mapping, form: str, keys: AnySequence[str]) -> None:
    """Report keys of nodes on a layer inside one."""
    for entry in inner.entries:
        if entry.name in keys:
            message = f"{entry.name} belongs on the {form} node, not on a layer inside it"
            walk.report.error(message, entry.key.span, code="misplaced-key")


def _written_otherwise(kind: str) -> str:
    """Return help for a name that is not a layer: a network, a call in Python, or a misspelling."""
    if kind in names("applications"):
        return f"it is a network of keras.applications: write {{application: {kind}, …}}"
    if call := as_mapping_of_arguments(kind, "layers", "layer"):
        return f"write {call}"
    return did_you_mean(kind, kind_names())


def _inside(walk: Walk, node: Node, scope: Scope) -> tuple[Layer | None, Mapping]:
    """The layer inside a time_distributed: a plain one, or itself a wrapper."""
    if not isinstance(node, Mapping):
        return _no_mapping(walk, node)
    refuse_keys(walk, node, TimeDistributedForm.KEY, COMMON[1:])
    if (inner := node.get("bidirectional")) is not None:
        BidirectionalForm.read(node, walk.report)
        return _both_ways(walk, inner, node, scope)
    if (nested := node.get("time_distributed")) is not None:
        TimeDistributedForm.read(node, walk.report)
        layer, arguments = _inside(walk, nested, scope)
        return _on_every_frame(walk, layer, node), arguments
    arguments = node.without(*COMMON)
    if node.entry("application") is not None:
        from specbuild.language.forms.applications import read_application

        return read_application(walk, arguments, scope), arguments
    return read_layer(walk, arguments, scope), arguments


def _items(node: Node) -> tuple[Node, ...]:
    return node.items if isinstance(node, Sequence) else (node,)


def _id(node: Node) -> Node | None:
    return node.get("id") if isinstance(node, Mapping) else None


def _on_every_frame(walk: Walk, layer: Layer | None, at: Node) -> Layer | None:
    if layer is None:
        return None
    nothing = Mapping((), at.span)
    return validate(TimeDistributed, nothing, walk.report, owner="TimeDistributed", given={"layer": layer})


def _both_ways(walk: Walk, inner: Node, item: Mapping, scope: Scope) -> tuple[Layer | None, Mapping]:
    """The layer of a `bidirectional` node, and the arguments of the layer inside it."""
    if not isinstance(inner, Mapping):
        return _no_mapping(walk, inner)
    refuse_keys(walk, inner, BidirectionalForm.KEY, COMMON[1:])
    arguments = inner.without(*COMMON)
    layer = read_layer(walk, arguments, scope)
    if layer is None:
        return None, arguments
    if not isinstance(layer, Recurrent):
        message = f"bidirectional needs a recurrent layer, {layer.kind} is none"
        reason = "both directions in time exist only where there is a state"
        walk.report.error(message, inner.span, reason=reason, code="bad-node")
        return None, arguments
    own = tuple(e for e in item.entries if e.name in Bidirectional.model_fields and e.name != "layer")
    settings = Mapping(own, item.span)
    given = {"layer": layer}
    return validate(Bidirectional, settings, walk.report, owner="Bidirectional", given=given), arguments


def _no_mapping(walk: Walk, node: Node) -> tuple[None, Mapping]:
    walk.report.wrong_type("a layer must be a mapping", node, as_mapping(node))
    return None, Mapping((), node.span)
