"""What a TrajGRU holds and costs, by hand, and what is refused."""

from __future__ import annotations

from specbuild.catalog import Weight
from specbuild.catalog.receptive_field import is_empty
from specbuild.catalog.traj_gru import TrajGRU2D
from tests.catalog.refusals import argument_error, shape_error

X = (6, 10, 8, 3)


def test_weights_and_state() -> None:
    layer = TrajGRU2D(filters=2, kernel_size=3, links=4)
    assert layer.weights(X) == (
        Weight("kernel", (3, 3, 3, 6)),
        Weight("flow_input_kernel", (5, 5, 3, 32)),
        Weight("flow_state_kernel", (5, 5, 2, 32)),
        Weight("flow_kernel", (5, 5, 32, 8)),
        Weight("recurrent_kernel", (1, 1, 8, 6)),
        Weight("bias", (2, 6)),
        Weight("flow_hidden_bias", (2, 32)),
        Weight("flow_bias", (8,)),
    )
    assert layer.state_shapes(X) == {"h": (10, 8, 2)}
    alone = TrajGRU2D(filters=2, kernel_size=3, links=1, use_input=False, flow_kernel_size=[3, 1], flow_filters=4)
    assert alone.weights(X) == (
        Weight("flow_state_kernel", (3, 1, 2, 4)),
        Weight("flow_kernel", (3, 1, 4, 2)),
        Weight("recurrent_kernel", (1, 1, 2, 6)),
        Weight("bias", (6,)),
        Weight("flow_hidden_bias", (4,)),
        Weight("flow_bias", (2,)),
    )
    assert is_empty(alone.receptive_field(X)[0])


def test_costs() -> None:
    options = {"filters": 1, "kernel_size": 3, "links": 2, "flow_kernel_size": 1, "flow_filters": 4}
    # 80 places. 2·9·3·3 for W, 2·3·4 for P, 2·4 for Q, 2·4·4 for S, 2·2·3 for R; sums of three gates and of q; two
    # links of ten for the place and seven to read it; one for r, four for h.
    products, single = 162 + 24 + 8 + 32 + 12, 3 + 4 + 2 * (10 + 7) + 1 + 4
    assert TrajGRU2D(**options, use_bias=False).flops(X) == 6 * 80 * (products + single)
    assert TrajGRU2D(**options).flops(X) == 6 * 80 * (products + single + 6 + 8 + 4)
    assert TrajGRU2D(**options, use_input=False, use_bias=False).flops(X) == 6 * 80 * (52 + single - 7)
    assert TrajGRU2D(**options).saved_elements(X) == 6 * 80 * (5 + 4 + 4 + 5 * 2)


def test_parameters_of_a_layer_of_shi_2017() -> None:
    """The second encoder of the HKO-7 model: 192 → 192 on 32 × 32, i2h 3 × 3, L = 13."""
    layer = TrajGRU2D(filters=192, kernel_size=3, links=13)
    i2h, h2h = 9 * 192 * 576 + 576, 13 * 192 * 576 + 576
    flows = 2 * (25 * 192 * 32 + 32) + 25 * 32 * 26 + 26
    assert sum(weight.size for weight in layer.weights((5, 32, 32, 192))) == i2h + h2h + flows


def test_what_is_refused() -> None:
    assert argument_error(TrajGRU2D, filters=1, kernel_size=3, links=0) == (
        "links",
        "expected a positive whole number, got 0",
    )
    assert argument_error(TrajGRU2D, filters=1, kernel_size=3, padding="same")[0] == "padding"
    error = shape_error(TrajGRU2D(filters=1, kernel_size=3), (None, None, 8, 3))
    assert str(error) == "TrajGRU2D needs to know the height of its frames"
