"""Valid arguments and input shapes for convolutions, pooling, reshaping and merging, small enough to run at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from specbuild.catalog.shapes import Shape

Case: TypeAlias = tuple[dict[str, Any], tuple[Shape, ...]]


def any_shape(rank: int) -> SearchStrategy[Shape]:
    """A shape of about that rank, fitting or not."""
    most = rank if rank >= 4 else rank + 1  # TensorFlow has no softmax over more axes
    return st.lists(st.integers(1, 6), min_size=max(rank - 1, 1), max_size=most).map(tuple)


def numbers(count: int, low: int, high: int) -> SearchStrategy[int | list[int]]:
    """One number, or one per axis."""
    one = st.integers(low, high)
    return one | st.lists(one, min_size=count, max_size=count)


def given_or_not(draw: DrawFn, **choices: SearchStrategy[Any]) -> dict[str, Any]:
    """Some of the arguments."""
    return {name: draw(choice) for name, choice in choices.items() if draw(st.booleans())}


@st.composite
def window(draw: DrawFn, axes: int, paddings: tuple[str, ...] = ("valid", "same")) -> dict[str, Any]:
    """What every convolution takes."""
    arguments: dict[str, Any] = {"kernel_size": draw(numbers(axes, 1, 3))}
    arguments |= given_or_not(
        draw,
        padding=st.sampled_from(paddings),
        data_format=st.sampled_from(["channels_last", "channels_first", None]),
        use_bias=st.booleans(),
        activation=st.sampled_from(["relu", None]),
        trainable=st.booleans(),
    )
    return arguments | draw(st.just({}) | st.fixed_dictionaries({"strides": numbers(axes, 1, 3)}) | _dilation(axes))


@st.composite
def image(draw: DrawFn, arguments: dict[str, Any], least: tuple[int, ...], multiple: int = 1) -> Shape:
    """A shape whose axes are at least so long, one or the other unknown, with a multiple of some channels."""
    spatial = [draw(st.integers(low, low + 3) | st.integers(low, low + 3) | st.none()) for low in least]
    channels = multiple * draw(st.integers(1, 3))
    first = arguments.get("data_format") == "channels_first"
    return (channels, *spatial) if first else (*spatial, channels)


@st.composite
def convolution(draw: DrawFn, axes: int) -> Case:
    paddings = ("valid", "same", "causal") if axes == 1 else ("valid", "same")
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    arguments = draw(window(axes, paddings)) | {"filters": groups * draw(st.integers(1, 3))}
    if groups > 1:
        arguments["groups"] = groups
    return arguments, (draw(image(arguments, spans(arguments, axes), groups)),)


@st.composite
def transpose(draw: DrawFn, axes: int) -> Case:
    arguments = draw(window(axes)) | {"filters": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        strides = arguments.setdefault("strides", 2) if "dilation_rate" not in arguments else 1
        arguments["output_padding"] = [draw(st.integers(0, stride - 1)) for stride in per_axis(strides, axes)]
        pairs = zip(spans(arguments, axes), arguments["output_padding"], strict=True)
        if any(span % 2 == 0 and extra == 0 for span, extra in pairs):
            arguments["padding"] = "valid"
    return arguments, (draw(image(arguments, (1,) * axes)),)


@st.composite
def depthwise(draw: DrawFn, axes: int) -> Case:
    arguments = draw(window(axes)) | given_or_not(draw, depth_multiplier=st.integers(1, 3))
    return arguments, (draw(image(arguments, spans(arguments, axes))),)


@st.composite
def separable(draw: DrawFn, axes: int) -> Case:
    arguments, shapes = draw(depthwise(axes))
    return arguments | {"filters": draw(st.integers(1, 3))}, shapes


@st.composite
def pooling(draw: DrawFn, axes: int, required: bool) -> Case:
    arguments = given_or_not(
        draw,
        strides=numbers(axes, 1, 3) | st.none(),
        padding=st.sampled_from(["valid", "same"]),
        data_format=st.sampled_from(["channels_last", "channels_first", None]),
    )
    if required or draw(st.booleans()):
        arguments["pool_size"] = draw(numbers(axes, 1, 3))
    return arguments, (draw(image(arguments, per_axis(arguments.get("pool_size", 2), axes))),)


@st.composite
def global_pooling(draw: DrawFn, axes: int) -> Case:
    arguments = given_or_not(
        draw, keepdims=st.booleans(), data_format=st.sampled_from(["channels_last", "channels_first", None])
    )
    return arguments, (draw(image(arguments, (1,) * axes)),)


@st.composite
def upsampling(draw: DrawFn, axes: int) -> Case:
    choices: dict[str, SearchStrategy[Any]] = {"size": st.integers(1, 3) if axes == 1 else numbers(axes, 1, 3)}
    if axes > 1:
        choices["data_format"] = st.sampled_from(["channels_last", "channels_first", None])
    if axes == 2:
        choices["interpolation"] = st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"])
    arguments = given_or_not(draw, **choices)
    return arguments, (draw(image(arguments, (1,) * axes)),)


@st.composite
def margins(draw: DrawFn, axes: int, name: str, formatted: bool) -> Case:
    pair = st.lists(st.integers(0, 2), min_size=2, max_size=2)
    each = pair if axes == 1 else st.lists(st.integers(0, 2) | pair, min_size=axes, max_size=axes)
    arguments = given_or_not(draw, **{name: st.integers(0, 2) | each})
    if formatted:
        arguments |= given_or_not(draw, data_format=st.sampled_from(["channels_last", "channels_first", None]))
    return arguments, (draw(image(arguments, (5,) * axes)),)


@st.composite
def flatten(draw: DrawFn) -> Case:
    arguments = given_or_not(draw, data_format=st.sampled_from(["channels_last", "channels_first", None]))
    return arguments, (draw(st.lists(st.integers(1, 4) | st.none(), max_size=4).map(tuple)),)


@st.composite
def reshape(draw: DrawFn) -> Case:
    shape: list[int | None] = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    target = draw(st.permutations(shape))
    if draw(st.booleans()):
        target[draw(st.integers(0, len(target) - 1))] = -1
        if draw(st.booleans()):
            shape[draw(st.integers(0, len(shape) - 1))] = None
    return {"target_shape": target}, (tuple(shape),)


@st.composite
def permute(draw: DrawFn) -> Case:
    shape = draw(st.lists(st.integers(1, 4) | st.none(), min_size=1, max_size=4))
    return {"dims": draw(st.permutations(range(1, len(shape) + 1)))}, (tuple(shape),)


@st.composite
def repeat_vector(draw: DrawFn) -> Case:
    return {"n": draw(st.integers(1, 4))}, ((draw(st.integers(1, 4) | st.none()),),)


@st.composite
def concatenate(draw: DrawFn) -> Case:
    shape = draw(st.lists(st.integers(1, 4) | st.none(), min_size=1, max_size=3))
    axis = draw(st.integers(1, len(shape)))
    shapes = []
    for length in draw(st.lists(st.integers(1, 4) | st.none(), min_size=2, max_size=4)):
        shapes.append((*shape[: axis - 1], length, *shape[axis:]))
    written = draw(st.sampled_from([axis, axis - len(shape) - 1]))
    return ({} if written == -1 else {"axis": written}), tuple(shapes)


@st.composite
def elementwise(draw: DrawFn, most: int = 4) -> Case:
    whole = draw(st.lists(st.integers(1, 4) | st.none(), min_size=1, max_size=3))
    shapes = []
    for _ in range(draw(st.integers(2, most))):
        kept = whole[draw(st.integers(0, len(whole) - 1)) :]
        shapes.append(tuple(1 if draw(st.integers(0, 3)) == 0 else dim for dim in kept))
    return {}, tuple(shapes)


@st.composite
def dot(draw: DrawFn) -> Case:
    length = draw(st.integers(1, 4))
    axes, shapes = [], []
    for _ in range(2):
        shape = draw(st.lists(st.integers(1, 4), max_size=2))
        position = draw(st.integers(0, len(shape)))
        shape.insert(position, length)
        axes.append(draw(st.sampled_from([position + 1, position - len(shape)])))
        shapes.append(tuple(shape))
    arguments = given_or_not(draw, normalize=st.booleans())
    return arguments | {"axes": axes[0] if axes[0] == axes[1] else axes}, tuple(shapes)


def spans(arguments: dict[str, Any], axes: int) -> tuple[int, ...]:
    """How far the kernel reaches along each axis."""
    kernel, dilation = (per_axis(arguments.get(name, 1), axes) for name in ("kernel_size", "dilation_rate"))
    return tuple((entries - 1) * step + 1 for entries, step in zip(kernel, dilation, strict=True))


def per_axis(value: int | list[int], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _dilation(axes: int) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"dilation_rate": numbers(axes, 1, 2)})


def _by_axes(kind: str, make: Callable[[int], SearchStrategy[Case]], most: int = 3) -> dict[str, SearchStrategy[Case]]:
    return {kind.replace("?", f"{axes}D"): make(axes) for axes in range(1, most + 1)}


STRATEGIES: dict[str, SearchStrategy[Case]] = {
    **_by_axes("Conv?", convolution),
    **_by_axes("Conv?Transpose", transpose),
    **_by_axes("DepthwiseConv?", depthwise, most=2),
    **_by_axes("SeparableConv?", separable, most=2),
    **_by_axes("MaxPooling?", lambda axes: pooling(axes, required=False)),
    **_by_axes("AveragePooling?", lambda axes: pooling(axes, required=True)),
    **_by_axes("GlobalMaxPooling?", global_pooling),
    **_by_axes("GlobalAveragePooling?", global_pooling),
    **_by_axes("UpSampling?", upsampling),
    **_by_axes("ZeroPadding?", lambda axes: margins(axes, "padding", formatted=True)),
    **_by_axes("Cropping?", lambda axes: margins(axes, "cropping", formatted=axes > 1)),
    "Flatten": flatten(),
    "Reshape": reshape(),
    "Permute": permute(),
    "RepeatVector": repeat_vector(),
    "Concatenate": concatenate(),
    **{kind: elementwise() for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum")},
    "Subtract": elementwise(most=2),
    "Dot": dot(),
}
