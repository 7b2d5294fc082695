"""Valid arguments and input shapes for the layers that move values, and for arithmetic without weights."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from specbuild.catalog import arithmetic
from specbuild.catalog.equation import FUNCTIONS
from specbuild.catalog.shapes import Shape
from tests.catalog.strategies import Case, elementwise, given_or_not, numbers
from tests.catalog.strategies_recurrent import open_shape

LENGTH = st.integers(1, 4)
OPEN = LENGTH | st.none()
PLACE = st.integers(-5, 5) | st.none()


@st.composite
def axis_of(draw: DrawFn, shape: Shape) -> int:
    """One axis, from the front or from the back."""
    axis = draw(st.integers(1, len(shape)))
    return draw(st.sampled_from([axis, axis - len(shape) - 1]))


@st.composite
def last_frame(draw: DrawFn) -> Case:
    return {}, (draw(open_shape(2, 4)),)


@st.composite
def slicing(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    axis = draw(axis_of(shape))
    arguments: dict[str, Any] = {"axis": axis}
    arguments |= given_or_not(draw, start=PLACE, stop=PLACE, step=st.sampled_from([1, 2, -1, -2]))
    taken = slice(arguments.get("start"), arguments.get("stop"), arguments.get("step"))
    length = (None, *shape)[axis]
    if length is not None and not range(length)[taken]:
        arguments = {"axis": axis, "step": -1}
    return arguments, (shape,)


@st.composite
def gather(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    axis = draw(axis_of(shape))
    length = (None, *shape)[axis] or 1
    indices = draw(st.lists(st.integers(-length, length - 1), min_size=1, max_size=4))
    return {"axis": axis, "indices": indices}, (shape,)


@st.composite
def stack(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 3))
    count = draw(st.integers(2, 4))
    axis = draw(axis_of((*shape, count)))
    return ({} if axis == 1 else {"axis": axis}), (shape,) * count


@st.composite
def expand_dims(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 3))
    return {"axis": draw(axis_of((*shape, 1)))}, (shape,)


@st.composite
def squeeze(draw: DrawFn) -> Case:
    before, after = draw(st.lists(OPEN, max_size=2)), draw(st.lists(OPEN, max_size=2))
    shape = (*before, 1, *after)
    return {"axis": draw(st.sampled_from([len(before) + 1, -len(after) - 1]))}, (shape,)


@st.composite
def blocks(draw: DrawFn, deep: bool) -> Case:
    written = draw(numbers(2, 1, 3))
    rows, columns = (written, written) if isinstance(written, int) else written
    channels = draw(LENGTH)
    height, width = draw(OPEN), draw(OPEN)
    # Unknown lengths get one stand-in in the forward pass, which every block size here divides.
    if deep:
        return {"block_size": written}, ((*draw(st.lists(OPEN, max_size=1)), height, width, rows * columns * channels),)
    tall, wide = height and height * rows, width and width * columns
    return {"block_size": written}, ((*draw(st.lists(OPEN, max_size=1)), tall, wide, channels),)


@st.composite
def reduce(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    axes = draw(st.lists(st.integers(1, len(shape)), min_size=1, unique=True))
    axes = [draw(st.sampled_from([axis, axis - len(shape) - 1])) for axis in axes]
    arguments: dict[str, Any] = {"function": draw(st.sampled_from(arithmetic.REDUCTIONS))}
    arguments["axis"] = axes[0] if len(axes) == 1 and draw(st.booleans()) else axes
    return arguments | given_or_not(draw, keepdims=st.booleans()), (shape,)


@st.composite
def every_value(draw: DrawFn, arguments: SearchStrategy[dict[str, Any]]) -> Case:
    return draw(arguments), (draw(open_shape(1, 4)),)


@st.composite
def rescaling(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    one = st.integers(-2, 2) | st.floats(-2, 2)
    values = one | st.lists(one, min_size=shape[-1] or 1, max_size=shape[-1] or 1)
    return {"scale": draw(values)} | given_or_not(draw, offset=values), (shape,)


@st.composite
def zeros_like(draw: DrawFn) -> Case:
    return given_or_not(draw, filters=st.integers(1, 4)), (draw(open_shape(1, 4)),)


@st.composite
def local(draw: DrawFn, weight: str) -> Case:
    shape = draw(open_shape(1, 4))
    shared = {at for at, length in enumerate(shape, start=1) if length is None}
    shared |= draw(st.sets(st.integers(1, len(shape))))
    axes = [draw(st.sampled_from([axis, axis - len(shape) - 1])) for axis in sorted(shared)]
    arguments: dict[str, Any] = {"shared_axes": axes[0] if len(axes) == 1 else axes} if axes else {}
    objects = {
        f"{weight}_initializer": st.sampled_from(["zeros", "ones", "random_normal"]),
        f"{weight}_regularizer": st.sampled_from(["l2", None]),
        f"{weight}_constraint": st.sampled_from(["non_neg", None]),
    }
    return arguments | given_or_not(draw, trainable=st.booleans(), **objects), (shape,)


@st.composite
def gaussian_sampling(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    arguments = given_or_not(draw, deterministic_in_use=st.booleans(), seed=st.integers(0, 9))
    return arguments, (shape, shape)


@st.composite
def constant(draw: DrawFn) -> Case:
    shape = draw(st.lists(LENGTH, max_size=3))
    value: Any = draw(st.floats(-9, 9, width=32))
    for length in reversed(shape):
        value = [value] * length
    repeated = [draw(LENGTH) if length == 1 else length for length in shape]
    longer = st.fixed_dictionaries(
        {"shape": st.lists(LENGTH, min_size=not shape, max_size=1).map(lambda lead: [*lead, *repeated])}
    )
    return {"value": value} | draw(st.just({}) | longer), (draw(open_shape(1, 4)),)


@st.composite
def equation(draw: DrawFn) -> Case:
    """Every input once, in an order and with functions drawn."""
    _, shapes = draw(elementwise())
    parts = [f"x{number}" for number in range(1, len(shapes) + 1)]
    while len(parts) > 1 or draw(st.booleans()):
        first = parts.pop(draw(st.integers(0, len(parts) - 1)))
        name = draw(st.sampled_from([*FUNCTIONS, "-", "**"]))
        part = {"-": f"(-{first})", "**": f"({first} ** 2)"}.get(name, f"{name}({first})")
        if FUNCTIONS.get(name) == 2 or (parts and draw(st.booleans())):
            second = parts.pop() if parts else "0.5"
            symbol = draw(st.sampled_from("+-*/"))
            part = f"{name}({first}, {second})" if FUNCTIONS.get(name) == 2 else f"({first} {symbol} {second})"
        parts.append(part)
    return {"formula": parts[0]}, shapes


@st.composite
def split_part(draw: DrawFn) -> Case:
    shape = list(draw(open_shape(1, 4)))
    axis = draw(axis_of(tuple(shape)))
    at = axis - 1 if axis > 0 else axis
    lengths = draw(st.lists(LENGTH, min_size=1, max_size=3))
    parts: Any = draw(st.sampled_from([1, 2, 3, lengths]))
    # Unknown lengths get one stand-in in the forward pass, which every number of equal parts here divides.
    if shape[at] is not None or parts is lengths:
        shape[at] = sum(lengths) if parts is lengths else parts * draw(LENGTH)
    index = draw(st.integers(0, (len(lengths) if parts is lengths else parts) - 1))
    return {"parts": parts, "index": index} | ({} if axis == -1 else {"axis": axis}), (tuple(shape),)


@st.composite
def roll(draw: DrawFn) -> Case:
    shape = draw(open_shape(1, 4))
    return {"axis": draw(axis_of(shape)), "shift": draw(st.integers(-5, 5))}, (shape,)


@st.composite
def matmul(draw: DrawFn) -> Case:
    """Inputs whose first axes broadcast, as those of an attention."""
    rows, summed, columns = (draw(LENGTH) for _ in range(3))
    _, (first, second) = draw(elementwise(most=2))
    second = draw(st.sampled_from([second, ()]))
    transposed = draw(st.booleans())
    matrix = (columns, summed) if transposed else (summed, columns)
    return {"transpose_second": True} if transposed else {}, ((*first, rows, summed), (*second, *matrix))


@st.composite
def warp(draw: DrawFn) -> Case:
    """A frame or several, and a motion that is constant or one for each step."""
    height, width, channels = draw(LENGTH), draw(LENGTH), draw(LENGTH)
    steps = draw(st.integers(1, 3) | st.lists(st.integers(0, 3), min_size=1, max_size=3).map(lambda n: sorted(n)))
    count = steps if isinstance(steps, int) else len(steps)
    frames = draw(st.sampled_from([(), (count,)]))
    chosen = draw(st.sampled_from([steps, "to_last"])) if frames else steps
    most = count - 1 if chosen == "to_last" else steps if isinstance(steps, int) else max(steps)
    motions = draw(st.sampled_from([(), (most + draw(st.integers(0, 1)),)])) if most else ()
    arguments = {} if chosen == 1 and draw(st.booleans()) else {"steps": chosen}
    arguments |= given_or_not(draw, outside=st.sampled_from(["edge", 0, -1.5]))
    return arguments, ((*frames, height, width, channels), (*motions, height, width, 2))


STRATEGIES: dict[str, SearchStrategy[Case]] = {
    "SplitPart": split_part(),
    "Equation": equation(),
    "LastFrame": last_frame(),
    "Constant": constant(),
    "ZerosLike": zeros_like(),
    "LocalBias": local("bias"),
    "LocalScale": local("scale"),
    "GaussianSampling": gaussian_sampling(),
    "Slice": slicing(),
    "Gather": gather(),
    "Roll": roll(),
    "Stack": stack(),
    "ExpandDims": expand_dims(),
    "Squeeze": squeeze(),
    "SpaceToDepth": blocks(deep=False),
    "DepthToSpace": blocks(deep=True),
    "Reduce": reduce(),
    "Elementwise": every_value(st.fixed_dictionaries({"function": st.sampled_from(arithmetic.FUNCTIONS)})),
    "Clip": every_value(st.sampled_from([{"min": 0}, {"max": 1.5}, {"min": -1, "max": 1}])),
    "Rescaling": rescaling(),
    "Divide": elementwise(most=2),
    "MatMul": matmul(),
    "Warp": warp(),
}
