"""The graphs of a streaming model, called frame by frame in NumPy, as any runtime calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from specbuild.exporting.stream.graphs import Streams
from specbuild.exporting.stream.side import NEXT, StreamGraph
from specbuild.exporting.stream.timing import When

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
Run: TypeAlias = Callable[[str, Arrays], Arrays]
"""Calls the graph of a name with its inputs by name, and returns its outputs by name."""


def step_through(streams: Streams, run: Run, inputs: Mapping[str, npt.NDArray[Any]], initial: Arrays) -> Arrays:
    """Return the outputs of the whole model, frame by frame: `(N, T, …)` of sequences, the last of values.

    Args:
        streams: the graphs.
        run: calls one of them.
        inputs: those of the whole model, by name.
        initial: the first value of each state, without the batch.
    """
    samples = len(next(iter(inputs.values())))
    state = {name: np.broadcast_to(value, (samples, *value.shape)) for name, value in initial.items()}
    past = next((inputs[name].shape[1] for name, when in streams.inputs.items() if when is When.PAST), 1)
    given: dict[str, list[npt.NDArray[Any]]] = {}

    def call(graph: StreamGraph, step: int, state: Arrays) -> None:
        read: Arrays = {}
        for each in graph.inputs:
            if each.role == "state":
                read[each.name] = state[each.name]
                continue
            later = graph is streams.forecast and streams.inputs[each.name] is When.THROUGHOUT
            frame = min(step + past * later, inputs[each.name].shape[1] - 1)
            read[each.name] = inputs[each.name][:, frame] if each.frame else inputs[each.name]
        for name, value in run(graph.name, read).items():
            if name.endswith(NEXT):
                state[name.removesuffix(NEXT)] = value
            else:
                given.setdefault(name, []).append(value)

    if streams.start is not None:
        call(streams.start, 0, state)
    for step in range(past):
        call(streams.observe, step, state)
    ahead = dict(state)
    for step in range(streams.horizon):
        assert streams.forecast is not None
        call(streams.forecast, step, ahead)
    sequences = {name for name, when in streams.outputs.items() if when.is_sequence}
    return {name: np.stack(values, axis=1) if name in sequences else values[-1] for name, values in given.items()}
