"""Layers for benchmarks: Keras's ConvLSTM2D, ours, a custom cell and one for PyTorch, which all give the same.

Nothing here imports a framework before one of its contenders is made, so that a process on PyTorch takes no memory of a
GPU for JAX.

`float32` is computed with all its bits. `tf32` is the same with the inputs of products rounded to 10 bits, which NVIDIA
GPUs from Ampere on do several times faster; other devices ignore it. `bfloat16` keeps the weights in float32.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from specbuild.catalog.conv_lstm import ConvLSTM2D as Static

LAYERS = ["Keras", "specbuild", "text", "PyTorch"]
PRECISIONS = ["float32", "tf32", "bfloat16"]
TEXT = Path(__file__).parent.parent / "specs" / "cells" / "conv_lstm.yaml"
JAX_PRECISION = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "default"}


class Case(NamedTuple):
    """A batch (N, T, H, W, C), and the layers that read it, one after the other."""

    shape: tuple[int, ...]
    filters: int
    kernel: int
    layers: int = 1

    def __str__(self) -> str:
        filters = f"{self.filters} filters {self.kernel} × {self.kernel}"
        stacked = f", {self.layers} layers" if self.layers > 1 else ""
        return f"{' × '.join(map(str, self.shape))} (N T H W C), {filters}{stacked}"

    @classmethod
    def parse(cls, text: str) -> Case:
        """Return the case that `4x10x32x32x8,16,3` names: the batch, filters, kernel and, if several, layers.

        Raises:
            ValueError: it names none.
        """
        shape, *numbers = text.split(",")
        lengths = tuple(map(int, shape.split("x")))
        if len(lengths) != 5 or not 2 <= len(numbers) <= 3:
            raise ValueError(f"expected five lengths, filters and a kernel as in 4x10x32x32x8,16,3, got {text}")
        return cls(lengths, *map(int, numbers))

    @property
    def flops(self) -> int:
        """Operations of one forward pass over the batch."""
        layer = Static(filters=self.filters, kernel_size=(self.kernel, self.kernel), padding="same")
        first, later = self.shape[1:], (*self.shape[1:-1], self.filters)
        return self.shape[0] * ((layer.flops(first) or 0) + (self.layers - 1) * (layer.flops(later) or 0))

    def example(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        return rng.random(self.shape, "float32"), rng.random((*self.shape[:-1], self.filters), "float32")


class Work:
    """What a contender does. A call does it once and returns when the device is done; the first call compiles it."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self.run = run

    def __call__(self) -> None:
        self.run()

    def memory(self) -> int | None:
        """Return the most bytes of device memory that it holds at once, weights and data included; None: unknown."""
        return None


class JaxWork(Work):
    """A function of arrays, compiled for them by JAX."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, precision: str, **options: Any) -> None:
        """`options` are XLA's for this function, such as `xla_gpu_autotune_level=4`."""
        self.function, self.arguments, self.precision, self.options = function, arguments, precision, options
        self.compiled: Any = None

    def __call__(self) -> None:
        import jax

        if self.compiled is None:
            with jax.default_matmul_precision(JAX_PRECISION[self.precision]):
                lowered = jax.jit(self.function).lower(*self.arguments)
            self.compiled = lowered.compile(compiler_options=self.options or None)
        jax.block_until_ready(self.compiled(*self.arguments))

    def memory(self) -> int | None:
        return _planned(self.compiled)


class ModelStep(Work):
    """The training step that Keras makes of a compiled model on JAX, over one batch that is on the device.

    As in training, each step gives up the memory of the state before it.
    """

    def __init__(self, model: Any, batch: tuple[Any, Any, Any], precision: str = "tf32") -> None:
        """`batch` has inputs, targets and weights (None: all equal)."""
        import jax

        self.model, self.precision, self.compiled = model, precision, None
        x, y, weight = batch
        self.data = jax.device_put((x, y) if weight is None else (x, y, weight))
        model.optimizer.build(model.trainable_variables)
        model._symbolic_build(data_batch=self.data)
        groups = model.trainable_variables, model.non_trainable_variables
        groups += model.optimizer.variables, model.metrics_variables
        self.state = tuple([jax.numpy.copy(variable.value) for variable in group] for group in groups)
        self.logs: Any = None

    @classmethod
    def of(cls, graph: Any, policy: str, batch: tuple[Any, Any, Any] | None = None, dataset: Any = None) -> ModelStep:
        """Return the step of a graph's model, compiled as its `train` section says.

        Without a batch it reads one of random numbers, in the graph's batch size.
        """
        from specbuild.model.build import build
        from specbuild.training.compile import compile_model

        model = build(graph, policy, teacher=True)
        compile_model(
            model,
            graph.spec,
            weighted=dataset is not None and dataset.source.may_miss,
            outputs=[output.name for output in graph.outputs],
            transform=None if dataset is None else dataset.transform,
            transforms=None if dataset is None else dataset.transforms,
        )
        return cls(model, batch or random_batch(model, graph.spec.batch_size))

    def begin(self) -> None:
        """Do a step, without waiting for it."""
        if self.compiled is None:
            import jax

            with jax.default_matmul_precision(JAX_PRECISION[self.precision]):
                self.compiled = jax.jit(self.model.train_step, donate_argnums=0).lower(self.state, self.data).compile()
        self.logs, self.state = self.compiled(self.state, self.data)

    def wait(self) -> None:
        """Wait for the last step."""
        import jax

        jax.block_until_ready((self.logs, self.state))

    def __call__(self) -> None:
        self.begin()
        self.wait()

    def memory(self) -> int | None:
        return _planned(self.compiled)


