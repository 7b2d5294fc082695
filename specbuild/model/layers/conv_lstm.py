"""ConvLSTM with options that Keras's lacks: peepholes, layer normalization, and a separate recurrent kernel size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from specbuild.model.backend import keras
from specbuild.model.layers.conv_cell import ConvCell
from specbuild.model.layers.conv_recurrent import recurrent_layers
from specbuild.model.layers.frame_cell import Tensors

ops = keras.ops


class ConvLSTMCell(ConvCell):
    """One step of ConvLSTM (Shi et al. 2015, arXiv 1506.04214, equation 3). The gates are in Keras's order: i, f, g, o.

        i = σ(W∗x + U∗h + Wci∘c + b), and f with Wcf
        g = tanh(W∗x + U∗h + b)
        c′ = f∘c + i∘g
        o = σ(W∗x + U∗h + Wco∘c′ + b)
        h′ = o∘tanh(c′)

    With layer normalization (the TensorFlow-1 cell), i, f and o are normalized after their peephole, f before
    `forget_bias` is added, g before its activation; and c′ is normalized, after o has seen it and before tanh, and is
    carried on in normalized form.

    Args:
        peephole: `per_pixel` gives Wci, Wcf and Wco an entry for each place and channel, `per_channel` one for each
            channel; without it gates do not see c.
        forget_bias: a number added to f before its activation; None leaves it to `unit_forget_bias`, which starts the
            bias (or the offset, with normalization) of f at one. A number takes the place of `unit_forget_bias`.

    The peepholes are the last weight, `peephole_kernel`: (P, Q, 3F) or (3F,), in the order i, f, o, channels last
    whatever the `data_format`.
    """

    family, cell_name = "ConvLSTM", "conv_lstm_cell"
    groups: ClassVar[Mapping[str, str]] = {**ConvCell.groups, "peephole_kernel": "peephole"}
    peephole_kernel: Any = None

    def step(self, projected: Any, states: Tensors, masks: Tensors | None = None) -> tuple[Any, list[Any]]:
        h, c = states
        gates = projected + self.convolve_state(h, self.recurrent_kernel, masks)  # (N, P, Q, 4F)
        i, f, g, o = ops.split(gates, 4, axis=-1)
        i, f = self._peep(0, i, c), self._peep(1, f, c)
        i, f, g = (self.normalize(place, gate) for place, gate in enumerate((i, f, g)))
        f = f if self.forget_bias is None else f + self.forget_bias
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        o = self.normalize(3, self._peep(2, o, c))
        c = self.normalize(4, c)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]

    @property
    def gates_from_one(self) -> tuple[int, ...]:
        return (1,) if self.unit_forget_bias and self.forget_bias is None else ()

    def _first_bias(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """As Keras draws it: around the forget gate's ones, where `bias_initializer` is random."""
        if self.normalization == "layer" or not self.gates_from_one:
            return super()._first_bias(shape, dtype)
        before, after = (self.bias_initializer((gates * self.filters,), dtype=dtype) for gates in (1, 2))
        return ops.concatenate([before, ops.ones((self.filters,), before.dtype), after])

    def _peep(self, place: int, gate: Any, c: Any) -> Any:
        """A gate with its peephole term; as it is without peepholes."""
        if self.peephole_kernel is None:
            return gate
        first = place * self.filters
        return gate + self.peephole_kernel[..., first : first + self.filters] * c


ConvLSTM1D, ConvLSTM2D, ConvLSTM3D = recurrent_layers(ConvLSTMCell, 1, 2, 3)
