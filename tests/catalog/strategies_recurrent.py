"""Valid arguments and input shapes for recurrent, dense, normalizing, regularizing and activation layers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from specbuild.catalog.shapes import Shape
from tests.catalog.strategies import Case, given_or_not, numbers

LENGTH = st.integers(1, 5)
OPEN = LENGTH | st.none()
FLAG = st.booleans()


def open_shape(low: int, high: int) -> SearchStrategy[Shape]:
    """A shape with so many axes, some of unknown length, and known channels."""
    return st.lists(OPEN, min_size=low - 1, max_size=high - 1).flatmap(
        lambda lead: LENGTH.map(lambda last: (*lead, last))
    )


@st.composite
def cell(draw: DrawFn, *, gated: bool = True, dropping: bool = True) -> dict[str, Any]:
    """What every recurrent layer takes."""
    more: dict[str, SearchStrategy[Any]] = {}
    if gated:
        more |= {"recurrent_activation": st.sampled_from(["sigmoid", "hard_sigmoid"])}
    if dropping:
        rates = st.sampled_from([0.0, 0.3])
        more |= {"dropout": rates, "recurrent_dropout": rates, "seed": st.integers(0, 9)}
    return given_or_not(
        draw,
        activation=st.sampled_from(["tanh", "relu", None]),
        use_bias=FLAG,
        recurrent_initializer=st.sampled_from(["glorot_uniform", {"name": "Orthogonal", "gain": 0.5}]),
        go_backwards=FLAG,
        return_sequences=FLAG,
        return_state=FLAG,
        trainable=FLAG,
        **more,
    )


@st.composite
def vectors(draw: DrawFn, *, gated: bool = True, **extra: SearchStrategy[Any]) -> Case:
    arguments = draw(cell(gated=gated)) | {"units": draw(LENGTH)} | given_or_not(draw, **extra)
    steps = draw(OPEN)
    if steps is not None and draw(FLAG):
        arguments["unroll"] = True
    return arguments, ((steps, draw(LENGTH)),)


@st.composite
def frames(draw: DrawFn, axes: int, **own: SearchStrategy[Any]) -> Case:
    arguments = draw(cell()) | {"filters": draw(st.integers(1, 3)), "kernel_size": draw(numbers(axes, 1, 3))}
    arguments |= given_or_not(
        draw,
        padding=st.sampled_from(["valid", "same"]),
        data_format=st.sampled_from(["channels_last", "channels_last", "channels_first"]),
        **own,
    )
    if draw(FLAG):
        arguments |= given_or_not(
            draw,
            recurrent_kernel_size=numbers(axes, 1, 3),
            normalization=st.sampled_from(["none", "layer"]),
            use_input=FLAG,
            remat=FLAG,
        )
    # Strides or dilation, never both.
    arguments |= draw(
        st.just({})
        | st.fixed_dictionaries({"strides": numbers(axes, 1, 2)})
        | st.fixed_dictionaries({"dilation_rate": numbers(axes, 1, 2)})
    )
    spatial = [draw(st.integers(5, 7)) for _ in range(axes)]
    channels = draw(st.integers(1, 2))
    steps = draw(st.integers(1, 3) | st.none())
    first = arguments.get("data_format") == "channels_first"
    return arguments, ((steps, channels, *spatial) if first else (steps, *spatial, channels),)


@st.composite
def images(draw: DrawFn, filters: SearchStrategy[Any], **own: SearchStrategy[Any]) -> Case:
    """A recurrence over images that keeps their size, and some of its options."""
    arguments = draw(cell(dropping=False)) | {"filters": draw(filters), "kernel_size": draw(numbers(2, 1, 3))}
    arguments |= given_or_not(draw, data_format=st.sampled_from(["channels_last", "channels_first"]), remat=FLAG, **own)
    space, channels = [draw(st.integers(1, 5)) for _ in range(2)], draw(st.integers(1, 2))
    steps = draw(st.integers(1, 3) | st.none())
    first = arguments.get("data_format") == "channels_first"
    return arguments, ((steps, channels, *space) if first else (steps, *space, channels),)


@st.composite
def dense(draw: DrawFn) -> Case:
    arguments = {"units": draw(LENGTH)}
    arguments |= given_or_not(draw, use_bias=FLAG, activation=st.sampled_from(["relu", None]), trainable=FLAG)
    return arguments, (draw(open_shape(1, 4)),)


@st.composite
def embedding(draw: DrawFn) -> Case:
    arguments = {"input_dim": draw(st.integers(1, 9)), "output_dim": draw(LENGTH)}
    arguments |= given_or_not(draw, mask_zero=FLAG, embeddings_initializer=st.just("normal"), trainable=FLAG)
    return arguments, (draw(open_shape(1, 2)),)


@st.composite
def anything(draw: DrawFn, low: int = 1, high: int = 4, **options: SearchStrategy[Any]) -> Case:
    """Any input, and some of the options."""
    return given_or_not(draw, **options), (draw(open_shape(low, high)),)


@st.composite
def required(draw: DrawFn, low: int = 1, high: int = 4, **arguments: SearchStrategy[Any]) -> Case:
    """Any input, and all of the arguments."""
    return {name: draw(value) for name, value in arguments.items()}, (draw(open_shape(low, high)),)


@st.composite
def over_axes(draw: DrawFn, *, several: bool, **options: SearchStrategy[Any]) -> Case:
    """A known input, and one of its axes, or a few."""
    shape = tuple(draw(st.lists(LENGTH, min_size=1, max_size=4)))
    count = len(shape)
    axis: SearchStrategy[Any] = st.integers(1, count) | st.integers(-count, -1)
    if several:
        axis |= st.sets(st.integers(1, count), min_size=1).map(sorted)
    return given_or_not(draw, axis=axis, **options), (shape,)


@st.composite
def last_axes(draw: DrawFn) -> Case:
    shape = tuple(draw(st.lists(LENGTH, min_size=1, max_size=4)))
    count = len(shape)
    first = draw(st.integers(1, count))
    axis = st.sampled_from([list(range(first, count + 1)), list(range(first - count - 1, 0)), -1, count])
    return given_or_not(draw, axis=axis, epsilon=st.just(1e-3), trainable=FLAG), (shape,)


@st.composite
def softmax(draw: DrawFn) -> Case:
    shape = tuple(draw(st.lists(st.integers(2, 5), min_size=1, max_size=3)))  # TensorFlow takes few axes on a CPU
    count = len(shape)
    axis = st.integers(1, count) | st.integers(-count, -1) | st.sets(st.integers(1, count), min_size=1).map(sorted)
    return given_or_not(draw, axis=axis), (shape,)


@st.composite
def groups(draw: DrawFn) -> Case:
    count = draw(st.integers(1, 3))
    arguments: dict[str, Any] = {"groups": draw(st.sampled_from([count, -1]))}
    arguments |= given_or_not(draw, center=FLAG, scale=FLAG, trainable=FLAG)
    *lead, _ = draw(open_shape(1, 4))
    return arguments, ((*lead, count * draw(st.integers(1, 3))),)


@st.composite
def slopes(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    unknown = [axis for axis, length in enumerate(shape, start=1) if length is None]
    shared = sorted({*unknown, *draw(st.sets(st.integers(1, len(shape))))})
    choices: list[Any] = [shared] + ([shared[0]] if len(shared) == 1 else []) if shared else [None]
    return {"shared_axes": draw(st.sampled_from(choices))}, (shape,)


@st.composite
def dropout(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    arguments: dict[str, Any] = {"rate": draw(RATE)} | given_or_not(draw, seed=st.integers(0, 9))
    if draw(FLAG):
        arguments["noise_shape"] = [draw(st.sampled_from([None, 1])) for _ in (None, *shape)]
    return arguments, (shape,)


RATE = st.sampled_from([0.0, 0.25, 0.5])
SLOPE = st.sampled_from([0.0, 0.1, 2.0])
AFFINE = {"center": FLAG, "scale": FLAG, "trainable": FLAG}

LSTM_OPTIONS = {
    "unit_forget_bias": FLAG,
    "peephole": st.sampled_from(["none", "none", "per_pixel", "per_channel"]),
    "forget_bias": st.sampled_from([None, None, 0.0, 1.0]),
}
ST_LSTM_OPTIONS = {
    "normalization": st.sampled_from(["none", "layer", "layer_per_pixel"]),
    "forget_bias": st.sampled_from([0.0, 1.0]),
}
STACK = st.integers(1, 3) | st.integers(1, 3).flatmap(lambda width: st.lists(st.just(width), min_size=1, max_size=3))
TRAJ_GRU_OPTIONS = {
    "links": st.integers(1, 3),
    "flow_kernel_size": numbers(2, 1, 3),
    "flow_filters": st.integers(1, 3),
    "flow_initializer": st.sampled_from(["zeros", "glorot_uniform"]),
    "use_input": FLAG,
}
GRU_OPTIONS = {"reset_after": FLAG, "unit_gate_bias": st.sampled_from([None, True, False])}

STRATEGIES: dict[str, SearchStrategy[Case]] = {
    "LSTM": vectors(unit_forget_bias=FLAG, use_cudnn=st.sampled_from([False, "auto"])),
    "GRU": vectors(reset_after=FLAG),
    "SimpleRNN": vectors(gated=False),
    **{f"ConvLSTM{axes}D": frames(axes, **LSTM_OPTIONS) for axes in (1, 2, 3)},
    **{f"ConvGRU{axes}D": frames(axes, **GRU_OPTIONS) for axes in (1, 2, 3)},
    "STLSTM2D": images(STACK, **ST_LSTM_OPTIONS),
    "TrajGRU2D": images(st.integers(1, 3), **TRAJ_GRU_OPTIONS),
    "Dense": dense(),
    "Embedding": embedding(),
    "Masking": anything(2, mask_value=st.sampled_from([-1.0, 0.0])),
    "Identity": anything(trainable=FLAG),
    "Activation": required(activation=st.sampled_from(["relu", "softplus", None])),
    "ReLU": anything(max_value=st.sampled_from([6.0, None]), negative_slope=SLOPE, threshold=SLOPE),
    "LeakyReLU": anything(negative_slope=SLOPE),
    "ELU": anything(alpha=st.sampled_from([0.5, 1.0])),
    "PReLU": slopes(),
    "Softmax": softmax(),
    "BatchNormalization": over_axes(several=False, renorm=FLAG, momentum=st.just(0.9), **AFFINE),
    "LayerNormalization": over_axes(several=True, **AFFINE),
    "GroupNormalization": groups(),
    "RMSNormalization": last_axes(),
    "UnitNormalization": over_axes(several=True),
    "Dropout": dropout(),
    "AlphaDropout": dropout(),
    "SpatialDropout1D": required(2, 2, rate=RATE),
    "SpatialDropout2D": required(3, 3, rate=RATE, data_format=st.sampled_from(["channels_last", "channels_first"])),
    "SpatialDropout3D": required(4, 4, rate=RATE, data_format=st.sampled_from(["channels_last", "channels_first"])),
    "GaussianDropout": required(rate=RATE, seed=st.integers(0, 9)),
    "GaussianNoise": required(stddev=RATE),
    "ActivityRegularization": anything(l1=SLOPE, l2=SLOPE),
    "RepeatFrame": required(times=st.integers(1, 4)),
}

REFUSED_HERE_ALONE = {
    **{
        (kind, "cannot use the batch axis"): "Keras normalizes over the samples of a batch"
        for kind in ("BatchNormalization", "LayerNormalization", "RMSNormalization", "UnitNormalization", "Softmax")
    },
    **{
        (f"{cell}{rank}D", "is larger than its input"): "the backend gives frames without any places"
        for cell in ("ConvLSTM", "ConvGRU")
        for rank in (1, 2, 3)
    },
    **{
        (kind, "does not fit its input"): "Keras takes any noise_shape as long as the rate is 0"
        for kind in ("Dropout", "AlphaDropout")
    },
    ("RMSNormalization", "only over the last axes"): "Keras broadcasts its factor along the wrong axes",
    ("Softmax", "always gives 1"): "Keras only warns",
}
"""What Keras takes though it makes no sense, by kind and words of the message."""
