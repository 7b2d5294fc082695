"""Layers that only move values: select from an axis, add and drop axes, and fold space into channels and back.

An `axis` counts as Keras counts axes: the batch axis is 0, -1 is the last. Moving values counts no FLOPs.
"""

from typing import Annotated, Any, Self, TypeAlias

from pydantic import Field, model_validator

from specbuild.catalog.axes import OverAxes
from specbuild.catalog.axis_values import Axis
from specbuild.catalog.base import Layer, View
from specbuild.catalog.list_values import ListOf, OneOrList
from specbuild.catalog.receptive_field import (
    ReceptiveField,
    at_position,
    in_place,
    known,
    moved,
    no_input,
    picked,
    same,
)
from specbuild.catalog.shapes import Dim, Shape, ShapeError, fits, show
from specbuild.catalog.values import NonNegativeInt, PositiveInt, Whole, refuse


class _NotZero(Whole):
    def read(self, value: Any, expected: str = "") -> int:
        number = super().read(value, expected)
        if number == 0:
            raise self.mismatch(value, expected)
        return number

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "not": {"const": 0}}


Bound: TypeAlias = Annotated[int, Whole(words="a whole number or null")] | None
"""A place on an axis; negative ones count from the end."""
Parts: TypeAlias = Annotated[
    int | tuple[int, ...], OneOrList(Whole(1), "a positive whole number, or a list of the length of each part", 1)
]
Indices: TypeAlias = Annotated[
    tuple[int, ...], ListOf(Whole(), "a list of whole numbers, where -1 is the last entry", 1)
]


class LastFrame(Layer):
    """The last frame, or vector, of a sequence: `(T, …)` → `(…)`. A recurrent node gives it as its port `last`."""

    package = "specbuild"
    keeps_values = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if len(inputs[0]) < 2:
            raise self.unfit("needs an input with a time axis", inputs[0], " (without the batch axis)")

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0][1:]

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return ((at_position(known(inputs[0][0]) - 1), *in_place(inputs[0][1:])),)


class RepeatFrame(Layer):
    """Repeat a frame, or a vector, as every step of a sequence: `(H, W, C)` → `(times, H, W, C)`.

    Keras's RepeatVector is its case for vectors.
    """

    times: PositiveInt = Field(description="Length of the sequence.")

    package = "specbuild"
    keeps_values = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.times, *inputs[0])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (in_place(inputs[0], lead=1),)


class ZerosLike(Layer):
    """Zeros in the shape of the input, whose values are not read; `filters` sets another number of channels.

    They start a recurrence from nothing, or stand for an input that a model does not have.
    """

    filters: PositiveInt | None = Field(None, description="Length of the last axis; null is that of the input.")

    package = "specbuild"
    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if self.filters is not None and not inputs[0]:
            raise self.unfit("has no axis of channels to change", inputs[0], argument="filters")

    def output_shape(self, *inputs: Shape) -> Shape:
        return inputs[0] if self.filters is None else (*inputs[0][:-1], self.filters)

    def saved_elements(self, *inputs: Shape) -> Dim:  # noqa: ARG002 - whatever the input
        return 0

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (no_input(inputs[0]),)


class Slice(OverAxes):
    """A range of one axis, like Python's `x[start:stop:step]`."""

    axis: Axis = Field(description="The axis; the batch axis is 0, the time axis 1, -1 the last.")
    start: Bound = Field(None, description="First entry; negative counts from the end, null is the beginning.")
    stop: Bound = Field(None, description="First entry not taken; negative counts from the end, null is the end.")
    step: Annotated[int, _NotZero(words="a whole number other than 0")] = Field(
        1, description="Every step-th entry; a negative one reverses the order."
    )

    package = "specbuild"
    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if self._length(inputs[0][_index(inputs[0], self.axis)]) == 0:
            bounds = ("" if bound is None else str(bound) for bound in (self.start, self.stop, self.step))
            message = f"{self.label} leaves nothing of axis {self.axis}"
            reason = f"it takes {':'.join(bounds)} of its input {show(inputs[0])}"
            raise ShapeError(message, reason=reason, argument="start" if self.start is not None else "stop")

    def output_shape(self, *inputs: Shape) -> Shape:
        at = _index(inputs[0], self.axis)
        return (*inputs[0][:at], self._length(inputs[0][at]), *inputs[0][at + 1 :])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        at = _index(inputs[0], self.axis)
        taken = range(*slice(self.start, self.stop, self.step).indices(known(inputs[0][at])))
        return (tuple(picked(i, taken) if i == at else same(i, n) for i, n in enumerate(inputs[0])),)

    def _length(self, length: Dim) -> Dim:
        """Return how many entries are taken; of an axis of unknown length only the first or last is certain."""
        taken = slice(self.start, self.stop, self.step)
        if length is not None:
            return len(range(*taken.indices(length)))
        first = self.start in (None, 0) and self.stop == 1
        last = self.start == -1 and self.stop is None
        return 1 if self.step > 0 and (first or last) else None


