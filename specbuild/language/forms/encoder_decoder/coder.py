"""What the parts of an encoder_decoder share: its keys, its errors, and the nodes that it adds itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from specbuild.catalog import Bidirectional, Layer, Recurrent
from specbuild.document import Entry, Mapping, Node, Scalar, Span
from specbuild.language.forms.scope import Scope
from specbuild.language.forms.walk import Walk
from specbuild.language.references import Reference, References
from specbuild.language.spec import NodeSpec

if TYPE_CHECKING:
    from specbuild.language.forms.encoder_decoder.form import EncoderDecoder


@dataclass(frozen=True)
class Coder:
    """One encoder_decoder while it is expanded."""

    walk: Walk
    scope: Scope
    keys: EncoderDecoder
    body: Mapping
    """The keys as written."""
    name: str
    """How messages call it."""
    prefix: str
    """What the ids of the nodes that it adds begin with."""
    at: Span
    """The key of the form."""
    outer: Scope | None = None
    """The scope of the encoder, where the decoder has one of its own."""

    @property
    def encoder_scope(self) -> Scope:
        return self.outer or self.scope

    def error(self, message: str, span: Span, *, reason: str = "", help: str = "", code: str = "levels") -> None:
        """Report a fault."""
        self.walk.report.error(message, span, reason=reason, help=help, code=code)

    def key(self, name: str) -> Span:
        """Where a key stands; the form's own where it is left out."""
        entry = self.body.entry(name)
        return entry.key.span if entry is not None else self.at

    def value(self, name: str) -> Span:
        """Where the value of a key stands; the form's own key where it is left out."""
        entry = self.body.entry(name)
        return entry.value.span if entry is not None else self.at

    def added(self, name: str, layer: Layer, sources: References, at: Node, advice: str = "") -> NodeSpec:
        """Return a node that nobody wrote, and that stands at `at`."""
        self.walk.spend(at.span)
        kind = Scalar(layer.kind, at.span, layer.kind)
        arguments = Mapping((Entry(Scalar("layer", at.span, "layer"), kind),), at.span)
        return NodeSpec(
            id=self.walk.ids.make(f"{self.prefix}_{name}", at.span),
            layer=layer,
            sources=sources,
            at=arguments,
            arguments=arguments,
            inside=self.scope.closed or self.name,
            advice=advice,
        )


def output_of(node: NodeSpec, span: Span, port: str | None = None) -> Reference:
    """Return a reference to a node that nobody wrote."""
    return Reference(node.id, port, span, implied=True)


def levels_of(nodes: Iterable[NodeSpec]) -> list[NodeSpec]:
    """Return the recurrent nodes."""
    return [node for node in nodes if isinstance(node.layer, Recurrent)]


def level_name(node: NodeSpec) -> str:
    """Return what messages call a level: its id, or its layer where it has none."""
    return node.id if node.named else f"{node.layer.label} on line {node.span().line}"


def level_names(levels: Iterable[NodeSpec]) -> str:
    """Return levels in words: `enc1, enc2`."""
    return ", ".join(level_name(node) for node in levels) or "none"


def cell_of(layer: Layer) -> Layer:
    """Return the recurrent layer itself, out of a Bidirectional."""
    return layer.layer if isinstance(layer, Bidirectional) else layer


def with_cell(layer: Layer, cell: Layer) -> Layer:
    """Return the level's layer with another recurrent layer in it."""
    return layer.model_copy(update={"layer": cell}) if isinstance(layer, Bidirectional) else cell


def channel_axis(layer: Layer) -> int:
    """Return the position of the channels of a level's frames: the first axis of a frame, or the last."""
    return 1 if getattr(cell_of(layer), "data_format", None) == "channels_first" else -1
