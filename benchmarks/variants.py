"""ConvLSTM in plain JAX, in the ways that may be faster than our layer on a GPU, to choose among them by measurement.

Every variant computes what the layers of `keras_model` compute, from their weights; `tests/test_gpu_benchmark.py`
compares them. What turns out faster belongs into `specbuild/model/layers`.

Shape comments: N batch, T time, H W the frame, C channels, F filters; inside, time comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
from contenders import Case, JaxWork, descent
from jax import lax
from jax import numpy as jnp


@dataclass(frozen=True)
class Variant:
    """One way to compute a stack of ConvLSTM layers."""

    name: str
    unroll: int | bool = 1
    """Steps in one turn of the loop; True: all, and no loop is left."""
    inputs: str = "at once"
    """How the input is convolved: all steps `at once`, `by step`, or `joined` with the state in one convolution."""
    layout: str = "NHWC"
    recompute: bool = False
    """Whether the backward pass recomputes the gates' activations from their sums."""
    late_gradient: bool = False
    """Whether the recurrent kernel's gradient is one convolution over all steps instead of a sum over steps."""
    options: Mapping[str, str | int] = field(default_factory=dict)
    """XLA's options for the compilation."""

    def forward(self, weights: Sequence[Any], x: Any, kind: str = "float32") -> Any:
        """Return the last layer's output (N, T, H, W, F), computed in a type of numbers.

        Args:
            weights: kernel, recurrent kernel and bias of every layer, in this order.
            x: (N, T, H, W, C).
            kind: `float32` or `bfloat16`.
        """
        x = jnp.transpose(x.astype(kind), (1, 0, 4, 2, 3) if self.layout == "NCHW" else (1, 0, 2, 3, 4))
        for first in range(0, len(weights), 3):
            x = self._layer(x, *(weight.astype(kind) for weight in weights[first : first + 3]))
        return jnp.transpose(x, (1, 0, 3, 4, 2) if self.layout == "NCHW" else (1, 0, 2, 3, 4))

    def _layer(self, x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        bias = bias[:, None, None] if self.layout == "NCHW" else bias
        if self.inputs == "at once":
            projected = self._convolve(x.reshape(-1, *x.shape[2:]), kernel) + bias
            x = projected.reshape(*x.shape[:2], *projected.shape[1:])
        place = jnp.zeros((x.shape[1], *self._frame(x, recurrent.shape[-2])), x.dtype)

        def gates(x: Any, h: Any, recurrent: Any) -> Any:
            if self.inputs == "at once":
                return x + self._convolve(h, recurrent)
            if self.inputs == "by step":
                return self._convolve(x, kernel) + bias + self._convolve(h, recurrent)
            both = jnp.concatenate([x, h], axis=self._channels)
            return self._convolve(both, jnp.concatenate([kernel, recurrent], axis=-2)) + bias

        update = jax.checkpoint(self._update, prevent_cse=False) if self.recompute else self._update

        def run(x: Any, recurrent: Any) -> Any:
            def step(states: tuple[Any, Any], x: Any) -> tuple[tuple[Any, Any], Any]:
                h, c = states
                h, c = update(gates(x, h, recurrent), c)
                return (h, c), h

            return lax.scan(step, (place, place), x, unroll=self.unroll)[1]

        if self.late_gradient and self.inputs == "at once":
            return _with_late_gradient(run, self._convolve)(x, recurrent)
        return run(x, recurrent)

    def _update(self, gates: Any, c: Any) -> tuple[Any, Any]:
        i, f, g, o = jnp.split(gates, 4, axis=self._channels)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def _convolve(self, x: Any, kernel: Any) -> Any:
        return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=(self.layout, "HWIO", self.layout))

    def _frame(self, x: Any, filters: int) -> tuple[int, ...]:
        """The shape of a state of `filters` channels beside the sequence x, without the batch."""
        return (filters, *x.shape[3:]) if self.layout == "NCHW" else (*x.shape[2:4], filters)

    @property
    def _channels(self) -> int:
        return 1 if self.layout == "NCHW" else -1


def _with_late_gradient(
    run: Callable[[Any, Any], Any], convolve: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """Return a recurrence (projected, recurrent kernel) → h whose kernel's gradient is computed after the loop.

    The gates are projected + convolve(h before, kernel). So their gradient is that of `projected`, and the kernel's is
    that of one convolution of all h before.
    """

    @jax.custom_vjp
    def recurrence(projected: Any, recurrent: Any) -> Any:
        return run(projected, recurrent)

    def forward(projected: Any, recurrent: Any) -> Any:
        outputs, backward = jax.vjp(lambda projected: run(projected, recurrent), projected)
        return outputs, (backward, outputs, recurrent)

    def backward(kept: Any, slope: Any) -> tuple[Any, Any]:
        of_gates, outputs, recurrent = kept
        (gates,) = of_gates(slope)
        # The state before the first step is zero and gives the kernel no gradient.
        before = outputs[:-1].reshape(-1, *outputs.shape[2:])
        _, of_kernel = jax.vjp(partial(convolve, before), recurrent)
        return gates, of_kernel(gates[1:].reshape(-1, *gates.shape[2:]))[0]

    recurrence.defvjp(forward, backward)
    return recurrence


_DOUBLE = "WHILE_LOOP_UNROLLING_DOUBLE_BUFFER"
VARIANTS = (
    Variant("scan"),
    Variant("gradient of the kernel after the loop", late_gradient=True),
    Variant("activations recomputed", recompute=True),
    Variant("both", late_gradient=True, recompute=True),
    Variant("unrolled", unroll=True),
    Variant("both, unrolled", late_gradient=True, recompute=True, unroll=True),
    Variant("two steps per turn", unroll=2),
    Variant("input and state in one convolution", inputs="joined"),
    Variant("input by step", inputs="by step"),
    Variant("channels first", layout="NCHW"),
    Variant("convolutions in NHWC", options={"xla_gpu_force_conv_nhwc": True}),
    Variant("CUDA graphs from one operation on", options={"xla_gpu_graph_min_graph_size": 1}),
    Variant(
        "CUDA graphs of convolutions and loops",
        options={"xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,WHILE"},
    ),
    Variant("no CUDA graphs", options={"xla_gpu_enable_command_buffer": ""}),
    Variant("loop double-buffered", options={"xla_gpu_enable_while_loop_unrolling": _DOUBLE}),
    Variant("latency-hiding scheduler", options={"xla_gpu_enable_latency_hiding_scheduler": True}),
)


def training(variant: Variant, weights: Sequence[Any], case: Case, precision: str) -> JaxWork:
    """Return a training step of a variant, as `jax_runs` has it of a model."""
    x, y = map(jnp.asarray, case.example())
    kind = "bfloat16" if precision == "bfloat16" else "float32"
    forward = partial(variant.forward, kind=kind)
    return JaxWork(descent(forward), list(weights), x, y, precision=precision, **variant.options)
