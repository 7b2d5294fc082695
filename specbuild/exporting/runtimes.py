"""Runs one exported file in its own runtime, in a process that has neither specbuild nor what the file was made with.

    python runtimes.py job.json

`job.json` names the format, the file, an `.npz` with the inputs by name, and where to write the outputs. This file
imports nothing of specbuild, so that it shows as well how each format is loaded.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray[Any, Any]]
Run = Callable[[Arrays], Sequence[Any]]
"""From the inputs by name to the outputs in the order of the manifest."""
LONG = 5.0
"""Seconds after which a file is not run again to measure its time."""


def savedmodel(path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """Load a SavedModel with TensorFlow alone."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]

    def run(arrays: Arrays) -> list[Any]:
        given = serve(**{name: tf.constant(arrays[name]) for name in inputs})
        return [given[name].numpy() for name in outputs]

    run.keeps = loaded  # type: ignore[attr-defined]  # its variables live as long as the loaded object
    return run


def keras(path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Run:  # noqa: ARG001
    """Load a `.keras` file with plain Keras."""
    import keras

    model = keras.saving.load_model(path, compile=False)

    def run(arrays: Arrays) -> list[Any]:
        given = model([arrays[name] for name in inputs] if len(inputs) > 1 else arrays[inputs[0]], training=False)
        return [keras.ops.convert_to_numpy(tensor) for tensor in keras.tree.flatten(given)]

    return run


def onnx(path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """Load an ONNX file with ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda arrays: session.run(list(outputs), {name: arrays[name] for name in inputs})


def litert(path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """Load a `.tflite` file with the interpreter of LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=2)
    runner = interpreter.get_signature_runner()

    def run(arrays: Arrays) -> list[Any]:
        given = runner(**{name: arrays[name] for name in inputs})
        return [given[name] for name in outputs]

    return run


def openvino(path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Run:
    """Load an OpenVINO model; in full precision, which is not the default of every processor."""
    import openvino

    compiled = openvino.Core().compile_model(path, "CPU", {"EXECUTION_MODE_HINT": "ACCURACY"})

    def run(arrays: Arrays) -> list[Any]:
        given = compiled({name: arrays[name] for name in inputs})
        return [given[name] for name in outputs]

    return run


def torch(path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Run:  # noqa: ARG001
    """Load an exported program with PyTorch alone."""
    import torch

    module = torch.export.load(path).module()

    def run(arrays: Arrays) -> list[Any]:
        given = [torch.from_numpy(arrays[name]) for name in inputs]
        result = module(given) if len(given) > 1 else module(given[0])
        return [tensor.detach().numpy() for tensor in (result if isinstance(result, list | tuple) else [result])]

    return run


LOAD: dict[str, Callable[[str, Sequence[str], Sequence[str]], Run]] = {
    "savedmodel": savedmodel,
    "keras": keras,
    "onnx": onnx,
    "litert": litert,
    "openvino": openvino,
    "torch": torch,
}
ABSENT = {
    "savedmodel": ("specbuild", "jax"),
    "keras": ("specbuild",),
    "onnx": ("specbuild", "keras", "tensorflow", "jax", "tf2onnx"),
    "litert": ("specbuild", "keras", "tensorflow", "jax"),
    "openvino": ("specbuild", "keras", "tensorflow", "jax"),
    "torch": ("specbuild", "keras", "tensorflow", "jax"),
}
"""Packages that cannot be imported while a file of each format runs."""


class _Without:
    """A finder of modules that does not find some packages: as if they were not installed, also for `find_spec`."""

    def __init__(self, finder: Any, names: Sequence[str]) -> None:
        self._finder, self._names = finder, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] in self._names else self._finder.find_spec(name, path, target)


def hide(names: Sequence[str]) -> None:
    """Make packages as absent from this process as if they were not installed."""
    sys.meta_path[:] = [_Without(finder, names) for finder in sys.meta_path]


def computed(record: Mapping[str, Any], stored: Arrays) -> np.ndarray[Any, Any]:
    """Compute an input of each sample from its frames, with the Python file that lies beside the exported one."""
    function = runpy.run_path(record["file"])[record["function"]]
    name = record["name"]
    count = sum(key.startswith(f"frames/{name}/") for key in stored)
    values = [function(stored[f"frames/{name}/{sample}"], **record["arguments"]) for sample in range(count)]
    entry = stored.get(f"entry/{name}")
    return np.stack(values if entry is None else [each[entry] for each in values])


def main(job_file: str) -> None:
    """Run a job in this process, and hide from it the modules that the runtime must not need."""
    job = json.loads(Path(job_file).read_text("utf-8"))
    hide(ABSENT[job["format"]])
    sys.path += [folder for folder in job["path"] if folder not in sys.path]
    measure(job)


def measure(job: Mapping[str, Any]) -> None:
    """Run a job and write the outputs and the seconds that one batch takes.

    With a batch of any size the samples run together, and the first one again by itself; with a fixed batch, in batches
    of that size.
    """
    with np.load(job["inputs"]) as stored:
        given = dict(stored)
    arrays = {name: given[name] for name in job["input_names"] if name in given}
    for each in job["computed"]:
        arrays[each["name"]] = computed(each, given)
    run = LOAD[job["format"]](job["file"], job["input_names"], job["output_names"])
    count, fixed = len(next(iter(arrays.values()))), job["batch"]
    starts = range(0, count - (fixed or count) + 1, fixed or count)
    parts = [range(start, start + (fixed or count)) for start in starts]
    parts += [range(1)] if fixed is None and count > 1 else []
    results: dict[str, Any] = {}
    for samples in parts:
        part = {name: np.ascontiguousarray(values[samples.start : samples.stop]) for name, values in arrays.items()}
        for number, output in enumerate(run(part)):
            results[f"{samples.start}/{samples.stop}/{number}"] = np.asarray(output)
    times: list[float] = []
    while len(times) < 5 and sum(times) < LONG:
        begin = time.perf_counter()
        run(part)
        times.append(time.perf_counter() - begin)
    np.savez(job["outputs"], seconds=min(times), **results)


if __name__ == "__main__":
    main(sys.argv[1])
