"""The model of a run alone, with its own inputs and outputs."""

from __future__ import annotations

from typing import Any

from specbuild.document import ArgumentError
from specbuild.exporting.description import Axis, Exported, ExportedGraph, TensorDescription
from specbuild.exporting.naming import SPACE
from specbuild.runs.trained import TrainedRun


def exported_model(trained: TrainedRun) -> Any:
    """Return the `keras.Model` of a run.

    Raises:
        ArgumentError: it has a layer that keeps its state between calls.
    """
    for node in trained.graph.every_node:
        if getattr(node.layer, "stateful", False):
            raise ArgumentError(
                f"{node.id} is stateful: it keeps its state from one call to the next, which an exported file does not",
                help="export with --shape streaming, which takes and returns all states",
            )
    return trained.load_model()


def outputs_of(model: Any, trained: TrainedRun, tensors: dict[str, Any]) -> list[Any]:
    """Call the model of a run with tensors by the name of the input; return its outputs in the order of the spec."""
    given = [tensors[each.id] for each in trained.graph.inputs]
    result = model(given if len(given) > 1 else given[0], training=False)
    if isinstance(result, dict):
        return [result[output.name] for output in trained.graph.outputs]
    return list(result) if isinstance(result, list | tuple) else [result]


def whole(trained: TrainedRun) -> Exported:
    """Return the model of a run as one graph, in the units and with the channels that it was trained on."""
    from specbuild.model.backend import keras

    model, graph = exported_model(trained), trained.graph
    classes = tuple(trained.samples_of_training.get("classes") or ())
    inputs = tuple(
        TensorDescription(
            each.id,
            "frame" if trained.data.reads_past(each.id) else "static",
            _axes(trained, each.shape, each.batch),
            dtype=each.dtype,
            description="as the model reads it: transformed, and with missing values filled",
        )
        for each in graph.inputs
    )
    outputs = tuple(
        TensorDescription(
            each.name,
            "frame",
            _axes(trained, each.shape, graph.inputs[0].batch),
            description="as the model gives it, in units of training",
            channels=classes if each.shape[-1:] == (len(classes),) else (),
        )
        for each in graph.outputs
    )
    if graph.spec.named_outputs:  # a dict, which Keras sorts by name
        ports = [
            keras.Input(each.shape, batch_size=each.batch, dtype=each.dtype, name=each.id) for each in graph.inputs
        ]
        tensors = {each.id: port for each, port in zip(graph.inputs, ports, strict=True)}
        model = keras.Model(ports if len(ports) > 1 else ports[0], outputs_of(model, trained, tensors), name=model.name)
    return Exported("whole", (ExportedGraph(model, inputs, outputs),), interval_of(trained), notes_on(trained))


def interval_of(trained: TrainedRun) -> str:
    """Return the time between successive frames of a window; empty where it is not known."""
    data = trained.data
    return data.lead_label(data.windows.step).removeprefix("+") if data.interval else ""


def notes_on(trained: TrainedRun) -> tuple[str, ...]:
    """Return notes on what differs between the exported model and training."""
    precision = trained.folder.manifest()["precision"]
    if precision == "float32":
        return ()
    return (f"the run computes in {precision}, the exported model in float32",)


def _axes(trained: TrainedRun, shape: tuple[int | None, ...], batch: int | None) -> tuple[Axis, ...]:
    """Return the axes of a tensor, which have names as far as its rank tells them."""
    space = [SPACE[letter] for letter in trained.data.source.space]
    names = {
        len(space) + 2: ["time", *space, "channel"],
        len(space) + 1: [*space, "channel"],
        2: ["time", "channel"],
        1: ["channel"],
    }.get(len(shape)) or [f"axis_{number + 1}" for number in range(len(shape))]
    return (Axis("batch", batch), *(Axis(*pair) for pair in zip(names, shape, strict=True)))
