"""Time a training step on one device and on several that share it, in turns.

    SPECBUILD_CPU_DEVICES=2 python benchmarks/devices.py [--devices 2] [--steps 30]

Without `SPECBUILD_CPU_DEVICES` the devices are the accelerators of this machine. `KERAS_BACKEND=jax` chooses the other
framework. What is printed is the shortest step of each, since other programs only add time, and their ratio. Devices
that a processor is divided into share its cores, so that what they cost beyond one device is the cost of dividing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import numpy as np

from specbuild.graph import build_graph
from specbuild.language import load_spec
from specbuild.model.backend import backend_name, keras
from specbuild.model.build import build
from specbuild.training.devices import chosen

MODELS = {
    "ConvLSTM 32×32, 16 filters 3×3": """
  - {id: lstm, layer: ConvLSTM2D, filters: 16, kernel_size: 3, padding: same, return_sequences: true}
  - {id: out, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}""",
    "the same with batch normalization": """
  - {id: lstm, layer: ConvLSTM2D, filters: 16, kernel_size: 3, padding: same, return_sequences: true}
  - {layer: BatchNormalization}
  - {id: out, time_distributed: {layer: Conv2D, filters: 1, kernel_size: 1}}""",
}
FRAMES = (6, 32, 32, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=2, help="how many share a step, beside one")
    parser.add_argument("--batch", type=int, default=8, help="windows per step, over all devices")
    parser.add_argument("--steps", type=int, default=30, help="steps of each")
    given = parser.parse_args()
    for name, layers in MODELS.items():
        text = f"specbuild: 1\ninputs: {{x: {list(FRAMES)}}}\nlayers:{layers}\ntrain: {{batch_size: {given.batch}}}\n"
        steps = {count: step(text, count, given.batch) for count in (1, given.devices)}
        shortest = dict.fromkeys(steps, float("inf"))
        for _ in range(given.steps):
            for count, run in steps.items():
                began = time.perf_counter()
                run()
                shortest[count] = min(shortest[count], time.perf_counter() - began)
        one, several = shortest.values()
        print(
            f"| {backend_name()} | {name} | {1e3 * one:.1f} ms | {1e3 * several:.1f} ms | {several / one:.2f} | "
            f"load {os.getloadavg()[0]:.1f} |",
            flush=True,
        )


def step(text: str, count: int, rows: int) -> Callable[[], float]:
    """Return a training step of a spec on so many devices, which has been compiled."""
    spec = load_spec(text, overrides=[f"train.devices={count}"])
    taken = chosen(spec)
    with taken.scope():
        keras.utils.set_random_seed(1)
        model = build(build_graph(spec))
        model.compile(optimizer="adam", loss="mse", jit_compile="auto" if backend_name() == "jax" else False)
        model.optimizer.build(model.trainable_variables)
        random = np.random.default_rng(1)
        batch = tuple(random.normal(size=(rows, *FRAMES[:-1], size)).astype("float32") for size in (FRAMES[-1], 1))
        model._symbolic_build(data_batch=batch)
    taken.prepare(model)
    x, y = taken.place(batch, lambda: rows)

    def run() -> float:
        return float(model.train_on_batch(x, y))

    run()
    return run


if __name__ == "__main__":
    main()
