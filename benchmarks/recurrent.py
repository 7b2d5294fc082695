"""How fast a ConvLSTM2D runs: Keras's, ours and a custom cell, which give the same, and one for PyTorch.

    python benchmarks/recurrent.py [--case 4x10x32x32x8,16,3 …] [--precision float32 bfloat16] [--json FILE]

A case is a batch N × T × H × W × C, filters, and the extent of both kernels; the layer pads to the same size and
returns every step. The text is specs/cells/conv_lstm.yaml. A training step is mean squared error and plain gradient
descent. Keras runs on the backend that KERAS_BACKEND names, PyTorch where it is installed, both on a GPU where there is
one. All rows of a case take turns, and the fastest of each counts, so that what else the machine does hurts all of them
alike.

FLOP/s are those of the catalogue's count, training taken as three times inference. The share is that of the rate of a
large matrix product in the same framework and precision, measured in the same turns.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from specbuild import build_model
from specbuild.catalog.conv_lstm import ConvLSTM2D as Static
from specbuild.model.backend import backend_name, device_name, has_accelerator, jit_compile, keras
from specbuild.model.layers import ConvLSTM2D

LAYERS = ["Keras", "specbuild", "text", "PyTorch"]
TEXT = Path(__file__).parent.parent / "specs" / "cells" / "conv_lstm.yaml"
PATIENCE = 30.0
"""Seconds after which a contender takes no more turns."""
Run = Callable[[], Any]
"""Does its work once, and returns when the device is done."""


class Case(NamedTuple):
    """A batch (N, T, H, W, C), and the layer that reads it."""

    shape: tuple[int, ...]
    filters: int
    kernel: int

    def __str__(self) -> str:
        return f"{' × '.join(map(str, self.shape))} (N T H W C), {self.filters} filters {self.kernel} × {self.kernel}"

    @property
    def flops(self) -> int:
        """Operations of one forward pass over the batch."""
        layer = Static(filters=self.filters, kernel_size=(self.kernel, self.kernel), padding="same")
        return self.shape[0] * (layer.flops(self.shape[1:]) or 0)

    def example(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        return rng.random(self.shape, "float32"), rng.random((*self.shape[:-1], self.filters), "float32")


class Contender(NamedTuple):
    """A layer in one precision: what runs it forward, what trains it for a step, and what multiplies matrices there."""

    name: str
    framework: str
    precision: str
    infer: Run
    train: Run
    multiply: Run


class Row(NamedTuple):
    """What is measured of a contender: seconds, and operations per second as a share of the matrix product's."""

    name: str
    precision: str
    inference: float
    training: float
    matrix_rate: float


def main() -> None:
    options = arguments()
    report: dict[str, Any] = {"machine": machine(), "date": date.today().isoformat(), "cases": []}
    print(", ".join(f"{key} {value}" for key, value in report["machine"].items()))
    for case in options.case:
        load = os.getloadavg()[0]
        rows = measured(list(contenders(case, options.precision, options.layers)), options.repeats)
        print(f"\n{case}: {case.flops / 1e9:.2f} GFLOP forward; load {load:.2f} before\n")
        print(table(case, rows), flush=True)
        report["cases"].append(
            {"case": str(case), "flops": case.flops, "load": load, "rows": [r._asdict() for r in rows]}
        )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cases = [Case((4, 10, 32, 32, 8), 16, 3), Case((2, 10, 64, 64, 16), 64, 5)]
    parser.add_argument("--case", nargs="+", type=parse_case, default=cases, help="NxTxHxWxC,filters,kernel")
    parser.add_argument("--precision", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS)
    parser.add_argument("--repeats", type=int, default=5, help="turns after the one that compiles")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser.parse_args()


def parse_case(text: str) -> Case:
    shape, filters, kernel = text.split(",")
    lengths = tuple(map(int, shape.split("x")))
    if len(lengths) != 5:
        raise argparse.ArgumentTypeError(f"expected five lengths as in 4x10x32x32x8, got {shape}")
    return Case(lengths, int(filters), int(kernel))


