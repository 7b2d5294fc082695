"""Pooling: the largest or the mean value of every window, or of the whole input."""

from typing import Annotated

from pydantic import Field

from specbuild.catalog.axis_values import LENGTHS
from specbuild.catalog.receptive_field import ReceptiveField, same, windows
from specbuild.catalog.shapes import Dim, Shape, size, times
from specbuild.catalog.spatial import Formatted, window_length
from specbuild.catalog.values import Flag, Padding, read_default


class _Pooling(Formatted):
    """One value per window and channel. `(H, W, C)` → `(H', W', C)`."""

    pool_size: Annotated[tuple[int, ...], LENGTHS] = Field(description="Extent of the window.")
    strides: Annotated[tuple[int, ...] | None, LENGTHS] = Field(
        None, description="Step between windows; the default is the window's extent."
    )
    padding: Padding = Field("valid", description="Whether windows may reach beyond the border (same) or not (valid).")

    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if self.padding == "valid":
            self.refuse_window(inputs[0], self.pool_size, "pool_size")

    def output_shape(self, *inputs: Shape) -> Shape:
        spatial, channels = self.split(inputs[0])
        steps = zip(spatial, self.pool_size, self.strides or self.pool_size, strict=True)
        return self.join(tuple(window_length(*step, self.padding) for step in steps), channels)

    def flops(self, *inputs: Shape) -> Dim:
        """One operation for each entry of each window."""
        return times(*self.output_shape(*inputs), *self.pool_size)

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        spatial, channels = self.split(inputs[0])
        positions = self.split(self.output_shape(*inputs))[0]
        axes = zip(self.spatial_axes, spatial, positions, self.pool_size, self.strides or self.pool_size, strict=True)
        return (self.spatial_field(tuple(windows(*axis, self.padding) for axis in axes), channels),)


class _MaxPooling(_Pooling):
    pool_size: Annotated[tuple[int, ...], LENGTHS] = read_default(2, "Extent of the window.")


class MaxPooling1D(_MaxPooling, spatial=1):
    """The largest value of every window along one axis."""


class MaxPooling2D(_MaxPooling, spatial=2):
    """The largest value of every window of two axes."""


class MaxPooling3D(_MaxPooling, spatial=3):
    """The largest value of every window of three axes."""


class AveragePooling1D(_Pooling, spatial=1):
    """The mean of every window along one axis."""


class AveragePooling2D(_Pooling, spatial=2):
    """The mean of every window of two axes."""


class AveragePooling3D(_Pooling, spatial=3):
    """The mean of every window of three axes."""


class _GlobalPooling(Formatted):
    """One value per channel. `(H, W, C)` → `(C)`, or `(1, 1, C)`."""

    keepdims: Flag = Field(False, description="Whether the spatial axes stay, with length 1.")

    def output_shape(self, *inputs: Shape) -> Shape:
        channels = self.split(inputs[0])[1]
        return self.join((1,) * self.spatial, channels) if self.keepdims else (channels,)

    def flops(self, *inputs: Shape) -> Dim:
        """One operation for each entry of the input."""
        return size(inputs[0])

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        channels = self.split(inputs[0])[1]
        if self.keepdims:
            return (self.spatial_field((None,) * self.spatial, channels),)
        mixed = (None,) * self.spatial
        return ((same(0, channels), *mixed) if self.channels_first else (*mixed, same(0, channels)),)


class GlobalMaxPooling1D(_GlobalPooling, spatial=1):
    """The largest value of each channel over one axis."""


class GlobalMaxPooling2D(_GlobalPooling, spatial=2):
    """The largest value of each channel over two axes."""


class GlobalMaxPooling3D(_GlobalPooling, spatial=3):
    """The largest value of each channel over three axes."""


class GlobalAveragePooling1D(_GlobalPooling, spatial=1):
    """The mean of each channel over one axis."""


class GlobalAveragePooling2D(_GlobalPooling, spatial=2):
    """The mean of each channel over two axes."""


class GlobalAveragePooling3D(_GlobalPooling, spatial=3):
    """The mean of each channel over three axes."""
