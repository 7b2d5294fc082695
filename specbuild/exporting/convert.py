"""A graph written in each format, by what Keras and the package of the format offer. Imports the framework."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from specbuild.document import ArgumentError, RunError
from specbuild.exporting.description import ExportedGraph
from specbuild.exporting.formats import FORMATS, LONGEST_UNROLLED, Format
from specbuild.model.backend import Registered, keras
from specbuild.model.keras_internals import layers_inside
from specbuild.model.saving import members, write_members

Write = Callable[[ExportedGraph, Path, "int | None"], None]
"""Writes a graph with a fixed batch size or, with None, a variable one."""


def convert(graph: ExportedGraph, format: Format, path: Path, batch: int | None) -> None:
    """Write a graph in a format.

    Args:
        batch: the size of the batch; None: as the graph has it, mostly any.

    Raises:
        RunError: the package of the format cannot convert it, and what it says about that.
    """
    fixed = batch if batch is not None else graph.inputs[0].shape[0]
    with unrolled(graph.model, format.unrolls), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what converters say of their own code
        try:
            WRITERS[format.name](graph, path, fixed)
        except RunError:
            raise
        except Exception as error:  # whatever a converter raises
            others = " or ".join(f"--format {name}" for name in ("savedmodel", "onnx") if name != format.name)
            said = _absent(error, graph.model) or _said(error)
            raise RunError(f"{format.title} cannot hold this model: {said}", help=f"use {others}") from error


def _absent(error: Exception, model: Any) -> str:
    """Return the operations that LiteRT lacks and the layers that need them; empty for any other error."""
    text = str(error)
    operations = re.search(r"\bTF Select ops: ([\w, ]+)", text)
    if operations is None:
        return ""
    places = re.findall(r'error: loc\(.*?fused\["\w+:", "([^"@]+)@', text)
    parts = {part for place in places for part in place.split("/")[1:-1]}  # `pool_1` of a layer `pool`
    names = {*parts, *(re.sub(r"_\d+$", "", part) for part in parts)}
    named = sorted({layer.name for layer in layers_inside(model)} & names)
    needed = f", needed by {', '.join(named)}" if named else ""
    return f"it has no operation {operations[1].strip()}{needed}"


def _said(error: Exception) -> str:
    """Return what a converter says, shortened to the lines that name operations, without places in its own code."""
    text = re.sub(r"^<unknown>:0: error: |\bloc\(.*\): |\x1b\[\d*m", "", str(error), flags=re.MULTILINE)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [
        line for line in lines if re.search(r"\b(?:error|failed|not supported|unsupported|Flex ops|Custom ops)\b", line)
    ]
    return " ".join((telling or lines or [type(error).__name__])[:2])[:400]


@contextmanager
def unrolled(model: Any, wanted: bool) -> Iterator[None]:
    """Unroll every recurrence of a model within the block, up to `LONGEST_UNROLLED` steps."""
    changed = []
    if wanted:
        for layer in layers_inside(model):
            if getattr(layer, "unroll", None) is False and _is_short(layer):
                layer.unroll = True
                changed.append(layer)
    try:
        yield
    finally:
        for layer in changed:
            layer.unroll = False


def _is_short(layer: Any) -> bool:
    """Whether the steps of a recurrence are known and few enough to be unrolled, by the shapes that it was built on.

    Inside of a body they are not known. Such a layer is one of ours, which unrolls what it is called with by itself.
    """
    built_on = layer.get_build_config() or {}
    shapes = built_on.get("shapes_dict") or built_on
    sequences = next(iter(shapes.values()), None)
    steps = None if sequences is None else sequences[1]
    return isinstance(steps, int) and steps <= LONGEST_UNROLLED


def _serve(graph: ExportedGraph) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function from inputs to outputs, both by name."""

    def serve(inputs: dict[str, Any]) -> dict[str, Any]:
        tensors = [inputs[each.name] for each in graph.inputs]
        given = graph.model(tensors if len(tensors) > 1 else tensors[0], training=False)
        return dict(zip((each.name for each in graph.outputs), keras.tree.flatten(given), strict=True))

    return serve


def _signature(graph: ExportedGraph, batch: int | None) -> dict[str, Any]:
    import tensorflow as tf

    return {
        each.name: tf.TensorSpec((batch, *each.shape[1:]), dtype=each.dtype, name=each.name) for each in graph.inputs
    }


def _savedmodel(graph: ExportedGraph, path: Path, batch: int | None) -> None:
    archive = keras.export.ExportArchive()
    archive.track(graph.model)
    archive.add_endpoint("serve", _serve(graph), input_signature=[_signature(graph, batch)])
    archive.write_out(str(path), verbose=False)


