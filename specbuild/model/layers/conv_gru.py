"""ConvGRU, which Keras does not have."""

from __future__ import annotations

from typing import Any

from specbuild.model.backend import keras
from specbuild.model.layers.conv_cell import ConvCell
from specbuild.model.layers.conv_recurrent import recurrent_layers
from specbuild.model.layers.frame_cell import Tensors

ops = keras.ops


class ConvGRUCell(ConvCell):
    """One step of ConvGRU. The gates are in the order of Keras's GRU: z (update), r (reset), g (candidate).

        z = σ(W∗x + U∗h + b), and r alike
        g = tanh(W∗x + b + r∘(U∗h + b′))        with `reset_after`
        g = tanh(W∗x + U∗(r∘h) + b)             without
        h′ = z∘h + (1 − z)∘g

    Resetting after the convolution is that of Shi et al. 2017 (arXiv 1706.03458, with leaky_relu for tanh) and of
    Keras's GRU; it takes one convolution a step. Resetting before it is that of Ballas et al. 2016 (arXiv 1511.06432),
    where z and 1 − z are swapped, and of the TensorFlow-1 cell, whose gates' bias starts at one.

    With layer normalization z, r and g are normalized before their activation.

    Args:
        reset_after: whether r is applied to the convolved state. The bias then has two rows, (2, 3F): one for the
            input, one for the state; (3F,) for the state alone without an input.
        unit_gate_bias: whether the bias of z and r starts at one; None: without `reset_after` and normalization, as in
            the TensorFlow-1 cell.
    """

    family, cell_name = "ConvGRU", "conv_gru_cell"

    def step(self, projected: Any, states: Tensors, masks: Tensors | None = None) -> tuple[Any, list[Any]]:
        (h,) = states
        step = self._reset_after if self.reset_after else self._reset_before
        z, g = step(projected, h, masks)
        h = z * h + (1 - z) * self.activation(self.normalize(2, g))
        return h, [h]

    @property
    def input_bias(self) -> Any:
        if self.bias is None or not self.reset_after:
            return self.bias
        return self.bias[0] if self.use_input else None

    @property
    def gates_from_one(self) -> tuple[int, ...]:
        asked = self.unit_gate_bias
        unit = not self.reset_after and self.normalization == "none" if asked is None else asked
        return (0, 1) if unit else ()

    def _reset_after(self, projected: Any, h: Any, masks: Tensors | None) -> tuple[Any, Any]:
        recurrent = self.convolve_state(h, self.recurrent_kernel, masks)  # (N, P, Q, 3F)
        if self.bias is not None:
            recurrent = recurrent + (self.bias[1] if self.use_input else self.bias)
        split = 2 * self.filters
        z, r = self._gates(projected[..., :split] + recurrent[..., :split])
        return z, projected[..., split:] + r * recurrent[..., split:]

    def _reset_before(self, projected: Any, h: Any, masks: Tensors | None) -> tuple[Any, Any]:
        split = 2 * self.filters
        first, last = (None, None) if masks is None else (masks[:2], masks[2:])
        recurrent = self.convolve_state(h, self.recurrent_kernel[..., :split], first)  # (N, P, Q, 2F)
        z, r = self._gates(projected[..., :split] + recurrent)
        return z, projected[..., split:] + self.convolve_state(r * h, self.recurrent_kernel[..., split:], last)

    def _gates(self, gates: Any) -> tuple[Any, Any]:
        z, r = (self.normalize(place, gate) for place, gate in enumerate(ops.split(gates, 2, axis=-1)))
        return self.recurrent_activation(z), self.recurrent_activation(r)


ConvGRU1D, ConvGRU2D, ConvGRU3D = recurrent_layers(ConvGRUCell, 1, 2, 3)
