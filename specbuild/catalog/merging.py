"""Layers that merge several tensors into one.

Element-wise merges broadcast as Keras does: axes are matched from the last, an axis of length 1 is stretched, and an
input with fewer axes is repeated over the axes it lacks.
"""

from functools import reduce

from pydantic import Field

from specbuild.catalog.axis_values import Axis, AxisPair
from specbuild.catalog.base import Layer
from specbuild.catalog.receptive_field import ReceptiveField, known, same, shifted
from specbuild.catalog.shapes import Dim, Shape, ShapeError, plus, show, times
from specbuild.catalog.values import Flag


class Concatenate(Layer):
    """Concatenate the inputs along an axis; all other axes must match."""

    arity = "many"
    keeps_rank = True
    axis: Axis = Field(-1, description="The axis to join along; the batch axis is 0, -1 the last.")

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        first = inputs[0]
        joined = self._joined_axis(first)
        for position, shape in enumerate(inputs[1:], start=2):
            if len(shape) != len(first):
                message = "Concatenate needs inputs with the same number of axes"
                raise ShapeError(message, reason=f"input 1 is {show(first)}, input {position} is {show(shape)}")
            for axis, (a, b) in enumerate(zip(first, shape, strict=True), start=1):
                if axis != joined and None not in (a, b) and a != b:
                    message = f"Concatenate along axis {joined} needs inputs that agree on axis {axis}"
                    reason = f"it is {a} in input 1 ({show(first)}) and {b} in input {position} ({show(shape)})"
                    raise ShapeError(message, reason=reason, help=_other_axis(inputs))

    def output_shape(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        joined = self._joined_axis(first) - 1
        return (*first[:joined], plus(*(shape[joined] for shape in inputs)), *first[joined + 1 :])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        joined, total = self._joined_axis(inputs[0]) - 1, self.output_shape(*inputs)
        fields, start = [], 0
        for shape in inputs:
            axes = enumerate(shape)
            fields.append(tuple(shifted(at, total[at], -start) if at == joined else same(at, n) for at, n in axes))
            start += known(shape[joined])
        return tuple(fields)

    def _joined_axis(self, shape: Shape) -> int:
        """The axis as Keras counts it, from 1; the batch axis is 0."""
        axis = self.axis + len(shape) + 1 if self.axis < 0 else self.axis
        if not 1 <= axis <= len(shape):
            fault = "is the batch axis" if axis == 0 else "does not exist"
            message = f"Concatenate cannot join along axis {self.axis}, which {fault}"
            reason = f"input 1 is {show(shape)}: its axes are 1 to {len(shape)}, or -1 to -{len(shape)}"
            raise ShapeError(message, reason=reason, argument="axis")
        return axis


class Broadcasting(Layer):
    """An operation on values at the same position."""

    arity = "many"
    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        merged = inputs[0]
        for position, shape in enumerate(inputs[1:], start=2):
            _refuse_unlike(self.label, merged, shape, position)
            merged = broadcast(merged, shape)

    def output_shape(self, *inputs: Shape) -> Shape:
        return reduce(broadcast, inputs)

    def flops(self, *inputs: Shape) -> Dim:
        """One operation for each value and each input after the first."""
        return times(len(inputs) - 1, *self.output_shape(*inputs))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Each value depends on its own position; an axis of length 1 that is broadcast is read from all positions."""
        merged = self.output_shape(*inputs)
        leads = [len(merged) - len(shape) for shape in inputs]
        return tuple(
            tuple(same(at + lead, n) if n == merged[at + lead] else None for at, n in enumerate(shape))
            for shape, lead in zip(inputs, leads, strict=True)
        )


class Add(Broadcasting):
    """The sum of the inputs."""


class Multiply(Broadcasting):
    """The elementwise product of the inputs."""


class Average(Broadcasting):
    """The mean of the inputs."""

    def flops(self, *inputs: Shape) -> Dim:
        """The sum, and one division for each value."""
        return times(len(inputs), *self.output_shape(*inputs))


class Maximum(Broadcasting):
    """The elementwise maximum of the inputs."""


class Minimum(Broadcasting):
    """The elementwise minimum of the inputs."""


class Subtract(Broadcasting):
    """The first input minus the second."""

    def check(self, *inputs: Shape) -> None:
        check_two(self, inputs)
        super().check(*inputs)


class Dot(Layer):
    """Sums of products along one axis of each of two inputs. `(I, K)`, `(K, J)` → `(I, J)` with `axes: [2, 1]`."""

    arity = "many"
    axes: AxisPair = Field(
        description="The axis to sum over, one for both inputs or one for each; the batch axis is 0."
    )
    normalize: Flag = Field(False, description="Whether both inputs are scaled to length 1 first: cosine similarity.")

    def check(self, *inputs: Shape) -> None:
        check_two(self, inputs)
        axes = self._summed_axes(*inputs)
        first, second = (shape[axis - 1] for shape, axis in zip(inputs, axes, strict=True))
        if first != second:
            raise ShapeError(
                "Dot needs the same length on the axes it sums over",
                reason=f"axis {axes[0]} of input 1 is {_dim(first)} ({show(inputs[0])}), "
                f"axis {axes[1]} of input 2 is {_dim(second)} ({show(inputs[1])})",
                argument="axes",
            )

    def output_shape(self, *inputs: Shape) -> Shape:
        axes = self._summed_axes(*inputs)
        kept = [(*shape[: axis - 1], *shape[axis:]) for shape, axis in zip(inputs, axes, strict=True)]
        return (*kept[0], *kept[1]) or (1,)

    def flops(self, *inputs: Shape) -> Dim:
        """A multiply-add for each term; with `normalize` a square, an addition and a division for each input value."""
        terms = times(2, *self.output_shape(*inputs), inputs[0][self._summed_axes(*inputs)[0] - 1])
        return plus(terms, *(times(3, *shape) for shape in inputs)) if self.normalize else terms

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Each value depends on all of the axes that are summed over, or normalized."""
        fields, start = [], 0
        for shape, axis in zip(inputs, self._summed_axes(*inputs), strict=True):
            kept = [at for at in range(len(shape)) if at != axis - 1]
            fields.append(tuple(same(start + kept.index(at), n) if at in kept else None for at, n in enumerate(shape)))
            start += len(kept)
        return tuple(fields)

    def _summed_axes(self, *inputs: Shape) -> tuple[int, ...]:
        """The axis of each input as Keras counts it, from 1; the batch axis is 0."""
        wanted = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        axes = []
        for position, (shape, written) in enumerate(zip(inputs, wanted, strict=True), start=1):
            axis = written + len(shape) + 1 if written < 0 else written
            if not 1 <= axis <= len(shape):
                fault = "is the batch axis" if axis == 0 else "does not exist"
                message = f"Dot cannot sum over axis {written} of input {position}, which {fault}"
                reason = f"input {position} is {show(shape)}: its axes are 1 to {len(shape)}"
                raise ShapeError(message, reason=reason, argument="axes")
            axes.append(axis)
        return tuple(axes)


def check_two(layer: Layer, inputs: tuple[Shape, ...]) -> None:
    if len(inputs) != 2:
        raise ShapeError(f"{layer.label} needs exactly 2 inputs, got {len(inputs)}", help="list them: from: [a, b]")


def _refuse_unlike(label: str, merged: Shape, shape: Shape, position: int) -> None:
    if (unlike := misfit(merged, shape)) is not None:
        back, a, b = unlike
        before = "input 1" if position == 2 else f"inputs 1 to {position - 1}"
        message = f"{label} cannot match its inputs on axis -{back}"
        reason = f"it is {a} in {before} ({show(merged)}) and {b} in input {position} ({show(shape)})"
        raise ShapeError(message, reason=reason, help="lengths must be equal, or one of them 1")


def misfit(a: Shape, b: Shape) -> tuple[int, int, int] | None:
    """Return the axis, counted from the last, on which two shapes cannot be matched, and its lengths; None if none."""
    for back, (one, other) in enumerate(zip(reversed(a), reversed(b), strict=False), start=1):
        if one is not None and other is not None and one != other and 1 not in (one, other):
            return back, one, other
    return None


def broadcast(a: Shape, b: Shape) -> Shape:
    """Return the shape that both stretch to. Keras calls an axis unknown as soon as one of its lengths is."""
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    lead = len(longer) - len(shorter)
    pairs = zip(longer[lead:], shorter, strict=True)
    return (*longer[:lead], *(None if None in (x, y) else y if x == 1 else x for x, y in pairs))


def _other_axis(inputs: tuple[Shape, ...]) -> str:
    """The axis along which the inputs could be joined, where there is exactly one."""
    differing = [axis for axis, dims in enumerate(zip(*inputs, strict=False), start=1) if len(set(dims)) > 1]
    return f"they could be joined along axis: {differing[0]}" if len(differing) == 1 else ""


def _dim(length: Dim) -> str:
    return "unknown" if length is None else str(length)
