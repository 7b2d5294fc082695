"""`reuse`: the same layers, with the same weights, on another input.

A single layer is copied. A composite is expanded once more, as if it were written again, and each of its nodes takes
the weights of the one that stands at its place in the original; so it has the same ports, outputs and members.
"""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.document import Mapping, Node, did_you_mean
from specbuild.language.forms.base import Expansion, PlainForm, expecting, refuse_state
from specbuild.language.forms.inner_states import read_inner_states
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import Located
from specbuild.language.forms.walk import Walk
from specbuild.language.references import Reference, References, Rename, reference
from specbuild.language.spec import InnerStates, NodeSpec, is_written, why_absent


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
            help = did_you_mean(named.id, scope.names) or "a node must come before its reuse and have an id"
            reason = why_absent(scope.prefix + named.id, walk.left_out)
            walk.report.error(f"no node is called {named}", named.span, reason=reason, help=help, code="unknown-id")
            return walk.failed(item, scope)
        if isinstance(target, Group) and target.is_input:
            message, reason = f"{named} is an input, which cannot be reused", "an input has no layers"
            walk.report.error(message, named.span, reason=reason, code="bad-reference")
            return walk.failed(item, scope)
        ids = target.nodes if isinstance(target, Group) else (target,)
        originals = tuple(walk.nodes[identity] for identity in ids if identity in walk.nodes)
        sound = len(originals) == len(ids) and (not isinstance(target, Group) or target.again is not None)
        sources = self.sources(walk, item, scope) if sound else None
        if sources is None:
            return walk.failed(item, scope)
        inputs = target.inputs if isinstance(target, Group) else _own_sources(originals[0])
        if len(sources) != len(inputs):
            message = f"{named} reads {len(inputs)} input{'s' if len(inputs) != 1 else ''}, got {len(sources)}"
            walk.report.error(message, (item.get("from") or item).span, code="arity")
            return walk.failed(item, scope)
        if isinstance(target, Group):
            return self._group(walk, named.id, target, originals, sources, item, scope)
        return self._single(walk, originals[0], sources, item, scope)

    def _single(self, walk: Walk, original: NodeSpec, sources: References, item: Mapping, scope: Scope) -> Expansion:
        """Return a layer once more."""
        walk.spend(item.span)
        name = walk.claim(self.id, scope)
        identity = scope.prefix + name if name else walk.ids.make(f"{original.id}_again", item.span)
        node = replace(
            original,
            id=identity,
            named=bool(name),
            shares=original.shares or original.id,
            sources=(*sources, *original.sources[len(sources) :]),
            initial_state=(self.state(walk, scope) if not _runs_others(original) else None) or original.initial_state,
            inner_states=self._inner_states(walk, original, name or identity, scope),
            expect=self.expect,
            differ=None,
            at=item,
        )
        if name:
            scope.names[name] = identity
        return Expansion((node,), Reference(identity, None, item.span, implied=True))

    def _inner_states(self, walk: Walk, original: NodeSpec, name: str, scope: Scope) -> InnerStates:
        """Return the states inside an autoregressive node: as written, or else those of the original."""
        if original.body is None or not _runs_others(original) or not is_written(self.initial_state):
            return original.inner_states
        return read_inner_states(walk, scope, self.initial_state, original.body, name)

    def _group(
        self,
        walk: Walk,
        target: str,
        group: Group,
        originals: tuple[NodeSpec, ...],
        sources: References,
        item: Mapping,
        scope: Scope,
    ) -> Expansion:
        """Return the nodes of a composite once more, under ids that begin with that of the node."""
        refuse_state(walk, item)
        name = walk.claim(self.id, scope)
        own = {*group.nodes}
        names = {known: each for known, each in scope.names.items() if not _within(each, own)}
        assert group.again is not None
        copy = group.again(walk.ids.make(f"{scope.prefix}{name or target}#", item.span), names, sources)
        if not copy.complete or len(copy.nodes) != len(originals):
            return walk.nothing(item.span, scope)
        if not scope.closed:
            walk.reads(name or f"the reuse of {target}", sources, copy.nodes)
        ids: dict[str, str] = {}
        for node, original in zip(copy.nodes, originals, strict=True):
            rest = original.id.removeprefix(scope.prefix + target)
            if name and not rest:
                ids[node.id] = scope.prefix + name
            else:
                base = f"{scope.prefix}{name}_{rest.removeprefix('_')}" if name else f"{original.id}_again"
                ids[node.id] = walk.ids.make(base, item.span)

        def rename(identity: str) -> str:
            return ids.get(identity, identity)

        nodes = []
        for node, original in zip(copy.nodes, originals, strict=True):
            shared = replace(
                node.renamed(rename),
                named=ids[node.id] == scope.prefix + (name or ""),
                layer=original.layer,
                body=original.body,
                shares=original.shares or original.id,
                at=item,
            )
            nodes.append(shared)
        end = copy.end.renamed(rename) if copy.end is not None else None
        members = {member: _member(each, rename) for member, each in copy.members.items()}
        expansion = Expansion(tuple(nodes), end, copy.no_end, members=members)
        ids_inside = tuple(node.id for node in nodes)
        free = name if name and scope.prefix + name not in ids.values() else None
        anonymous = self.model_copy(update={"id": None})
        expansion = expecting(walk, expansion, anonymous, item, scope, claimed=free)
        if name:
            scope.names[name] = replace(group, output=expansion.end, members=members, nodes=ids_inside, inputs=sources)
        return expansion


def _runs_others(node: NodeSpec) -> bool:
    """Whether a node has no state itself, but nodes inside that may have one."""
    return node.body is not None and not node.body.is_step


def _own_sources(node: NodeSpec) -> References:
    """Return what a node reads by its `from`; the nodes of a recurrence read others by name, which stay."""
    return node.sources[:1] if node.body is not None and node.body.is_step else node.sources


def _within(target: str | Group, ids: set[str]) -> bool:
    """Return whether all nodes that a name stands for are among `ids`."""
    if isinstance(target, Group):
        return bool(target.nodes) and ids.issuperset(target.nodes)
    return target in ids


def _member(target: str | Group, rename: Rename) -> str | Group:
    """Return a member under other ids."""
    if not isinstance(target, Group):
        return rename(target)
    return replace(
        target,
        output=target.output.renamed(rename) if target.output is not None else None,
        members={name: _member(each, rename) for name, each in target.members.items()},
        nodes=tuple(map(rename, target.nodes)),
        inputs=tuple(source.renamed(rename) for source in target.inputs),
    )
