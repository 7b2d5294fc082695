"""A convolutional recurrence over a sequence of frames, whatever its cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from specbuild.model.backend import has_accelerator, keras, unrolls
from specbuild.model.layers.frame_cell import FrameCell, Shape, Tensors, argument_names

ops = keras.ops

LARGEST_PROJECTION = 2**25
"""Numbers per sample up to which the input of all steps is convolved at once: 128 MB in float32."""
LARGEST_ON_CPU = 2**20
"""The same on a CPU, where a larger result leaves the cache and costs 10 to 70 % more than step by step."""


class ConvRecurrent(keras.layers.RNN):  # type: ignore[misc]
    """A cell run over `(N, T, H, W, C)`; Keras's arguments for recurrent layers, and those of the cell.

    The input of all steps goes through one convolution before the recurrence, unless the result would be larger than
    `LARGEST_PROJECTION` (on a CPU `LARGEST_ON_CPU`). Dropout masks are drawn once for each sequence. With
    `channels_first` the axes are moved once before the recurrence and once after it, so that it runs on processors too.
    """

    rank: ClassVar[int]
    cell_class: ClassVar[type[FrameCell]]
    cell_name: ClassVar[str]

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **kwargs: Any,
    ) -> None:
        own = {name: kwargs.pop(name) for name in argument_names(self.cell_class) if name in kwargs}
        cell = self.cell_class(self.rank, filters, kernel_size, **own, name=self.cell_name, dtype=kwargs.get("dtype"))
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            **kwargs,
        )
        self.input_spec = keras.InputSpec(ndim=self.rank + 3)

    def __getattr__(self, name: str) -> Any:
        """The arguments of the cell are attributes of the layer too, as in Keras's ConvLSTM."""
        if name in argument_names(type(self).cell_class):
            return getattr(self.cell, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def variables(self) -> list[Any]:
        """With the state that a stateful layer keeps: JAX runs a model as a function of these, and would forget it."""
        return [*super().variables, *(self.states or [])]

    def inner_loop(self, sequences: Any, initial_state: Tensors, mask: Any, training: bool = False) -> Any:
        """The recurrence: last output, outputs of all steps, last state.

        Keras's loop, run over steps whose input is already convolved.
        """
        cell = self.cell
        frames = cell.inward(sequences)
        states = [cell.inward(state) for state in initial_state]
        drawn = cell.masks(frames[:, 0], cell.dropout, training)
        steps = _Steps(cell, drawn, cell.masks(states[0], cell.recurrent_dropout, training))
        if self._fits(frames.shape[1], sequences.shape[2:]):
            every_step = None if drawn is None else [ops.expand_dims(one, 1) for one in drawn]
            frames, steps.project = cell.project(frames, every_step), False
        loop = keras.layers.RNN(
            steps,
            name="steps",
            return_sequences=self.return_sequences,
            go_backwards=self.go_backwards,
            unroll=self.unroll or unrolls(frames.shape[1]),
            zero_output_for_mask=self.zero_output_for_mask,
        )
        last, outputs, states = loop.inner_loop(frames, states, mask)
        return cell.outward(last), cell.outward(outputs), [cell.outward(state) for state in states]

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:  # noqa: ARG002
        batch, steps, *frame = sequences_shape
        state = self.cell.compute_output_shape((batch, *frame))[0]
        output = (batch, steps, *state[1:]) if self.return_sequences else state
        return (output, *[state] * self.cell.states) if self.return_state else output

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        activity = keras.regularizers.serialize(self.activity_regularizer) if self.activity_regularizer else None
        return {**config, **self.cell.arguments(), "activity_regularizer": activity}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def _fits(self, steps: int | None, frame: Shape) -> bool:
        state = self.cell.compute_output_shape((None, *frame))[0][1:]
        numbers: int = math.prod(state) // self.cell.width * self.cell.projected * (steps or 1)
        return numbers <= (LARGEST_PROJECTION if has_accelerator() else min(LARGEST_PROJECTION, LARGEST_ON_CPU))


class _Steps:
    """A cell for Keras's loop, with the masks that stay the same in all steps."""

    def __init__(self, cell: FrameCell, input_masks: Tensors | None, state_masks: Tensors | None) -> None:
        self.cell, self.input_masks, self.state_masks = cell, input_masks, state_masks
        self.project = True
        self.state_size = cell.state_size

    def call(self, inputs: Any, states: Tensors) -> tuple[Any, list[Any]]:
        projected = self.cell.project(inputs, self.input_masks) if self.project else inputs
        return self.cell.step(projected, states, self.state_masks)

    __call__ = call