class SplitPart(OverAxes):
    """One of the parts into which an axis is cut, equal ones or of given lengths; all of them together are the input.

    The form `split` gives every part a name.
    """

    parts: Parts = Field(description="Number of equal parts, or the length of each part.")
    index: NonNegativeInt = Field(description="Which of the parts, counted from 0.")
    axis: Axis = Field(-1, description="The axis; the batch axis is 0, the time axis 1, -1 the last.")

    package = "specbuild"
    keeps_rank = True
    keeps_values = True

    @property
    def label(self) -> str:
        """Name in tables: that of the form."""
        return "split"

    @property
    def count(self) -> int:
        """Number of parts."""
        return self.parts if isinstance(self.parts, int) else len(self.parts)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.index >= self.count:
            refuse("index", f"expected an index from 0 to {self.count - 1} for {self.count} parts, got {self.index}")
        return self

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        length = inputs[0][_index(inputs[0], self.axis)]
        if isinstance(self.parts, int):
            if length is not None and length % self.parts:
                message = f"cannot cut axis {self.axis}, of length {length}, into {self.parts} equal parts"
                below, above = length - length % self.parts, length - length % self.parts + self.parts
                help = f"a length of {f'{below} or ' * (below > 0)}{above} fits"
                raise self.unfit(message, inputs[0], argument="parts", help=help)
        elif length is not None and length != sum(self.parts):
            total = " + ".join(map(str, self.parts))
            message = f"needs {sum(self.parts)} entries on axis {self.axis}, got {length}"
            raise self.unfit(message, inputs[0], f", and its parts are {total}", argument="parts")

    def output_shape(self, *inputs: Shape) -> Shape:
        at = _index(inputs[0], self.axis)
        start, stop = self.bounds(inputs[0][at])
        return (*inputs[0][:at], None if start is None or stop is None else stop - start, *inputs[0][at + 1 :])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        at = _index(inputs[0], self.axis)
        start, stop = self.bounds(inputs[0][at])
        taken = range(known(start), known(stop))
        return (tuple(picked(i, taken) if i == at else same(i, n) for i, n in enumerate(inputs[0])),)

    def bounds(self, length: Dim) -> tuple[Dim, Dim]:
        """Return the first entry taken of an axis of some length, and the first not taken; None if not known."""
        if not isinstance(self.parts, int):
            return sum(self.parts[: self.index]), sum(self.parts[: self.index + 1])
        if length is None:
            return None, None
        size = length // self.parts
        return size * self.index, size * (self.index + 1)


class Gather(OverAxes):
    """Select entries of one axis, in the order given; an entry may be repeated."""

    axis: Axis = Field(description="The axis; the batch axis is 0, the time axis 1, -1 the last.")
    indices: Indices = Field(description="The entries, counted from 0; negative ones count from the end.")

    package = "specbuild"
    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        length = inputs[0][_index(inputs[0], self.axis)]
        beyond = [index for index in self.indices if length is not None and not -length <= index < length]
        if beyond:
            message = f"finds no entry {beyond[0]} on axis {self.axis}"
            more = f", that axis has the entries 0 to {(length or 0) - 1}"
            raise self.unfit(message, inputs[0], more, argument="indices")

    def output_shape(self, *inputs: Shape) -> Shape:
        at = _index(inputs[0], self.axis)
        return (*inputs[0][:at], len(self.indices), *inputs[0][at + 1 :])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        at = _index(inputs[0], self.axis)
        places = [index % known(inputs[0][at]) for index in self.indices]
        return (tuple(picked(i, places) if i == at else same(i, n) for i, n in enumerate(inputs[0])),)


