"""What the graphs of a streaming model have in common while they are put together: which port is known when, and where.

A port of `observe` that `forecast` reads gets there as a state.
"""

from __future__ import annotations

from dataclasses import replace

from specbuild.catalog import show
from specbuild.document import Diagnostic
from specbuild.exporting.stream.side import NEXT, Given, Side, Taken
from specbuild.exporting.stream.timing import Inputs, When
from specbuild.graph import Graph, Node, Port
from specbuild.graph.masks import masked_ports, takes_mask

WHOLE = "export the whole model instead: --shape physical"


class Refused(Exception):
    """A node that cannot run step by step. `diagnostic` says where it stands, why, and what to do."""

    def __init__(self, node: Node, message: str, reason: str = "", help: str = WHOLE, key: str = "") -> None:
        super().__init__(message)
        span = node.spec.span(key) if key else node.spec.span()
        self.diagnostic = Diagnostic(message, span, reason=reason, help=help, code="streaming")


class Reading:
    """The graphs so far.

    Args:
        whole: the model over sequences.
        inputs: what its inputs are.
        at_once: whether sequences of frames to come are values with a time axis, so that `observe` gives a whole
            forecast for each frame that it reads.
    """

    def __init__(self, whole: Graph, inputs: Inputs, *, at_once: bool) -> None:
        self.whole, self.inputs, self.at_once = whole, inputs, at_once
        self.shapes = whole.shapes
        self.when: dict[Port, When] = {}
        self.padded: dict[Port, int] = {}
        """Sequences that begin with so many entries of zeros before that of the first frame."""
        self.counts: dict[Port, int] = {}
        """The frames to come of sequences that begin with frames of the past, which are left out."""
        self.observe, self.ahead, self.start = (Side(name, whole) for name in ("observe", "forecast", "start"))
        self.horizon, self.needed = 0, 1
        self.notes: list[str] = []
        self.names: dict[str, str] = {}
        """The inputs that carry states, by what they hold."""
        self.masked = masked_ports(whole)
        self.taken = {x.id for x in whole.inputs} | {node.id for node in whole.every_node}

    def settle(self, port: Port, when: When) -> None:
        """Note when a port of the whole model is known."""
        self.when[port] = when
        if when is When.AHEAD:
            self.horizon = max(self.horizon, self.counts.get(port, self.shapes[port][0] or 0))

    def sides(self, when: When) -> tuple[Side, ...]:
        """Return the graphs in which something is computed."""
        if when is When.THROUGHOUT:
            return (self.observe, self.ahead)
        return (self.ahead,) if when in (When.AHEAD, When.LATER) else (self.observe,)

    def read(self, port: Port, side: Side) -> Port:
        """Return a port of the whole model in one of the graphs."""
        if side.has(port):
            return side.here(port)
        assert side is self.ahead, f"{port} is read before it is known"
        here = self.observe.here(port)
        given = self.observe.inputs.get(here.node)
        if given is not None and given.role == "static":
            return side.given(given)
        name = self.named(str(port).replace(".", "_"))
        shape, frame = self.observe.shapes[here], self.when[port].is_sequence
        self.observe.outputs.append(Taken(name + NEXT, here, "state", shape, frame, str(port)))
        side.ports[port] = side.given(Given(name, "state", shape, frame, str(port), initial=0.0))
        return side.ports[port]

    def named(self, name: str) -> str:
        """Return a name for an input, which neither a node nor an input of the whole model has."""
        if name not in self.names:
            free = name
            while free in self.taken:
                free += "_state"
            self.taken.add(free)
            self.names[name] = free
        return self.names[name]

    def repeated(self, port: Port, reader: Node) -> Port:
        """Return a sequence of equal entries as a value with a time axis."""
        length = self.shapes[port][0]
        if length is None:
            message = f"{reader.id} reads a value that is repeated for an unknown number of frames"
            raise Refused(reader, message, reason=f"{port} is {show(self.shapes[port])}")
        self._check_mask(port, reader)
        return self._every(self.observe.here(port), f"{port}_repeated", length, reader)

    def places(self, port: Port, reader: Node) -> Port:
        """Return a value as long as a sequence of which only the number of entries is read."""
        length = self.shapes[port][0]
        if length is None:
            raise Refused(reader, f"{reader.id} runs for an unknown number of steps")
        return self._every(self.observe.here(port), f"{port}_places", length, reader)

    def _every(self, one: Port, name: str, length: int, reader: Node) -> Port:
        name = name.replace(".", "_")
        frame = self.observe.made(f"{name}_once", "Squeeze", (one,), reader.spec, axis=1)
        return self.observe.made(name, "RepeatFrame", (frame,), reader.spec, times=length)

    def window(self, port: Port, reader: Node) -> Port:
        """Return the last frames of a sequence as a value: those before the newest are a state."""
        length = self.shapes[port][0]
        if length is None:
            message = f"{reader.id} reads several frames at once, of a sequence of any length"
            reason = f"it reads {port}, {show(self.shapes[port])}"
            raise Refused(reader, message, reason=reason, help=f"give the input a number of frames, or {WHOLE}")
        self.needed = max(self.needed, length)
        return self.buffered(self.observe, port, length - 1, reader)

    def buffered(self, side: Side, port: Port, count: int, reader: Node) -> Port:
        """Return the newest entry of a sequence behind the `count` before it, which are a state that starts at zero."""
        here = side.here(port)
        if count == 0:
            return here
        self._check_mask(port, reader)
        base = f"{port}_ahead" if side is self.ahead else str(port)
        base = base.replace(".", "_")
        known = Port(f"{base}_last_{count + 1}")
        if known not in side.shapes:
            shape, name = side.shapes[here], self.named(f"{base}_before_{count}")
            dtype = next((x.dtype for x in self.whole.inputs if x.id == port.node), "float32")
            state = Given(name, "state", (count, *shape[1:]), False, str(port), dtype, 0.0, next=name + NEXT)
            side.made(known.node, "Concatenate", (side.given(state), here), reader.spec, axis=1)
            after = side.made(f"{base}_kept_{count}", "Slice", (known,), reader.spec, axis=1, start=1)
            side.outputs.append(Taken(name + NEXT, after, "state", state.shape, False, str(port)))
        return known

    def _check_mask(self, port: Port, reader: Node) -> None:
        """Refuse a node that reads a mask for several steps at once: the masks of steps are no states."""
        if port in self.masked and takes_mask(reader.layer):
            message = f"{reader.id} reads the masks of several frames at once"
            raise Refused(reader, message, reason=f"{port} has a mask, and only its frames are kept as a state")

    def clock(self, node: Node, whens: list[When]) -> When:
        """Return the sequence that sequences and values of several kinds give together.

        Raises:
            Refused: some are known only when others are over.
        """
        clocks = {when for when in whens if when.is_sequence and not when.is_uniform}
        follows = any(when.follows_past for when in whens)
        ports = dict.fromkeys((*node.inputs, *node.initial_state))
        if len(clocks) > 1 or When.LATER in whens:
            message = f"{node.id} reads what belongs to other frames than those of its own step"
            read = [f"{port} ({self.when[port].value})" for port in ports]
            raise Refused(node, message, reason=f"it reads {' and '.join(read)}")
        if not clocks:
            return When.SAME_SO_FAR if follows else When.SAME
        clock = clocks.pop()
        if follows and clock is not When.AHEAD:
            message = f"{node.id} reads each frame beside what is known only after the last"
            values = [str(port) for port in ports if self.when[port].follows_past]
            reason = f"{' and '.join(values)} changes with each frame, and those before it would have to be read again"
            raise Refused(node, message, reason=reason)
        return clock

    def add_value(self, node: Node, ports: tuple[Port, ...], states: tuple[Port, ...] = ()) -> None:
        """Add a node that reads values, as it is."""
        order = (When.STATIC, When.SO_FAR, When.LATER)
        when = max((self.when[port] for port in (*ports, *states)), key=order.index)
        (side,) = self.sides(when)
        inputs = tuple(self.read(port, side) for port in ports)
        side.add(replace(node, inputs=inputs, initial_state=tuple(self.read(port, side) for port in states)))
        for name in node.shapes:
            self.settle(Port(node.id, name), when)

    def as_values(self, node: Node, ports: tuple[Port, ...]) -> tuple[Port, ...]:
        """Return ports as values: what repeats is repeated, and of frames there are the last ones.

        Raises:
            Refused: they are not known at once.
        """
        return tuple(self._as_value(node, port) for port in ports)

    def _as_value(self, node: Node, port: Port) -> Port:
        when = self.when[port]
        if port in self.padded:
            raise self.refuse_padded(node, port)
        if not when.is_sequence:
            return port
        if when.is_uniform:
            value = self.repeated(port, node)
            self.when[value] = When.SO_FAR if when is When.SAME_SO_FAR else When.STATIC
        elif when is When.PAST:
            value = self.window(port, node)
            self.when[value] = When.SO_FAR
            before = (self.shapes[port][0] or 1) - 1
            if before:
                frames = f"{before} frames before" if before > 1 else "frame before"
                self.notes.append(f"{node.id} reads several frames of {port} at once; the {frames} it are a state")
        else:
            message = f"{node.id} reads several forecast frames at once, which are computed one by one"
            raise Refused(node, message, reason=f"it reads {port}")
        return value

    def refuse_padded(self, node: Node, port: Port) -> Refused:
        """Return the error of a node that reads frames of zeros before the first."""
        message = f"{node.id} reads the zeros that {port.node} puts before the first frame"
        reason = "this works only if a convolution or pooling without padding in time follows directly"
        return Refused(node, message, reason=reason)


def value_of(clock: When) -> When:
    """Return when the last entry of a sequence is known."""
    return When.LATER if clock is When.AHEAD else When.SO_FAR