def contenders(case: Case, precisions: list[str], layers: list[str]) -> Iterator[Contender]:
    for precision in precisions:
        for name, kind in (("Keras", keras.layers.ConvLSTM2D), ("specbuild", ConvLSTM2D)):
            if name in layers:
                yield keras_contender(f"{name} ({backend_name()})", kind, case, precision)
        if "text" in layers:
            yield text_contender(case, precision)
        if "PyTorch" in layers and importlib.util.find_spec("torch") is not None:
            yield torch_contender(case, precision, compiled=False)
            yield torch_contender(case, precision, compiled=True)


def measured(found: list[Contender], repeats: int) -> list[Row]:
    """The fastest turn of each, after one that compiles; a contender that fails is named and left out."""
    ready = [one for one in found if starts(one)]
    best, spent = [[math.inf] * 3 for _ in ready], [0.0] * len(ready)
    for _ in range(repeats):
        for place, one in enumerate(ready):
            if spent[place] < PATIENCE:
                turn = [seconds(run) for run in (one.infer, one.train, one.multiply)]
                best[place] = [min(pair) for pair in zip(best[place], turn, strict=True)]
                spent[place] += sum(turn)
    rates: dict[tuple[str, str], float] = {}
    for one, times in zip(ready, best, strict=True):
        key = one.framework, one.precision
        rates[key] = max(rates.get(key, 0.0), 2 * matrix_size() ** 3 / times[2])
    return [
        Row(one.name, one.precision, times[0], times[1], rates[one.framework, one.precision])
        for one, times in zip(ready, best, strict=True)
    ]


def starts(one: Contender) -> bool:
    try:
        for run in (one.infer, one.train, one.multiply):
            run()
    except Exception as error:  # such as no C++ compiler for torch.compile
        words = next(iter(str(error).strip().splitlines()), type(error).__name__)
        print(f"{one.name}, {one.precision}: left out: {words}", file=sys.stderr)
        return False
    return True


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def table(case: Case, rows: list[Row]) -> str:
    lines = [
        f"| {'layer':<22} | precision | inference | GFLOP/s | share | training  | GFLOP/s | share |",
        f"| {'-' * 22} | --------- | --------: | ------: | ----: | --------: | ------: | ----: |",
    ]
    for row in rows:
        cells = []
        for taken, times in ((row.inference, 1), (row.training, 3)):
            rate = times * case.flops / taken
            cells += [f"{taken * 1e3:>6.4g} ms", f"{rate / 1e9:>7.4g}", f"{rate / row.matrix_rate:>5.0%}"]
        lines.append(f"| {row.name:<22} | {row.precision:<9} | {' | '.join(cells)} |")
    return "\n".join(lines)


def keras_contender(name: str, kind: type[Any], case: Case, precision: str) -> Contender:
    policy = "float32" if precision == "float32" else "mixed_bfloat16"
    frames = keras.Input(case.shape[1:])
    layer = kind(case.filters, case.kernel, padding="same", return_sequences=True, dtype=policy)
    runs = {"tensorflow": tensorflow_runs, "jax": jax_runs}[backend_name()]
    return Contender(name, backend_name(), precision, *runs(keras.Model(frames, layer(frames)), case, precision))


def text_contender(case: Case, precision: str) -> Contender:
    steps, size, width, channels = case.shape[1:]
    if size != width:
        raise SystemExit(f"the text is for square frames, not {size} × {width}")
    given = {"frames": steps, "size": size, "channels": channels, "filters": case.filters, "kernel": case.kernel}
    overrides = {f"vars.{name}": value for name, value in given.items()} | {"outputs": ["memory.sequence"]}
    policy = "float32" if precision == "float32" else "mixed_bfloat16"
    runs = {"tensorflow": tensorflow_runs, "jax": jax_runs}[backend_name()]
    model = build_model(TEXT, overrides=overrides, precision=policy)
    return Contender(f"text ({backend_name()})", backend_name(), precision, *runs(model, case, precision))


