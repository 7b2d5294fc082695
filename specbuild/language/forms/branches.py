"""`branch` and `residual`: parallel paths and the layer that joins them."""

from __future__ import annotations

from dataclasses import replace

from specbuild.document import Entry, Mapping, Node, Scalar
from specbuild.language.forms.expansion import Expansion, Path_
from specbuild.language.forms.layers import layer_part
from specbuild.language.forms.scope import Scope
from specbuild.language.references import Reference


def branch_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{branch: {a: […], b: […]}, merge: {layer: Concatenate}}`.

    Every branch reads what the node reads; an empty one passes it on. Without `merge` the ends are `id.a` and `id.b`.
    """
    walk.only(item, ("branch", "merge", "trainable"), path)
    branches = item.get("branch")
    if not isinstance(branches, Mapping) or not branches.entries:
        assert branches is not None
        walk.report.error(
            "branch: expected paths by name",
            branches.span,
            path=(*path, "branch"),
            help="write branch: {a: [{layer: …}], b: []}",
            code="wrong-type",
        )
        walk.fail(item, scope, path)
        return
    merge = item.get("merge")
    outer = walk.resolve(item, scope, path, leave=("branch", "merge"))
    with walk.composite(outer, scope, path, open_start=True) as group:
        start = walk.previous
        ends: dict[str, Reference] = {}
        for entry in branches.entries:
            walk.previous = start
            walk.items(entry.value, scope, (*path, entry.name))
            if walk.previous is not None:
                ends[entry.name] = walk.previous
        group.members.update({name: end.id for name, end in ends.items()})
        if merge is not None:
            _join(walk, merge, tuple(ends.values()), outer, scope, path)
            group.named = True
        else:
            walk.previous = None
            walk.no_previous = "the branch before has no merge, so this node must say what it reads"


def residual_form(walk: Expansion, item: Mapping, scope: Scope, path: Path_) -> None:
    """`{residual: […], shortcut: […], merge: {layer: Add}}`: a path around nodes, added to what they give.

    `shortcut` is what the path around goes through, such as a 1 × 1 convolution; nothing if it is left out.
    """
    walk.only(item, ("residual", "shortcut", "merge", "trainable"), path)
    outer = walk.resolve(item, scope, path, leave=("residual", "shortcut", "merge"))
    body, shortcut = item.get("residual"), item.get("shortcut")
    merge = item.get("merge") or Scalar("Add", item.span, "Add")
    with walk.composite(outer, scope, path) as group:
        start = walk.previous
        walk.items(body, scope, (*path, "residual"))
        end = walk.previous
        walk.previous = start
        if shortcut is not None:
            walk.items(shortcut, scope, (*path, "shortcut"))
        ends = tuple(one for one in (end, walk.previous) if one is not None)
        _join(walk, merge, ends, outer, scope, path)
        group.named = True


def _join(walk: Expansion, merge: Node, ends: tuple[Reference, ...], item: Mapping, scope: Scope, path: Path_) -> None:
    """Adds the merging layer, under the composite's own id."""
    where = (*path, "merge")
    if isinstance(merge, Scalar):
        merge = Mapping((Entry(Scalar("layer", merge.span, "layer"), merge),), merge.span)
    if not isinstance(merge, Mapping):
        walk.report.error(
            "merge: expected a layer",
            merge.span,
            path=where,
            help="write merge: {layer: Concatenate}",
            code="wrong-type",
        )
        walk.previous = walk.lost(merge.span, scope)
        return
    if (entry := merge.entry("from")) is not None:
        message = "a merge reads its branches; from has no place in it"
        walk.report.error(message, entry.key.span, path=(*where, "from"), code="misplaced-key")
        merge = replace(merge, entries=tuple(e for e in merge.entries if e.name != "from"))
    merge = walk.resolve(merge, scope, where)
    part = layer_part(walk, merge, merge, where)
    walk.add([part], merge, scope, path, sources=ends, named=item.get("id") or merge.get("id"))
