"""One case of the benchmark of a GPU, in a process of its own that gpu.py starts and, when its time is up, ends.

    python benchmarks/gpu_cases.py ROWS layers 16x10x64x64x1,128,3,3 specbuild bfloat16 tf32 float32

Every measurement is a JSON object in a line of its own that is added to the file ROWS as soon as it is there. Times are
seconds, memory is in bytes, rates are operations per second.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contenders import Case, Contender, Work, keras_contender, policy, reason, seconds, torch_contender

SPECS = Path(__file__).parent.parent / "specs"
TIMED = 1.5
"""Seconds for which something is measured again and again, once it is compiled."""
MODELS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "openstl_convlstm_s": (
        "zoo/openstl_convlstm_s.yaml",
        {},
        {"past": 2, "future": 2, "height": 16, "width": 16, "widths": [4, 4], "kernel": 3},
    ),
    "predrnn": (
        "zoo/predrnn.yaml",
        {},
        {"past": 2, "future": 2, "height": 16, "width": 16, "widths": [4, 4], "kernel": 3},
    ),
    "radar_nowcast": ("radar_nowcast.yaml", {"size": 256}, {"size": 32, "filters": 4}),
}
"""A spec, and its variables at full and at tiny scale."""


class Rows:
    """Where a case puts what it measures."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, kind: str, **values: Any) -> None:
        line = json.dumps({"kind": kind, **values})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)


def main() -> None:
    path, kind, *arguments = sys.argv[1:]
    CASES[kind](Rows(Path(path)), *arguments)


def layers(rows: Rows, text: str, names: str, *precisions: str) -> None:
    """Measure layers in one shape: Keras's and ours, or PyTorch's in some modes."""
    case = Case.parse(text)
    _machine(rows, torch=names not in ("Keras", "specbuild"))
    for precision in precisions:
        for name in names.split(","):
            make = keras_contender if name in ("Keras", "specbuild") else torch_contender
            _or_failure(rows, f"{name}, {precision}", _layer, rows, make, case, name, precision)


def _layer(rows: Rows, make: Callable[..., Contender], case: Case, name: str, precision: str) -> None:
    contender = make(name, case, precision) if make is keras_contender else make(case, precision, name)
    row: dict[str, Any] = {"name": contender.name, "precision": precision, "case": str(case), "flops": case.flops}
    row["matrix_rate"] = 2 * contender.matrix**3 / timed(contender.multiply)["best"]
    row["text"] = [name, *map(str, ("x".join(map(str, case.shape)), *case[1:]))]
    rows.add("layer", **row, **measured(contender.infer, contender.train))


def measured(infer: Work | None, train: Work) -> dict[str, Any]:
    """Return times, memory and the time of the first call of inference, if any, and of a training step."""
    values: dict[str, Any] = {}
    for name, work in (("inference", infer), ("training", train)):
        if work is not None:
            times = timed(work)
            values |= {name: times["best"], f"{name}_median": times["median"], f"{name}_first": times["first"]}
            values[f"{name}_memory"] = work.memory()
    return values


def timed(work: Work) -> dict[str, float]:
    """Return the seconds of the first call, and the least and the median of the others."""
    first, times = seconds(work), []
    end = time.monotonic() + TIMED
    while len(times) < 3 or (time.monotonic() < end and len(times) < 100):
        times.append(seconds(work))
    return {"first": first, "best": min(times), "median": statistics.median(times)}


def variants(rows: Rows, text: str, precision: str) -> None:
    """Measure a training step of our layers, and of every variant in plain JAX."""
    from contenders import keras_model
    from variants import VARIANTS, training

    case = Case.parse(text)
    _machine(rows)
    ours = keras_contender("specbuild", case, precision)
    rate = 2 * ours.matrix**3 / timed(ours.multiply)["best"]
    shared = {"precision": precision, "case": str(case), "flops": case.flops, "matrix_rate": rate}
    rows.add("variant", name="the layer", **shared, **measured(None, ours.train))
    weights = [weight.value for weight in keras_model("specbuild", case, precision).trainable_variables]

    def measure(name: str, work: Work) -> None:
        rows.add("variant", name=name, **shared, **measured(None, work))

    for variant in VARIANTS:
        _or_failure(rows, variant.name, lambda v=variant: measure(v.name, training(v, weights, case, precision)))


def model(rows: Rows, name: str, scale: str, *precisions: str) -> None:
    """Measure a spec's model: inference, and its own training step with optimizer, loss and metrics."""
    _machine(rows)
    for precision in precisions:
        _or_failure(rows, f"{name}, {precision}", _model, rows, name, scale, precision)


