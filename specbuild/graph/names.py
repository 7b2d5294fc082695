"""Which node a reference means, and whether it may be read there."""

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

    def producer(self, source: Reference, reader: NodeSpec | None = None, key: str = "from") -> str | None:
        """The id that `source` names, after checking that it exists, stands earlier and has the port.

        Reports what is wrong and gives None; gives None in silence for a node that was reported already.
        """
        path = (*reader.path, key) if reader else ("outputs",)
        if source.id in self._broken:
            return None
        if reader is not None and source.id in self._composites and not source.implied:
            self._report.error(
                f"{source.id} stands below {reader.id}, which reads it",
                source.span,
                path=path,
                reason="nodes run in the order they are written",
                code="order",
            )
            return None
        if source.id not in self._order or self._made_up(source):
            made_up = source.id in self._order
            if not made_up and any(error.code == "duplicate-id" for error in self._report.errors):
                return None  # a node that took another's id may be the one that is missing
            self._report.error(
                f"no node is called {source.id}",
                source.span,
                path=path,
                reason="specbuild made that name up for a node without an id" if made_up else "",
                help="give that node an id" if made_up else self.known(source.id),
                code="unknown-id",
            )
            return None
        if reader is not None and self._order[source.id] >= self._order[reader.id]:
            itself = source.id == reader.id
            if source.implied:  # two nodes of one id, which is reported
                return None
            self._report.error(
                f"{reader.id} reads itself" if itself else f"{source.id} stands below {reader.id}, which reads it",
                source.span,
                path=path,
                reason="nodes run in the order they are written"
                + ("" if itself else f"; {source.id} stands in line {self._lines[source.id]}"),
                code="order",
            )
            return None
        return source.id if self._port_exists(source, path) else None

    def known(self, name: str) -> str:
        """Help for a name that does not exist."""
        return did_you_mean(name, self._written) or (f"there are {', '.join(self._written)}" if self._written else "")

    def _made_up(self, source: Reference) -> bool:
        """Whether the user wrote a name that only specbuild knows."""
        node = self._nodes.get(source.id)
        return node is not None and not node.named and not source.implied

    def _port_exists(self, source: Reference, path: tuple[str | int, ...]) -> bool:
        if source.port is None:
            return True
        node = self._nodes.get(source.id)
        if node is None or not isinstance(node.layer, Recurrent):
            what = f"{node.layer.label} has no state" if node else "it is an input"
            self._report.error(
                f"{source.id} has no port {source.port}",
                source.span,
                path=path,
                reason=f"{what}; only recurrent nodes have ports",
                help=f"write {source.id}",
                code="unknown-port",
            )
            return False
        return True
