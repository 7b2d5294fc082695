"""Exports the shipped models in every format and writes the largest differences and runtimes into docs/exporting.md.

    python tools/export_matrix.py                        print the table
    python tools/export_matrix.py --write                put it into docs/exporting.md
    python tools/export_matrix.py --only predrnn mau     some models

The zoo's models are small variants of the same specs, untrained, with drawn inputs; files run as `specbuild export`
runs them, in processes without specbuild. A format whose package is not installed is left out. The table is on disk
after each model: a second call goes on where the first was ended (`--again` begins anew).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from specbuild import build_graph, build_model  # noqa: E402
from specbuild.document import RunError, SpecbuildError  # noqa: E402
from specbuild.exporting.description import Axis, ExportedGraph, TensorDescription  # noqa: E402
from specbuild.exporting.differences import Difference  # noqa: E402
from specbuild.exporting.export import TOLERANCE, compared, run_graph  # noqa: E402
from specbuild.exporting.formats import FORMATS, Format, check_installed  # noqa: E402
from specbuild.exporting.samples import Samples  # noqa: E402
from specbuild.graph.model import closed  # noqa: E402
from tests.model.test_zoo import ZOO, spec  # noqa: E402

PAGE = ROOT / "docs" / "exporting.md"
MARK = "<!-- Table written by tools/export_matrix.py. -->\n"
SHAPES = ("whole", "streaming")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--only", nargs="*", choices=ZOO, default=list(ZOO))
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=["savedmodel", "onnx", "litert", "openvino"])
    parser.add_argument("--done", type=Path, default=Path(tempfile.gettempdir()) / "export_matrix.json")
    options = parser.parse_args()
    done: dict[str, dict[str, str]] = {}
    if options.done.exists() and not options.again:
        done = json.loads(options.done.read_text("utf-8"))
    formats = [FORMATS[name] for name in options.formats if installed(FORMATS[name])]
    for name in options.only:
        for shape in SHAPES:
            row = done.setdefault(f"{name} {shape}", {})
            missing = [format for format in formats if format.name not in row]
            if missing:
                row |= cells(name, shape, missing)
                options.done.write_text(json.dumps(done), "utf-8")
                print(f"{name} {shape}: {row}", flush=True)
    text = table(done, [format.name for format in formats])
    print(text)
    if options.write:
        before, _, after = PAGE.read_text("utf-8").partition(MARK)
        rest = after.lstrip("\n")
        while rest.startswith("|"):
            rest = rest.partition("\n")[2]
        PAGE.write_text(f"{before}{MARK}\n{text}\n{rest.lstrip()}", "utf-8")


def installed(format: Format) -> bool:
    try:
        check_installed(format)
    except RunError:
        return False
    return True


def cells(name: str, shape: str, formats: list[Format]) -> dict[str, str]:
    """Export one model, and return what each format gives: the largest relative difference and milliseconds."""
    try:
        graphs = graphs_of(name, shape)
    except SpecbuildError as error:
        return dict.fromkeys(
            (format.name for format in formats),
            f"refused: {str(error).strip().splitlines()[0].removeprefix('error: ')}",
        )
    return {format.name: cell(graphs, format) for format in formats}


def graphs_of(name: str, shape: str) -> list[ExportedGraph]:
    """Return the graphs of a small variant of a model of the zoo."""
    graph = build_graph(spec(name), overrides={f"vars.{key}": value for key, value in ZOO[name].small.items()})
    model = build_model(graph)
    if shape == "streaming":
        from specbuild.exporting.stream.models import stream_models

        found = stream_models(graph, model)
        return [described(each) for each in found.models.values()]
    return [described(model)]


def described(model: Any) -> ExportedGraph:
    """Return a model as a graph whose tensors have the names of its inputs and numbers for its outputs."""

    def tensor(name: str, port: Any) -> TensorDescription:
        axes = (Axis("batch" if not number else f"axis_{number}", length) for number, length in enumerate(port.shape))
        return TensorDescription(name, "frame", tuple(axes), dtype=str(port.dtype))

    inputs = tuple(tensor(port.name, port) for port in model.inputs)
    outputs = tuple(tensor(f"output_{number}", port) for number, port in enumerate(model.outputs))
    return ExportedGraph(model, inputs, outputs)


def cell(graphs: list[ExportedGraph], format: Format) -> str:
    """Return one entry of the table."""
    from specbuild.exporting.convert import convert

    for batch in (None, 1):
        differences: list[Difference] = []
        seconds = 0.0
        try:
            for graph in graphs:
                with tempfile.TemporaryDirectory() as folder:
                    convert(graph, format, Path(folder) / f"model{format.suffix}", batch)
                    samples = drawn_samples(graph)
                    samples.store(Path(folder) / "model.npz")
                    record = {**graph.record(), "name": "model"}
                    results, took = run_graph(format, record, Path(folder), batch or graph.inputs[0].shape[0])
                    differences += [each for each, _ in compared(results, record, Path(folder))]
                    seconds += took
        except RunError as error:
            failed = error.message.partition(": ")[2][:80]
            continue
        worst = max(each.relative for each in differences)
        if worst <= TOLERANCE:
            return f"{worst:.0e}, {1000 * seconds:.3g} ms" + (" (batch of 1)" if batch else "")
        failed = f"differs by {worst:.1e}"
    return f"no: {failed}".replace("|", " ")


def drawn_samples(graph: ExportedGraph) -> Samples:
    """Return drawn inputs of a graph, and what its `keras.Model` makes of them."""
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
    return Samples(inputs, outputs, "drawn numbers")


def table(done: dict[str, dict[str, str]], formats: list[str]) -> str:
    """Return the rows as Markdown."""
    head = f"| model | shape | {' | '.join(formats)} |\n" + "|---" * (len(formats) + 2) + "|\n"
    rows = []
    for key, row in done.items():
        name, _, shape = key.partition(" ")
        rows.append(f"| `{name}` | {shape} | {' | '.join(row.get(each, '') for each in formats)} |\n")
    return head + "".join(rows)


if __name__ == "__main__":
    main()
