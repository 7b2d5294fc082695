"""Layers between images and patches of them."""

from __future__ import annotations

from pydantic import Field

from specbuild.catalog.axis_values import Ints2
from specbuild.catalog.base import Layer
from specbuild.catalog.receptive_field import ReceptiveField, in_place, interpolated, windows
from specbuild.catalog.shapes import Dim, Shape, show, times


class _Blocks(Layer):
    """Between an image and its patches; `block_size` is (rows, columns) of one patch."""

    block_size: Ints2 = Field(description="Rows and columns of a patch; one number stands for both.")

    package = "specbuild"
    keeps_values = True
    keeps_rank = True

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        if len(inputs[0]) < 3:
            message = "needs an image, or a sequence of images"
            raise self.unfit(message, inputs[0], ", not (…, height, width, channels)")


class SpaceToDepth(_Blocks):
    """Turn every patch into one pixel with more channels: `(…, H, W, C)` → `(…, H/a, W/b, a·b·C)`.

    The channels of a patch are in the order (row, column, channel), so value `(i, j, c)` of a patch becomes channel
    `(i · b + j) · C + c`: the patches of Shi et al. 2015 and of OpenSTL. `DepthToSpace` is the inverse.
    """

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        for name, length, block in zip(("height", "width"), inputs[0][-3:-1], self.block_size, strict=True):
            if length is not None and length % block:
                message = f"cannot cut a {name} of {length} into patches of {block}"
                raise self.unfit(message, inputs[0], f"; {length} is not a multiple of {block}", argument="block_size")

    def output_shape(self, *inputs: Shape) -> Shape:
        *lead, height, width, channels = inputs[0]
        rows, columns = self.block_size
        return (*lead, _over(height, rows), _over(width, columns), times(rows, columns, channels))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        at, output = len(inputs[0]) - 3, self.output_shape(*inputs)
        axes = ((at + i, inputs[0][at + i], output[at + i], block, block) for i, block in enumerate(self.block_size))
        return ((*in_place(inputs[0][:at]), *(windows(*axis, "valid") for axis in axes), None),)


class DepthToSpace(_Blocks):
    """Turn every pixel into a patch with fewer channels: `(…, H, W, a·b·C)` → `(…, a·H, b·W, C)`.

    Channel `(i · b + j) · C + c` becomes value `(i, j, c)` of the patch: the inverse of `SpaceToDepth`.
    """

    def check(self, *inputs: Shape) -> None:
        super().check(*inputs)
        channels, block = inputs[0][-1], self.block_size[0] * self.block_size[1]
        if channels is None:
            raise self.unfit("needs to know how many channels its input has", inputs[0], ", channels last")
        if channels % block:
            message = f"cannot spread {channels} channels over patches of {show(self.block_size)}"
            raise self.unfit(message, inputs[0], f"; {channels} is not a multiple of {block}", argument="block_size")

    def output_shape(self, *inputs: Shape) -> Shape:
        *lead, height, width, channels = inputs[0]
        rows, columns = self.block_size
        return (*lead, times(height, rows), times(width, columns), _over(channels, rows * columns))

    def receptive_field(self, *inputs: Shape) -> tuple[ReceptiveField, ...]:
        at, output = len(inputs[0]) - 3, self.output_shape(*inputs)
        axes = ((at + i, output[at + i], block) for i, block in enumerate(self.block_size))
        return ((*in_place(inputs[0][:at]), *(interpolated(*axis, 0) for axis in axes), None),)


def _over(length: Dim, divisor: int) -> Dim:
    return None if length is None else length // divisor
