"""How much memory a training step takes, and how much the graph says that it takes.

    python benchmarks/memory.py [--specs specs/next_frame.yaml …] [--samples 2] [--json FILE]

On JAX the step is compiled and not run: what is measured is XLA's own plan, arguments and results and all that it holds
at once in between. On TensorFlow each step runs in a process of its own, with zeros for data; the most memory that
it holds with one sample is taken from that with several, so that what TensorFlow itself takes does not count, and the
prediction for one sample is added. Both are printed beside the prediction, with measured / predicted.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
SPECS = (
    *("next_frame", "radar_convlstm", "radar_nowcast", "unet_convlstm", "moving_digits"),
    *("era5_temperature", "sea_surface_temperature", "two_heads", "static_map"),
    *("zoo/anomaly_autoencoder", "zoo/bcdu_net", "zoo/cnn_lstm", "zoo/keras_next_frame", "zoo/shi2015_2layers"),
    *("zoo/openstl_convlstm_s", "zoo/predrnn", "zoo/simvp_gsta", "zoo/phydnet", "zoo/shi2017_convgru"),
)
MIB = 2**20
PARTS = ("kept", "gradients", "batch", "activations", "passing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", nargs="+", default=[str(ROOT / "specs" / f"{name}.yaml") for name in SPECS])
    parser.add_argument("--set", nargs="*", default=[], help="overrides, as in specbuild train --set")
    parser.add_argument("--samples", type=int, default=2)
    parser.add_argument("--precision", default="float32", choices=["float32", "mixed_bfloat16"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measured(given.specs[0], given.set, given.samples, given.precision)))
        return
    rows = []
    heads = (*PARTS, "predicted", "measured")
    print(f"{'spec, MiB':32}", *(f"{head:>11}" for head in heads), " ratio")
    for spec in given.specs:
        row = found(spec, given)
        rows.append(row)
        name = Path(spec).stem
        if "error" in row:
            print(f"{name:32} {row['error']}", flush=True)
            continue
        parts = [row[key] / MIB for key in (*PARTS, "predicted", "measured")]
        ratio = row["measured"] / row["predicted"]
        print(f"{name:32}", *(f"{part:11.1f}" for part in parts), f"{ratio:6.2f}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), "utf-8")


def found(spec: str, given: argparse.Namespace) -> dict[str, Any]:
    """Return what was predicted and measured of a spec, or the error."""
    row = in_a_process(spec, given.samples, given)
    if row.get("backend") != "tensorflow":
        return row
    one = in_a_process(spec, 1, given)
    return one if "error" in one else row | {"measured": row["measured"] - one["measured"] + one["predicted"]}


def in_a_process(spec: str, samples: int, given: argparse.Namespace) -> dict[str, Any]:
    """Measure in a process of its own, whose memory nothing else has used."""
    command = [sys.executable, __file__, "--one", "--specs", spec, "--samples", str(samples)]
    command += ["--precision", given.precision, "--set", *given.set]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        return {"spec": spec, "error": (done.stderr.strip().splitlines() or ["no reason given"])[-1]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(path: str, overrides: list[str], samples: int, precision: str) -> dict[str, Any]:
    """Return the prediction and the measurement of a spec, in bytes."""
    from specbuild import build_graph
    from specbuild.graph.memory import step_memory
    from specbuild.model.backend import backend_name, keras
    from specbuild.model.build import build
    from specbuild.runs.checkpoint import build_optimizer
    from specbuild.training.compile import compile_model

    graph = build_graph(path, overrides=overrides)
    expected = step_memory(graph, samples, bytes_per_number=2 if precision == "mixed_bfloat16" else 4)
    if expected is None:
        raise SystemExit("a length is known only at run time")
    model = build(graph, precision)
    compile_model(model, graph.spec, weighted=False, outputs=[output.name for output in graph.outputs])
    build_optimizer(model)
    x = [np.zeros((samples, *given.shape[1:]), str(given.dtype)) for given in keras.tree.flatten(model.inputs)]
    x = x[0] if len(x) == 1 else x
    y = keras.tree.map_structure(lambda output: np.zeros((samples, *output.shape[1:]), np.float32), model.output)
    result = {"spec": path, "samples": samples, "precision": precision, "backend": backend_name()}
    result |= {name: getattr(expected, name) for name in PARTS}
    result["predicted"] = expected.bytes
    if backend_name() == "jax":
        return result | planned(model, x, y)
    model.train_on_batch(x, y)
    return result | {"measured": most_memory_held()}


def planned(model: Any, x: Any, y: Any) -> dict[str, int]:
    """Return what XLA plans to hold at once."""
    import jax

    model._symbolic_build(data_batch=(x, y))
    state = model._get_jax_state(
        trainable_variables=True, non_trainable_variables=True, optimizer_variables=True, metrics_variables=True
    )
    compiled = jax.jit(model.train_step, donate_argnums=0).lower(state, (x, y)).compile()
    plan = compiled.memory_analysis()
    arguments, temporary = plan.argument_size_in_bytes, plan.temp_size_in_bytes
    results = plan.output_size_in_bytes - plan.alias_size_in_bytes
    return {"measured": arguments + results + temporary, "arguments": arguments, "temporary": temporary}


def most_memory_held() -> int:
    """The most bytes that the process has held, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
