"""Exports one model in one format after another: the process in which `tools/export_matrix.py` fills a row.

    python tools/export_cells.py MODEL FOLDER

A line of its input asks for a cell, `{"shape": "whole", "format": "onnx"}`; a line of its output answers, with what was
measured or why there is no such file. FOLDER keeps what the processes of one model share: weights, samples, a run.

Models of `specs/zoo` are untrained small variants with drawn inputs: each graph is converted and its file is run. Specs
with data are trained for two steps as runs, which `specbuild.export` exports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from specbuild import build_graph, build_model, export  # noqa: E402
from specbuild.document import SpecbuildError  # noqa: E402
from specbuild.exporting import runtimes  # noqa: E402
from specbuild.exporting.convert import convert  # noqa: E402
from specbuild.exporting.description import Axis, ExportedGraph, TensorDescription  # noqa: E402
from specbuild.exporting.export import TOLERANCE, compared, run_graph  # noqa: E402
from specbuild.exporting.formats import FORMATS, Format  # noqa: E402
from specbuild.exporting.samples import Samples  # noqa: E402
from specbuild.graph.model import closed  # noqa: E402
from specbuild.training import train  # noqa: E402
from tests.model.test_zoo import ZOO, spec  # noqa: E402
from tests.run.test_shipped import SHORT, SPECS, TINY  # noqa: E402

RUNTIME = """
import json, runpy, sys, traceback
from pathlib import Path
runtimes = runpy.run_path(sys.argv[1])
runtimes["hide"](runtimes["ABSENT"][sys.argv[2]])
for line in sys.stdin:
    job = json.loads(Path(line.strip()).read_text("utf-8"))
    sys.path += [folder for folder in job["path"] if folder not in sys.path]
    try:
        runtimes["measure"](job)
        answer = ""
    except Exception:
        answer = " ".join(traceback.format_exc().split())[-600:]
    print("done", answer, flush=True)
