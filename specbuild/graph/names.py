"""Resolve references to nodes, and check that they may be read there."""

from __future__ import annotations

from specbuild.catalog import Recurrent
from specbuild.document import Report, did_you_mean
from specbuild.language import NodeSpec, Reference, Spec


class Names:
    """The ids of a spec. Nodes run in written order, so a node reads only what stands above it."""

    def __init__(self, spec: Spec, report: Report) -> None:
        self._report = report
        self._broken = spec.broken
        self._order = {x.id: -1 for x in spec.inputs}
        for index, node in enumerate(spec.layers):
            self._order.setdefault(node.id, index)
        self._nodes = {node.id: node for node in spec.layers}
        self._lines = {node.id: node.at.span.line for node in spec.layers}
        self._composites = spec.composites
        named = [node.id for node in spec.layers if node.named and node.id not in spec.composites]
        self._written = [*(x.id for x in spec.inputs), *named, *spec.composites]

    def producer(self, source: Reference, reader: NodeSpec | None = None) -> str | None:
        """Return the id that `source` names, after checking that it exists, stands earlier and has the port.

        Reports what is wrong and gives None; gives None in silence for a node that was reported already.
        """
        if source.id in self._broken:
            return None
        fault = self._fault(source, reader)
        if fault is None:
            return source.id
        message, code, reason, help = fault
        if message:
            self._report.error(message, source.span, reason=reason, help=help, code=code)
        return None

    def _fault(self, source: Reference, reader: NodeSpec | None) -> tuple[str, str, str, str] | None:
        """What is wrong with a reference, its code, why, and what to write; no words for what is reported already."""
        written_order = "nodes run in the order they are written"
        if reader is not None and source.id in self._composites and not source.implied:
            return f"{source.id} stands below {reader.id}, which reads it", "order", written_order, ""
        if source.id not in self._order:
            if any(error.code == "duplicate-id" for error in self._report.errors):
                return "", "", "", ""  # a node that took another's id may be the one that is missing
            return f"no node is called {source.id}", "unknown-id", "", self.known(source.id)
        node = self._nodes.get(source.id)
        if node is not None and not node.named and not source.implied:
            reason = "specbuild made that name up for a node without an id"
            return f"no node is called {source.id}", "unknown-id", reason, "give that node an id"
        if reader is not None and self._order[source.id] >= self._order[reader.id]:
            if source.implied:
                return "", "", "", ""  # two nodes of one id, which is reported
            if source.id == reader.id:
                return f"{reader.id} reads itself", "order", written_order, ""
            reason = f"{written_order}; {source.id} stands in line {self._lines[source.id]}"
            return f"{source.id} stands below {reader.id}, which reads it", "order", reason, ""
        if source.port is not None and (node is None or not isinstance(node.layer, Recurrent)):
            what = f"{node.layer.label} has no state" if node else "it is an input"
            reason = f"{what}; only recurrent nodes have ports"
            return f"{source.id} has no port {source.port}", "unknown-port", reason, f"write {source.id}"
        return None

    def known(self, name: str) -> str:
        """Return help for a name that does not exist."""
        return did_you_mean(name, self._written) or (f"there are {', '.join(self._written)}" if self._written else "")