def random_batch(model: Any, batch_size: int) -> tuple[Any, Any, None]:
    """Return inputs and targets of random numbers from 0 to 1, as a model reads and gives them."""
    rng = np.random.default_rng(0)

    def like(tensors: Sequence[Any]) -> list[np.ndarray]:
        return [rng.random((batch_size, *tensor.shape[1:]), "float32") for tensor in tensors]

    return _alone(like(model.inputs)), _alone(like(model.outputs)), None


def _alone(values: list[np.ndarray]) -> Any:
    return values if len(values) > 1 else values[0]


def _planned(compiled: Any) -> int | None:
    """Return the bytes that an executable of XLA needs at once, as it planned them; None where it does not say."""
    plan = compiled and compiled.memory_analysis()
    if not plan:
        return None
    held = plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
    return int(held - plan.alias_size_in_bytes)


class TorchWork(Work):
    """Something that PyTorch does, with the bits that a precision says."""

    def __init__(self, run: Callable[[], Any], precision: str) -> None:
        super().__init__(run)
        self.precision = precision

    def __call__(self) -> None:
        import torch

        torch.set_float32_matmul_precision("highest" if self.precision == "float32" else "high")
        torch.backends.cudnn.allow_tf32 = self.precision != "float32"
        self.run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def memory(self) -> int | None:
        import torch

        if not torch.cuda.is_available():
            return None
        torch.cuda.reset_peak_memory_stats()
        self()
        return int(torch.cuda.max_memory_allocated())


class Contender(NamedTuple):
    """A layer in one precision: what runs it forward, what trains it for a step, and what multiplies matrices there."""

    name: str
    framework: str
    precision: str
    infer: Work
    train: Work
    multiply: Work
    matrix: int
    """Rows of the matrices that `multiply` multiplies."""


def contenders(case: Case, precisions: Sequence[str], layers: Sequence[str]) -> Iterator[Contender]:
    """Yield the layers that can be had here, each in every precision."""
    for precision in precisions:
        for name in layers:
            if name in ("Keras", "specbuild"):
                yield keras_contender(name, case, precision)
            elif name == "text":
                yield text_contender(case, precision)
            elif importlib.util.find_spec("torch") is not None:
                yield torch_contender(case, precision, "eager")
                yield torch_contender(case, precision, "compiled")


def keras_contender(name: str, case: Case, precision: str) -> Contender:
    """Keras's own layer or, as `specbuild`, ours, on Keras's backend."""
    model = keras_model(name, case, precision)
    return _on_backend(name, model, case, precision)


def keras_model(name: str, case: Case, precision: str) -> Any:
    from specbuild.model.backend import keras
    from specbuild.model.layers import ConvLSTM2D

    kind = {"Keras": keras.layers.ConvLSTM2D, "specbuild": ConvLSTM2D}[name]
    frames = x = keras.Input(case.shape[1:])
    for _ in range(case.layers):
        x = kind(case.filters, case.kernel, padding="same", return_sequences=True, dtype=policy(precision))(x)
    return keras.Model(frames, x)


def text_contender(case: Case, precision: str) -> Contender:
    """ConvLSTM2D as a custom cell of a spec."""
    from specbuild import build_model

    steps, size, width, channels = case.shape[1:]
    if size != width or case.layers > 1:
        raise SystemExit(f"the text is one layer for square frames, not {case}")
    given = {"frames": steps, "size": size, "channels": channels, "filters": case.filters, "kernel": case.kernel}
    overrides = {f"vars.{name}": value for name, value in given.items()} | {"outputs": ["memory.sequence"]}
    return _on_backend("text", build_model(TEXT, overrides=overrides, precision=policy(precision)), case, precision)


def policy(precision: str) -> str:
    """Return the dtype policy that Keras has for a precision."""
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def _on_backend(name: str, model: Any, case: Case, precision: str) -> Contender:
    from specbuild.model.backend import backend_name, has_accelerator

    matrix = matrix_size(has_accelerator())
    runs = {"tensorflow": tensorflow_runs, "jax": jax_runs}[backend_name()]
    return Contender(
        f"{name} ({backend_name()})", backend_name(), precision, *runs(model, case, precision, matrix), matrix
    )


