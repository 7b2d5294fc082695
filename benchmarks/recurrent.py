"""How fast a ConvLSTM2D runs: Keras's, ours with the same weights and result, and a plain PyTorch one.

    python benchmarks/recurrent.py [--shape 4 10 32 32 8] [--filters 16] [--kernel 3] [--precision float32 bfloat16]

A row is one layer over a batch (N, T, H, W, C), returning every step: milliseconds of a forward pass and of a training
step with mean squared error and plain gradient descent, the best of several runs that take turns. The backend of Keras
is that of KERAS_BACKEND; PyTorch is measured where it is installed. Whole networks are compiled as training does it.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from specbuild.model.backend import backend_name, device_name, jit_compile, keras
from specbuild.model.layers import ConvGRU2D, ConvLSTM2D

Run = Callable[[], Any]


class Contender(NamedTuple):
    """A layer, by what runs it forward and what trains it for a step."""

    name: str
    precision: str
    forward: Run
    train: Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", nargs=5, type=int, default=[4, 10, 32, 32, 8], metavar=tuple("NTHWC"))
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--precision", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    shape = tuple(options.shape)
    contenders = [
        one
        for precision in options.precision
        for one in all_contenders(shape, options.filters, options.kernel, precision)
    ]
    best = measured(contenders, options.repeats)
    sizes = " × ".join(map(str, shape))
    print(f"{sizes} (N T H W C), {options.filters} filters {options.kernel} × {options.kernel}, {device_name()}")
    print(f"{'layer':<34} {'precision':<10} {'forward':>11} {'training':>11}")
    for one, (forward, train) in zip(contenders, best, strict=True):
        print(f"{one.name:<34} {one.precision:<10} {forward * 1e3:>8.1f} ms {train * 1e3:>8.1f} ms")


def all_contenders(shape: tuple[int, ...], filters: int, kernel: int, precision: str) -> list[Contender]:
    classes = {
        f"Keras ConvLSTM2D ({backend_name()})": keras.layers.ConvLSTM2D,
        f"specbuild ConvLSTM2D ({backend_name()})": ConvLSTM2D,
        f"specbuild ConvGRU2D ({backend_name()})": ConvGRU2D,
    }
    found = [keras_contender(name, cls, shape, filters, kernel, precision) for name, cls in classes.items()]
    if importlib.util.find_spec("torch") is not None:
        found.append(torch_contender(shape, filters, kernel, precision))
    return found


def measured(contenders: list[Contender], repeats: int) -> list[tuple[float, float]]:
    """Seconds of the fastest forward pass and training step of each, after one that compiles."""
    best = [(math.inf, math.inf)] * len(contenders)
    for one in contenders:
        one.forward()
        one.train()
    for _ in range(repeats):
        best = [
            (min(forward, seconds(one.forward)), min(train, seconds(one.train)))
            for one, (forward, train) in zip(contenders, best, strict=True)
        ]
    return best


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def keras_contender(
    name: str, cls: type[Any], shape: tuple[int, ...], filters: int, kernel: int, precision: str
) -> Contender:
    policy = "float32" if precision == "float32" else "mixed_bfloat16"
    frames = keras.Input(shape[1:])
    layer = cls(filters, kernel, padding="same", return_sequences=True, dtype=policy)
    model = keras.Model(frames, layer(frames))
    model.compile("sgd", "mse", jit_compile=jit_compile())
    x, y = example(shape, filters)
    return Contender(name, precision, lambda: model.predict_on_batch(x), lambda: model.train_on_batch(x, y))


def torch_contender(shape: tuple[int, ...], filters: int, kernel: int, precision: str) -> Contender:
    """One convolution of [x, h] for all gates, as most repositories have it."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = getattr(torch, precision)
    convolution = torch.nn.Conv2d(shape[-1] + filters, 4 * filters, kernel, padding=kernel // 2).to(device)
    optimizer = torch.optim.SGD(convolution.parameters(), lr=0.01)
    x, y = (torch.from_numpy(one).movedim(-1, 2).to(device) for one in example(shape, filters))

    def forward() -> Any:
        h = c = torch.zeros_like(y[:, 0])
        steps = []
        with torch.autocast(device, dtype=kind, enabled=precision != "float32"):
            for frame in x.unbind(1):
                i, f, o, g = convolution(torch.cat([frame, h], 1)).chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
                steps.append(h)
        return torch.stack(steps, 1)

    def infer() -> Any:
        with torch.no_grad():
            return forward().cpu()

    def train() -> float:
        optimizer.zero_grad()
        loss = (forward() - y).square().mean()
        loss.backward()
        optimizer.step()
        return float(loss)

    return Contender("PyTorch ConvLSTM", precision, infer, train)


def example(shape: tuple[int, ...], filters: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random(shape, "float32"), rng.random((*shape[:-1], filters), "float32")


if __name__ == "__main__":
    main()
