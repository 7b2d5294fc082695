"""TrajGRU: a ConvGRU whose state is gathered along learned flows instead of from fixed neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from specbuild.model.backend import keras
from specbuild.model.layers.conv_recurrent import recurrent_layers
from specbuild.model.layers.frame_cell import FrameCell, Tensors, convolve
from specbuild.model.layers.sampling import read_at, single

ops = keras.ops


class TrajGRUCell(FrameCell):
    """One step of TrajGRU (Shi et al. 2017, arXiv 1706.03458, equation 3; the flows as in the authors' code).

        q = φ(P∗x + Q∗h + a + a′)
        (u, v)₁ … (u, v)_L = S∗q + d
        s = [warp(h, u₁, v₁), …, warp(h, u_L, v_L)]
        z, r = σ(W∗x + b + R∗s + b′)
        g = φ(W∗x + b + r∘(R∗s + b′))
        h′ = z∘h + (1 − z)∘g

    φ is the activation. warp(h, u, v) at row y and column x is h at (y − v, x − u), between pixels by bilinear
    interpolation, beyond the border zero. R is 1 × 1; every convolution keeps the size of the frames.

    Args:
        links: L, how many places each one gathers the state from.
        flow_kernel_size: extent of P, Q and S.
        flow_filters: channels of q.
        flow_initializer: first values of S; zero, as published, lets all paths start from the own place.
        use_input: False for a recurrence that reads nothing: the input then only says how many steps there are.

    Weights, in order: `kernel` W (*kernel_size, C, 3F) for z, r, g; `flow_input_kernel` P and `flow_state_kernel` Q
    (*flow_kernel_size, C or F, flow_filters); `flow_kernel` S (*flow_kernel_size, flow_filters, 2L), with u and v of a
    link next to each other; `recurrent_kernel` R (1, 1, L·F, 3F); `bias` (2, 3F) with b and b′, `flow_hidden_bias`
    (2, flow_filters) with a and a′, `flow_bias` (2L,). Without an input there is no W and P, and the biases that have
    two rows have the second alone, without an axis for it.
    """

    family, cell_name = "TrajGRU", "traj_gru_cell"
    groups: ClassVar[Mapping[str, str]] = {
        **FrameCell.groups,
        "flow_input_kernel": "kernel",
        **dict.fromkeys(("flow_state_kernel", "flow_kernel"), "recurrent"),
        **dict.fromkeys(("flow_hidden_bias", "flow_bias"), "bias"),
    }
    flow_hidden_bias: Any = None
    flow_bias: Any = None

    def initializer(self, weight: str, group: str) -> Any:
        return self.flow_initializer if weight == "flow_kernel" else super().initializer(weight, group)

    def project(self, frames: Any, masks: Tensors | None = None) -> Any:  # noqa: ARG002 - nothing is dropped
        """The input's share of z, r, g and q, biases included: `(N, …, H, W, C)` → `(N, …, H, W, 3F + flow_filters)`.

        Without an input, H and W become 1.
        """
        if self.kernel is None:
            return self.unread(frames)
        gates, hidden = convolve(frames, self.kernel), convolve(frames, self.flow_input_kernel)
        if self.bias is not None:
            gates, hidden = gates + self.bias[0], hidden + self.flow_hidden_bias[0]
        return ops.concatenate([gates, hidden], axis=-1)

    def step(self, projected: Any, states: Tensors, masks: Tensors | None = None) -> tuple[Any, list[Any]]:  # noqa: ARG002
        (h,) = states
        width = self.width
        x = projected[..., : 3 * width]
        gathered = warp(h, self._flows(projected[..., 3 * width :], h))  # (N, H, W, L·F)
        recurrent = self._biased(convolve(gathered, self.recurrent_kernel), self.bias)
        gates = self.recurrent_activation(x[..., : 2 * width] + recurrent[..., : 2 * width])
        z, r = ops.split(gates, 2, axis=-1)
        g = self.activation(x[..., 2 * width :] + r * recurrent[..., 2 * width :])
        h = z * h + (1 - z) * g
        return h, [h]

    @property
    def projected(self) -> int:
        return 3 * self.width + int(self.flow_filters)

    def _flows(self, read: Any, h: Any) -> Any:
        """u and v of every link, in pixels, (N, H, W, 2L)."""
        seen = self._biased(convolve(h, self.flow_state_kernel), self.flow_hidden_bias)
        flows = convolve(self.activation(read + seen), self.flow_kernel)
        return flows if self.flow_bias is None else flows + self.flow_bias

    def _biased(self, recurrent: Any, bias: Any) -> Any:
        """A convolution of the state with the part of a bias that goes with it."""
        if bias is None:
            return recurrent
        return recurrent + (bias[1] if self.use_input else bias)


def warp(h: Any, flows: Any) -> Any:
    """h at (y − v, x − u), for every link: `(N, H, W, F)` and `(N, H, W, 2L)` → `(N, H, W, L·F)`.

    Bilinear between pixels, zero beyond the border; differentiable with respect to both. Places are worked out in
    single precision at least.
    """
    height, width, filters = h.shape[1:]
    flows = single(flows)  # (N, H, W, 2L)
    columns = ops.reshape(ops.arange(width, dtype=flows.dtype), (1, 1, width, 1)) - flows[..., 0::2]
    rows = ops.reshape(ops.arange(height, dtype=flows.dtype), (1, height, 1, 1)) - flows[..., 1::2]
    return ops.reshape(read_at(h, rows, columns), (-1, height, width, flows.shape[-1] // 2 * filters))


(TrajGRU2D,) = recurrent_layers(TrajGRUCell, 2)
