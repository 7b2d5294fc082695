"""Recurrences in a streaming model: each step reads the state as an input and gives the one after it as an output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from specbuild.catalog import Bidirectional, Layer, Shape
from specbuild.catalog.autoregressive import Autoregressive
from specbuild.catalog.held import Held
from specbuild.catalog.recurrence import Recurrence
from specbuild.catalog.wrappers import innermost
from specbuild.exporting.stream.plain import Plain
from specbuild.exporting.stream.reading import WHOLE, Refused, value_of
from specbuild.exporting.stream.side import NEXT, Given, Side, Taken, plain_node
from specbuild.exporting.stream.timing import When
from specbuild.graph import Node, Port
from specbuild.graph.model import Body


class Recurrences(Plain):
    """Adds nodes that carry states from frame to frame."""

    def add_recurrent(self, node: Node) -> None:
        """Add a recurrent node.

        Raises:
            Refused: it cannot run step by step.
        """
        layer = innermost(node.layer)
        static = node.spec.body.static if node.spec.body is not None else 0
        moving = node.inputs[: len(node.inputs) - static]
        frames = [self.when[port] for port in moving]
        states = [self.when[port] for port in node.initial_state]
        if not any(when.is_sequence for when in frames):
            self.add_value(node, node.inputs, node.initial_state)
            return
        follows = any(when.follows_past for when in states)
        uniform, unread = all(when.is_uniform for when in frames), follows and not _reads(layer)
        backward = isinstance(node.layer, Bidirectional) or bool(getattr(layer, "go_backwards", False))
        if (uniform or unread) and (backward or self.at_once):
            inputs = self.as_values(node, node.inputs) if uniform else (self.places(node.inputs[0], node),)
            self.when |= dict.fromkeys(inputs[:1], When.SO_FAR) if unread and not uniform else {}
            self.add_value(node, inputs, node.initial_state)
            return
        if backward:
            raise _backward(node, layer)
        padded = next((port for port in moving if port in self.padded), None)
        if padded is not None:
            raise self.refuse_padded(node, padded)
        clock = When.AHEAD if unread else self.clock(node, [*(self.when[port] for port in node.inputs), *states])
        clock = When.AHEAD if clock.is_uniform else clock
        if clock is When.THROUGHOUT or any(port in self.counts for port in moving):
            raise Refused(node, f"{node.id} carries its state from the frames observed to those forecast")
        (side,) = self.sides(clock)
        inputs = tuple(self.read(port, side) for port in node.inputs)
        self._carried(node, inputs, node.initial_state, side)
        if moving[0] in self.masked and not getattr(layer, "zero_output_for_mask", False):
            self._held(node, inputs[0], side)
        for name in node.shapes:
            self.settle(Port(node.id, name), clock if name == "sequence" else value_of(clock))

    def _held(self, node: Node, read: Port, side: Side) -> None:
        """Let the output of a masked step be that of the step before, which is a state."""
        own, name = Port(node.id, node.port), self.named(f"{node.id}_output")
        shape, is_sequence = side.shapes[own], node.port == "sequence"
        before = side.given(Given(name, "state", shape, is_sequence, str(own), "float32", 0.0, next=name + NEXT))
        held = Port(f"{name}_held")
        side.add(plain_node(held.node, Held(), (own, before, read), node.spec))
        side.outputs.append(Taken(name + NEXT, held, "state", shape, is_sequence, str(own)))
        side.ports[own] = held
        if is_sequence and node.step is not None:  # of any other recurrence the last output is a state
            side.ports[Port(node.id, "last")] = side.made(f"{name}_last", "LastFrame", (held,), node.spec)

    def _carried(self, node: Node, inputs: tuple[Port, ...], starts: Sequence[Port | None], side: Side) -> None:
        """Add a recurrence to a graph with its state as inputs and outputs.

        Args:
            node: the recurrence.
            inputs: what it reads in the graph.
            starts: the ports of the whole model that its state starts from; none, or None, where it starts by itself.
            side: the graph.
        """
        own, given = innermost(node.layer), []
        for at, (state, shape) in enumerate(node.state.items()):
            name, origin = self.named(f"{node.id}_{state}"), f"{node.id}.state.{state}"
            initial: float | str = own.states[state].initial if isinstance(own, Recurrence) else 0.0
            start = starts[at] if starts else None
            if start is not None:
                initial = self._first(name + NEXT, start, shape, side)
            port = Given(name, "state", shape, False, origin, "float32", initial, next=name + NEXT)
            given.append(side.given(port))
            after = Port(node.id, f"state.{state}")
            side.outputs.append(Taken(name + NEXT, after, "state", shape, False, origin))
        used = node.used | {f"state.{state}" for state in node.state}
        side.add(replace(node, layer=_forgetful(node.layer), inputs=inputs, initial_state=tuple(given), used=used))

    def _first(self, output: str, start: Port, shape: Shape, side: Side) -> float | str:
        """Let another graph give the first value of a state, and return what stands for it in the description."""
        if side is self.ahead:
            here = self.observe.here(start)
            self.observe.outputs.append(Taken(output, here, "state", shape, False, str(start)))
            return 0.0
        here = self._copied(self.observe.here(start))
        self.start.outputs.append(Taken(output, here, "state", shape, False, str(start)))
        return "start"

    def _copied(self, port: Port) -> Port:
        """Copy into `start` what a static value follows from."""
        if port in self.start.shapes:
            return port
        given = self.observe.inputs.get(port.node)
        if given is not None:
            return self.start.given(given)
        node = next(node for node in self.observe.nodes if node.id == port.node)
        for each in (*node.inputs, *node.initial_state):
            self._copied(each)
        self.start.add(node)
        return port

    def add_autoregressive(self, node: Node) -> None:
        """Add a node that feeds its frames back.

        Raises:
            Refused: it cannot run step by step.
        """
        assert node.body is not None
        assert node.spec.body is not None
        if any(port in self.masked for port in node.inputs):
            reason = "the frames that it feeds back have no mask"
            raise Refused(node, f"{node.id} reads frames with a mask", reason=reason)
        frames = node.inputs[0]
        moving, static = node.inputs[1 : node.spec.body.sequences], node.inputs[node.spec.body.sequences :]
        if isinstance(node.layer, Autoregressive) and node.layer.give == "all":
            self.counts[Port(node.id)] = node.layer.horizon
        if self.when[frames] is When.PAST and frames not in self.padded:
            self._check(node, moving, (When.THROUGHOUT, When.SAME), "does not go on from the frames observed")
            self._check(node, (*static, *node.initial_state), (When.STATIC,), "follows from the frames")
            self._after_observing(node, node.body)
        elif self.shapes[frames][0] == 1 and not self.at_once and self.when[frames] is not When.LATER:
            self._check(node, (frames,), (When.STATIC, When.SO_FAR, When.SAME, When.SAME_SO_FAR), "is forecast itself")
            self._check(node, moving, (When.AHEAD, When.SAME, When.SAME_SO_FAR), "is not one of the frames forecast")
            self._from_value(node, node.body)
        else:
            self.add_value(node, self.as_values(node, node.inputs), node.initial_state)
            return
        self.settle(Port(node.id), When.AHEAD)

    def _check(self, node: Node, ports: Sequence[Port], known: Sequence[When], otherwise: str) -> None:
        for port in ports:
            if self.when[port] not in known:
                raise Refused(node, f"{node.id} cannot read {port} frame by frame", reason=f"{port} {otherwise}")

    def _after_observing(self, node: Node, body: Body) -> None:
        """Run the body on each frame observed, then on each forecast: `forecast` gives that of the step before."""
        (end,) = body.step.outputs
        name, shape = self.named(f"{node.id}_frame"), (1, *self.shapes[node.inputs[0]][1:])
        starts = list(node.given_states)
        self._body(node, body, self.observe, self.read(node.inputs[0], self.observe), starts)
        self.observe.outputs.append(Taken(name + NEXT, end.port, "state", shape, True, str(end.port)))
        carried = Given(name, "state", shape, True, str(end.port), initial=0.0, next=name + NEXT)
        self.ahead.ports[Port(node.id)] = self.ahead.given(carried)
        self._body(node, body, self.ahead, Port(name), [])
        self.ahead.outputs.append(Taken(name + NEXT, end.port, "state", shape, True, str(end.port)))

    def _from_value(self, node: Node, body: Body) -> None:
        """Run the body on one frame that is known, then on each forecast: `forecast` begins with the frame before."""
        (end,) = body.step.outputs
        name, shape = self.named(f"{node.id}_frame"), (1, *self.shapes[node.inputs[0]][1:])
        here = self.observe.here(node.inputs[0])
        self.observe.outputs.append(Taken(name + NEXT, here, "state", shape, True, str(node.inputs[0])))
        carried = Given(name, "state", shape, True, str(end.port), initial=0.0, next=name + NEXT)
        self._body(node, body, self.ahead, self.ahead.given(carried), list(node.given_states))
        self.ahead.outputs.append(Taken(name + NEXT, end.port, "state", shape, True, str(end.port)))
        self.ahead.ports[Port(node.id)] = end.port

    def _body(self, node: Node, body: Body, side: Side, frame: Port, starts: list[Port | None]) -> None:
        """Add the nodes of a body to a graph, which read a frame of it.

        Raises:
            Refused: they are there already, of another node that has the same layers.
        """
        assert node.spec.body is not None
        known = {each.id for each in side.nodes}
        if any(inner.id in known for inner in body.step.nodes):
            message = f"{node.id} has the layers of {node.shares}, and both feed their frames back"
            raise Refused(node, message, reason="each of them would need states of its own for the same layers")
        reads = [frame, *(self.read(port, side) for port in node.inputs[1:])]
        for at, (x, here) in enumerate(zip(body.step.inputs, reads, strict=True)):
            if at >= node.spec.body.sequences:
                here = side.made(f"{x.id}_in_step", "RepeatFrame", (here,), node.spec, times=1)
            side.ports[Port(x.id)] = here
        for inner in body.step.nodes:
            inputs = tuple(side.here(port) for port in inner.inputs)
            if inner.state:
                self._carried(inner, inputs, starts[: len(inner.state)], side)
                starts = starts[len(inner.state) :]
            else:
                side.add(replace(inner, inputs=inputs))


def _reads(layer: Layer) -> bool:
    """Whether a recurrence reads its input, and does not only count its steps."""
    return getattr(layer, "use_input", True) is not False


def _backward(node: Node, layer: Layer) -> Refused:
    """Return the error of a recurrence that reads the end of a sequence first."""
    key = "bidirectional" if isinstance(node.layer, Bidirectional) else "go_backwards"
    reason = "with each frame that arrives it would have to read all of them again"
    help = f"take {layer.kind} forwards, or {WHOLE}"
    return Refused(node, f"{node.id} reads the frames from their end", reason, help, key)


def _forgetful(layer: Layer) -> Layer:
    """Return a recurrence that keeps no state of its own, and whose only step is written out, not looped."""
    wanted = {"stateful": False, "remat": False, "unroll": True}
    changed = {name: value for name, value in wanted.items() if name in type(layer).model_fields}
    return layer.model_copy(update=changed)
