"""What a node reads: `from`, `initial_state` and `expect`, with the names of its scope as full ids."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Any, TypeAlias

from specbuild.document import Mapping, Node, PathPart, Report, Scalar, Sequence, did_you_mean, plain
from specbuild.language.forms.scope import ALL, Group, Scope
from specbuild.language.references import Reference, reference
from specbuild.language.spec import is_written

Path_: TypeAlias = tuple[PathPart, ...]


class Reading:
    """The part of a walk over `layers:` that knows what each node reads."""

    report: Report
    forms: AnyMapping[str, Any]
    previous: Reference | None
    no_previous: str

    def sources(self, item: Mapping, scope: Scope, path: Path_) -> tuple[Reference, ...] | None:
        """What `from:` names; the node before where it is left out. None after a fault."""
        written = item.get("from")
        if not is_written(written) or written is None:
            if self.previous is not None:
                return (replace(self.previous, span=head(item, self.forms).span, implied=True),)
            if self.no_previous:
                self.report.error(
                    self.no_previous,
                    head(item, self.forms).span,
                    path=path,
                    help="write from: and the id of what it reads",
                    code="missing-key",
                )
            return None
        parts = written.items if isinstance(written, Sequence) else (written,)
        if not parts:
            self.report.error("from: names no node", written.span, path=(*path, "from"), code="bad-reference")
        found = [self.reference(part, scope, (*path, "from")) for part in parts]
        return tuple(one for many in found for one in many) if found and all(found) else None

    def reference(self, node: Node, scope: Scope, path: Path_) -> tuple[Reference, ...]:
        """One written reference as full ids: several where it is all inputs of a block, none where it is faulty."""
        written = reference(node, self.report, path)
        return self.named(written, scope, path) if written is not None else ()

    def named(self, written: Reference, scope: Scope, path: Path_) -> tuple[Reference, ...]:
        """A reference with the names of its scope replaced by full ids."""
        target = scope.names.get(written.id)
        port = written.port
        while isinstance(target, Group) and port is not None and port.partition(".")[0] in target.members:
            member, _, rest = port.partition(".")
            target, port = target.members[member], rest or None
        if isinstance(target, Group):
            if target.output is None:
                self.report.error(
                    f"{written} has no output of its own",
                    written.span,
                    path=path,
                    help=f"write one of {', '.join(f'{written.id}.{name}' for name in target.members)}",
                    code="bad-reference",
                )
                return ()
            ends = target.inputs if target.members is ALL else (target.output,)
            return tuple(replace(end, port=port or end.port, span=written.span, implied=end.implied) for end in ends)
        if target is None:
            if not scope.closed:
                return (written,)
            self.report.error(
                f"the {scope.kind} {scope.closed} has no node {written.id}",
                written.span,
                path=path,
                reason=f"{scope.article} {scope.kind} reads its inputs and its own nodes, nothing from outside",
                help=did_you_mean(written.id, scope.names) or f"it knows {', '.join(scope.names)}",
                code="unknown-id",
            )
            return ()
        return (replace(written, id=target, port=port, implied=True),)

    def initial_state(self, item: Mapping, scope: Scope, path: Path_) -> Reference | dict[str, Reference] | None:
        written = item.get("initial_state")
        where = (*path, "initial_state")
        if not is_written(written) or written is None:
            return None
        if isinstance(written, Mapping):
            named = {e.name: self.reference(e.value, scope, (*where, e.name)) for e in written.entries}
            return {name: many[0] for name, many in named.items() if many}
        if isinstance(written, Sequence):
            self.report.error(
                "initial_state: expected a node or named tensors, got a list",
                written.span,
                path=where,
                reason="the order of a list would decide which tensor is h and which is c",
                help="write initial_state: enc1, or initial_state: {h: a, c: b}",
                code="wrong-type",
            )
            return None
        found = self.reference(written, scope, where)
        return found[0] if found else None

    def expect(self, item: Mapping, path: Path_) -> tuple[int | None, ...] | None:
        written = item.get("expect")
        if not is_written(written) or written is None:
            return None
        value = plain(written)
        if isinstance(value, list) and all(_is_length(one) for one in value):
            return tuple(value)
        if not self.report.is_known(written.span):
            self.report.error(
                "expect: expected the lengths of the output's axes",
                written.span,
                path=(*path, "expect"),
                help="write the shape without the batch axis, such as [10, 64, 64, 32]; null fits any length",
                code="wrong-type",
            )
        return None


def head(item: Mapping, forms: AnyMapping[str, Any]) -> Scalar | Mapping:
    """What to point at for a fault of the whole node: the name of its layer, or the key of its form."""
    kind = item.get("layer")
    if isinstance(kind, Scalar):
        return kind
    return next((e.key for e in item.entries if e.name in forms), item)


def _is_length(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)
