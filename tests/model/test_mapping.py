"""Weights of other implementations: what does not fit, and the order of the gates. The numbers are in test_golden."""

from __future__ import annotations

import numpy as np
import pytest

from specbuild.model.backend import keras
from specbuild.model.layers import ConvGRU2D, ConvLSTM2D
from specbuild.model.mapping import WeightsMismatch, pytorch, set_weights, tensorflow1
from tests.model.recurrences import numbers

Z, I, F, O = 1.0, 2.0, 3.0, 4.0  # noqa: E741 - gates by their names


def test_gates_of_the_tensorflow_cell() -> None:
    kernel = np.broadcast_to([Z, I, F, O], (3, 3, 2, 4))  # one channel of x, one of h
    bias = np.array([Z, I, F, O])
    weights = tensorflow1.conv_lstm({"kernel": kernel, "bias": bias}, forget_bias=0.5)
    np.testing.assert_array_equal(weights["kernel"][0, 0, 0], [I, F, Z, O])
    np.testing.assert_array_equal(weights["bias"], [I, F, Z, O])
    np.testing.assert_array_equal(
        weights.fitted(keras.layers.ConvLSTM2D(1, 3, padding="same"))["bias"], [I, F + 0.5, Z, O]
    )
    np.testing.assert_array_equal(bias, [Z, I, F, O])
    assert weights["recurrent_kernel"].shape == (3, 3, 1, 4)


def test_gates_of_the_pytorch_cell() -> None:
    weight = np.broadcast_to(np.reshape([I, F, O, Z], (4, 1, 1, 1)), (4, 3, 5, 7))  # two channels of x, one of h
    weights = pytorch.conv_lstm(weight, np.array([I, F, O, Z]))
    assert weights["kernel"].shape == (5, 7, 2, 4)
    assert weights["recurrent_kernel"].shape == (5, 7, 1, 4)
    np.testing.assert_array_equal(weights["kernel"][0, 0, 0], [I, F, Z, O])
    np.testing.assert_array_equal(weights["bias"], [I, F, Z, O])


def test_a_forget_bias_of_the_layer_or_in_its_weights_is_the_same() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 3, 4, 4, 2)).astype("float32")
    places = ("LayerNorm", "LayerNorm_1", "LayerNorm_2", "LayerNorm_3", "LayerNorm_4")
    for norm in (False, True):
        variables = {"kernel": rng.normal(size=(3, 3, 3, 4))} | {
            f"W_c{gate}": rng.normal(size=(4, 4, 1)) for gate in "ifo"
        }
        offsets = {f"{place}/{name}": rng.normal(size=1) for place in places for name in ("gamma", "beta")}
        variables |= offsets if norm else {"bias": rng.normal(size=4)}
        options = {"padding": "same", "peephole": "per_pixel", "normalization": "layer" if norm else "none"}
        constant, folded = ConvLSTM2D(1, 3, forget_bias=1.0, **options), ConvLSTM2D(1, 3, **options)
        for layer in (constant, folded):
            layer.build(x.shape)
            set_weights(layer, tensorflow1.conv_lstm(variables))
        np.testing.assert_allclose(numbers(constant(x)), numbers(folded(x)), atol=1e-6)


def test_what_does_not_fit_is_named_and_changes_nothing() -> None:
    layer = ConvLSTM2D(1, 3, name="enc")
    layer.build((1, 3, 5, 5, 2))
    before = layer.get_weights()
    good = {weight.name: np.ones(weight.shape) for weight in layer.weights}
    cases = {
        'enc has no weight kernels; did you mean "kernel"?': {**good, "kernels": good["kernel"]},
        "enc has no weight gamma; it has kernel, recurrent_kernel, bias": {**good, "gamma": np.ones(5)},
        "enc needs bias, (4,), which is not given": {name: good[name] for name in ("kernel", "recurrent_kernel")},
        "kernel of enc is (3, 3, 2, 4), not (3, 3, 1, 4)": {**good, "kernel": np.ones((3, 3, 1, 4))},
    }
    for message, arrays in cases.items():
        with pytest.raises(WeightsMismatch) as caught:
            set_weights(layer, arrays)
        assert str(caught.value) == message
    for one, other in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    set_weights(layer, good)
    assert numbers(layer.weights[0]).min() == 1


