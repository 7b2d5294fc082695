"""The loop of a recurrence over its steps: unrolled, or the framework's loop; in segments that are recomputed.

Masks are applied here. Keras's own loop broadcasts a mask wrongly on JAX, and takes the first state for the output.

Shape comments: N batch, T steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from specbuild.catalog.conv_recurrent import segment_length
from specbuild.model.backend import keras

ops = keras.ops

StepFunction: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], tuple[Any, Sequence[Any]]]
"""One step: from its inputs and the states before it to its output and the states after it."""
Prepare: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
"""From the sequences of some steps to what these steps read."""


def run_steps(
    step: StepFunction,
    sequences: Sequence[Any],
    states: Sequence[Any],
    *,
    output: tuple[tuple[int, ...], Any],
    every: bool,
    written_out: Callable[[int | None], bool],
    mask: Any = None,
    zero_output: bool = False,
    prepare: Prepare = list,
    recompute: bool = False,
) -> tuple[Any, list[Any]]:
    """Run a step over sequences and return the outputs, `(N, T, …)` or of the last step alone, and the states after it.

    Args:
        step: one step.
        sequences: what it reads, `(N, T, …)` each.
        states: those before the first step, whose shapes and dtypes stay.
        output: shape, without the batch, and dtype of the output of a step.
        every: whether the output of every step is given.
        written_out: whether so many steps (None: unknown) are unrolled.
        mask: `(N, T)`, False where a step is skipped: the states stay, and the output is that of the step before,
            before the first step zero. A mask for each position of the frames, `(N, T, …)`, skips a step where it is
            False at every position.
        zero_output: whether the output of such a step is zero instead.
        prepare: applied to the sequences before the loop, for all steps of a segment at once.
        recompute: whether the backward pass recomputes the steps, in segments of about √T (Chen et al. 2016, arXiv
            1604.06174). Results and gradients stay the same.
    """
    count = len(states)
    given = list(sequences)
    if mask is not None:
        mask = ops.cast(mask, "bool")
        mask = ops.any(mask, axis=tuple(range(2, len(mask.shape)))) if len(mask.shape) > 2 else mask
        given.append(ops.cast(mask, states[0].dtype))  # what is recomputed has gradients, so it reads numbers alone
        step = _passing_over(step, count, zero_output=zero_output)
        if not zero_output:
            states = [*states, ops.zeros((ops.shape(given[0])[0], *output[0]), output[1])]

    def run(*tensors: Any) -> tuple[Any, ...]:
        """The states after some of the steps, then the outputs."""
        own, before = tensors[: len(given)], tensors[len(given) :]
        read = [*prepare(own[: len(sequences)]), *own[len(sequences) :]]
        return _looped(step, read, before, every=every, written_out=written_out)

    steps = given[0].shape[1]
    if recompute and steps is not None and segment_length(steps) < steps:
        length = segment_length(steps)
        cuts = list(range(length, steps, length))
        pieces = list(zip(*(ops.split(each, cuts, axis=1) for each in given), strict=True))
        after, pieces_out = _recomputed(run, pieces, states)
        outputs = ops.concatenate(pieces_out, axis=1) if every else pieces_out[-1]
    else:
        *after, outputs = run(*given, *states)
    return outputs, list(after[:count])


def _looped(
    step: StepFunction,
    xs: Sequence[Any],
    states: Sequence[Any],
    *,
    every: bool,
    written_out: Callable[[int | None], bool],
) -> tuple[Any, ...]:
    """The states after the last step, then the outputs."""
    steps = xs[0].shape[1]
    if steps is not None and (steps == 1 or written_out(steps)):
        outputs = []
        for x in zip(*(ops.unstack(each, steps, axis=1) for each in xs), strict=True):
            output, states = step(x, states)
            outputs.append(output)
        return (*states, ops.stack(outputs, axis=1) if every else outputs[-1])
    loop = keras.layers.RNN(_Packed(step, xs, len(states)), return_sequences=every, name="steps")
    last, all_outputs, after = loop.inner_loop(_packed(xs), list(states), None)
    return (*after, all_outputs if every else last)


def _recomputed(
    run: Callable[..., tuple[Any, ...]], pieces: Sequence[Sequence[Any]], states: Sequence[Any]
) -> tuple[Sequence[Any], list[Any]]:
    """Run over one segment after the other, each recomputed in the backward pass: the last states, and the outputs.

    TensorFlow begins with that as soon as the gradient of a segment's first result is there. That of a state comes from
    the segment behind; the last segment has the outputs first, whose gradient comes from the layer above.
    """

    def end(*given: Any) -> tuple[Any, ...]:
        *new, output = run(*given)
        return (output, *new)

    outputs = []
    for piece in pieces[:-1]:
        *states, output = keras.remat(run)(*piece, *states)
        outputs.append(output)
    output, *states = keras.remat(end)(*pieces[-1], *states)
    return states, [*outputs, output]


def _passing_over(step: StepFunction, count: int, *, zero_output: bool) -> StepFunction:
    """A step with a mask behind what it reads, and behind its `count` states the output before it, if that is kept."""

    def masked(x: Sequence[Any], states: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        *read, mask = x
        own = states[:count]
        output, after = step(read, own)
        output = _where(mask, output, ops.zeros_like(output) if zero_output else states[-1])
        after = [_where(mask, new, old) for new, old in zip(after, own, strict=True)]
        return output, after if zero_output else [*after, output]

    return masked


def _where(mask: Any, new: Any, old: Any) -> Any:
    return ops.where(ops.reshape(mask, (-1, *(1,) * (len(new.shape) - 1))) > 0, new, old)


class _Packed:
    """A step as a cell for Keras's loop, which reads one tensor."""

    def __init__(self, step: StepFunction, xs: Sequence[Any], states: int) -> None:
        self.step, self.state_size = step, [1] * states
        self.shapes, self.dtypes = [x.shape[2:] for x in xs], [x.dtype for x in xs]

    def call(self, packed: Any, states: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        if len(self.shapes) == 1:
            return self.step([packed], states)
        ends = list(accumulate(math.prod(shape) for shape in self.shapes))[:-1]
        parts = zip(ops.split(packed, ends, axis=-1), self.shapes, self.dtypes, strict=True)
        return self.step([ops.cast(ops.reshape(part, (-1, *shape)), dtype) for part, shape, dtype in parts], states)

    __call__ = call


def _packed(xs: Sequence[Any]) -> Any:
    """Sequences `(N, T, …)` as one, `(N, T, numbers)`; a single one stays as it is."""
    if len(xs) == 1:
        return xs[0]
    steps = xs[0].shape[1]
    lead = (-1, steps) if steps is not None else tuple(ops.shape(xs[0])[:2])
    flat = [ops.cast(ops.reshape(x, (*lead, math.prod(x.shape[2:]))), xs[0].dtype) for x in xs]
    return ops.concatenate(flat, axis=-1)
