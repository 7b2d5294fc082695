"""From a graph over sequences to graphs of one step: every recurrence gets its state from outside and gives it on.

A model that reads frames and forecasts others is two graphs. `observe` reads a frame and the states; `forecast` reads
states and gives one frame. A model that gives a value or a frame for each that it reads is `observe` alone. States that
start from fields that do not change come from a third, `start`. An output `<name>_next` is the input `<name>` of the
call after it, of whichever graph has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from specbuild.catalog import Shape, ShapeError
from specbuild.document import SpecError
from specbuild.exporting.stream.reading import Refused
from specbuild.exporting.stream.recurrences import Recurrences
from specbuild.exporting.stream.side import NEXT, Given, StreamGraph, Taken
from specbuild.exporting.stream.timing import Inputs, When, possible_inputs
from specbuild.graph import Graph, Node, Port


@dataclass(frozen=True, slots=True)
class Streams:
    """A model as graphs of one step.

    Attributes:
        observe: reads a frame and the states before it.
        forecast: reads states and gives the next frame of the forecast; None where `observe` gives everything.
        start: gives the states that follow from fields that do not change; None where there are none.
        inputs: what each input of the whole model is.
        outputs: when each output of the whole model is known, by its name.
        horizon: how often `forecast` is called for as many frames as the model gives.
        needed: how many frames must have been observed before what is given is what the model gives.
        notes: sentences that whoever runs the graphs should know.
    """

    observe: StreamGraph
    forecast: StreamGraph | None
    start: StreamGraph | None
    inputs: Inputs
    outputs: dict[str, When]
    horizon: int = 0
    needed: int = 1
    notes: tuple[str, ...] = ()

    @property
    def graphs(self) -> tuple[StreamGraph, ...]:
        """The graphs in the order in which they are called."""
        return tuple(graph for graph in (self.start, self.observe, self.forecast) if graph is not None)


def stream_graphs(graph: Graph) -> Streams:
    """Return a graph over sequences as graphs of one step. Loads no framework.

    Raises:
        SpecError: a node needs frames that are not there yet, or all of the past again; with its line and column.
    """
    first: Refused | None = None
    for inputs in possible_inputs(graph):
        for at_once in (False, True):
            try:
                return _Builder(graph, inputs, at_once=at_once).run()
            except Refused as refused:
                first = first or refused
    if first is None:
        help = "a model of single frames is exported as a whole: --shape physical"
        raise graph.spec.error(("inputs",), "no input is a sequence of frames", help=help, code="streaming")
    raise SpecError([first.diagnostic])


class _Builder(Recurrences):
    """Puts the graphs together, node by node."""

    def run(self) -> Streams:
        """Return the graphs.

        Raises:
            Refused: a node cannot run step by step.
        """
        for x in self.whole.inputs:
            self._input(x.id, x.shape, x.dtype)
        for node in self.whole.nodes:
            self._node(node)
        names: list[str] = []
        for output in self.whole.outputs:
            names.append(_unlike(output.name, names))
        ports = (output.port for output in self.whole.outputs)
        outputs = {name: self._output(name, port) for name, port in zip(names, ports, strict=True)}
        has_frames = any(taken.role == "frame" for taken in self.ahead.outputs)
        forecast = self.ahead.finished() if has_frames else None
        read = {given.name for given in forecast.inputs} if forecast is not None else set()
        read |= {given.name for given in self.observe.inputs.values()}
        self.observe.outputs = [
            taken for taken in self.observe.outputs if taken.role == "frame" or taken.name.removesuffix(NEXT) in read
        ]
        return Streams(
            self.observe.finished(),
            forecast,
            self.start.finished() if self.start.outputs else None,
            self.inputs,
            outputs,
            self.horizon if forecast is not None else 0,
            self.needed,
            tuple(dict.fromkeys(self.notes)),
        )

    def _input(self, name: str, shape: Shape, dtype: str) -> None:
        when = self.inputs[name]
        if self.at_once and when is When.AHEAD:
            when = When.STATIC
        if when.is_sequence:
            given = Given(name, "frame", (1, *shape[1:]), True, name, dtype)
        else:
            role = "static" if self.inputs[name] is When.STATIC else "frame"
            given = Given(name, role, shape, False, name, dtype)  # type: ignore[arg-type]
        for side in self.sides(when):
            side.given(given)
        self.settle(Port(name), when)

    def _node(self, node: Node) -> None:
        try:
            if node.body is not None:
                self.add_autoregressive(node)
            elif node.state:
                self.add_recurrent(node)
            else:
                self.add_plain(node)
        except ShapeError as error:
            reason = ": ".join(filter(None, [error.message, error.reason]))
            raise Refused(node, f"{node.id} does not run on one frame", reason=reason) from error

    def _output(self, name: str, port: Port) -> When:
        """Add an output of the model to the graph that gives it, and return when it is known."""
        node = next((node for node in self.whole.nodes if node.id == port.node), self.whole.nodes[0])
        if self.when[port].is_uniform or port in self.padded:
            (port,) = self.as_values(node, (port,))
        when = self.when[port]
        if when is When.THROUGHOUT:
            raise Refused(node, f"the output {name} has frames of the past and of the forecast")
        (side,) = self.sides(when)
        here = side.here(port)
        side.outputs.append(Taken(name, here, "frame", side.shapes[here], when.is_sequence, str(port)))
        return when


def _unlike(name: str, before: Sequence[str]) -> str:
    """Return a name for an output that none before it has."""
    free, number = name, 1
    while free in before:
        number += 1
        free = f"{name}_{number}"
    return free
