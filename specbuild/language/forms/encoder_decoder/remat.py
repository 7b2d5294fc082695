"""`remat: true`: the backward pass computes the steps of every level of an encoder_decoder anew."""

from __future__ import annotations

from dataclasses import replace

from specbuild.catalog import Bidirectional, Layer
from specbuild.document import Scalar, kind_of
from specbuild.language.forms.encoder_decoder.states import Coder, level_name
from specbuild.language.spec import NodeSpec, is_written


def compute_anew(coder: Coder) -> None:
    """Gives every level `remat: true`, unless it says itself whether it has it; or reports a level that cannot."""
    written = coder.body.get("remat")
    if written is None or not is_written(written) or coder.faulty:
        return
    if not isinstance(written, Scalar) or not isinstance(written.value, bool):
        coder.walk.report.error(
            f"remat: expected true or false, got {written.raw if isinstance(written, Scalar) else kind_of(written)}",
            written.span,
            path=(*coder.path, "remat"),
            code="bad-value",
        )
        return
    if not written.value:
        return
    nodes, levels = coder.walk.nodes, {node.id for node in (*coder.encoder_levels, *coder.decoder_levels)}
    changed: dict[str, Layer] = {}
    for index, node in enumerate(nodes):
        if node.shares in changed:
            nodes[index] = replace(node, layer=changed[node.shares])
        elif node.id in levels and node.shares is None:
            layer = _anew(node.layer)
            if layer is None:
                _cannot(coder, node, written)
                return
            nodes[index] = replace(node, layer=layer)
            changed[node.id] = layer


def _anew(layer: Layer) -> Layer | None:
    """The layer with `remat`; None where its kind has none."""
    if isinstance(layer, Bidirectional):
        inner = _anew(layer.layer)
        return None if inner is None else layer.model_copy(update={"layer": inner})
    if "remat" not in type(layer).model_fields:
        return None
    return layer if "remat" in layer.model_fields_set else layer.model_copy(update={"remat": True})


def _cannot(coder: Coder, node: NodeSpec, written: Scalar) -> None:
    coder.walk.report.error(
        f"remat cannot compute {level_name(node)} anew",
        written.span,
        path=(*coder.path, "remat"),
        reason=f"{node.layer.label} keeps all its steps; recurrences over frames, such as ConvLSTM2D, need not",
        help="leave remat out, or write remat: true on the levels over frames alone",
        code="levels",
    )
