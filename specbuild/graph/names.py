"""Resolve references to nodes, and check that they may be read there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from specbuild.catalog import Recurrent
from specbuild.document import Report, did_you_mean
from specbuild.language import NodeSpec, Reference, Spec
from specbuild.language.spec import Ahead, why_absent


class Names:
    """The ids of a spec. Nodes run in written order, so a node reads only what stands above it."""

    def __init__(self, spec: Spec, report: Report) -> None:
        self._report = report
        self._broken = set(spec.broken)
        self._order = {x.id: -1 for x in spec.inputs}
        for index, node in enumerate(spec.layers):
            self._order.setdefault(node.id, index)
        self._nodes = {node.id: node for node in spec.layers}
        self._lines = {node.id: node.at.span.line for node in spec.layers}
        self._composites = spec.composites
        self._left_out = spec.left_out
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

    def check_ahead(self, ahead: Iterable[Ahead]) -> None:
        """Report what composites read that is below them, or nowhere."""
        for each in ahead:
            source = each.source
            if source.id in self._broken:
                continue
            if source.id in self._order or source.id in self._composites:
                message, code = f"{source.id} is below {each.reader}, which reads it", "order"
                reason, help = self._why_not(source.id, frozenset(each.nodes)), ""
            else:
                message, code, reason, help = self._unknown(source.id)
                self._broken.add(source.id)
            self._report.error(message, source.span, reason=reason, help=help, code=code)

    def _why_not(self, source: str, readers: frozenset[str]) -> str:
        """Say why `readers` cannot read a node below them: a cycle, with its nodes, or the order."""
        before: dict[str, str] = {source: ""}
        for node in self._walk_back(source, before):
            if node in readers:
                circle = [node]
                while circle[-1] != source:
                    circle.append(before[circle[-1]])
                return f"they form a cycle: {' → '.join([*circle, node])}"
        line = f"; {source} is on line {self._lines[source]}" if source in self._lines else ""
        return f"nodes run in the order they are written{line}"

    def _walk_back(self, source: str, before: dict[str, str]) -> Iterator[str]:
        """Every node that `source` depends on, itself included; `before` gets the node that reads each."""
        waiting = [source]
        while waiting:
            name = waiting.pop(0)
            yield name
            node = self._nodes.get(name)
            for read in node.sources if node is not None else ():
                if read.id not in before:
                    before[read.id] = name
                    waiting.append(read.id)

    def _fault(self, source: Reference, reader: NodeSpec | None) -> tuple[str, str, str, str] | None:
        """What is wrong with a reference, its code, why, and what to write; no words for what is reported already."""
        if reader is not None and source.id in self._composites and not source.implied:
            reason = self._why_not(source.id, frozenset({reader.id}))
            return f"{source.id} is below {reader.id}, which reads it", "order", reason, ""
        if source.id not in self._order:
            if any(error.code == "duplicate-id" for error in self._report.errors):
                return "", "", "", ""  # a node that took another's id may be the one that is missing
            return self._unknown(source.id)
        node = self._nodes.get(source.id)
        if node is not None and not node.named and not source.implied:
            reason = "specbuild made that name up for a node without an id"
            return f"no node is called {source.id}", "unknown-id", reason, "give that node an id"
        if reader is not None and self._order[source.id] >= self._order[reader.id]:
            if source.implied:
                return "", "", "", ""  # two nodes of one id, or what a composite reads, which is reported
            if source.id == reader.id:
                return f"{reader.id} reads itself", "order", "nodes run in the order they are written", ""
            reason = self._why_not(source.id, frozenset({reader.id}))
            return f"{source.id} is below {reader.id}, which reads it", "order", reason, ""
        if source.port is not None and (node is None or not isinstance(node.layer, Recurrent)):
            what = f"{node.layer.label} has no state" if node else "it is an input"
            reason = f"{what}; only recurrent nodes have ports"
            return f"{source.id} has no port {source.port}", "unknown-port", reason, f"write {source.id}"
        return None

    def _unknown(self, name: str) -> tuple[str, str, str, str]:
        """What is wrong with a reference to a node that is not there, as `_fault` says it."""
        return f"no node is called {name}", "unknown-id", why_absent(name, self._left_out), self.known(name)

    def known(self, name: str) -> str:
        """Return help for a name that does not exist."""
        return did_you_mean(name, self._written) or (f"there are {', '.join(self._written)}" if self._written else "")
