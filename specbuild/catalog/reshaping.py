"""Layers that move values without weights: upsample, pad, crop, flatten, reshape, permute, repeat."""

from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from specbuild.catalog.axis_values import LENGTHS, MARGINS, Margins2, Permutation, TargetShape
from specbuild.catalog.base import Layer, View
from specbuild.catalog.receptive_field import ReceptiveField, in_place, interpolated, same, shifted
from specbuild.catalog.shapes import Dim, Shape, ShapeError, show, size, times
from specbuild.catalog.spatial import AXIS_NAMES, Formatted, Spatial
from specbuild.catalog.values import DataFormat, Interpolation, PositiveInt, read_default

Pairs: TypeAlias = tuple[tuple[int, int], ...]

TAPS = {"nearest": 0, "bilinear": 4, "bicubic": 16, "lanczos3": 36, "lanczos5": 100}
"""How many input values an interpolated one is a weighted sum of."""
RADIUS = {"nearest": 0, "bilinear": 1, "bicubic": 2, "lanczos3": 3, "lanczos5": 5}
"""How far those may lie from the interpolated one, in entries of the input."""


class _UpSampling(Spatial):
    """Enlarge each spatial axis by a factor. `(H, W, C)` → `(aH, bW, C)`."""

    size: Annotated[tuple[int, ...], LENGTHS] = read_default(2, "Factor for each axis.")

    keeps_rank = True

    @property
    def factors(self) -> tuple[int, ...]:
        """The factor of each spatial axis."""
        return self.size

    def output_shape(self, *inputs: Shape) -> Shape:
        spatial, channels = self.split(inputs[0])
        return self.join(tuple(times(*pair) for pair in zip(spatial, self.factors, strict=True)), channels)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        positions, channels = self.split(self.output_shape(*inputs))
        radius = RADIUS[getattr(self, "interpolation", "nearest")]
        axes = zip(self.spatial_axes, positions, self.factors, strict=True)
        return (self.spatial_field(tuple(interpolated(*axis, radius) for axis in axes), channels),)


class UpSampling1D(_UpSampling, spatial=1):
    """Repeat every step."""

    # Keras takes a bare number here, unlike in two and three dimensions.
    size: PositiveInt = Field(2, description="Number of repetitions of each step.")  # type: ignore[assignment]

    @property
    def factors(self) -> tuple[int, ...]:
        return (self.size,)


class UpSampling2D(Formatted, _UpSampling, spatial=2):
    """Enlarge height and width by repetition or interpolation."""

    interpolation: Interpolation = Field("nearest", description="Interpolation method; nearest repeats values.")

    def flops(self, *inputs: Shape) -> Dim:
        """A multiply-add for each input value that an output value is made of."""
        return times(2 * TAPS[self.interpolation], *self.output_shape(*inputs))


class UpSampling3D(Formatted, _UpSampling, spatial=3):
    """Enlarge three axes by repetition."""


class _Margins(Spatial):
    """A layer that adds or cuts off entries `(before, after)` each spatial axis."""

    keeps_rank = True
    written_as: ClassVar[str]
    """The argument that says how many."""
    sign: ClassVar[Literal[1, -1]]
    """1: the entries are added; -1: they are cut off."""

    @property
    def margins(self) -> Pairs:
        """`(before, after)` of each spatial axis."""
        pairs: Any = getattr(self, self.written_as)
        return pairs if self.spatial > 1 else (pairs,)

    def output_shape(self, *inputs: Shape) -> Shape:
        spatial, channels = self.split(inputs[0])
        pairs = zip(spatial, self.margins, strict=True)
        lengths = (None if length is None else length + self.sign * sum(pair) for length, pair in pairs)
        return self.join(tuple(lengths), channels)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        positions, channels = self.split(self.output_shape(*inputs))
        axes = zip(self.spatial_axes, positions, self.margins, strict=True)
        shifts = tuple(shifted(at, length, -self.sign * before) for at, length, (before, _) in axes)
        return (self.spatial_field(shifts, channels),)


