"""Keras's LSTM, GRU and SimpleRNN with our loop over masked steps, and a kept state that survives compiled calls.

Without a mask they are Keras's own, its fused kernels included. With one, Keras 3.15 gives other numbers on JAX where
the first steps of a sequence with an initial state are masked, and on both backends where unrolled steps have
`zero_output_for_mask`; its fused kernels on a GPU take only masks that end a sequence. On JAX it also forgets the state
of a stateful layer between compiled calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.model.backend import Registered, keras
from specbuild.model.layers.loop import run_steps


class _WithOurLoop:
    """What is common to the three; the base comes before Keras's class."""

    cell: Any
    states: Any
    go_backwards: bool
    return_sequences: bool
    unroll: bool
    zero_output_for_mask: bool

    @property
    def variables(self) -> list[Any]:
        """With the state that a stateful layer keeps: JAX runs a model as a function of these, and would forget it."""
        return [*super().variables, *(self.states or [])]  # type: ignore[misc]

    def inner_loop(self, sequences: Any, initial_state: Sequence[Any], mask: Any, training: bool = False) -> Any:
        """Run the recurrence over `(N, T, C)`: last output `(N, units)`, outputs, states after the last step.

        The outputs are those of all steps, `(N, T, units)`, only where the layer returns them. The mask is `(N, T)`.
        """
        mask = mask[0] if isinstance(mask, list | tuple) else mask
        if mask is None:
            return super().inner_loop(sequences, initial_state, mask, training=training)  # type: ignore[misc]
        if self.go_backwards:
            sequences, mask = keras.ops.flip(sequences, axis=1), keras.ops.flip(mask, axis=1)

        def step(read: Sequence[Any], states: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
            output, after = self.cell(read[0], list(states), training=training)
            return output, after if isinstance(after, list | tuple) else [after]

        outputs, states = run_steps(
            step,
            [sequences],
            initial_state,
            output=((self.cell.units,), initial_state[0].dtype),
            every=self.return_sequences,
            written_out=lambda _: self.unroll,
            mask=mask,
            zero_output=self.zero_output_for_mask,
        )
        return outputs[:, -1] if self.return_sequences else outputs, outputs, states


class LSTM(_WithOurLoop, Registered, keras.layers.LSTM):  # type: ignore[misc]
    """Keras's LSTM; see above."""


class GRU(_WithOurLoop, Registered, keras.layers.GRU):  # type: ignore[misc]
    """Keras's GRU; see above."""


class SimpleRNN(_WithOurLoop, Registered, keras.layers.SimpleRNN):  # type: ignore[misc]
    """Keras's SimpleRNN; see above."""
