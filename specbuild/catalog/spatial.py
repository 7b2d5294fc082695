"""Base classes of layers over one, two or three spatial axes: position of the channels, and sliding windows."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from specbuild.catalog.axis_values import LENGTHS, EachAxis
from specbuild.catalog.base import Layer
from specbuild.catalog.receptive_field import AxisField, ReceptiveField, same, windows
from specbuild.catalog.shapes import Dim, Shape, ShapeError, show
from specbuild.catalog.values import DataFormat, Padding, read_default, refuse, written

AXIS_NAMES = {1: ("length",), 2: ("height", "width"), 3: ("depth (or time)", "height", "width")}
"""Names of the spatial axes, by their number."""


class Spatial(Layer):
    """A layer whose input is `spatial` axes and the channels, which come last. `(H, W, C)` for two.

    What layers over one, two and three axes share is declared in a family, a class without `spatial=`.
    """

    spatial: ClassVar[int]

    def __init_subclass__(cls, spatial: int | None = None, **kwargs: Any) -> None:
        """Give the fields of the family their types for this number of axes."""
        super().__init_subclass__(**kwargs)
        if spatial is None:
            return
        cls.spatial = spatial
        own = dict(vars(cls).get("__annotations__", {}))
        inherited: dict[str, FieldInfo] = {}
        for base in reversed(cls.__mro__[1:]):
            inherited |= vars(base).get("__pydantic_fields__", {})
        for name, field in inherited.items():
            marks = [mark for mark in field.metadata if isinstance(mark, EachAxis)]
            if marks and name not in own:
                entry = marks[0].types[spatial - 1]
                own[name] = entry | None if field.default is None else entry
                default = Field(field.default, validate_default=field.validate_default, description=field.description)
                setattr(cls, name, default)
        cls.__annotations__ = own

    @property
    def ranks(self) -> tuple[int, ...]:
        return (self.spatial + 1,)

    @property
    def channels_first(self) -> bool:
        """Whether the channel axis comes before the spatial axes."""
        return False

    def split(self, shape: Shape) -> tuple[Shape, Dim]:
        """Return the spatial part of a shape, and its channels."""
        return (shape[1:], shape[0]) if self.channels_first else (shape[:-1], shape[-1])

    def join(self, spatial: Shape, channels: Dim) -> Shape:
        """Undo `split`."""
        return (channels, *spatial) if self.channels_first else (*spatial, channels)

    def spatial_field(self, spatial: tuple[AxisField | None, ...], channels: Dim = None) -> ReceptiveField:
        """Return the field of a value in the spatial axes, in the order of `data_format`, and channels (None: all)."""
        at = 0 if self.channels_first else self.spatial
        mixed = None if channels is None else same(at, channels)
        return (mixed, *spatial) if self.channels_first else (*spatial, mixed)

    @property
    def spatial_axes(self) -> range:
        """Positions of the spatial axes in a shape."""
        return range(1, self.spatial + 1) if self.channels_first else range(self.spatial)

    def known_channels(self, shape: Shape) -> int:
        """Return the number of channels.

        Raises:
            ShapeError: the input leaves it open, and the layer's weights depend on it.
        """
        channels = self.split(shape)[1]
        if channels is None:
            more = f", channels {'first' if self.channels_first else 'last'}"
            raise self.unfit("needs to know how many channels its input has", shape, more)
        return channels

    def refuse_window(
        self, shape: Shape, window: tuple[int, ...], argument: str, dilation: tuple[int, ...] | None = None
    ) -> None:
        """Refuse an input that is smaller than a window without padding.

        Raises:
            ShapeError: names the axis, its length and the window.
        """
        axes = zip(AXIS_NAMES[self.spatial], self.split(shape)[0], window, dilation or (1,) * self.spatial, strict=True)
        for name, length, entries, step in axes:
            span = window_span(entries, step)
            if length is not None and length < span:
                dilated = f" ({entries} entries, {step} apart)" if step > 1 else ""
                message = f"the window of {self.label} is larger than its input along the {name}"
                reason = f"the window spans {span}{dilated}, the {name} is {length} (input {show(shape)})"
                help = f"pad with padding: same, or set {argument} to at most {(length - 1) // step + 1}"
                raise ShapeError(message, reason=reason, argument=argument, help=help)


class Formatted(Spatial):
    """A spatial layer whose channels stand where `data_format` says."""

    data_format: DataFormat = Field(None, description="Position of the channel axis; the default is channels_last.")

    @property
    def channels_first(self) -> bool:
        return self.data_format == "channels_first"


class Strided(Formatted):
    """A spatial layer that slides a kernel over its input."""

    kernel_size: Annotated[tuple[int, ...], LENGTHS] = Field(description="Extent of the kernel.")
    strides: Annotated[tuple[int, ...], LENGTHS] = read_default(1, "Step between kernel positions.")
    padding: Padding = Field(
        "valid", description="Whether the kernel may reach beyond the border (same) or not (valid)."
    )
    dilation_rate: Annotated[tuple[int, ...], LENGTHS] = read_default(1, "Distance between the kernel's entries.")

    strided_dilation: ClassVar[bool] = False
    """Whether Keras takes strides and dilation above 1 together."""

    @field_validator("dilation_rate")
    @classmethod
    def _strides_or_dilation(cls, value: Any, info: ValidationInfo) -> Any:
        strides = info.data.get("strides", (1,))
        if not cls.strided_dilation and max(value) > 1 and max(strides) > 1:
            refuse(
                "dilation",
                f"expected 1, because strides is {each_written(strides)} and {cls.__name__} takes strides or dilation, "
                f"not both; got {each_written(value)}",
            )
        return value

    @property
    def spans(self) -> tuple[int, ...]:
        """How far the kernel reaches along each axis, dilation included."""
        return tuple(window_span(*pair) for pair in zip(self.kernel_size, self.dilation_rate, strict=True))

    def positions(self, x: Shape) -> Shape:
        """How many positions the kernel takes along each axis."""
        steps = zip(self.split(x)[0], self.spans, self.strides, strict=True)
        return tuple(window_length(*step, self.padding) for step in steps)

    def axis_fields(self, x: Shape) -> tuple[AxisField, ...]:
        """The entries of each spatial axis that the kernel sees from each of its positions."""
        axes = zip(self.spatial_axes, self.split(x)[0], self.positions(x), self.spans, self.strides, strict=True)
        return tuple(windows(*axis, self.padding) for axis in axes)

    def refuse_small(self, x: Shape) -> None:
        """Refuse an input that is smaller than the kernel, where the kernel has to lie inside.

        Raises:
            ShapeError: names the axis, its length and the window.
        """
        if self.padding == "valid":
            self.refuse_window(x, self.kernel_size, "kernel_size", self.dilation_rate)


def each_written(numbers: tuple[int, ...]) -> str:
    """Return one number per axis as a spec writes them, or the one that they all are."""
    return written(numbers[0] if len(set(numbers)) == 1 else numbers)


def window_length(length: Dim, window: int, stride: int, padding: str) -> Dim:
    """Return how many positions a window takes along an axis.

    `valid`: the window stays inside, ⌊(length − window) / stride⌋ + 1. `same` and `causal`: the axis is padded so
    that every stride-th entry is one, ⌈length / stride⌉.
    """
    if length is None:
        return None
    return (length - window) // stride + 1 if padding == "valid" else -(-length // stride)


def window_span(entries: int, dilation: int) -> int:
    """Return how far a window reaches whose entries stand `dilation` apart."""
    return (entries - 1) * dilation + 1