def _model(rows: Rows, name: str, scale: str, precision: str) -> None:
    from contenders import JaxWork, ModelStep, jax_product, matrix_size

    from specbuild.model.backend import has_accelerator

    graph = _graph(name, scale)
    step = ModelStep.of(graph, policy(precision))
    step.precision = precision
    net, batch = step.model, graph.spec.batch_size
    weights, fixed, *_ = step.state
    inputs = step.data[0]

    def forward(weights: list[Any], fixed: list[Any], x: Any) -> Any:
        return net.stateless_call(weights, fixed, x, training=False)[0]

    infer = JaxWork(forward, [w.copy() for w in weights], [w.copy() for w in fixed], inputs, precision=precision)
    matrix = matrix_size(has_accelerator())
    rate = 2 * matrix**3 / timed(jax_product(precision, matrix))["best"]
    values = measured(infer, step)
    rows.add(
        "model",
        name=f"model {name}",
        precision=precision,
        case=f"{name}, batch {batch}",
        flops=(graph.flops or 0) * batch,
        matrix_rate=rate,
        text=[name, scale],
        **values,
    )


def _graph(name: str, scale: str) -> Any:
    from specbuild.graph import build_graph

    file, full, tiny = MODELS[name]
    given = tiny if scale == "tiny" else full
    overrides = {f"vars.{key}": value for key, value in given.items()}
    return build_graph(str(SPECS / file), overrides=overrides | ({"train.batch_size": 2} if scale == "tiny" else {}))


def loop(rows: Rows, scale: str) -> None:
    """Compare `specbuild train` with a bare loop over the same step."""
    import training_loop

    _machine(rows)
    spec = training_loop.SPEC
    fewer = "data.source.sequences=2000"  # drawn before the first step
    larger = [fewer, "vars.size=64", "vars.filters=128", "train.batch_size=16"]
    runs = [("as shipped", "float32", [fewer], 80), ("64 × 64, 128 filters", "bfloat16", larger, 40)]
    if scale == "tiny":
        small = ["vars.filters=4", "data.source.sequences=60", "train.batch_size=2"]
        runs = [("small", "float32", small, 5)]
    for title, precision, changes, steps in runs:
        best = training_loop.measured(str(spec), [*changes, f"train.precision={precision}"], steps, 1)
        rows.add("loop", name=f"{spec.stem}, {title}", precision=precision, **best)


def profile(rows: Rows, text: str, path: str) -> None:
    """Write a table of the operations that a training step of a row spends its time in."""
    from gpu_profile import of_steps

    row = json.loads(text)
    if row["kind"] == "layer":
        name, shape, *numbers = row["text"]
        step: Work = keras_contender(name, Case.parse(",".join([shape, *numbers])), row["precision"]).train
    else:
        from contenders import ModelStep

        step = ModelStep.of(_graph(*row["text"]), policy(row["precision"]))
        step.precision = row["precision"]
    table, operations = of_steps(step)
    title = f"Training step of {row['name']}, {row['case']}, {row['precision']}"
    Path(path).write_text(f"# {title}\n\n{table}\n", encoding="utf-8")
    rows.add("profile", name=title, operations=operations)


def rehearse(rows: Rows, fault: str) -> None:
    """Do what a case must not do, after one row."""
    rows.add("rehearsal", name=fault)
    if fault == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    elif fault == "memory":
        raise MemoryError("rehearsed")
    os.kill(os.getpid(), signal.SIGKILL)


def _machine(rows: Rows, torch: bool = False) -> None:
    from contenders import machine

    if torch:
        import torch as framework

        gpu = framework.cuda.is_available()
        rows.add("machine", **machine(framework.cuda.get_device_name() if gpu else "cpu"), framework="torch")
        return
    import jax

    rows.add("machine", **machine(jax.devices()[0].device_kind), framework="jax")


def _or_failure(rows: Rows, name: str, run: Callable[..., None], *arguments: Any) -> None:
    """Do something; where it fails, say so in a row, and go on."""
    try:
        run(*arguments)
    except Exception as error:
        rows.add("failure", name=name, reason=reason(error)[:300])


CASES: dict[str, Callable[..., None]] = {
    "layers": layers,
    "variants": variants,
    "model": model,
    "loop": loop,
    "profile": profile,
    "rehearse": rehearse,
}

if __name__ == "__main__":
    main()
