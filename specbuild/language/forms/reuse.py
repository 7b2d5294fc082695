"""`reuse`: the same layers, with the same weights, on another input."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.document import Mapping, Node, did_you_mean
from specbuild.language.forms.base import Expansion, Located, PlainForm
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.walk import Walk
from specbuild.language.references import Reference, References, reference
from specbuild.language.spec import NodeSpec, NodeSpecs


class ReuseForm(PlainForm):
    """An earlier node on another input, with the same weights: {reuse: encoder, from: other}.

    Of a composite node, everything inside.
    """

    KEY: ClassVar[str] = "reuse"

    reuse: Annotated[Node, Located({"type": "string"}, "an id")] = Field(description="Id of an earlier node.")

    def expand(self, walk: Walk, item: Mapping, scope: Scope) -> Expansion:
        named = reference(self.reuse, walk.report)
        if named is None:
            return walk.failed(item, scope)
        target = scope.names.get(named.id)
        if target is None or named.port is not None:
            help = did_you_mean(named.id, scope.names) or "a node must stand above its reuse, with an id"
            message = f"no node is called {named}"
            walk.report.error(message, named.span, help=help, code="unknown-id")
            return walk.failed(item, scope)
        ids = target.nodes if isinstance(target, Group) else (target,)
        originals = tuple(walk.nodes[identity] for identity in ids if identity in walk.nodes)
        sources = self.sources(walk, item, scope) if originals else None
        if sources is None:
            return walk.failed(item, scope)
        inputs = target.inputs if isinstance(target, Group) else originals[0].sources
        replaced = _replaced(walk, named.id, originals, inputs, sources, item)
        if replaced is None:
            return walk.failed(item, scope)
        name = walk.claim(self.id, scope)
        nodes = self._copies(walk, originals, inputs, sources, replaced, name, item, scope)
        port = target.output.port if isinstance(target, Group) and target.output is not None else None
        end = Reference(nodes[-1].id, port, item.span, implied=True)
        if name:
            scope.names[name] = Group(end, nodes=tuple(node.id for node in nodes), inputs=sources)
        return Expansion(tuple(nodes), end)

    def _copies(
        self,
        walk: Walk,
        originals: NodeSpecs,
        inputs: References,
        sources: References,
        replaced: dict[tuple[str, str | None], Reference],
        name: str | None,
        item: Mapping,
        scope: Scope,
    ) -> list[NodeSpec]:
        """The nodes once more; the last gets the name of the node."""
        copies: dict[str, str] = {}

        def moved(source: Reference) -> Reference:
            if source.id in copies:
                return replace(source, id=copies[source.id])
            return replaced.get((source.id, source.port), source)

        nodes = []
        for index, node in enumerate(originals):
            walk.spend(item.span)
            last = index == len(originals) - 1
            base = f"{scope.prefix}{name}" if name else f"{node.id}_again"
            full = base if name and last else walk.ids.make(f"{base}_{node.id}" if name else base, item.span.line)
            copies[node.id] = full
            state = node.initial_state
            if isinstance(state, Reference):
                state = moved(state)
            elif state is not None:
                state = {port: moved(source) for port, source in state.items()} or None
            nodes.append(
                replace(
                    node,
                    id=full,
                    named=bool(name) and last,
                    shares=node.shares or node.id,
                    sources=sources if inputs == node.sources else tuple(moved(source) for source in node.sources),
                    initial_state=(self.state(walk, scope) if last else None) or state,
                    expect=self.expect if last else None,
                    at=item,
                )
            )
        return nodes


def _replaced(
    walk: Walk, name: str, originals: NodeSpecs, inputs: References, sources: References, item: Mapping
) -> dict[tuple[str, str | None], Reference] | None:
    """What stands for each input of the original; None after reporting that there is no telling."""
    if len(sources) != len(inputs):
        message = f"{name} reads {len(inputs)} input{'s' if len(inputs) != 1 else ''}, got {len(sources)}"
        walk.report.error(message, (item.get("from") or item).span, code="arity")
        return None
    replaced: dict[tuple[str, str | None], Reference] = {}
    for old, new in zip(inputs, sources, strict=True):
        first = replaced.setdefault((old.id, old.port), new)
        if (first.id, first.port) != (new.id, new.port) and inputs != originals[0].sources:
            message, reason = f"{name} reads {old} twice, so here it must read one node twice", f"got {first} and {new}"
            walk.report.error(message, new.span, reason=reason, code="bad-reference")
            return None
    return replaced
