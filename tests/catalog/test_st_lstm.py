"""What an ST-LSTM stack holds and costs, by hand, and what is refused."""

from __future__ import annotations

import pytest

from specbuild.catalog import Weight
from specbuild.catalog.st_lstm import STLSTM2D
from tests.catalog.refusals import argument_error, shape_error

X = (6, 10, 8, 3)


def test_weights_and_states() -> None:
    layer = STLSTM2D(filters=[2, 2], kernel_size=[5, 3])
    assert layer.weights(X)[:6] == (
        Weight("kernel_1", (5, 3, 3, 14)),
        Weight("recurrent_kernel_1", (5, 3, 2, 8)),
        Weight("memory_kernel_1", (5, 3, 2, 6)),
        Weight("output_kernel_1", (5, 3, 4, 2)),
        Weight("fusion_kernel_1", (1, 1, 4, 2)),
        Weight("bias_1", (14,)),
    )
    assert layer.weights(X)[6] == Weight("kernel_2", (5, 3, 2, 14))
    assert layer.state_shapes(X) == dict.fromkeys(["h1", "c1", "h2", "c2", "m"], (10, 8, 2))
    normalized = STLSTM2D(filters=2, kernel_size=3, normalization="layer", use_bias=False)
    assert normalized.weights(X)[5:] == (Weight("gamma_1", (30,)),)
    normalized = STLSTM2D(filters=2, kernel_size=3, normalization="layer_per_pixel")
    assert normalized.weights(X)[5:] == (Weight("gamma_1", (10, 8, 30)), Weight("beta_1", (10, 8, 30)))
    first = STLSTM2D(filters=[2], kernel_size=3, data_format="channels_first")
    assert first.sequence_shape((6, 3, 10, 8)) == (6, 2, 10, 8)


def test_costs() -> None:
    # 80 places of one filter. Seven gates of 2·9·3 for x; 4, 3 and 2 of 2·9 for h, m and [c, m]; 2·2 for the fusion;
    # seven biases, eight sums, seven for c, m and h, two constants.
    cell, single = 2 * 9 * (4 + 3 + 2) + 4, 8 + 7
    assert STLSTM2D(filters=1, kernel_size=3).flops(X) == 6 * 80 * (7 * 2 * 9 * 3 + cell + single + 7 + 2)
    plain = STLSTM2D(filters=[1, 1], kernel_size=3, use_bias=False, forget_bias=0)
    assert plain.flops(X) == 6 * 80 * (7 * 2 * 9 * (3 + 1) + 2 * (cell + single))
    assert plain.saved_elements(X) == 6 * 80 * 2 * 11
    # Normalized: fifteen gates, each 1 for the mean, 3 for the variance, 2 to apply them, gain and offset; no bias.
    normalized = STLSTM2D(filters=1, kernel_size=3, normalization="layer")
    assert normalized.flops(X) == 6 * 80 * (7 * 2 * 9 * 3 + cell + single + 2 + 15 * 8)
    assert normalized.saved_elements(X) == 6 * 80 * (11 + 15)


@pytest.mark.parametrize("filters", [[], 0, [2, 0], True, "8"])
def test_filters_are_counts(filters: object) -> None:
    name, why = argument_error(STLSTM2D, filters=filters, kernel_size=3)
    assert name == "filters"
    assert why.startswith("expected a positive whole number, or a list of such numbers, one for each cell of the stack")


def test_what_is_refused() -> None:
    assert argument_error(STLSTM2D, filters=[128, 64], kernel_size=3) == (
        "filters",
        "expected the same number for every cell, because one memory passes through all of them; got [128, 64]",
    )
    assert argument_error(STLSTM2D, filters=1, kernel_size=3, dropout=0.1)[0] == "dropout"
    error = shape_error(STLSTM2D(filters=1, kernel_size=3), (None, 10, None, 3))
    assert str(error) == "STLSTM2D needs to know the width of its frames"
