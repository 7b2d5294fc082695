"""`branch` and `residual`: parallel paths and the layer that joins them."""

from dataclasses import replace
from typing import Annotated, ClassVar

from pydantic import Field

from specbuild.document import Entry, Mapping, Node, Scalar
from specbuild.language.forms.base import Composite, Expansion
from specbuild.language.forms.layers import LayerForm, refuse_keys
from specbuild.language.forms.scope import Group, Scope
from specbuild.language.forms.values import DEFINITION, Located, Nodes, OptionalNodes
from specbuild.language.forms.walk import Walk, where_shapes_differ
from specbuild.language.references import References
from specbuild.language.spec import is_written

MERGE = {"anyOf": [{"type": "string"}, {DEFINITION: "layer inside"}]}
_PATHS = {"type": "object", "minProperties": 1, "additionalProperties": {DEFINITION: "nodes"}}


_NOT_ON_A_MERGE = {
    "from": "a merge reads what it joins and takes no from",
    "initial_state": "a merge has no state and takes no initial_state",
}


class Paths(Composite):
    """Nodes on parallel paths, and the layer that joins them."""

    merge: Annotated[Node | None, Located(MERGE, "the name of a layer, or a layer")] = Field(
        None, description="The layer that joins the paths: its name, or {layer: Concatenate, …}."
    )

    def joined(self, walk: Walk, merge: Node, paths: list[Expansion], item: Mapping, scope: Scope) -> Expansion:
        """Return the nodes of all paths and the merging layer, which gets the composite's own id."""
        for each in paths if all(each.complete for each in paths) else ():
            if each.end is None and each.no_end:
                reason = each.no_end.partition(", so ")[0]
                message = f"{self.called(item)} cannot join what ends in several nodes"
                walk.report.error(message, merge.span, reason=reason, code="bad-node")
                return walk.nothing(item.span, scope)
        sources = tuple(each.end for each in paths if each.end is not None)
        join = self._join(walk, merge, sources, item, scope)
        nodes = tuple(node for each in (*paths, join) for node in each.nodes)
        return replace(join, nodes=nodes, complete=all(each.complete for each in (*paths, join)), named=True)

    def _join(self, walk: Walk, merge: Node, sources: References, item: Mapping, scope: Scope) -> Expansion:
        if isinstance(merge, Scalar):
            merge = Mapping((Entry(Scalar("layer", merge.span, "layer"), merge),), merge.span)
        if not isinstance(merge, Mapping) or merge.get("layer") is None:
            help = "write merge: {layer: Concatenate}"
            walk.report.error("merge: expected a layer", merge.span, help=help, code="wrong-type")
            return walk.nothing(merge.span, scope)
        for key, message in _NOT_ON_A_MERGE.items():
            if (entry := merge.entry(key)) is not None:
                walk.report.error(message, entry.key.span, code="misplaced-key")
        merge = merge.without(*_NOT_ON_A_MERGE)
        refuse_keys(walk, merge, self.KEY, ("when", "allow"))
        layer = LayerForm.read(merge, walk.report)
        assert layer is not None
        part = layer.part(walk, merge, scope)
        name = item.get("id") or merge.get("id")
        join = layer.chain(walk, [part], merge, scope, sources=sources, name=name)
        return replace(join, nodes=tuple(replace(node, collects=True) for node in join.nodes))


class BranchForm(Paths):
    """Parallel paths and the layer that joins them: {branch: {a: […], b: […]}, merge: Concatenate}.

    Every path reads what the node reads; an empty one passes it on. Without `merge` the ends are `id.a` and `id.b`.
    """

    KEY: ClassVar[str] = "branch"
    MAY_START = True

    branch: Annotated[Node, Located(_PATHS, "a mapping of names to lists of nodes", unbound=True)] = Field(
        description="Paths by name; an empty path passes its input on."
    )

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: object) -> Expansion:  # noqa: ARG002
        if not isinstance(self.branch, Mapping) or not self.branch.entries:
            help = "write branch: {a: [{layer: …}], b: []}"
            walk.report.error("branch: expected paths by name", self.branch.span, help=help, code="wrong-type")
            return walk.nothing(item.span, scope)
        paths = {entry.name: walk.items(entry.value, scope) for entry in self.branch.entries}
        members: dict[str, str | Group] = {
            name: Group(each.end) for name, each in paths.items() if each.end is not None
        }
        if self.merge is not None:
            return replace(self.joined(walk, self.merge, [*paths.values()], item, scope), members=members)
        nodes = tuple(node for each in paths.values() for node in each.nodes)
        no_end = "the branch before has no merge, so this node must say what it reads"
        return Expansion(nodes, None, no_end, all(each.complete for each in paths.values()), members)


class ResidualForm(Paths):
    """Nodes whose input is added to their output: {residual: […]}."""

    KEY: ClassVar[str] = "residual"

    residual: Nodes = Field(description="The nodes whose output is added to their input.")
    shortcut: OptionalNodes = Field(
        None, description="Nodes on the path around, such as a 1 × 1 convolution. Default: none."
    )
    projection: OptionalNodes = Field(
        None, description="The same, but only where the shape of the output differs from that of the input."
    )

    def inside(self, walk: Walk, item: Mapping, scope: Scope, inputs: object) -> Expansion:  # noqa: ARG002
        paths = [walk.items(self.residual, scope)]
        if paths[0].complete and not paths[0].nodes:
            message = f"{self.called(item)} holds no nodes, so it would add its input to itself"
            help = "put when on the residual itself"
            walk.report.error(message, item["residual"].key.span, help=help, code="bad-node")
            return walk.nothing(item.span, scope)
        if is_written(self.shortcut) and is_written(self.projection):
            message, reason = "a residual has a shortcut or a projection, not both", "each is the path around the nodes"
            walk.report.error(message, item["projection"].key.span, reason=reason, code="bad-node")
            return walk.nothing(item.span, scope)
        around = walk.items(self.shortcut if is_written(self.shortcut) else self.projection, scope)
        if is_written(self.projection) and scope.previous is not None and paths[0].end is not None:
            around = where_shapes_differ(walk, around, (scope.previous, paths[0].end), item["projection"].key.span)
        paths.append(around)
        merge = self.merge or Scalar("Add", item.span, "Add")
        return self.joined(walk, merge, paths, item, scope)