"""
"""Runs jobs of one format, without specbuild as after an export, in one process so that its runtime is loaded once."""

Cell = dict[str, Any]
"""What was measured, `relative`, `seconds` and `batch`; or why there is no file: `no` or, in any format, `refused`."""


class Zoo:
    """The graphs of a small variant of a published model, which every format is made of."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        overrides = {f"vars.{key}": value for key, value in ZOO[name].small.items()}
        self.graph = build_graph(spec(name), overrides=overrides)
        self.model = build_model(self.graph)
        self.made: dict[str, list[ExportedGraph]] = {}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        weights = folder / "weights.npz"
        if weights.exists():
            with np.load(weights) as stored:
                self.model.set_weights([stored[f"arr_{number}"] for number in range(len(stored))])
        else:
            np.savez(weights, *self.model.get_weights())

    def cell(self, shape: str, format: Format) -> Cell:
        """Return one entry of the table."""
        try:
            graphs = self.graphs(shape)
        except SpecbuildError as error:
            return {"refused": first_line(error)}
        try:
            return self.measured(graphs, shape, format, None)
        except SpecbuildError as error:
            if not format.may_fix_batch:
                return {"no": error.message}
        try:
            return self.measured(graphs, shape, format, 1)
        except SpecbuildError as error:
            return {"no": error.message}

    def graphs(self, shape: str) -> list[ExportedGraph]:
        """Return the graphs of a shape, whose samples are stored."""
        if shape not in self.made:
            self.made[shape] = list(self._graphs(shape))
            for graph in self.made[shape]:
                place = self.folder / f"{shape}-{graph.name}.npz"
                if not place.exists():
                    drawn_samples(graph).store(place)
        return self.made[shape]

    def _graphs(self, shape: str) -> list[ExportedGraph]:
        if shape == "whole":
            return [described(self.model, "model")]
        from specbuild.exporting.stream.models import stream_models

        streams = stream_models(self.graph, self.model)
        return [described(model, name) for name, model in streams.models.items()]

    def measured(self, graphs: list[ExportedGraph], shape: str, format: Format, batch: int | None) -> Cell:
        """Export the graphs and run the files."""
        relative, seconds = 0.0, 0.0
        fixed = batch or graphs[0].inputs[0].shape[0]
        with tempfile.TemporaryDirectory() as work:
            for graph in graphs:
                convert(graph, format, Path(work) / f"{graph.name}{format.suffix}", batch)
                (Path(work) / f"{graph.name}.npz").symlink_to(self.folder / f"{shape}-{graph.name}.npz")
                record = graph.record()
                results, took = run_graph(format, record, Path(work), fixed, lambda job: self.run(format, job))
                relative = max(relative, *(each.relative for each, _ in compared(results, record, Path(work))))
                seconds += took
        if not relative <= TOLERANCE:
            return {"no": f"differs by {relative:.1e}"}
        return {"relative": relative, "seconds": seconds, "batch": fixed}

    def run(self, format: Format, job: Path) -> str:
        """Run a job in the process of a format; return the error if it fails."""
        process = self.processes.get(format.name)
        if process is None or process.poll() is not None:
            process = self.processes[format.name] = subprocess.Popen(
                [sys.executable, "-I", "-c", RUNTIME, runtimes.__file__, format.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{job}\n")
        process.stdin.flush()
        for line in process.stdout:
            if line.startswith("done "):
                return line.removeprefix("done ").strip()
        return f"it ended with code {process.wait()}"


@dataclass(frozen=True)
class Shipped:
    """A spec with data, trained for two steps, and exported by what users call."""

    run: Path

    @classmethod
    def of(cls, name: str, folder: Path) -> Shipped:
        """Return a run in a folder, trained unless it is there."""
        runs = sorted((folder / "runs").glob("*/run.json"))
        if runs:
            return cls(runs[0].parent)
        made = train(
            SPECS / f"{name}.yaml", overrides=[*TINY[name], *SHORT], out=folder / "runs", quiet=True, score=False
        )
        return cls(made.path)

    def cell(self, shape: str, format: Format) -> Cell:
        """Return one entry of the table."""
        with tempfile.TemporaryDirectory() as work:
            try:
                result = export(self.run, format=format.name, shape=shape, output=Path(work) / f"file{format.suffix}")
            except SpecbuildError as error:
                return {"no": first_line(error)}
        return {"relative": result.difference.relative, "seconds": result.seconds, "batch": result.batch}


def first_line(error: SpecbuildError) -> str:
    """Return what an error says, without its place and its advice."""
    return str(error).strip().splitlines()[0].removeprefix("error: ")


def described(model: Any, name: str) -> ExportedGraph:
    """Return a model as a graph whose tensors have the names of its inputs and numbers for its outputs."""

    def tensor(name: str, port: Any) -> TensorDescription:
        axes = (Axis("batch" if not number else f"axis_{number}", length) for number, length in enumerate(port.shape))
        return TensorDescription(name, "frame", tuple(axes), dtype=str(port.dtype))

    inputs = tuple(tensor(port.name, port) for port in model.inputs)
    outputs = tuple(tensor(f"output_{number}", port) for number, port in enumerate(model.outputs))
    return ExportedGraph(model, inputs, outputs, name)


def drawn_samples(graph: ExportedGraph) -> Samples:
    """Return random inputs of a graph, and the outputs of its `keras.Model`."""
    from specbuild.model.backend import keras

    random = np.random.default_rng(0)
    inputs = {
        each.name: random.standard_normal((2, *closed(each.shape[1:]))).astype(each.dtype)
        if each.dtype.startswith("float")
        else random.integers(0, 2, (2, *closed(each.shape[1:]))).astype(each.dtype)
        for each in graph.inputs
    }
    given = list(inputs.values())
    flat = keras.tree.flatten(graph.model(given if len(given) > 1 else given[0], training=False))
    outputs = {each.name: keras.ops.convert_to_numpy(tensor) for each, tensor in zip(graph.outputs, flat, strict=True)}
    return Samples(inputs, outputs, "random numbers")


def main(name: str, folder: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what converters print is no answer
    model = Zoo(name, Path(folder)) if name in ZOO else Shipped.of(name, Path(folder))
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        asked = cast("dict[str, str]", json.loads(line))
        print(json.dumps(model.cell(asked["shape"], FORMATS[asked["format"]])), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
