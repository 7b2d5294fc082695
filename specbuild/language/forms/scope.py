"""What is known at a place of `layers:`: its variables, the names it may read, and the node before it."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from specbuild.document import Mapping, Node, Report, did_you_mean, plain
from specbuild.language.files import Home
from specbuild.language.references import Reference, References, reference

if TYPE_CHECKING:
    from specbuild.language.forms.base import Expansion
    from specbuild.language.forms.blocks import Block


PORTS = ("sequence", "last", "state")
"""What the ports of a recurrent node begin with."""


@dataclass(frozen=True)
class Group:
    """What the id of a composite node stands for."""

    output: Reference | None
    """Where it ends; None where only its members can be read."""
    members: dict[str, str | Group] = field(default_factory=dict)
    """What `id.name` stands for."""
    nodes: tuple[str, ...] = ()
    """The ids of its nodes, in the order they run."""
    again: Callable[[str, dict[str, str | Group], References], Expansion] | None = None
    """Expands it once more, given the prefix of the ids, the names that may be read, and the inputs.

    None for what could not be read.
    """
    inputs: References = ()
    named: bool = False
    """Whether its id went to the node it ends in."""
    stands_for_all: bool = False
    """Whether its name stands for all of `inputs` at once, as `input` does inside a block, and `id.rounds`."""
    is_input: bool = False
    """Whether it is an input of a block, a file or an autoregressive node, not a node."""


@dataclass(frozen=True)
class Definitions:
    """What a document declares beside its layers."""

    defaults: dict[str, Mapping]
    blocks: dict[str, Block | None]
    """The blocks by name; None for one that could not be read."""
    home: Home
    files: tuple[Path, ...] = ()
    """The files being read, outermost first, so that none can contain itself."""


@dataclass(frozen=True)
class Scope:
    """Where a node stands. `names` fills up as nodes are read; all else never changes."""

    values: MutableMapping[str, Any]
    definitions: Definitions
    names: dict[str, str | Group] = field(default_factory=dict)
    """What may be read here: a node's full id, or the group of a composite."""
    prefix: str = ""
    """What the full id of a node begins with."""
    closed: str = ""
    """The block, file or node whose inside this is: it reads nothing from outside. Empty at the top level."""
    kind: str = "a block"
    """What `closed` is."""
    opening: str = ""
    """How the inside of `closed` comes to read what is outside, for help."""
    use: str = ""
    """Where the block or file is used that is being expanded, in words."""
    calls: tuple[str, ...] = ()
    """The blocks being expanded, outermost first."""
    previous: Reference | None = None
    """What a node reads that leaves out `from`."""
    no_previous: str = ""
    """Why it cannot leave `from` out; empty: that was reported already."""

    def reference(self, node: Node, report: Report) -> Reference | None:
        """Return a written reference that stands for one tensor, or one state; None where it is faulty."""
        sources = self.references(node, report)
        if len(sources) > 1:
            message = f"{plain(node)} stands for {len(sources)} tensors, but one is needed here"
            report.error(message, node.span, code="bad-reference")
            return None
        return sources[0] if sources else None

    def is_list(self, node: Node) -> bool:
        """Return whether a written reference stands for a list, however many there are in it."""
        target = self._target(written)[0] if (written := reference(node, Report())) is not None else None
        return isinstance(target, Group) and target.stands_for_all

    def _target(self, written: Reference) -> tuple[str | Group | None, str | None]:
        """What a reference stands for, following the members of composites, and the port of that."""
        target, port = self.names.get(written.id), written.port
        while isinstance(target, Group) and port is not None and port.partition(".")[0] in target.members:
            member, _, rest = port.partition(".")
            target, port = target.members[member], rest or None
        return target, port

    def references(self, node: Node, report: Report) -> References:
        """Return a written reference as full ids; none where it is faulty.

        Several are all inputs of a block, or all rounds of a loop.
        """
        written = reference(node, report)
        if written is None:
            return ()
        target, port = self._target(written)
        if isinstance(target, Group) and target.members and port and port.partition(".")[0] not in PORTS:
            name = str(written).removesuffix(f".{port}")
            members = ", ".join(f"{name}.{member}" for member in target.members)
            help = did_you_mean(port, target.members) or f"write one of {members}"
            report.error(f"{name} has no output {port}", written.span, help=help, code="unknown-port")
            return ()
        if isinstance(target, Group):
            ends = target.inputs if target.stands_for_all else (target.output,)
            if not ends or None in ends:
                members = ", ".join(f"{written}.{member}" for member in target.members)
                message, help = f"{written} has no output of its own", f"write one of {members}" if members else ""
                report.error(message, written.span, help=help, code="bad-reference")
                return ()
            if fixed := next((end for end in ends if end and not _has_port(end, port)), None):
                name, kind = str(written).removesuffix(f".{port}"), "state" if fixed.port == "state" else "tensor"
                message, reason = f"{name} is one {kind} and has no {port}", f"it stands for {fixed}"
                report.error(message, written.span, reason=reason, help=f"write {name}", code="unknown-port")
                return ()
            return tuple(
                replace(end, port=port or end.port, span=written.span, implied=end.implied) for end in ends if end
            )
        if target is not None:
            return (replace(written, id=target, port=port, implied=True),)
        if not self.closed:
            return (written,)
        noun = self.kind.partition(" ")[2]
        message = f"the {noun} {self.closed} has no node {written.id}"
        reason = f"{self.kind} reads its inputs and its own nodes, nothing from outside"
        known = f"it knows {', '.join(self.names)}{f'; {self.opening}' if self.opening else ''}"
        help = did_you_mean(written.id, self.names) or known
        report.error(message, written.span, reason=reason, help=help, code="unknown-id")
        return ()


def _has_port(end: Reference, port: str | None) -> bool:
    """Whether a name that stands for `end` may be read by a port; where that is a port itself, only by its parts."""
    return None in (port, end.port) or end.by_default or f"{port}.".startswith(f"{end.port}.")
