"""A convolutional recurrence over a sequence of frames, for any cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from specbuild.catalog import KINDS, Shape
from specbuild.catalog.conv_recurrent import segment_length
from specbuild.model.backend import Registered, has_accelerator, keras, unrolls
from specbuild.model.layers.base import output_shape
from specbuild.model.layers.frame_cell import FrameCell, Tensors, argument_names
from specbuild.model.layers.loop import run_steps

ops = keras.ops

LARGEST_PROJECTION = 2**25
"""Numbers per sample up to which the input of all steps is convolved at once: 128 MB in float32."""
LARGEST_ON_CPU = 2**20
"""The same on a CPU, where a larger result leaves the cache and costs 10 to 70 % more than step by step."""


class ConvRecurrent(Registered, keras.layers.RNN):  # type: ignore[misc]
    """A cell run over `(N, T, H, W, C)`; Keras's arguments for recurrent layers, and those of the cell.

    The input of all steps goes through one convolution before the recurrence, unless it is unrolled or the result would
    be larger than `LARGEST_PROJECTION` (on a CPU `LARGEST_ON_CPU`). Dropout masks are drawn once for each sequence.
    With `channels_first` the axes are moved once before the recurrence and once after it, so that it runs on processors
    too.

    With `remat` training keeps the state between segments of about √T steps, and the backward pass computes the steps
    of one segment after the other again.
    """

    rank: ClassVar[int]
    cell_class: ClassVar[type[FrameCell]]

    def __init__(
        self, filters: int, kernel_size: int | Sequence[int], *, remat: bool = False, **arguments: Any
    ) -> None:
        own = {name: arguments.pop(name) for name in self._cell_arguments() if name in arguments}
        own |= {"name": self.cell_class.cell_name, "dtype": arguments.get("dtype")}
        super().__init__(self.cell_class(self.rank, filters, kernel_size, **own), **arguments)
        self.remat = remat
        self.input_spec = keras.InputSpec(ndim=self.rank + 3)

    def __getattr__(self, name: str) -> Any:
        """The arguments of the cell are attributes of the layer too, as in Keras's ConvLSTM."""
        if name in type(self)._cell_arguments():
            return getattr(self.cell, name)
        beyond = getattr(super(), "__getattr__", None)  # PyTorch finds the parts of a layer with one of its own
        if beyond is not None:
            return beyond(name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @classmethod
    def _cell_arguments(cls) -> tuple[str, ...]:
        return argument_names(cls.cell_class.family, cls.rank)

    @property
    def variables(self) -> list[Any]:
        """With the state that a stateful layer keeps: JAX runs a model as a function of these, and would forget it."""
        return [*super().variables, *(self.states or [])]

    def inner_loop(self, sequences: Any, initial_state: Tensors, mask: Any, training: bool = False) -> Any:
        """Run the recurrence: last output, outputs of all steps, last state. The mask is `(N, T, …)`."""
        cell: FrameCell = self.cell
        frames = cell.inward(sequences)
        states = [cell.inward(state) for state in initial_state]
        drawn = cell.masks(frames[:, 0], cell.dropout, training)
        dropped = cell.masks(states[0], cell.recurrent_dropout, training)
        steps = frames.shape[1]
        if self.go_backwards:
            frames, mask = ops.flip(frames, axis=1), None if mask is None else ops.flip(mask, axis=1)
        # The input of a later segment would be convolved at the very start, and its result kept until it is read.
        recompute = self.remat and training and (steps is None or segment_length(steps) < steps)
        at_once = not recompute and self._fits(steps, sequences.shape[2:])

        def prepare(own: Tensors) -> list[Any]:
            every_step = None if drawn is None else [ops.expand_dims(mask, 1) for mask in drawn]
            return [cell.project(own[0], every_step)] if at_once else [*own]

        def step(read: Tensors, states: Tensors) -> tuple[Any, list[Any]]:
            return cell.step(read[0] if at_once else cell.project(read[0], drawn), states, dropped)

        outputs, after = run_steps(
            step,
            [frames],
            states,
            output=(tuple(states[0].shape[1:]), states[0].dtype),
            every=self.return_sequences,
            written_out=lambda steps: self.unroll or unrolls(steps),
            mask=mask,
            zero_output=self.zero_output_for_mask,
            prepare=prepare,
            recompute=self.remat and training,
        )
        outward = cell.outward
        every = outward(outputs)
        return every[:, -1] if self.return_sequences else every, every, [outward(state) for state in after]

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:  # noqa: ARG002
        """Return the shape of the output, and those of the states where they are given as well.

        Raises:
            ValueError: the frames do not fit.
        """
        batch, steps, *frame = sequences_shape
        state = (batch, *output_shape(self.cell.entry, (steps, *frame)))
        output = (batch, steps, *state[1:]) if self.return_sequences else state
        return (output, *[state] * len(self.cell.state_size)) if self.return_state else output

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["cell"]
        activity = keras.regularizers.serialize(self.activity_regularizer) if self.activity_regularizer else None
        return {**config, **self.cell.arguments(), "activity_regularizer": activity, "remat": self.remat}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def _fits(self, steps: int | None, frame: Shape) -> bool:
        places = math.prod(self.cell.entry.state_shape((1, *frame))) // self.cell.width
        return fits_at_once(places * self.cell.projected * (steps or 1), steps)


def fits_at_once(numbers: int, steps: int | None) -> bool:
    """Whether so many numbers per sample are computed before a recurrence over `steps` steps, and not step by step.

    Never where the steps are unrolled on a CPU: the gradient of the kernel takes longer for one convolution of all
    steps than for the steps one by one, on JAX by half.
    """
    if unrolls(steps):
        return False
    return numbers <= (LARGEST_PROJECTION if has_accelerator() else min(LARGEST_PROJECTION, LARGEST_ON_CPU))


def recurrent_layers(cell: type[FrameCell], *ranks: int) -> tuple[type[Any], ...]:
    """Return the layers that run a cell over frames with so many spatial axes, each with the name of its kind."""
    kinds = {f"{cell.family}{rank}D": rank for rank in ranks}
    shared = {"cell_class": cell, "__module__": cell.__module__}
    return tuple(
        type(name, (ConvRecurrent,), {**shared, "rank": rank, "__doc__": KINDS[name].__doc__})
        for name, rank in kinds.items()
    )
