"""A recurrence over the nodes of a step, with states of their own.

Shape comments: N batch, T steps, `frame` the axes of a frame.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from specbuild.catalog import Shape
from specbuild.model.backend import Registered, keras, unrolls
from specbuild.model.layers.base import outputs_of
from specbuild.model.layers.conv_recurrent import fits_at_once
from specbuild.model.layers.loop import run_steps

ops = keras.ops


class Recurrence(Registered, keras.layers.Layer):  # type: ignore[misc]
    """Runs a step over sequences `(N, T, *frame)`: its output at every step, or at the last one.

    Args:
        step: a functional `keras.Model` from `[*computed, *frames, *constants, *states]` to `[output, *states after the
            step]`.
        at_once: a functional `keras.Model` from `[*frames, *constants]` to `computed`, which needs no state: it runs
            for all steps together before the recurrence, unless its results are so large that step by step is faster.
        states: for each state its `name` and its `initial` value, a number or `learned`.
        sequences: how many of the inputs, the first ones, have a frame for each step.
        return_sequences: whether the output of every step is given, `(N, T, *output)`.
        return_state: whether the states after the last step follow.
        go_backwards: whether the sequences are read from their end; the outputs are in that order too.
        stateful: whether a batch starts from the states that the batch before it left.
        remat: whether the backward pass recomputes the steps, in segments of about √T.
        unroll: whether the steps are written out; default: up to 32 of them on a processor, where that is faster than
            a loop. A step that draws random numbers or updates statistics must be.
        zero_output_for_mask: whether the output of a masked step is zero, not that of the step before.
    """

    def __init__(
        self,
        step: Any,
        at_once: Any = None,
        *,
        states: Sequence[Mapping[str, Any]],
        sequences: int = 1,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        remat: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.step, self.at_once, self.sequences = step, at_once, sequences
        self.state_specs = [dict(state) for state in states]
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful = go_backwards, stateful
        self.remat, self.unroll, self.zero_output_for_mask = remat, unroll, zero_output_for_mask
        self.supports_masking, self.input_spec = True, None
        self._kept = _Kept()
        self.learned = {
            state["name"]: self.add_weight(shape=given.shape[1:], initializer="zeros", name=f"initial_{state['name']}")
            for state, given in zip(self.state_specs, self._given, strict=True)
            if state["initial"] == "learned"
        }

    def build(self, sequences_shape: Shape) -> None:
        """Make the states that a stateful layer keeps.

        Raises:
            ValueError: their number of samples is not known.
        """
        if self.stateful and not self._kept.states:
            if sequences_shape[0] is None:
                raise ValueError(f"{self.name} keeps its state from batch to batch and needs a fixed batch size")
            start = self.first_states(sequences_shape[0])
            self._kept.states = [keras.Variable(value, trainable=False, name="rnn_state") for value in start]
        self.built = True

    @property
    def variables(self) -> list[Any]:
        """With the state that a stateful layer keeps: JAX runs a model as a function of these, and would forget it."""
        return [*super().variables, *self._kept.states]

    @property
    def states(self) -> list[Any] | None:
        """The states that a stateful layer keeps; None for another."""
        return self._kept.states or None

    def reset_state(self) -> None:
        """Reset the states to their initial values."""
        for state, start in zip(self._kept.states, self._started_like(self._kept.states), strict=True):
            state.assign(start)

    def call(
        self,
        sequences: Any,
        extra: Sequence[Any] = (),
        initial_state: Sequence[Any] | None = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        """Run the recurrence.

        Args:
            sequences: what the cell reads first, (N, T, *frame).
            extra: further sequences, then the constants.
            initial_state: one tensor for each state.
            mask: (N, T), False where a step is left out: states stay, and the output is that of the step before.
            training: whether layers inside behave as in training.
        """
        frames = [sequences, *extra[: self.sequences - 1]]
        constants = list(extra[self.sequences - 1 :])
        if initial_state is None:
            initial_state = self._kept.states or self.first_states(ops.shape(sequences)[0])
        states = [ops.cast(value, given.dtype) for value, given in zip(initial_state, self._given, strict=True)]
        outputs, states = self._run(frames, constants, states, mask, training)
        for kept, state in zip(self._kept.states, states, strict=False):
            kept.assign(state)
        if not self.return_state:
            return outputs
        return (outputs, *(ops.cast(state, self.compute_dtype) for state in states))

    def _run(
        self, frames: list[Any], constants: list[Any], states: list[Any], mask: Any, training: bool
    ) -> tuple[Any, list[Any]]:
        """Return the outputs, of every step or the last, and the states after the last step."""
        if self.go_backwards:
            frames = [ops.flip(each, axis=1) for each in frames]
            mask = None if mask is None else ops.flip(mask, axis=1)
        recompute = self.remat and training
        early = self.at_once is not None and (self.unroll or (not recompute and self._fits(frames)))

        def prepare(inside: Sequence[Any]) -> list[Any]:
            return [*(self._at_once(inside, constants, training) if early else ()), *inside]

        def step(read: Sequence[Any], states: Sequence[Any]) -> tuple[Any, list[Any]]:
            if self.at_once is not None and not early:
                read = [*outputs_of(self.at_once, [*read, *constants], training), *read]
            output, *after = outputs_of(self.step, [*read, *constants, *states], training)
            return output, [ops.cast(new, old.dtype) for new, old in zip(after, states, strict=True)]

        output = self.step.outputs[0]
        return run_steps(
            step,
            frames,
            states,
            output=(output.shape[1:], output.dtype),
            every=self.return_sequences,
            written_out=lambda steps: self.unroll or unrolls(steps),
            mask=mask,
            zero_output=self.zero_output_for_mask,
            prepare=prepare,
            recompute=recompute,
        )

    def _at_once(self, frames: Sequence[Any], constants: list[Any], training: bool) -> list[Any]:
        """Compute for all steps of frames `(N, T, *frame)` what needs no state: `(N, T, …)` each."""
        steps = frames[0].shape[1]
        count = ops.shape(frames[0])[1] if steps is None else steps
        flat = [ops.reshape(each, (-1, *each.shape[2:])) for each in frames]
        whole = [ops.repeat(each, count, axis=0) for each in constants]
        results = outputs_of(self.at_once, [*flat, *whole], training)
        batch = ops.shape(frames[0])[0] if steps is None else -1
        return [ops.reshape(each, (batch, count, *each.shape[1:])) for each in results]

    @property
    def _given(self) -> list[Any]:
        """The inputs of a step that are states."""
        return list(self.step.inputs[-len(self.state_specs) :])

    def _fits(self, frames: list[Any]) -> bool:
        """Whether what is computed for all steps at once is small enough."""
        numbers = sum(math.prod(each.shape[1:]) for each in self.at_once.outputs)
        return fits_at_once(numbers * (frames[0].shape[1] or 1), frames[0].shape[1])

    def first_states(self, batch: Any) -> list[Any]:
        """Return the states before the first step, for so many samples."""
        result = []
        for state, given in zip(self.state_specs, self._given, strict=True):
            shape = (batch, *given.shape[1:])
            if state["initial"] == "learned":
                result.append(ops.broadcast_to(ops.cast(self.learned[state["name"]], given.dtype), shape))
            else:
                result.append(ops.full(shape, state["initial"], dtype=given.dtype))
        return result

    def _started_like(self, states: Sequence[Any]) -> list[Any]:
        return self.first_states(states[0].shape[0]) if states else []

    def compute_mask(self, _: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        own = mask if self.return_sequences else None
        return [own, *[None] * len(self.state_specs)] if self.return_state else own

    def compute_output_shape(self, sequences_shape: Shape, **_: Any) -> Any:
        """Return the shape of the output, and those of the states where they are given as well."""
        batch, steps = sequences_shape[:2]
        output = self.step.outputs[0].shape[1:]
        shape = (batch, steps, *output) if self.return_sequences else (batch, *output)
        return (shape, *((batch, *state.shape[1:]) for state in self._given)) if self.return_state else shape

    def compute_output_spec(self, sequences: Any, *_: Any, **__: Any) -> Any:
        """Return what a symbolic call gives, without running the steps."""
        shapes = self.compute_output_shape(tuple(sequences.shape))
        if not self.return_state:
            return keras.KerasTensor(shapes, dtype=self.step.outputs[0].dtype)
        dtypes = [self.step.outputs[0].dtype, *[self.compute_dtype] * len(self.state_specs)]
        return tuple(keras.KerasTensor(shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True))

    def get_config(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in _PLAIN}
        models = {name: keras.saving.serialize_keras_object(getattr(self, name)) for name in _MODELS}
        return {**super().get_config(), **models, "states": self.state_specs, **plain}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config | {name: keras.saving.deserialize_keras_object(config[name]) for name in _MODELS})


_MODELS = ("step", "at_once")
_PLAIN = (
    *("sequences", "return_sequences", "return_state", "go_backwards", "stateful", "remat", "unroll"),
    "zero_output_for_mask",
)


class _Kept:
    """The states of a stateful layer, which are no weights; Keras does not look inside."""

    def __init__(self) -> None:
        self.states: list[Any] = []
