"""Recurrent layers and the wrappers: every port against Keras, costs by hand, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from specbuild.catalog import KINDS, Bidirectional, KerasObject, Layer, Recurrent, Shape, TimeDistributed, Weight
from specbuild.catalog.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from specbuild.catalog.convolution import Conv2D
from specbuild.catalog.core import Dense
from specbuild.catalog.merging import Add
from specbuild.catalog.normalization import BatchNormalization
from specbuild.catalog.recurrent import GRU, LSTM, SimpleRNN
from specbuild.model.backend import keras
from tests.catalog.agreement import BATCH, STAND_IN, keras_of
from tests.catalog.refusals import argument_error, shape_error
from tests.catalog.strategies_recurrent import STRATEGIES

CONVOLUTIONAL = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "ConvGRU1D", "ConvGRU2D", "ConvGRU3D")
RECURRENT = ("LSTM", "GRU", "SimpleRNN", *CONVOLUTIONAL, "STLSTM2D", "TrajGRU2D")
FEW = settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@st.composite
def recurrent(draw: DrawFn, kind: str) -> tuple[Any, Shape]:
    """A layer with its input."""
    arguments, (shape,) = draw(STRATEGIES[kind])
    arguments = {name: value for name, value in arguments.items() if name not in ("return_sequences", "return_state")}
    return KINDS[kind](**arguments), shape


@pytest.mark.parametrize("kind", RECURRENT)
@FEW
@given(data=st.data())
def test_every_port_has_the_shape_that_keras_gives(kind: str, data: st.DataObject) -> None:
    layer, shape = data.draw(recurrent(kind))
    assert_ports(layer, shape)


@pytest.mark.parametrize("kind", RECURRENT)
@FEW
@given(data=st.data())
def test_every_port_of_both_directions_has_the_shape_that_keras_gives(kind: str, data: st.DataObject) -> None:
    layer, shape = data.draw(recurrent(kind))
    layer = layer.model_copy(update={"go_backwards": False})
    assert_ports(
        Bidirectional(layer=layer, merge_mode=data.draw(st.sampled_from(["concat", "sum", "mul", "ave"]))), shape
    )


@FEW
@given(data=st.data())
def test_a_layer_on_every_frame_is_what_keras_makes_of_it(data: st.DataObject) -> None:
    inner = data.draw(st.sampled_from(["Dense", "PReLU", "BatchNormalization", "GroupNormalization", "RepeatFrame"]))
    arguments, (shape,) = data.draw(STRATEGIES[inner])
    steps = data.draw(st.integers(1, 3) | st.none())
    layer = TimeDistributed(layer=KINDS[inner](**arguments))
    layer.check((steps, *shape))
    assert_weights(layer, (steps, *shape))
    assert [real(layer, (steps, *shape))] == [layer.output_shape(concrete((steps, *shape)))]


def assert_ports(layer: Recurrent, shape: Shape) -> None:
    """Asserts sequence, last and state shapes, promised and real, and the weights."""
    layer.check(shape)
    for sequences in (True, False):
        port = layer.sequence_shape if sequences else layer.last_shape
        keras_layer = wrapped(layer, return_sequences=sequences, return_state=True)
        outputs = keras_layer(keras.Input(shape))
        assert [tuple(one.shape)[1:] for one in outputs] == [port(shape), *layer.state_shapes(shape).values()]
        x = concrete(shape)
        real_outputs = keras_layer(np.ones((BATCH, *x), "float32"))
        assert [tuple(one.shape)[1:] for one in real_outputs] == [port(x), *layer.state_shapes(x).values()]
    assert_weights(layer, shape)


def assert_weights(layer: Layer, shape: Shape) -> None:
    """Asserts shapes, order, names and trainability of the weights, as a model has them."""
    keras_layer = wrapped(layer)
    x = keras.Input(shape)
    model = keras.Model(x, keras_layer(x))
    weights = layer.weights(shape)
    assert [tuple(weight.shape) for weight in model.weights] == [weight.shape for weight in weights]
    assert all(mine.name.endswith(theirs.name) for mine, theirs in zip(weights, model.weights, strict=True))
    assert [weight.trainable for weight in model.weights] == [weight.trainable for weight in weights]


def wrapped(layer: Layer, **flags: bool) -> Any:
    """The Keras layer, made and frozen as lowering does it."""
    made = nested(layer, flags)
    if not layer.trainable:
        made.trainable = False
    return made


def nested(layer: Layer, flags: dict[str, bool]) -> Any:
    if isinstance(layer, Bidirectional | TimeDistributed):
        return getattr(keras.layers, layer.kind)(nested(layer.layer, flags), **layer.arguments())
    trainable = layer.model_copy(update={"trainable": True})
    return keras_of(type(layer)(**{**{name: getattr(trainable, name) for name in trainable.model_fields_set}, **flags}))


def concrete(shape: Shape) -> tuple[int, ...]:
    return tuple(STAND_IN if dim is None else dim for dim in shape)


def real(layer: Layer, shape: Shape) -> Shape:
    output = wrapped(layer)(np.ones((BATCH, *concrete(shape)), "float32"))
    return tuple(output.shape)[1:]


# Costs, by hand.


def test_lstm_costs() -> None:
    # (5, 3), 4 units: W x 2·3·16, U h 2·4·16, bias 16; per unit 4 sums, 3 for c, 1 for h: 4·8.
    layer = LSTM(units=4)
    assert layer.flops((5, 3)) == 5 * (96 + 128 + 16 + 32)
    assert layer.flops((None, 3)) is None
    assert layer.weights((5, 3)) == (
        Weight("kernel", (3, 16)),
        Weight("recurrent_kernel", (4, 16)),
        Weight("bias", (16,)),
    )
    assert layer.saved_elements((5, 3)) == 5 * 4 * 7


def test_gru_costs() -> None:
    # (5, 3), 4 units: 2·3·12 + 2·4·12, two biases of 12, 8 per unit; one bias where the reset gate comes first.
    assert GRU(units=4).flops((5, 3)) == 5 * (72 + 96 + 24 + 32)
    assert GRU(units=4, reset_after=False).flops((5, 3)) == 5 * (72 + 96 + 12 + 32)
    assert GRU(units=4).weights((5, 3))[2] == Weight("bias", (2, 12))
    assert GRU(units=4, use_bias=False).flops((5, 3)) == 5 * (72 + 96 + 32)


def test_simple_rnn_costs() -> None:
    # (5, 3), 4 units: 2·3·4 + 2·4·4, a bias and a sum.
    assert SimpleRNN(units=4).flops((5, 3)) == 5 * (24 + 32 + 4 + 4)


def test_conv_lstm_costs() -> None:
    # 6 × 30 × 30 × 3, kernel 5 × 5, 1 filter, valid: 26 × 26 states; in each gate 2·25·3 for x, 2·25·1 for h,
    # a bias and a sum; then 3 for c and 1 for h.
    layer = ConvLSTM2D(filters=1, kernel_size=5)
    x = (6, 30, 30, 3)
    assert layer.flops(x) == 6 * 26 * 26 * (4 * (150 + 50 + 1 + 1) + 4)
    assert layer.sequence_shape(x) == (6, 26, 26, 1)
    assert layer.state_shapes(x) == {"h": (26, 26, 1), "c": (26, 26, 1)}
    assert layer.saved_elements(x) == 6 * 26 * 26 * 7
    assert layer.weights(x) == (
        Weight("kernel", (5, 5, 3, 4)),
        Weight("recurrent_kernel", (5, 5, 1, 4)),
        Weight("bias", (4,)),
    )


def test_conv_lstm_counts_of_a_published_model() -> None:
    # Keras's next-frame example: ConvLSTM2D of 64 filters with kernels 5, 3 and 1, batch normalization between, and a
    # Conv3D; 746,689 parameters in all.
    sizes = [(1, 5), (64, 3), (64, 1)]
    cells = sum(
        weight.size
        for channels, kernel in sizes
        for weight in ConvLSTM2D(filters=64, kernel_size=kernel).weights((None, 64, 64, channels))
    )
    norms = 2 * sum(weight.size for weight in BatchNormalization().weights((None, 64, 64, 64)))
    assert cells + norms + (27 * 64 + 1) == 746_689


def test_dense_costs() -> None:
    # (7, 3) to 4 units: 7·4 values of 3 multiply-adds and a bias.
    assert Dense(units=4).flops((7, 3)) == 7 * 4 * (2 * 3 + 1)
    assert Dense(units=4, use_bias=False).flops((7, 3)) == 7 * 4 * 6


def test_wrappers_cost_what_they_wrap() -> None:
    frame, clip = (8, 8, 3), (5, 8, 8, 3)
    conv = Conv2D(filters=2, kernel_size=3)
    flops, saved = conv.flops(frame), conv.saved_elements(frame)
    assert flops is not None
    assert saved is not None
    assert TimeDistributed(layer=conv).flops(clip) == 5 * flops
    assert TimeDistributed(layer=conv).saved_elements(clip) == 5 * saved
    assert TimeDistributed(layer=conv).flops((None, *frame)) is None

    lstm = LSTM(units=4)
    both = 2 * 5 * (96 + 128 + 16 + 32)
    assert Bidirectional(layer=lstm).flops((5, 3)) == both
    assert Bidirectional(layer=lstm, merge_mode="sum").flops((5, 3)) == both + 4
    assert Bidirectional(layer=lstm, merge_mode="ave", return_sequences=True).flops((5, 3)) == both + 2 * 5 * 4


# What the wrappers say of themselves.


def test_wrappers_name_what_they_wrap() -> None:
    cell = ConvLSTM2D(filters=2, kernel_size=3)
    assert Bidirectional(layer=cell).label == "Bidirectional(ConvLSTM2D)"
    assert TimeDistributed(layer=Bidirectional(layer=cell)).label == "TimeDistributed(Bidirectional(ConvLSTM2D))"


def test_wrappers_pass_on_their_own_arguments_alone() -> None:
    cell = LSTM(units=2, return_sequences=True)
    assert Bidirectional(layer=cell, merge_mode="sum").arguments() == {"merge_mode": "sum"}
    assert TimeDistributed(layer=cell, dtype="float32").arguments() == {"dtype": "float32"}


def test_both_directions_have_states_and_weights_of_their_own() -> None:
    layer = Bidirectional(layer=LSTM(units=4))
    assert list(layer.state_shapes((5, 3))) == ["forward_h", "forward_c", "backward_h", "backward_c"]
    assert [weight.name for weight in layer.weights((5, 3))][::3] == ["forward_kernel", "backward_kernel"]


def test_return_sequences_may_stand_inside_or_outside() -> None:
    inside = Bidirectional(layer=LSTM(units=2, return_sequences=True))
    outside = Bidirectional(layer=LSTM(units=2), return_sequences=True)
    assert inside.output_shape((5, 3)) == outside.output_shape((5, 3)) == (5, 4)
    assert Bidirectional(layer=LSTM(units=2)).output_shape((5, 3)) == (4,)


def test_concat_joins_the_last_axis_whatever_the_format() -> None:
    cell = ConvLSTM2D(filters=2, kernel_size=3, data_format="channels_first")
    assert Bidirectional(layer=cell).last_shape((4, 1, 8, 9)) == (2, 6, 14)
    keras_layer = keras.layers.Bidirectional(keras.layers.ConvLSTM2D(2, 3, data_format="channels_first"))
    assert keras_layer.compute_output_shape((None, 4, 1, 8, 9)) == (None, 2, 6, 14)


@pytest.mark.parametrize(
    "layer",
    [
        ConvLSTM2D(filters=2, kernel_size=3, trainable=False),
        TimeDistributed(layer=Dense(units=2, trainable=False)),
        TimeDistributed(layer=Dense(units=2), trainable=False),
        Bidirectional(layer=ConvLSTM1D(filters=2, kernel_size=3, trainable=False)),
        Bidirectional(layer=LSTM(units=2), trainable=False),
    ],
    ids=lambda layer: layer.label,
)
def test_what_is_not_trainable_is_frozen_in_a_model(layer: Layer) -> None:
    assert layer.ranks is None or len(layer.ranks) == 1
    shape = {4: (3, 5, 5, 1), 3: (3, 5, 1), 2: (3, 2), None: (3, 2)}[layer.ranks[0] if layer.ranks else None]
    assert not any(weight.trainable for weight in layer.weights(shape))
    assert_weights(layer, shape)


# What is refused.


def test_conv_lstm_refuses_what_keras_finds_late() -> None:
    layer = ConvLSTM2D(filters=2, kernel_size=5)
    late = shape_error(layer, (4, None, 30, 3))
    assert late.message == "ConvLSTM2D needs to know the height of its frames"
    assert late.reason == "its input is 4 × ? × 30 × 3, and its state has a fixed size"
    assert shape_error(layer, (4, 30, 30)).message == "ConvLSTM2D needs an input with 4 axes, got 3"
    assert shape_error(layer, (4, 30, 30, None)).message == ("ConvLSTM2D needs to know how many channels its input has")
    small = shape_error(layer, (4, 30, 4, 1))
    assert small.message == "the window of ConvLSTM2D is larger than its input along the width"
    assert small.argument == "kernel_size"
    ConvLSTM2D(filters=2, kernel_size=5, padding="same").check((None, 4, 4, 1))


def test_conv_lstm_refuses_strides_with_dilation() -> None:
    assert argument_error(ConvLSTM3D, filters=1, kernel_size=3, strides=2, dilation_rate=[1, 2, 2]) == (
        "dilation_rate",
        "expected 1, because strides is 2 and ConvLSTM3D takes strides or dilation, not both; got [1, 2, 2]",
    )


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
@pytest.mark.parametrize("value", [1.7, 1, -0.1, "half", True])
def test_dropout_is_a_fraction(name: str, value: Any) -> None:
    place, message = argument_error(LSTM, units=2, **{name: value})
    assert place == name
    assert message.startswith("expected a fraction from 0 to below 1, got ")


def test_vectors_are_refused_by_name() -> None:
    assert shape_error(LSTM(units=2), (4, 8, 8, 1)).message == "LSTM needs an input with 2 axes, got 4"
    assert shape_error(LSTM(units=2), (4, None)).message == "LSTM needs to know how many channels its input has"
    assert shape_error(GRU(units=2, unroll=True), (None, 3)).message == "GRU can unroll only a known number of steps"
    assert argument_error(LSTM, units=2, use_cudnn="yes") == (
        "use_cudnn",
        'expected true, false or auto, got "yes"',
    )


def test_objects_are_checked_inside_layers() -> None:
    assert argument_error(LSTM, units=2, recurrent_activation="sigmoud") == (
        "recurrent_activation",
        'no activation is called "sigmoud"; did you mean "sigmoid"?',
    )
    assert LSTM(units=2).activation == KerasObject("tanh")
    assert LSTM(units=2, activation=None).activation is None


def test_time_distributed_refuses_what_has_no_frames() -> None:
    layer = TimeDistributed(layer=Dense(units=2))
    assert shape_error(layer, (3,)).message == "TimeDistributed(Dense) needs an input with a time axis"
    wrong = shape_error(TimeDistributed(layer=Conv2D(filters=1, kernel_size=3)), (8, 8, 3))
    assert wrong.message == "TimeDistributed(Conv2D) needs an input with 4 axes, got 3"
    assert argument_error(TimeDistributed, layer=Add()) == (
        "layer",
        "expected a layer with one input, got Add, which merges several",
    )


def test_bidirectional_refuses_what_has_no_direction() -> None:
    backwards = argument_error(Bidirectional, layer=LSTM(units=2, go_backwards=True))
    assert backwards == (
        "layer",
        "expected a LSTM that reads forward; Bidirectional makes the backward one itself",
    )
    twice = argument_error(Bidirectional, layer=Bidirectional(layer=LSTM(units=2)))
    assert twice == ("layer", "expected a recurrent layer that is not bidirectional already")
    zeroed = argument_error(Bidirectional, layer=LSTM(units=2, zero_output_for_mask=True))
    assert zeroed[1].startswith("expected zero_output_for_mask to be left out of LSTM; Bidirectional sets it whenever")
    merge = argument_error(Bidirectional, layer=LSTM(units=2), merge_mode="cat")
    assert merge == ("merge_mode", 'expected concat, sum, mul or ave, got "cat"; did you mean "concat"?')


# Our own layer.


def test_repeat_frame_repeats_along_a_new_time_axis() -> None:
    from specbuild.model.layers import RepeatFrame

    layer = RepeatFrame(times=3)
    frame = np.arange(2 * 2 * 2 * 1, dtype="float32").reshape(2, 2, 2, 1)
    clip = keras.ops.convert_to_numpy(layer(frame))
    assert clip.shape == (2, 3, 2, 2, 1)
    assert all((clip[:, step] == frame).all() for step in range(3))
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.times == 3
    assert keras.saving.get_registered_name(RepeatFrame) == "specbuild>RepeatFrame"
