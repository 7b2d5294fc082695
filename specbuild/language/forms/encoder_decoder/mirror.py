"""`decoder: mirrored`: the mirror image of an encoder that is a plain chain of layers.

The recurrent layers come in reverse order with the same arguments. A convolution with strides becomes a transposed one
with the same filters, kernel and strides, pooling becomes upsampling, patches become pixels again; normalizations and
activations stay behind the layer that they stand behind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from specbuild.catalog import KINDS, Bidirectional, Layer, Recurrent, TimeDistributed
from specbuild.language.forms.base import Expansion
from specbuild.language.forms.encoder_decoder.coder import Coder
from specbuild.language.references import Reference
from specbuild.language.spec import NodeSpec, NodeSpecs


class _NoImage(Exception):
    """A layer that has no mirror image, and why."""


def mirrored(coder: Coder, encoder: NodeSpecs, start: Reference) -> Expansion:
    """Return the mirror image of the encoder, or nothing after reporting the node that has none."""
    pieces: list[list[tuple[NodeSpec, Layer]]] = []
    before: str | None = None
    for node in encoder:
        try:
            if before is not None and (len(node.sources) != 1 or node.sources[0].id != before):
                raise _NoImage("the encoder is not a plain chain there")
            if node.differ is not None:
                raise _NoImage("whether it is there follows from shapes")
            if node.shares is not None:
                raise _NoImage("it has the weights of another")
            if node.body is not None and len(node.body.inputs) > 1:
                raise _NoImage("its nodes read others, which have no mirror image")
            image, leads = _image(node.layer)
        except _NoImage as why:
            help = f"write the decoder of {coder.name} out: decoder: […]"
            coder.error(f"{node.layer.label} has no mirror image", node.span(), reason=str(why), help=help)
            return Expansion((), start, complete=False)
        if leads:
            pieces.append([(node, image)])
        elif pieces:
            pieces[-1].append((node, image))
        before = node.id
    nodes: list[NodeSpec] = []
    end = start
    for node, image in (pair for piece in reversed(pieces) for pair in piece):
        nodes.append(_mirror_image(coder, node, image, end))
        end = Reference(nodes[-1].id, None, node.span(), implied=True)
    return Expansion(tuple(nodes), end)


def _mirror_image(coder: Coder, node: NodeSpec, image: Layer, source: Reference) -> NodeSpec:
    """The node with another layer, reading `source`; the image of one with an id is a name of the spec as well."""
    coder.walk.spend(node.at.span)
    name = node.id.removeprefix(coder.encoder_scope.prefix)
    identity = coder.walk.ids.make(f"{coder.scope.prefix}{name}_mirror", node.at.span)
    if node.named:
        coder.scope.names[identity.removeprefix(coder.scope.prefix)] = identity
    return replace(
        node,
        id=identity,
        layer=image,
        sources=(source,),
        initial_state=None,
        body=node.body.under(node.id, identity) if node.body is not None else None,
        expect=None,
        at=node.at.without("initial_state", "expect"),
        advice=f"it is the mirror image of {node.id}; write the decoder out to change it",
    )


def _image(layer: Layer) -> tuple[Layer, bool]:
    """A layer's mirror image, and whether layers behind it stay behind it.

    Raises:
        _NoImage: it has none.
    """
    if isinstance(layer, TimeDistributed):
        inner, leads = _frame_image(layer.layer)
        return TimeDistributed(layer=inner), leads
    if isinstance(layer, Bidirectional):
        cell = _level(layer.layer)
        width = next((name for name in ("filters", "units") if name in type(cell).model_fields), None)
        if layer.merge_mode != "concat" or width is None:
            return cell, True
        return _like(type(cell), cell, {width: 2 * getattr(cell, width)}), True
    if isinstance(layer, Recurrent):
        return _level(layer), True
    if layer.kind in _EITHER_WAY or layer.pointwise or layer.kind in _BEHIND:
        return _frame_image(layer)
    raise _NoImage("only layers on every frame can be turned round; it reads the whole sequence")


def _level(layer: Layer) -> Layer:
    """A recurrent layer with the same arguments, from its first frame on and without flags."""
    if max(getattr(layer, "strides", (1,))) > 1:
        raise _NoImage("its strides make its state smaller than its frames")
    if getattr(layer, "padding", "same") == "valid" and max(getattr(layer, "kernel_size", (1,))) > 1:
        raise _NoImage("padding: valid makes its state smaller than its frames")
    return _like(type(layer), layer, {}, without=_FLAGS)


_FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful")


def _frame_image(layer: Layer) -> tuple[Layer, bool]:
    """The mirror image of what runs on every frame."""
    if (make := _TURNED.get(layer.kind)) is not None:
        return make(layer), True
    if layer.pointwise or layer.kind in _BEHIND:
        return _like(type(layer), layer, {}), False
    raise _NoImage(f"a mirror image knows {', '.join(_FAMILIES)}, normalizations and activations")


def _transposed(layer: Layer) -> Layer:
    """The transposed convolution, or the same convolution if it keeps the frame size."""
    said: Any = layer
    if said.padding == "same" and max(said.strides) == 1:
        return _like(type(layer), layer, {})
    if said.groups != 1 or said.padding == "causal":
        raise _NoImage("a transposed convolution has no groups" if said.groups != 1 else "it is causal")
    return _like(KINDS[f"{layer.kind}Transpose"], layer, {})


def _enlarged(layer: Layer) -> Layer:
    said: Any = layer
    kind = KINDS[f"UpSampling{layer.kind[-2:]}"]
    factors = said.strides or said.pool_size
    size = factors[0] if layer.kind.endswith("1D") else factors
    return _like(kind, layer, {"size": size})


def _same(layer: Layer) -> Layer:
    return _like(type(layer), layer, {})


def _patches(layer: Layer) -> Layer:
    other = "DepthToSpace" if layer.kind == "SpaceToDepth" else "SpaceToDepth"
    return _like(KINDS[other], layer, {})


def _like(cls: type[Layer], layer: Layer, changes: dict[str, Any], *, without: tuple[str, ...] = ()) -> Layer:
    """A layer of another kind with every argument that it shares with `layer`, as written there; trainable again."""
    shared = [name for name in cls.model_fields if name in type(layer).model_fields and name not in without]
    values = {name: getattr(layer, name) for name in shared if name != "trainable"} | changes
    written = (layer.model_fields_set & values.keys()) | changes.keys()
    return cls.model_construct(_fields_set=set(written), **values)


_AXES = ("1D", "2D", "3D")
_TURNED: dict[str, Callable[[Layer], Layer]] = {
    **{f"Conv{axes}": _transposed for axes in _AXES},
    **{f"{kind}Pooling{axes}": _enlarged for kind in ("Max", "Average") for axes in _AXES},
    "Dense": _same,
    "SpaceToDepth": _patches,
    "DepthToSpace": _patches,
}
"""What turns a layer round that others stay behind."""
_FAMILIES = ("convolutions", "pooling", "Dense", "SpaceToDepth")
_EITHER_WAY = ("Dense", "SpaceToDepth", "DepthToSpace")
"""Layers that are the same on a sequence as on every frame."""
_BEHIND = ("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "Equation")
"""Layers that stay behind the one that they stand behind, as do all those that work on each value alone."""