def _keras(graph: ExportedGraph, path: Path, _batch: int | None) -> None:
    parts = members(_with_operations(graph.model))
    ours = sorted(set(_registered(json.loads(parts["config.json"]))))
    if ours:
        raise ArgumentError(
            f"plain Keras cannot load this model: it has specbuild layers: {', '.join(ours)}",
            help="use --format savedmodel or --format onnx, which hold the operations of every layer",
        )
    write_members(parts, path)


def _with_operations(model: Any) -> Any:
    """Return a model in which the layers of ours that have no weights are replaced by the operations that they run."""

    def own(layer: Any) -> bool:
        return isinstance(layer, Registered)

    def call(layer: Any, *tensors: Any, **keywords: Any) -> Any:
        if isinstance(layer, keras.models.Model):
            return _with_operations(layer)(*tensors, **keywords)
        if own(layer) and not layer.variables:
            return layer.call(*tensors)
        if isinstance(layer, keras.layers.TimeDistributed) and own(layer.layer) and not layer.variables:
            (sequence,) = tensors
            if None not in sequence.shape[1:]:
                return _over_frames(layer.layer, sequence)
        return layer(*tensors, **keywords)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def _over_frames(layer: Any, sequence: Any) -> Any:
    """Return what a layer makes of every frame of a sequence (N, T, …), as operations."""
    frames = keras.ops.reshape(sequence, (-1, *sequence.shape[2:]))
    result = layer.call(frames)
    return keras.ops.reshape(result, (-1, *sequence.shape[1:2], *result.shape[1:]))


def _registered(config: Any) -> Iterator[str]:
    """Yield the names of the classes in a configuration that Keras itself does not have, and what registers them."""
    if isinstance(config, list):
        for entry in config:
            yield from _registered(entry)
    elif isinstance(config, dict):
        name = config.get("registered_name")
        if isinstance(name, str) and ">" in name and "class_name" in config:
            yield name.replace(">", ".").removeprefix("specbuild.")
        for entry in config.values():
            yield from _registered(entry)


def _onnx(graph: ExportedGraph, path: Path, batch: int | None) -> None:
    import onnx
    import tensorflow as tf
    import tf2onnx

    from specbuild.exporting.onnx_operations import HANDLERS, kept_handlers

    signature = _signature(graph, batch)

    def function(*tensors: Any) -> list[Any]:
        return list(_serve(graph)(dict(zip(signature, tensors, strict=True))).values())

    traced = tf.function(function, input_signature=list(signature.values()), autograph=False)
    handlers: dict[str, tuple[Any, list[Any]]] = {name: (handler, []) for name, handler in HANDLERS.items()}
    with kept_handlers():
        model, _ = tf2onnx.convert.from_function(
            traced, list(signature.values()), opset=17, custom_op_handlers=handlers
        )
    _rename_onnx(model, graph, batch)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _rename_onnx(model: Any, graph: ExportedGraph, batch: int | None) -> None:
    """Give the inputs and outputs of an ONNX model their names, and the open axes those of the description."""
    renamed = {}
    for ports, tensors in ((model.graph.input, graph.inputs), (model.graph.output, graph.outputs)):
        for port, tensor in zip(ports, tensors, strict=True):
            renamed[port.name] = tensor.name
            lengths = port.type.tensor_type.shape.dim
            for length, axis in zip(lengths, tensor.axes, strict=False):
                if axis.name == "batch" and batch is not None:
                    length.dim_value = batch
                elif axis.length is None:
                    length.dim_param = axis.name
                else:
                    length.dim_value = axis.length
    inside = {name: f"{name}_" for name in renamed.values() if name not in renamed}
    for node in model.graph.node:
        for names in (node.input, node.output):
            for number, name in enumerate(names):
                names[number] = renamed.get(name, inside.get(name, name))
    for ports in (model.graph.input, model.graph.output):
        for port in ports:
            port.name = renamed[port.name]
    del model.graph.value_info[:]


def _litert(graph: ExportedGraph, path: Path, batch: int | None) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _savedmodel(graph, Path(folder), batch)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        path.write_bytes(converter.convert())


def _openvino(graph: ExportedGraph, path: Path, batch: int | None) -> None:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        _savedmodel(graph, Path(folder), batch)
        model = openvino.Core().read_model(folder)  # convert_model does the same, and reports to Intel over the network
    openvino.save_model(model, str(path), compress_to_fp16=False)


def _torch(graph: ExportedGraph, path: Path, batch: int | None) -> None:
    import torch

    keywords: dict[str, Any] = {}
    if batch is None and len(graph.inputs) == 1:
        keywords["dynamic_shapes"] = {0: torch.export.Dim("batch", min=1, max=4096)}
    graph.model.export(str(path), format="torch", verbose=False, **keywords)


WRITERS: dict[str, Write] = {
    "savedmodel": _savedmodel,
    "keras": _keras,
    "onnx": _onnx,
    "litert": _litert,
    "openvino": _openvino,
    "torch": _torch,
}
assert WRITERS.keys() == FORMATS.keys()