class Roll(OverAxes):
    """Shift the entries of one axis; what leaves at one end enters at the other, as for longitudes.

    `x[p]` becomes `x[p − shift]`, as in NumPy: a positive shift moves entries toward the end.
    """

    axis: Axis = Field(description="The axis; the batch axis is 0, the time axis 1, -1 the last.")
    shift: Annotated[int, Whole()] = Field(
        description="Number of entries to shift by; a negative number shifts toward the beginning."
    )

    package = "specbuild"
    keeps_rank = True

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        at = _index(inputs[0], self.axis)
        length = known(inputs[0][at])
        places = [(position - self.shift) % length for position in range(length)]
        return (tuple(picked(i, places) if i == at else same(i, n) for i, n in enumerate(inputs[0])),)


class Stack(Layer):
    """Stack inputs of the same shape along a new axis: n × `(…)` → `(n, …)`."""

    axis: Axis = Field(1, description="Position of the new axis in the output; 1 is the first after batch.")

    package = "specbuild"
    arity = "many"

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        for position, shape in enumerate(inputs[1:], start=2):
            if not fits(shape, inputs[0]):
                message = f"{self.label} needs inputs of one shape"
                reason = f"input 1 is {show(inputs[0])}, input {position} is {show(shape)}"
                raise ShapeError(message, reason=reason, help="to join them along an axis they have, take Concatenate")
        _check_new_axis(self, inputs[0], self.axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        lengths = (next((dim for dim in dims if dim is not None), None) for dims in zip(*inputs, strict=True))
        return _with_axis(tuple(lengths), self.axis, len(inputs))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return tuple(_beside(shape, self.axis) for shape in inputs)


class ExpandDims(View):
    """Insert a new axis of length 1."""

    axis: Axis = Field(description="Position of the new axis in the output; 1 is the first after batch, -1 the last.")

    package = "specbuild"

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        _check_new_axis(self, inputs[0], self.axis)

    def output_shape(self, *inputs: Shape) -> Shape:
        return _with_axis(inputs[0], self.axis, 1)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (_beside(inputs[0], self.axis),)


class Squeeze(OverAxes, View):
    """Remove an axis of length 1."""

    axis: Axis = Field(description="The axis to drop; the batch axis is 0, -1 the last.")

    package = "specbuild"

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if inputs[0][_index(inputs[0], self.axis)] != 1:
            help = "to pick one entry of a longer axis, take Slice first"
            raise self.unfit(f"needs axis {self.axis} to have length 1", inputs[0], argument="axis", help=help)

    def output_shape(self, *inputs: Shape) -> Shape:
        at = _index(inputs[0], self.axis)
        return (*inputs[0][:at], *inputs[0][at + 1 :])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        at = _index(inputs[0], self.axis)
        return ((*in_place(inputs[0][:at]), None, *moved(in_place(inputs[0][at + 1 :]), at)),)


def _index(shape: Shape, axis: int) -> int:
    """Return the position in a shape without the batch axis of an axis that `check` accepted."""
    return axis - 1 if axis > 0 else axis + len(shape)


def _check_new_axis(layer: Layer, shape: Shape, axis: int) -> None:
    count = len(shape) + 1
    if not (1 <= axis <= count or -count <= axis <= -1):
        message = f"cannot put an axis {'before the batch axis' if axis == 0 else f'at {axis}'}"
        raise layer.unfit(message, shape, f": the new axis can be 1 to {count}, or -{count} to -1", argument="axis")


def _with_axis(shape: Shape, axis: int, length: int) -> Shape:
    at = axis - 1 if axis > 0 else axis + len(shape) + 1
    return (*shape[:at], length, *shape[at:])


def _beside(shape: Shape, axis: int) -> ReceptiveField:
    """Return the receptive field of a layer that puts a new axis into its output."""
    at = axis - 1 if axis > 0 else axis + len(shape) + 1
    return (*in_place(shape[:at]), *moved(in_place(shape[at:]), at + 1))