def tensorflow_runs(model: Any, case: Case, precision: str) -> tuple[Run, Run, Run]:
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # it mistakes the functions of several cases for retracing of one
    x, y = map(tf.constant, case.example())
    jit = jit_compile() is not False
    a = tf.random.normal((matrix_size(),) * 2, dtype=precision)

    @tf.function(jit_compile=jit)
    def train() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.cast(model(x, training=True), "float32") - y))
        weights = [weight.value for weight in model.trainable_variables]
        for weight, slope in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.01 * slope)

    def finished(run: Run) -> Run:
        def wait() -> None:
            run()
            tf.test.experimental.sync_devices()

        return wait

    infer = tf.function(lambda: model(x), jit_compile=jit)
    multiply = tf.function(lambda: tf.matmul(a, a))
    return finished(infer), finished(train), finished(multiply)


def jax_runs(model: Any, case: Case, precision: str) -> tuple[Run, Run, Run]:
    import jax
    from jax import numpy as jnp

    x, y = map(jnp.asarray, case.example())
    weights = [weight.value for weight in model.trainable_variables]
    fixed = [weight.value for weight in model.non_trainable_variables]
    a = jax.random.normal(jax.random.key(0), (matrix_size(),) * 2, precision)

    def forward(weights: list[Any], x: Any) -> Any:
        return model.stateless_call(weights, fixed, x)[0]

    def loss(weights: list[Any], x: Any, y: Any) -> Any:
        return jnp.mean(jnp.square(forward(weights, x).astype("float32") - y))

    @jax.jit
    def step(weights: list[Any], x: Any, y: Any) -> list[Any]:
        return [w - 0.01 * slope for w, slope in zip(weights, jax.grad(loss)(weights, x, y), strict=True)]

    infer, multiply = jax.jit(forward), jax.jit(jnp.matmul)
    return (
        lambda: jax.block_until_ready(infer(weights, x)),
        lambda: jax.block_until_ready(step(weights, x, y)),
        lambda: jax.block_until_ready(multiply(a, a)),
    )


def torch_contender(case: Case, precision: str, compiled: bool) -> Contender:
    """The same recurrence in PyTorch: one convolution of the input of all steps, and one of the state in each step."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    kind, width, padding = getattr(torch, precision), 4 * case.filters, case.kernel // 2
    of_input = torch.nn.Conv2d(case.shape[-1], width, case.kernel, padding=padding)
    of_state = torch.nn.Conv2d(case.filters, width, case.kernel, padding=padding, bias=False)
    layers = torch.nn.ModuleList([of_input, of_state]).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.01)
    x, y = (torch.from_numpy(one).to(device).movedim(-1, 2) for one in case.example())
    a = torch.randn((matrix_size(),) * 2, device=device, dtype=kind)

    def forward(x: Any) -> Any:
        projected = of_input(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        h = c = torch.zeros_like(y[:, 0])
        steps = []
        for gates in projected.unbind(1):
            i, f, o, g = (gates + of_state(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            steps.append(h)
        return torch.stack(steps, 1)

    run = torch.compile(forward, dynamic=False) if compiled else forward
    precise = torch.autocast(device, dtype=kind, enabled=precision != "float32")

    def finish() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    def infer() -> None:
        with torch.no_grad(), precise:
            run(x)
        finish()

    def train() -> None:
        optimizer.zero_grad()
        with precise:
            outputs = run(x)
        (outputs.float() - y).square().mean().backward()
        optimizer.step()
        finish()

    def multiply() -> None:
        torch.mm(a, a)
        finish()

    return Contender(f"PyTorch {'compiled' if compiled else 'eager'}", "torch", precision, infer, train, multiply)


def matrix_size() -> int:
    """Rows of the matrices whose product tells what the machine can do."""
    return 8192 if has_accelerator() else 2048


def machine() -> dict[str, Any]:
    packages = ("keras", "tensorflow", "jax", "torch")
    installed = {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name)}
    return {"device": device_name(), "processor": processor(), "cores": os.cpu_count(), **installed}


def processor() -> str:
    if has_accelerator() and importlib.util.find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


if __name__ == "__main__":
    main()
