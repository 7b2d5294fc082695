"""Feedback over a stack of layers: what it gives is what it reads in the next step.

Shape comments: N batch, P frames given, K feedback steps, `frame` the axes of a frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from specbuild.catalog import Shape
from specbuild.catalog.autoregressive import Autoregressive as Node
from specbuild.model.backend import LONGEST_UNROLLED, Registered, has_accelerator, keras, loops_over_remat

ops = keras.ops


class Autoregressive(Registered, keras.layers.Layer):  # type: ignore[misc]
    """Runs a stack over frames `(N, P, *frame)` and then on its own output: `(N, horizon, *frame)`.

    Args:
        body: a functional `keras.Model` from `[frames (N, any, *frame), *states]` to `[outputs, *new states]`, whose
            outputs have the shape of its frames. States start at zero.
        horizon: frames forecast. The body's output after the P frames given is the first.
        give: `horizon` for those, `all` for the output of every step: `(N, P − 1 + horizon, *frame)`.
        sampling: scheduled sampling, as the fields of `specbuild.catalog.autoregressive.Sampling`; None: none.
        remat: whether the backward pass recomputes each feedback step.
        unroll: whether the feedback steps are written out; default: up to 32 of them on a processor, where that takes
            half the time of a loop. A body that draws random numbers or updates statistics must be.
        seed: of the draws of scheduled sampling.

    `call` takes the true future frames `(N, horizon, *frame)` as `teacher`: in training, a feedback step of a sample
    reads the frame before its own from there with the scheduled probability. Outside of training they are not read.
    The iterations behind are the count of `seed_generator`, which is saved with the layer and is not a weight.
    """

    def __init__(
        self,
        body: Any,
        horizon: int,
        give: str = "horizon",
        sampling: Mapping[str, Any] | None = None,
        remat: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.body, self.horizon, self.give = body, horizon, give
        self.sampling = None if sampling is None else dict(sampling)
        self.remat, self.unroll, self.seed = remat, unroll, seed
        self.seed_generator = None if sampling is None else keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, frames: Any, teacher: Any = None, training: bool = False) -> Any:
        batch = ops.shape(frames)[0]
        zeros = [ops.zeros((batch, *state.shape[1:]), state.dtype) for state in self.body.inputs[1:]]
        outputs, *states = _run(self.body, [frames, *zeros], training)  # (N, P, *frame)
        kept = outputs if self.give == "all" else outputs[:, -1:]
        if self.horizon == 1:
            return kept
        truth = self._truth(teacher, outputs) if training and self.sampling is not None else None
        steps = _Steps(self.body, training, sampled=truth is not None, remat=self.remat and training)
        fed = self._feedback(steps, [outputs[:, -1], *states], truth)  # (N, K, *frame)
        return ops.concatenate([kept, fed], axis=1)

    def probability(self, iteration: Any) -> Any:
        """Return the probability of the true frame at an iteration, counted from 0."""
        if self.sampling is None:
            raise ValueError("this layer has no scheduled sampling")
        start, end = self.sampling["start"], self.sampling["end"]
        decay = SCHEDULES[self.sampling["schedule"]]
        return end + (start - end) * decay(ops.cast(iteration, "float32"), self.sampling)

    def _truth(self, teacher: Any, outputs: Any) -> Any:
        """Return the true frame before each feedback step, flat, then whether it is read: `(N, K, numbers + 1)`."""
        if teacher is None or self.seed_generator is None:
            return None
        count = self.horizon - 1
        p = self.probability(self.seed_generator.state.value[1])
        drawn = keras.random.uniform((ops.shape(outputs)[0], count, 1), seed=self.seed_generator)
        frames = ops.reshape(teacher[:, :count], (-1, count, math.prod(outputs.shape[2:])))
        return ops.cast(ops.concatenate([frames, ops.cast(drawn < p, frames.dtype)], axis=-1), outputs.dtype)

    def _feedback(self, steps: _Steps, carry: list[Any], truth: Any) -> Any:
        """Return the outputs of the feedback steps `(N, K, *frame)`, through Keras's loop."""
        count = self.horizon - 1
        read = ops.zeros((ops.shape(carry[0])[0], count, 1)) if truth is None else truth
        written_out = (
            self.unroll,
            count == 1,
            count <= LONGEST_UNROLLED and not has_accelerator(),
            self.remat and not loops_over_remat(),
        )
        loop = keras.layers.RNN(steps, return_sequences=True, unroll=any(written_out), name="feedback")
        return loop.inner_loop(read, carry, None)[1]

    def compute_output_shape(self, frames_shape: Shape, teacher_shape: Any = None) -> Shape:  # noqa: ARG002
        batch, *frames = frames_shape
        return (batch, *Node.model_validate({"horizon": self.horizon, "give": self.give}).output_shape(tuple(frames)))

    def save_own_variables(self, store: Any) -> None:
        """Save the iterations behind, so that training goes on with the schedule."""
        super().save_own_variables(store)
        if self.seed_generator is not None:
            store[_STATE] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        if self.seed_generator is not None and _STATE in store:
            self.seed_generator.state.assign(store[_STATE])

    def get_config(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("horizon", "give", "sampling", "remat", "unroll", "seed")}
        return {**super().get_config(), "body": keras.saving.serialize_keras_object(self.body), **plain}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**{**config, "body": keras.saving.deserialize_keras_object(config["body"])})


_STATE = "seed_generator_state"

SCHEDULES: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "linear": lambda i, s: ops.maximum(0.0, 1.0 - i / s["steps"]),
    "exponential": lambda i, s: ops.power(s["k"], i),
    "inverse_sigmoid": lambda i, s: ops.sigmoid(ops.log(s["k"]) - i / s["k"]),
    "constant": lambda i, _: ops.ones_like(i),
}
"""How far the probability has still to fall at iteration i: from 1, or near it, to 0 (Bengio et al. 2015)."""


class _Steps:
    """One step of a body as a cell for Keras's loop; its state is the frame before and the states of the body."""

    def __init__(self, body: Any, training: bool, *, sampled: bool, remat: bool) -> None:
        self.body, self.training, self.sampled = body, training, sampled
        self.state_size = [1] * len(body.outputs)
        self.run = keras.remat(self.step) if remat else self.step

    def call(self, inputs: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        frame, *inner = states
        if self.sampled:
            true = ops.reshape(inputs[:, :-1], (-1, *frame.shape[1:]))
            read = ops.reshape(inputs[:, -1], (-1, *(1,) * (len(frame.shape) - 1)))
            frame = ops.where(read > 0, true, frame)
        output, *new = self.run(frame, *inner)
        return output, [output, *new]

    __call__ = call

    def step(self, frame: Any, *states: Any) -> tuple[Any, ...]:
        """Run the body on one frame; return its output and its states."""
        outputs, *new = _run(self.body, [ops.expand_dims(frame, 1), *states], self.training)
        return (outputs[:, 0], *new)


def _run(body: Any, inputs: list[Any], training: bool) -> list[Any]:
    """Return the outputs of a body and its states; Keras gives a single output as it is."""
    outputs = body(inputs if len(inputs) > 1 else inputs[0], training=training)
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