def tensorflow_runs(model: Any, case: Case, precision: str, matrix: int) -> tuple[Work, Work, Work]:
    import tensorflow as tf

    from specbuild.model.backend import jit_compile

    tf.get_logger().setLevel("ERROR")  # it mistakes the functions of several cases for retracing of one
    x, y = map(tf.constant, case.example())
    jit = jit_compile() is not False
    a = tf.random.normal((matrix,) * 2, dtype="bfloat16" if precision == "bfloat16" else "float32")

    @tf.function(jit_compile=jit)
    def train() -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.cast(model(x, training=True), "float32") - y))
        weights = [weight.value for weight in model.trainable_variables]
        for weight, slope in zip(weights, tape.gradient(loss, weights), strict=True):
            weight.assign_sub(0.01 * slope)

    def finished(run: Callable[[], Any]) -> Work:
        def wait() -> None:
            tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
            run()
            tf.test.experimental.sync_devices()

        return Work(wait)

    infer = tf.function(lambda: model(x), jit_compile=jit)
    multiply = tf.function(lambda: tf.matmul(a, a))
    return finished(infer), finished(train), finished(multiply)


def jax_runs(model: Any, case: Case, precision: str, matrix: int) -> tuple[Work, Work, Work]:
    import jax

    x, y = map(jax.numpy.asarray, case.example())
    weights = [weight.value for weight in model.trainable_variables]
    fixed = [weight.value for weight in model.non_trainable_variables]

    def forward(weights: list[Any], x: Any) -> Any:
        return model.stateless_call(weights, fixed, x)[0]

    return (
        JaxWork(forward, weights, x, precision=precision),
        JaxWork(descent(forward), weights, x, y, precision=precision),
        jax_product(precision, matrix),
    )


def descent(forward: Callable[[list[Any], Any], Any]) -> Callable[[list[Any], Any, Any], list[Any]]:
    """Return a training step on JAX, from weights, inputs and targets to new weights."""
    import jax

    def loss(weights: list[Any], x: Any, y: Any) -> Any:
        return jax.numpy.mean(jax.numpy.square(forward(weights, x).astype("float32") - y))

    def step(weights: list[Any], x: Any, y: Any) -> list[Any]:
        return [w - 0.01 * slope for w, slope in zip(weights, jax.grad(loss)(weights, x, y), strict=True)]

    return step


def jax_product(precision: str, matrix: int) -> JaxWork:
    """A product of two square matrices on JAX."""
    import jax

    kind = "bfloat16" if precision == "bfloat16" else "float32"
    a = jax.random.normal(jax.random.key(0), (matrix,) * 2, kind)
    return JaxWork(jax.numpy.matmul, a, a, precision=precision)


def torch_contender(case: Case, precision: str, mode: str) -> Contender:
    """The same recurrence in PyTorch: one convolution of the input of all steps, and one of the state in each step.

    `mode` is `eager`; `compiled`, where all layers and steps are compiled as one; or `compiled step`, where the step of
    a layer is, which compiles many times faster.
    """
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    matrix = matrix_size(device == "cuda")
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    layers = torch.nn.ModuleList(
        torch.nn.ModuleList(
            [
                torch.nn.Conv2d(channels, 4 * case.filters, case.kernel, padding=case.kernel // 2),
                torch.nn.Conv2d(case.filters, 4 * case.filters, case.kernel, padding=case.kernel // 2, bias=False),
            ]
        )
        for channels in (case.shape[-1], *[case.filters] * (case.layers - 1))
    ).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.01)
    x, y = (torch.from_numpy(each).to(device).movedim(-1, 2) for each in case.example())
    a = torch.randn((matrix,) * 2, device=device, dtype=kind)

    def step(of_state: Any, gates: Any, h: Any, c: Any) -> tuple[Any, Any]:
        i, f, o, g = (gates + of_state(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    one_step = torch.compile(step, dynamic=False) if mode == "compiled step" else step

    def forward(x: Any) -> Any:
        for of_input, of_state in layers:
            projected = of_input(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            h = c = torch.zeros_like(y[:, 0])
            outputs = []
            for gates in projected.unbind(1):
                h, c = one_step(of_state, gates, h, c)
                outputs.append(h)
            x = torch.stack(outputs, 1)
        return x

    run = torch.compile(forward, dynamic=False) if mode == "compiled" else forward
    autocast = torch.autocast(device, dtype=kind, enabled=precision == "bfloat16")

    def infer() -> None:
        with torch.no_grad(), autocast:
            run(x)

    def train() -> None:
        optimizer.zero_grad()
        with autocast:
            outputs = run(x)
        (outputs.float() - y).square().mean().backward()
        optimizer.step()

    works = (TorchWork(run, precision) for run in (infer, train, lambda: torch.mm(a, a)))
    return Contender(f"PyTorch {mode}", "torch", precision, *works, matrix)


def matrix_size(accelerator: bool) -> int:
    """Rows of the matrices whose product tells what the machine can do."""
    return 8192 if accelerator else 2048


def reason(error: Exception) -> str:
    """Return why a contender cannot run, in one line."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def seconds(run: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    run()
    return clock() - start


def machine(device: str) -> dict[str, Any]:
    """Return what a measurement depends on: the device as given, its processor, and the versions of the frameworks."""
    packages = ("keras", "tensorflow", "jax", "torch")
    installed = {name: importlib.metadata.version(name) for name in packages if importlib.util.find_spec(name)}
    return {"device": device, "processor": processor(), "cores": os.cpu_count(), **installed}


def processor() -> str:
    """Return the name of the machine's processor."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()
