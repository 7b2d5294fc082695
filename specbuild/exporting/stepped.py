"""Verifies a streaming model: windows of the data, frame by frame, against the run's own forecasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from specbuild.data.arrays import Array
from specbuild.data.samples.windows import future_frames, past_frames
from specbuild.document import RunError
from specbuild.exporting.description import Exported, ExportedGraph, TensorDescription
from specbuild.exporting.differences import Difference, difference_of
from specbuild.exporting.interface import SLOT
from specbuild.exporting.samples import Samples, physical_samples
from specbuild.exporting.stream.side import NEXT
from specbuild.runs.trained import TrainedRun

Arrays: TypeAlias = dict[str, Array]
Call: TypeAlias = Callable[[ExportedGraph, Arrays], Arrays]
"""Calls a graph with its inputs by name, and returns its outputs by name."""
Run: TypeAlias = Callable[[str, int, Arrays], Arrays]
"""Calls the graph of a name for the nth time, given every state by its name, and returns its outputs by name."""


def stepped_samples(trained: TrainedRun, exported: Exported, tolerance: float) -> tuple[dict[str, Samples], Difference]:
    """Go through windows frame by frame.

    Returns:
        For each graph by its name the inputs and outputs of its last call, and the largest difference from the run's
        own forecasts.

    Raises:
        RunError: frame by frame another forecast comes out than the run's own.
    """
    whole, samples, worst = physical_samples(trained), {}, Difference(0.0, 0.0)
    source = f"{whole.source}, frame by frame"

    def call(graph: ExportedGraph, inputs: Arrays) -> Arrays:
        outputs = called(graph, inputs)
        frames = {name: each for name, each in whole.frames.items() if name in inputs}
        entries = {
            name: min(graph.calls, whole.inputs[name].shape[1]) - 1
            for name in frames
            if inputs[name].ndim < whole.inputs[name].ndim
        }
        samples[graph.name] = Samples(inputs, outputs, source, frames, entries)
        return outputs

    axes = {each.name: _time_axis(each) for graph in exported.graphs for each in graph.outputs if each.role == "frame"}
    for name, ours in forecasts(trained, exported, whole.inputs, call).items():
        run = whole.outputs[name]
        count, axis = ours.shape[axes[name]], axes[name]
        if count < run.shape[axis]:  # the newest frame of several
            run = np.take(run, range(run.shape[axis] - count, run.shape[axis]), axis)
        difference = difference_of(ours, run)
        if not difference.relative <= tolerance:
            raise RunError(
                f"frame by frame the model gives a different {name} than for whole windows: the largest difference is "
                f"{difference.absolute:.2g}",
                help="export with --shape physical, and report this as a bug in specbuild",
            )
        worst = max(worst, difference, key=lambda each: each.relative)
    return samples, worst


def called(graph: ExportedGraph, inputs: Arrays) -> Arrays:
    """Call the `keras.Model` of a graph with arrays by name."""
    from specbuild.model.backend import keras

    given = [inputs[each.name] for each in graph.inputs]
    outputs = keras.tree.flatten(graph.model(given if len(given) > 1 else given[0], training=False))
    return {each.name: keras.ops.convert_to_numpy(tensor) for each, tensor in zip(graph.outputs, outputs, strict=True)}


def step_through(calls: Mapping[str, int], run: Run, state: Arrays) -> dict[str, list[Arrays]]:
    """Call graphs of one step, and return for each of them what its calls give, without the states.

    Args:
        calls: how often each graph is called, by its name and in this order.
        run: calls one of them.
        state: each state by its name, before the first call.
    """
    given: dict[str, list[Arrays]] = {}
    for name, count in calls.items():
        given[name] = []
        for number in range(count):
            outputs = run(name, number, state)
            state = state | {key.removesuffix(NEXT): outputs[key] for key in outputs if key.endswith(NEXT)}
            given[name].append({key: outputs[key] for key in outputs if not key.endswith(NEXT)})
    return given


def forecasts(trained: TrainedRun, exported: Exported, inputs: Arrays, call: Call) -> Arrays:
    """Go through windows frame by frame, and return the forecasts (N, F, …) by the names of the outputs.

    Args:
        trained: the run.
        exported: its graphs of one step.
        inputs: those of the whole model in physical units, by name; past frames are (N, P, …).
        call: calls a graph.
    """
    graphs = {graph.name: graph for graph in exported.graphs}
    observe, forecast, windows = graphs["observe"], graphs.get("forecast"), trained.data.windows
    samples = len(next(iter(inputs.values())))
    past, future = ([*frames(0, windows)] for frames in (past_frames, future_frames))
    state = {
        each.name: np.zeros([samples, *(length or 0 for length in each.shape[1:])], each.dtype)
        for graph in exported.graphs
        for each in graph.inputs
        if each.role == "state"
    }

    def read(graph: ExportedGraph, step: int, slot: int, state: Arrays) -> Arrays:
        given: Arrays = {}
        for each in graph.inputs:
            if each.role == "state":
                given[each.name] = state[each.name]
                continue
            values = inputs[each.name]
            if each.name == SLOT:
                given[each.name] = (values + slot).astype(each.dtype)
            elif values.ndim > len(each.shape):
                after = windows.past if graph is forecast and values.shape[1] > len(future) else 0
                given[each.name] = values[:, min(after + step, values.shape[1] - 1)]
            else:
                given[each.name] = values
        return given

    slots = {"start": [0], "observe": past, "forecast": future}

    def run(name: str, number: int, state: Arrays) -> Arrays:
        slot = slots[name][min(number, len(slots[name]) - 1)]
        return call(graphs[name], read(graphs[name], number, slot, state))

    calls = {graph.name: len(past) if graph is observe else graph.calls for graph in exported.graphs}
    given = step_through(calls, run, state)
    newest = given["observe"][-1]
    results = {
        each.name: newest[each.name] if _has_time(each) else np.expand_dims(newest[each.name], _time_axis(each))
        for each in observe.outputs
        if each.role == "frame"
    }
    if forecast is not None:
        last = given["forecast"][-len(future) :]
        results |= {
            each.name: np.stack([step[each.name] for step in last], axis=_time_axis(each))
            for each in forecast.outputs
            if each.role == "frame"
        }
    return results


def _has_time(output: TensorDescription) -> bool:
    return any(axis.name == "time" for axis in output.axes)


def _time_axis(output: TensorDescription) -> int:
    """Return where the time axis of an output of one frame belongs: behind the batch and the quantiles."""
    return 2 if output.axes[1].name == "quantile" else 1
