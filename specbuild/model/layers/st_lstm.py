"""The spatiotemporal LSTM of PredRNN: a stack of cells that one memory passes through, upwards and on in time."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, ClassVar

from specbuild.catalog import Shape
from specbuild.model.backend import keras
from specbuild.model.layers.conv_recurrent import recurrent_layers
from specbuild.model.layers.frame_cell import FrameCell, Tensors, convolve

ops = keras.ops

EPSILON = 1e-5
"""What layer normalization adds to the variance, as in the authors' code."""


class STLSTMCell(FrameCell):
    """One step of a stack of ST-LSTM cells (Wang et al. 2017 and 2021, arXiv 2103.09504, the ST-LSTM equations).

    Cell l reads x, which is the input for the first cell and h of the cell below for the others; its own h and c; and
    m, which comes from the cell below. The first cell's m comes from the last cell at the step before.

        i, f, g = σ, σ, tanh(W∗x + U∗h + b)           c′ = f∘c + i∘g
        j, k, n = σ, σ, tanh(W∗x + V∗m + b)           m′ = k∘m + j∘n
        o = σ(W∗x + U∗h + O∗[c′, m′] + b)             h′ = o∘tanh(R∗[c′, m′])

    Each gate has its own part of W, U, V and b. `forget_bias` is added to f and k before their activation. R is a
    1 × 1 convolution without a bias. Every convolution keeps the size of its input. The loss that decouples c from m
    is not part of it.

    Args:
        filters: channels of h, c and m, for each cell of the stack from the input up, all the same; a number is one
            cell.
        normalization: `layer` normalizes W∗x, U∗h, V∗m and O∗[c′, m′], each over all axes of a sample and all its
            gates at once, with a gain and an offset for each channel (the authors' TensorFlow code);
            `layer_per_pixel` with one for each place and channel (their PyTorch code). The offsets take the place of
            the bias; ε is 1e-5.
        forget_bias: see above.

    The states are h and c of each cell, and m: h1, c1, h2, c2, …, m. The weights of cell l, in order: `kernel_l`
    (*kernel_size, C, 7F) for i, f, g, j, k, n, o; `recurrent_kernel_l` (*kernel_size, F, 4F) for i, f, g, o;
    `memory_kernel_l` (*kernel_size, F, 3F) for j, k, n; `output_kernel_l` (*kernel_size, 2F, F); `fusion_kernel_l`
    (1, 1, 2F, F); and `bias_l` (7F,), or `gamma_l` and `beta_l`, whose 15F channels go with W, U, V and O.
    """

    family, cell_name = "STLSTM", "st_lstm_cell"
    groups: ClassVar[Mapping[str, str]] = {
        **FrameCell.groups,
        **dict.fromkeys(("memory_kernel", "output_kernel", "fusion_kernel"), "recurrent"),
    }

    def build(self, inputs_shape: Shape, states_shape: Any = None) -> None:
        super().build(inputs_shape, states_shape)
        cells = range(1, self.entry.cells + 1)
        self.levels = [
            SimpleNamespace(**{name: getattr(self, f"{name}_{cell}", None) for name in self.groups}) for cell in cells
        ]

    def project(self, frames: Any, masks: Tensors | None = None) -> Any:  # noqa: ARG002 - nothing is dropped
        """The input's share of the first cell's gates, bias included: `(N, …, H, W, C)` → `(N, …, H, W, 7F)`."""
        return self._read(self.levels[0], frames)

    def step(self, projected: Any, states: Tensors, masks: Tensors | None = None) -> tuple[Any, list[Any]]:  # noqa: ARG002
        *pairs, m = states
        h, new = None, []
        for level, before, c in zip(self.levels, pairs[::2], pairs[1::2], strict=True):
            read = projected if h is None else self._read(level, h)
            h, c, m = self._cell(level, read, before, c, m)
            new += [h, c]
        return h, [*new, m]

    @property
    def projected(self) -> int:
        return 7 * self.width

    def _cell(self, level: SimpleNamespace, x: Any, h: Any, c: Any, m: Any) -> tuple[Any, Any, Any]:
        """The h, c and m that one cell makes of W∗x, (N, H, W, 7F), and of those before."""
        width = self.width
        u = self._normalized(level, convolve(h, level.recurrent_kernel), 7)  # (N, H, W, 4F)
        v = self._normalized(level, convolve(m, level.memory_kernel), 11)  # (N, H, W, 3F)
        c = self._memory(c, x[..., : 3 * width] + u[..., : 3 * width])
        m = self._memory(m, x[..., 3 * width : 6 * width] + v)
        both = ops.concatenate([c, m], axis=-1)  # (N, H, W, 2F)
        seen = self._normalized(level, convolve(both, level.output_kernel), 14)
        o = self.recurrent_activation(x[..., 6 * width :] + u[..., 3 * width :] + seen)
        return o * self.activation(convolve(both, level.fusion_kernel)), c, m

    def _memory(self, memory: Any, gates: Any) -> Any:
        i, f, g = ops.split(gates, 3, axis=-1)
        kept = self.recurrent_activation(f + self.forget_bias) * memory
        return kept + self.recurrent_activation(i) * self.activation(g)

    def _read(self, level: SimpleNamespace, x: Any) -> Any:
        convolved = self._normalized(level, convolve(x, level.kernel), 0)
        return convolved if level.bias is None else convolved + level.bias

    def _normalized(self, level: SimpleNamespace, x: Any, first: int) -> Any:
        """Layer normalization with the gains and offsets from channel `first`·F on, if the cell has any."""
        if level.gamma is None:
            return x
        part = slice(first * self.width, first * self.width + x.shape[-1])
        normal = self.standardized(x, EPSILON) * level.gamma[..., part]
        return normal if level.beta is None else normal + level.beta[..., part]


(STLSTM2D,) = recurrent_layers(STLSTMCell, 2)