def test_a_layer_that_computes_something_else_is_refused() -> None:
    """Their weights have the same shapes, and the outputs would differ by as much as 1."""
    kernel = np.ones((3, 3, 3, 4))
    gru = {"gates/kernel": np.ones((3, 3, 3, 2)), "candidate/kernel": np.ones((3, 3, 3, 1))}
    same = {"padding": "same", "use_bias": False}
    cases = {
        "the cell adds 1.0 to its forget gate, and has no bias to add it to; give enc forget_bias: 1.0": (
            ConvLSTM2D(1, 3, **same, name="enc"),
            tensorflow1.conv_lstm({"kernel": kernel}),
        ),
        "the cell adds 1.0 to its forget gate, and enc adds 0.5; give it forget_bias: 1.0": (
            ConvLSTM2D(1, 3, **same, forget_bias=0.5, name="enc"),
            tensorflow1.conv_lstm({"kernel": kernel}),
        ),
        "the cell adds 0.0 to its forget gate, and enc adds 1.0; give it forget_bias: 0.0": (
            ConvLSTM2D(1, 3, **same, forget_bias=1.0, name="enc"),
            pytorch.conv_lstm(np.ones((4, 3, 3, 3))),
        ),
        "the cell has reset_after: False, and enc has reset_after: True": (
            ConvGRU2D(1, 3, **same, reset_after=True, name="enc"),
            tensorflow1.conv_gru(gru),
        ),
        "the cell has padding: same, and enc has padding: valid": (
            keras.layers.ConvLSTM2D(1, 3, use_bias=False, name="enc"),
            pytorch.conv_lstm(np.ones((4, 3, 3, 3))),
        ),
    }
    for message, (layer, weights) in cases.items():
        layer.build((1, 3, 5, 5, 2))
        with pytest.raises(WeightsMismatch) as caught:
            set_weights(layer, weights)
        assert str(caught.value) == message
    layer = ConvLSTM2D(1, 3, **same, forget_bias=1.0)
    layer.build((1, 3, 5, 5, 2))
    set_weights(layer, tensorflow1.conv_lstm({"kernel": kernel}))
    assert numbers(layer.weights[1]).min() == 1


def test_names_with_a_prefix_missing_names_and_names_too_many() -> None:
    weight, kernel = np.ones((4, 3, 3, 3)), np.ones((3, 3, 3, 4))
    two = {"cell_list.0.conv.weight": weight, "cell_list.1.conv.weight": weight}
    wrapped = {f"module.{name}": array for name, array in two.items()}
    peepholes = {f"W_c{gate}": np.ones((4, 4, 1)) for gate in "if"}
    cases = {
        "there is no array cell_list.0.conv.weight; names begin with module.: give that as the prefix": (
            lambda: pytorch.conv_lstm_layers(wrapped)
        ),
        "there is no array cell_list.0.conv.weight; there are no arrays": lambda: pytorch.conv_lstm_layers({}),
        "there is no array net.cell_list.0.conv.weight; no name begins with net.; there are cell_list.0.conv.weight, "
        "cell_list.1.conv.weight": lambda: pytorch.conv_lstm_layers(two, prefix="net."),
        'there is no array cell_list.1.conv.weight; did you mean "cell_list.0.conv.weight"?': (
            lambda: pytorch.conv_lstm_layers({"cell_list.0.conv.weight": weight, "cell_list.2.conv.weight": weight})
        ),
        "the stack has no weight head.weight; it has cell_list.0.conv.weight, cell_list.0.conv.bias, "
        "cell_list.1.conv.weight, cell_list.1.conv.bias": (
            lambda: pytorch.conv_lstm_layers({**two, "head.weight": weight})
        ),
        "there is no array kernel; names begin with rnn/fw/: give that as the prefix": (
            lambda: tensorflow1.conv_lstm({"rnn/fw/kernel": kernel})
        ),
        'there is no array fw/W_co; did you mean "W_ci"?': (
            lambda: tensorflow1.conv_lstm(
                {f"fw/{name}": array for name, array in {"kernel": kernel, **peepholes}.items()}, scope="fw/"
            )
        ),
        "the cell has no weight biases; it has kernel, bias": (
            lambda: tensorflow1.conv_lstm({"kernel": kernel, "biases": np.ones(4)})
        ),
        'there is no array gates/kernel; did you mean "candidate/kernel"?': (
            lambda: tensorflow1.conv_gru({"candidate/kernel": kernel})
        ),
    }
    for message, convert in cases.items():
        with pytest.raises(WeightsMismatch) as caught:
            convert()
        assert str(caught.value) == message
    assert len(pytorch.conv_lstm_layers(wrapped, prefix="module.")) == 2


def test_both_directions_are_set_one_by_one() -> None:
    both = keras.layers.Bidirectional(ConvLSTM2D(1, 3), name="both")
    both.build((1, 3, 5, 5, 2))
    with pytest.raises(WeightsMismatch, match="both holds several layers; set the weights of each"):
        set_weights(both, {})
    with pytest.raises(WeightsMismatch, match=r"there are no arrays for .*; it has kernel, recurrent_kernel, bias"):
        set_weights(both.forward_layer, {})
