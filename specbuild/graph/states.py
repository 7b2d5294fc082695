"""Passed states: the tensors of an initial state, and checks that they fit.

Keras builds a model whose states do not fit, and fails inside the first batch, or never; so this is where they are
checked: the number of tensors, their names, and every axis of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from specbuild.catalog import Bidirectional, Layer, Recurrent, Shape, show
from specbuild.catalog.shapes import fits
from specbuild.catalog.wrappers import innermost
from specbuild.document import Mapping as MappingNode
from specbuild.document import did_you_mean
from specbuild.graph.model import Port
from specbuild.graph.names import Names
from specbuild.graph.ports import PortChoice
from specbuild.language import NodeSpec, Reference


def wire_state(node: NodeSpec, names: Names, choice: PortChoice) -> tuple[Port, ...] | None:
    """Return the ports that start a node's recurrence, in the order of its state; None for none, or after a fault."""
    if node.initial_state is None:
        return None
    return _Wiring(node, names, choice, node).run()


def wire_inner_states(
    node: NodeSpec, levels: Iterable[NodeSpec], names: Names, choice: PortChoice
) -> tuple[Port, ...] | None:
    """Return the ports that start the recurrences inside an autoregressive node, one level's after the other's.

    Args:
        node: the node around, which reads the states.
        levels: the recurrent nodes inside that start from one, with that as their `initial_state`.
        names: the ids of the spec.
        choice: knows the shapes of all nodes, those of the levels included.
    """
    ports = [_Wiring(level, names, choice, node).run() for level in levels]
    return tuple(port for each in ports for port in each or ()) if None not in ports else None


