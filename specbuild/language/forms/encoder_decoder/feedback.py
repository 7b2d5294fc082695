"""`feed: feedback`: the decoder and the head as the body of an autoregressive node, which starts from the encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from specbuild.catalog.autoregressive import Autoregressive
from specbuild.document import Mapping
from specbuild.language.forms.base import Expansion
from specbuild.language.forms.encoder_decoder.coder import Coder
from specbuild.language.forms.encoder_decoder.feed import Feed, steps_of
from specbuild.language.forms.feedback import enter
from specbuild.language.references import Reference, References
from specbuild.language.spec import NodeSpec, NodeSpecs

SETTINGS = ("horizon", "sampling", "remat")
"""The keys that are arguments of the autoregressive node."""

Decode: TypeAlias = Callable[[Coder, Reference], tuple[Expansion, NodeSpecs] | None]
"""Reads the decoder and the head from their first frame on. Gives their nodes and those that join states for them."""


def fed_back(
    coder: Coder, feed: Feed, encoder: NodeSpecs, inputs: References, item: Mapping, decode: Decode
) -> Expansion:
    """Return the nodes between the encoder and the decoder, and the autoregressive node that decodes.

    That node has the id of the encoder_decoder. It reads the last frame that the encoder read, as a sequence of one.

    Args:
        coder: the encoder_decoder.
        feed: with the horizon.
        encoder: its nodes.
        inputs: what the encoder_decoder reads.
        item: the node as written.
        decode: reads the decoder in a scope of its own; every level has its state as `initial_state`.
    """
    walk, scope = coder.walk, coder.scope
    first = steps_of(coder, replace(feed, steps=1), Expansion(encoder, None), inputs)
    written = walk.claim(item.get("id"), scope)
    name = scope.prefix + written if written else walk.ids.make(coder.prefix, item.span)
    end = Reference(name, None, item.span, implied=True)
    at = coder.value("decoder")
    inside = enter(walk, name, scope, coder.body, at, "a feedback decoder")
    decoded = None
    if inside is not None:
        decoded = decode(replace(coder, scope=inside.scope, prefix=name, outer=scope), inside.start)
    if inside is None or decoded is None or first is None or not (inside.sound and decoded[0].complete):
        walk.broken.add(name)
        return Expansion((), end, complete=False, named=bool(written))
    whole, between = decoded
    states = {node.id: node.initial_state for node in whole.nodes}
    stateless = tuple(replace(node, initial_state=None) for node in whole.nodes)
    body = inside.body(walk, replace(whole, nodes=stateless), at, "head")
    given: dict[str, Any] = {"horizon": feed.steps}
    given |= {key: getattr(coder.keys, key) for key in SETTINGS[1:] if key in coder.keys.model_fields_set}
    settings = tuple(entry for entry in coder.body.entries if entry.name in SETTINGS)
    node = NodeSpec(
        id=name,
        named=bool(written),
        layer=Autoregressive.model_validate(given),
        sources=(first.end, *inside.sources),
        at=item,
        arguments=Mapping(settings, coder.at),
        inside=scope.closed,
        use=scope.use,
        body=body,
        inner_states=tuple(states[level.id] for level in body.recurrent),
    )
    return Expansion((*first.nodes, *between, node), end, named=bool(written))