class _ZeroPadding(_Margins, Formatted):
    """`(H, W, C)` → `(top + H + bottom, left + W + right, C)`."""

    padding: Annotated[Any, MARGINS] = read_default(1, "Zeros before and after each axis.")

    written_as = "padding"
    sign = 1


class ZeroPadding1D(_ZeroPadding, spatial=1):
    """Zeros before and after a sequence."""


class ZeroPadding2D(_ZeroPadding, spatial=2):
    """Zeros around height and width."""


class ZeroPadding3D(_ZeroPadding, spatial=3):
    """Zeros around three axes."""


class _Cropping(_Margins):
    """`(H, W, C)` → `(H − top − bottom, W − left − right, C)`."""

    cropping: Annotated[Any, MARGINS] = read_default(1, "Entries cut off before and after each axis.")

    written_as = "cropping"
    keeps_values = True
    sign = -1

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        axes = zip(AXIS_NAMES[self.spatial], self.split(inputs[0])[0], self.margins, strict=True)
        for name, length, (before, after) in axes:
            if length is not None and length <= before + after:
                reason = f"it cuts off {before} and {after}, the {name} is {length} (input {show(inputs[0])})"
                raise ShapeError(f"{self.label} leaves nothing of the {name}", reason=reason, argument="cropping")


class Cropping1D(_Cropping, spatial=1):
    """Crop steps from the start and the end of a sequence."""


class Cropping2D(_Cropping, Formatted, spatial=2):
    """Crop rows and columns of an image."""

    cropping: Margins2 = read_default(0, "Entries cut off before and after height and width.")


class Cropping3D(_Cropping, Formatted, spatial=3):
    """Crop three axes."""


class Flatten(View):
    """Flatten all axes into one. `(H, W, C)` → `(H · W · C)`."""

    data_format: DataFormat = Field(None, description="With channels_first, channels are moved last before flattening.")

    def output_shape(self, *inputs: Shape) -> Shape:
        return (size(inputs[0]),)


class Reshape(View):
    """Change the shape, keeping the order of values."""

    target_shape: TargetShape = Field(description="The new shape without the batch axis; -1 is inferred.")

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        total, known = size(inputs[0]), size(dim for dim in self.target_shape if dim != -1)
        if total is None or known is None:
            return
        if total % known or (-1 not in self.target_shape and total != known):
            divided = "is not a multiple of" if -1 in self.target_shape else "is not"
            message = f"Reshape cannot make {_target(self.target_shape)} of {show(inputs[0])}"
            reason = f"the input has {total} values, which {divided} {known}"
            raise ShapeError(message, reason=reason, argument="target_shape")

    def output_shape(self, *inputs: Shape) -> Shape:
        total = size(inputs[0])
        if total is None:
            return tuple(None if dim == -1 else dim for dim in self.target_shape)
        known = size(dim for dim in self.target_shape if dim != -1) or 1
        return tuple(total // known if dim == -1 else dim for dim in self.target_shape)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        """Leading axes that stay as they are are kept apart; those after them count as mixed."""
        before, after = inputs[0], self.output_shape(*inputs)
        kept = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(after))
        return (in_place(before, mixed=range(kept, len(before))),)


class Permute(Layer):
    """Reorder the axes: `dims: [2, 1]` swaps the two axes of a matrix."""

    dims: Permutation = Field(description="The input axis for each output axis, counted from 1.")

    keeps_rank = True
    keeps_values = True

    @property
    def ranks(self) -> tuple[int, ...]:
        return (len(self.dims),)

    def output_shape(self, *inputs: Shape) -> Shape:
        return tuple(inputs[0][dim - 1] for dim in self.dims)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (tuple(same(self.dims.index(axis + 1), length) for axis, length in enumerate(inputs[0])),)


class RepeatVector(Layer):
    """Repeat a vector n times. `(F)` → `(n, F)`."""

    n: PositiveInt = Field(description="Number of repetitions.")

    keeps_values = True

    @property
    def ranks(self) -> tuple[int, ...]:
        return (1,)

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.n, *inputs[0])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        return (in_place(inputs[0], lead=1),)


def _target(shape: tuple[int, ...]) -> str:
    return show(tuple(None if dim == -1 else dim for dim in shape))
