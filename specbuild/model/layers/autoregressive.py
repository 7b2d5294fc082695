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
from specbuild.model.keras_internals import calls_of
from specbuild.model.layers.base import outputs_of
from specbuild.model.layers.recurrence import Recurrence

ops = keras.ops


class Autoregressive(Registered, keras.layers.Layer):  # type: ignore[misc]
    """Runs a stack over frames `(N, P, *frame)` and then on its own output: `(N, horizon, *frame)`.

    Args:
        body: a functional `keras.Model` from `[frames (N, any, *frame), *covariates (N, any, …), *states]` to
            `[outputs, *new states]`, whose outputs have the shape of its frames.
        horizon: frames forecast. The body's output after the P frames given is the first.
        give: `horizon` for those, `all` for the output of every step: `(N, P − 1 + horizon, *frame)`.
        sampling: scheduled sampling, as the fields of `specbuild.catalog.autoregressive.Sampling`; None: none.
        remat: whether the backward pass recomputes each feedback step.
        unroll: whether the feedback steps are written out; default: up to 32 of them on a processor, where that takes
            half the time of a loop. A body that draws random numbers or updates statistics must be.
        seed: of the draws of scheduled sampling.
        static: how many of the covariates, the last ones, are read at every step: `call` takes them without a time
            axis, `(N, …)`.

    `call` takes the frames, or a list of the frames and the covariates `(N, P − 1 + horizon, …)`: those of the P frames
    given come first, then those of the feedback steps.

    States start as they do in the layer that they are of, at zero but for a `Recurrence` that says otherwise; or from
    the tensors of `initial_state`: one for each state of the body, None for the layer's own.

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
        static: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.body, self.horizon, self.give = body, horizon, give
        self.sampling = None if sampling is None else dict(sampling)
        self.remat, self.unroll, self.seed, self.static = remat, unroll, seed, static
        self.seed_generator = None if sampling is None else keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, teacher: Any = None, initial_state: Any = None, training: bool = False) -> Any:
        frames, *covariates = inputs if isinstance(inputs, list | tuple) else [inputs]
        moving, still = covariates[: len(covariates) - self.static], covariates[len(covariates) - self.static :]
        batch, past = ops.shape(frames)[:2]
        self._check_frames(frames, moving)
        read = [frames, *(x[:, :past] for x in moving), *(_at_every_step(x, past) for x in still)]
        states = self._first_states(self.body.inputs[len(read) :], batch, initial_state)
        outputs, *states = outputs_of(self.body, [*read, *states], training)  # (N, P, *frame)
        kept = outputs if self.give == "all" else outputs[:, -1:]
        if self.horizon == 1:
            return kept
        truth = self._truth(teacher, outputs) if training and self.sampling is not None else None
        ahead = _Covariates([x[:, past:] for x in moving], still)
        steps = _Steps(self.body, training, ahead, sampled=truth is not None, remat=self.remat and training)
        fed = self._feedback(steps, [outputs[:, -1], *states], truth)  # (N, K, *frame)
        return ops.concatenate([kept, fed], axis=1)

    def _first_states(self, states: list[Any], batch: Any, initial_state: Any) -> list[Any]:
        """Return the tensors given, and for those that are None what their layer starts from."""
        given = [None] * len(states) if initial_state is None else initial_state
        if len(given) != len(states):
            raise ValueError(f"{self.name} has {len(states)} states inside, got initial_state for {len(given)}")
        own = self._own_starts(batch)
        first = []
        for state, tensor in zip(states, given, strict=True):
            start = own.get(state.name) if tensor is None else tensor
            zero = ops.zeros((batch, *state.shape[1:]), state.dtype)
            first.append(zero if start is None else ops.cast(start, state.dtype))
        return first

    def _own_starts(self, batch: Any) -> dict[str, Any]:
        """Return what the states of recurrences inside start from, by the names of the inputs that bring them."""
        starts: dict[str, Any] = {}
        for layer in self.body.layers:
            if isinstance(layer, Recurrence):
                first = layer.first_states(batch)
                for node in calls_of(layer):
                    given = node.arguments.kwargs.get("initial_state") or ()
                    starts |= {state.name: tensor for state, tensor in zip(given, first, strict=False)}
        return starts

    def _check_frames(self, frames: Any, covariates: list[Any]) -> None:
        """Refuse covariates of another number of frames, as far as it is known."""
        for x in covariates:
            if None not in (frames.shape[1], x.shape[1]) and x.shape[1] != frames.shape[1] + self.horizon - 1:
                wanted = f"{frames.shape[1]} frames given + horizon {self.horizon} - 1"
                raise ValueError(f"{self.name} needs covariates of {wanted} frames, got {x.shape[1]}")

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
        batch = ops.shape(carry[0])[0]
        parts = [*([] if truth is None else [truth]), *steps.covariates.flat(batch, count)]
        if not all(keras.backend.is_float_dtype(part.dtype) for part in parts):
            parts = [ops.cast(part, "float32") for part in parts]  # half precision would round whole numbers
        read = ops.concatenate(parts, axis=-1) if parts else ops.zeros((batch, count, 1))
        written_out = (
            self.unroll,
            count == 1,
            count <= LONGEST_UNROLLED and not has_accelerator(),
            self.remat and not loops_over_remat(),
        )
        loop = keras.layers.RNN(steps, return_sequences=True, unroll=any(written_out), name="feedback")
        return loop.inner_loop(read, carry, None)[1]

    def compute_output_shape(
        self,
        inputs_shape: Any,
        teacher_shape: Any = None,  # noqa: ARG002
        initial_state_shape: Any = None,  # noqa: ARG002
    ) -> Shape:
        several = isinstance(inputs_shape[0], list | tuple)
        batch, *frames = inputs_shape[0] if several else inputs_shape
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
        names = ("horizon", "give", "sampling", "remat", "unroll", "seed", "static")
        plain = {name: getattr(self, name) for name in names}
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


class _Covariates:
    """What the feedback steps read besides frames: `moving` `(N, K, …)` step by step, `still` `(N, …)` in each."""

    def __init__(self, moving: list[Any], still: list[Any]) -> None:
        self.moving, self.still = moving, still

    def flat(self, batch: Any, count: int) -> list[Any]:
        """Return those of every step as vectors: `(N, K, numbers)`."""
        return [ops.reshape(x, (batch, count, math.prod(ops.shape(x)[2:]))) for x in self.moving]

    def at(self, vector: Any) -> list[Any]:
        """Return those of one step, of which the vectors are given one after the other: `(N, 1, …)`."""
        frames, start = [], 0
        for x in self.moving:
            shape = ops.shape(x)[2:]
            end = start + math.prod(shape)
            frames.append(ops.cast(ops.reshape(vector[:, start:end], (-1, 1, *shape)), x.dtype))
            start = end
        return [*frames, *(ops.expand_dims(x, 1) for x in self.still)]


class _Steps:
    """One step of a body as a cell for Keras's loop; its state is the frame before and the states of the body."""

    def __init__(self, body: Any, training: bool, covariates: _Covariates, *, sampled: bool, remat: bool) -> None:
        self.body, self.training, self.covariates, self.sampled = body, training, covariates, sampled
        self.state_size = [1] * len(body.outputs)
        self.run = keras.remat(self.step) if remat else self.step

    def call(self, inputs: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        frame, *inner = states
        numbers = math.prod(frame.shape[1:]) if self.sampled else 0
        if self.sampled:
            true = ops.cast(ops.reshape(inputs[:, :numbers], (-1, *frame.shape[1:])), frame.dtype)
            read = ops.reshape(inputs[:, numbers], (-1, *(1,) * (len(frame.shape) - 1)))
            frame = ops.where(read > 0, true, frame)
        covariates = self.covariates.at(inputs[:, numbers + 1 :] if self.sampled else inputs)
        output, *new = self.run(frame, *covariates, *inner)
        return output, [output, *new]

    __call__ = call

    def step(self, frame: Any, *others: Any) -> tuple[Any, ...]:
        """Run the body on one frame, its covariates and its states; return its output and its states."""
        outputs, *new = outputs_of(self.body, [ops.expand_dims(frame, 1), *others], self.training)
        return (outputs[:, 0], *new)


def _at_every_step(x: Any, steps: Any) -> Any:
    """Repeat what has no time axis: `(N, …)` → `(N, steps, …)`."""
    batch, *rest = ops.shape(x)
    return ops.broadcast_to(ops.expand_dims(x, 1), (batch, steps, *rest))
