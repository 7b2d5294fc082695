"""`reuse`: the same layers, with the same weights, on another input."""

from __future__ import annotations

from dataclasses import replace

from specbuild.document import Mapping, did_you_mean
from specbuild.language.forms.expansion import Expansion, Path_
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.references import Reference, reference
from specbuild.language.spec import NodeSpec


def reuse_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{reuse: id, from: other}`: a node, or everything inside a composite one, once more."""
    item = walk.resolve(item, scope, path)
    walk.only(item, ("reuse",), path)
    written = item.get("reuse")
    assert written is not None
    named = reference(written, walk.report, (*path, "reuse"))
    if named is None:
        walk.fail(item, scope, path)
        return
    target = scope.names.get(named.id)
    if target is None or named.port is not None:
        walk.report.error(
            f"no node is called {named}",
            named.span,
            path=(*path, "reuse"),
            help=did_you_mean(named.id, scope.names) or "a node must stand above its reuse, with an id",
            code="unknown-id",
        )
        walk.fail(item, scope, path)
        return
    originals, inputs = _nodes(walk, target)
    if not originals:
        walk.fail(item, scope, path)
        return
    _again(walk, named.id, originals, inputs, _end_port(target), item, scope, path)


def _end_port(target: str | Group) -> str | None:
    """The port that a composite ends in, where it says so."""
    return target.output.port if isinstance(target, Group) and target.output is not None else None


def _nodes(walk: Expansion, target: str | Group) -> tuple[list[NodeSpec], tuple[Reference, ...]]:
    if isinstance(target, Group):
        return walk.nodes[target.start : target.stop], target.inputs
    found = walk.node(target)
    return ([found], found.sources) if found is not None else ([], ())


def _again(
    walk: Expansion,
    called: str,
    originals: list[NodeSpec],
    inputs: tuple[Reference, ...],
    end_port: str | None,
    item: Mapping,
    scope: Scope,
    path: Path_,
) -> None:
    sources = walk.sources(item, scope, path)
    if sources is None:
        walk.fail(item, scope, path)
        return
    if len(sources) != len(inputs):
        walk.report.error(
            f"{called} reads {len(inputs)} input{'s' if len(inputs) != 1 else ''}, got {len(sources)}",
            (item.get("from") or item).span,
            path=(*path, "from"),
            code="arity",
        )
        walk.fail(item, scope, path)
        return
    replaced: dict[tuple[str, str | None], Reference] = {}
    for old, new in zip(inputs, sources, strict=True):
        first = replaced.setdefault((old.id, old.port), new)
        if (first.id, first.port) != (new.id, new.port) and inputs != originals[0].sources:
            walk.report.error(
                f"{called} reads {old} twice, so here it must read one node twice",
                new.span,
                path=(*path, "from"),
                reason=f"got {first} and {new}",
                code="bad-reference",
            )
            walk.fail(item, scope, path)
            return
    copies: dict[str, str] = {}
    name = walk.written_id(item.get("id"), scope, path)

    def moved(source: Reference) -> Reference:
        if source.id in copies:
            return replace(source, id=copies[source.id])
        return replaced.get((source.id, source.port), source)

    start = len(walk.nodes)
    for index, node in enumerate(originals):
        walk.spend(item.span, path)
        last = index == len(originals) - 1
        base = scope.prefix + name if name else f"{node.id}_again"
        full = base if name and last else walk.ids.make(f"{base}_{node.id}" if name else base, item.span.line)
        copies[node.id] = full
        state = node.initial_state
        own_state = walk.initial_state(item, scope, path) if last else None
        walk.put(
            replace(
                node,
                id=full,
                named=bool(name) and last,
                shares=node.shares or node.id,
                sources=sources if inputs == node.sources else tuple(moved(one) for one in node.sources),
                initial_state=own_state
                or (
                    moved(state)
                    if isinstance(state, Reference)
                    else {k: moved(v) for k, v in (state or {}).items()} or None
                ),
                expect=walk.expect(item, path) if last else None,
                path=path,
                at=item,
            )
        )
        walk.previous = Reference(full, None, item.span, implied=True)
    if walk.previous is not None:
        walk.previous = replace(walk.previous, port=end_port)
    if name:
        scope.names[name] = Group(walk.previous, {}, start, len(walk.nodes), sources)
