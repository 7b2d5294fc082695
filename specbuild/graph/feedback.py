"""What a forecast that was fed back sees: the receptive field of an autoregressive node, followed step by step."""

from __future__ import annotations

from contextlib import suppress

from specbuild.catalog import Shape, ShapeError
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, whole_input
from specbuild.graph.model import Body, Port
from specbuild.graph.receptive_field import MAX_STEPS, Seen, Traces, follow, hull, positions, start


def feedback_receptive_field(body: Body, x: Shape, horizon: int, *, every_step: bool) -> ReceptiveField:
    """What the last of `horizon` frames sees of the sequence `x`, whose lengths are known.

    With `every_step` the output's time goes along with the input's: step p sees the frames up to p. Where that is too
    much to follow, the whole input counts as seen.
    """
    work = horizon * sum(positions(shape) for node in body.given.nodes for shape in node.shapes.values())
    seen = None
    if work <= MAX_STEPS:
        with suppress(KeyError, ShapeError):
            seen = _after(body, x, horizon)
    frames = x[0] or 0
    space = whole_input(x)[1:] if seen is None else tuple(AxisField(one.axis, one.spans) for one in seen[1:])
    if not every_step:
        return (AxisField(None, ((0, frames - 1),)), *space)
    return (AxisField(0, tuple((0, min(step, frames - 1)) for step in range(frames - 1 + horizon))), *space)


def _after(body: Body, x: Shape, horizon: int) -> tuple[Seen, ...]:
    """For each axis of the sequence, what the last forecast sees of it.

    Raises:
        KeyError, ShapeError: a layer cannot be followed.
    """
    name, end = body.given.inputs[0].id, body.given.outputs[0].port
    shapes, traces = {Port(name): x}, {Port(name): start("x", x)}
    for node in body.given.nodes:
        follow(node, shapes, traces)
    seen = _last_frame(traces[end])
    states = _states(body, traces)
    for _ in range(horizon - 1):
        shapes = {Port(name): (1, *x[1:])}
        shapes.update({port: shape for port, (shape, _) in states.items()})
        traces = {Port(name): seen} | {port: trace for port, (_, trace) in states.items()}
        for node in body.step.nodes:
            follow(node, shapes, traces)
        before, seen, states = (seen, states), _last_frame(traces[end]), _states(body, traces)
        if before == (seen, states):
            break
    return seen["x"]


def _last_frame(traces: Traces) -> Traces:
    """What the last of several frames sees, as one frame that has its axes."""
    return {
        name: tuple(Seen(None, (hull(one.spans),)) if one.axis == 0 else one for one in trace)
        for name, trace in traces.items()
    }


def _states(body: Body, traces: dict[Port, Traces]) -> dict[Port, tuple[Shape, Traces]]:
    """The state after the last step, under the ports that the next step gets it from."""
    return {
        port: (shape, traces[Port(node.id, f"state.{name}")])
        for node in body.step.nodes
        for port, (name, shape) in zip(node.initial_state, node.state.items(), strict=True)
    }