class _Wiring:
    """What starts the recurrence of `node`; `reader` is that node, or the autoregressive one that it is inside of."""

    def __init__(self, node: NodeSpec, names: Names, choice: PortChoice, reader: NodeSpec) -> None:
        self.node, self.names, self.choice, self.reader = node, names, choice, reader
        self.shapes, self.report = choice.shapes, choice.report
        self.own = self.state(node.id)

    def run(self) -> tuple[Port, ...] | None:
        given = self.node.initial_state
        if not isinstance(self.node.layer, Recurrent):
            self.error(f"{self.node.layer.label} has no state to start from", help="leave initial_state out")
            return None
        return self.named(given) if isinstance(given, dict) else self.whole(given) if given is not None else None

    def whole(self, source: Reference) -> tuple[Port, ...] | None:
        """`initial_state: enc1`: every tensor of another node's state, by name."""
        if self.names.producer(source, self.reader) is None or source.id not in self.shapes:
            return None
        theirs = self.states_of(source)
        if theirs is None:
            return self.single(source)
        if list(theirs) != list(self.own):
            message = f"the state of {source.id} does not fit {self.node.id}"
            needed = f"{self.described(self.node.id)} has {_words(self.own)}"
            reason = f"{self.described(source.id)} carries {_words(theirs)}; {needed}"
            help = self.other_order() or self.one_kind(source) or self.pairing(source, theirs)
            self.error(message, source, reason=reason, help=help)
            return None
        for name, shape in theirs.items():
            if not fits(shape, self.own[name]):
                self.misfit(source, shape, self.own[name])
                return None
        return tuple(Port(source.id, f"state.{name}") for name in self.own)

    def single(self, source: Reference) -> tuple[Port, ...] | None:
        """One tensor, which is a whole state only where the state is one tensor."""
        if len(self.own) > 1:
            help = "name each: initial_state: {" + ", ".join(f"{name}: …" for name in self.own) + "}"
            self.error(f"{source} is one tensor; the state of {self.node.id} is {_words(self.own)}", source, help=help)
            return None
        name = next(iter(self.own))
        port = self.tensor(name, source)
        return (port,) if port is not None else None

    def named(self, given: dict[str, Reference]) -> tuple[Port, ...] | None:
        """`initial_state: {h: a, c: b}`."""
        written = self.node.at.get("initial_state")
        unknown = [name for name in given if name not in self.own]
        for name in unknown:
            help = did_you_mean(name, list(self.own)) or f"its state is {_words(self.own)}"
            self.error(f"{self.node.layer.label} has no state called {name}", given[name], help=help)
        # Names whose reference is broken are written as well.
        names = set(written.names() if isinstance(written, MappingNode) else ()) or set(given)
        missing = [name for name in self.own if name not in names]
        is_reuse = written is None and self.node.levels is None and self.reader is self.node
        if missing and not unknown and not is_reuse:
            self.error(
                f"the state of {self.node.id} is not complete: {' and '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing",
                reason=f"{self.described(self.node.id)} has {_words(self.own)}",
                help="name every tensor, or pass a whole state: initial_state: enc1",
            )
        ports = {name: self.tensor(name, source) for name, source in given.items() if name in self.own}
        if unknown or missing:
            return None
        state = tuple(port for name in self.own if (port := ports.get(name)) is not None)
        return state if len(state) == len(self.own) else None

    def tensor(self, name: str, source: Reference) -> Port | None:
        """One tensor of the state: any port of the right shape."""
        if self.names.producer(source, self.reader) is None or source.id not in self.shapes:
            return None
        rank = len(self.own[name])
        key = "initial_state" if self.node.levels is None else "states"
        port = self.choice.choose(source, frozenset({rank}), f"the state {name}", key)
        if port is None:
            return None
        shape = self.shapes[port.node][port.name]
        if not fits(shape, self.own[name]):
            self.misfit(source, shape, self.own[name], name)
            return None
        return port

    def states_of(self, source: Reference) -> dict[str, Shape] | None:
        """The state that a bare id or `id.state` stands for; None if it stands for one tensor."""
        if not isinstance(self.choice.layer(source.id), Recurrent) or source.port not in (None, "state"):
            return None
        return self.state(source.id)

    def misfit(self, source: Reference, theirs: Shape, own: Shape, name: str = "") -> None:
        other = self.other_order()
        if other and self.is_order_reported():
            return
        if self.node.levels is not None:
            if self.report.is_known(source.span) and name not in ("", next(iter(self.own))):
                return  # the tensors of one state have one shape
            source, name = replace(source, id=self.node.levels.source, port=None), ""
        axes = _state_axes(self.node.layer)
        named = f" ({', '.join(axes)})" if len(axes) == len(own) else ""
        if name:
            message, carries = f"{source} does not fit the state {name} of {self.node.id}", f"{source} is"
        else:
            message = f"the state of {source.id} does not fit {self.node.id}"
            carries = f"{source.id} carries a state of"
        reason = f"{carries} {show(theirs)}{named}; {self.node.id} has {show(own)}"
        self.error(message, source, reason=reason, help=other or self.fix(theirs, own, axes))

    def is_order_reported(self) -> bool:
        """Whether the state of another level of the same encoder_decoder was reported."""
        levels = self.node.levels
        endings = tuple(f" does not fit {level}" for level in levels.decoder) if levels is not None else ()
        return any(error.code == "state" and error.message.endswith(endings) for error in self.report.errors)

    def fix(self, theirs: Shape, own: Shape, axes: tuple[str, ...]) -> str:
        """What to change, where one argument is to blame."""
        if len(theirs) != len(own) or len(axes) != len(own):
            return ""
        wrong = [
            axis for axis, a, b in zip(axes, theirs, own, strict=True) if a is not None and b is not None and a != b
        ]
        size = next((a for axis, a in zip(axes, theirs, strict=True) if axis in wrong), None)
        if wrong in (["filters"], ["units"]) and not isinstance(self.node.layer, Bidirectional):
            return f"set {wrong[0]}: {size} on {self.node.id}"
        if "filters" not in wrong and "units" not in wrong:
            axes_named = " and ".join(wrong)
            return f"give both nodes inputs of the same {axes_named}, or the same kernel_size, strides and padding"
        return ""

    def pairing(self, source: Reference, theirs: dict[str, Shape]) -> str:
        if len(self.own) == 1:
            ((name, own),) = self.own.items()
            match = next((other for other, shape in theirs.items() if fits(shape, own)), None)
            return f"pass one tensor: initial_state: {{{name}: {source.id}.state.{match}}}" if match else ""
        forward = {name: f"forward_{name}" for name in self.own}
        if all(other in theirs and fits(theirs[other], self.own[name]) for name, other in forward.items()):
            pairs = ", ".join(f"{name}: {source.id}.state.{other}" for name, other in forward.items())
            return f"pass one direction: initial_state: {{{pairs}}}"
        return "name the tensors: initial_state: {" + ", ".join(f"{name}: …" for name in self.own) + "}"

    def other_order(self) -> str:
        """What to write where the levels of an encoder_decoder would fit in the other order, as far as is known."""
        levels = self.node.levels
        if levels is None or levels.order == "mapped":
            return ""
        mirrored = levels.order == "in_order"
        encoder = levels.encoder[::-1] if mirrored else levels.encoder
        pairs = list(zip(levels.decoder, encoder, strict=True))
        known = [(self.state(to), self.state(of)) for to, of in pairs if to in self.shapes and of in self.shapes]
        if not all(to.keys() == of.keys() and all(fits(of[name], to[name]) for name in to) for to, of in known):
            return ""
        order, source = "mirrored" if mirrored else "in_order", dict(pairs)[self.node.id]
        return f"write states: {order}, which passes {self.node.id} the state of {source}"

    def one_kind(self, source: Reference) -> str:
        """What to write where an encoder_decoder pairs levels whose states have other names."""
        if self.node.levels is None:
            return ""
        own = self.node.id
        return f"make {source.id} and {own} layers of one kind, or start {own} from zeros: states: {{{own}: none, …}}"

    def state(self, node: str) -> dict[str, Shape]:
        """The state of a node by the names of its tensors."""
        ports = self.shapes[node]
        return {port.removeprefix("state."): shape for port, shape in ports.items() if port.startswith("state.")}

    def described(self, node: str) -> str:
        layer = self.choice.layer(node)
        return f"{node} ({layer.label})" if layer is not None else node

    def error(self, message: str, source: Reference | None = None, *, reason: str = "", help: str = "") -> None:
        span = source.span if source is not None else self.reader.span("initial_state")
        self.report.error(message, span, reason=reason, help=help, code="state")


def _state_axes(layer: Layer) -> tuple[str, ...]:
    """The axes of a state in words, in the layer's order: (height, width, filters)."""
    layer = innermost(layer)
    if "units" in type(layer).model_fields:
        return ("units",)
    space = _SPACE.get(layer.kind[-2:], ())
    first = getattr(layer, "data_format", None) == "channels_first"
    return ("filters", *space) if first else (*space, "filters")


_SPACE = {"1D": ("length",), "2D": ("height", "width"), "3D": ("depth", "height", "width")}


def _words(states: Mapping[str, Shape]) -> str:
    names = list(states)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
